-- The fetcher starts to note each feed's language. NULL means that we do not know yet, which is
-- true of all feeds today. The foreign key holds for new rows at once; checking the old ones is
-- left to the next file, so that the fetcher does not wait for it.
ALTER TABLE feeds
    ADD COLUMN language_code text,
    ADD CONSTRAINT feeds_language_code_fkey FOREIGN KEY (language_code) REFERENCES languages NOT VALID;

COMMENT ON COLUMN feeds.language_code IS 'Found by the fetcher; NULL if not known yet.';
