-- Second half of the foreign key from feeds to languages. The check reads every feed, but readers
-- and the fetcher go on meanwhile.
ALTER TABLE feeds VALIDATE CONSTRAINT feeds_language_code_fkey;
