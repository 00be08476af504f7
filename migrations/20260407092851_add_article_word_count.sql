-- Readers on a train want to know how long an article takes. The fetcher of the next release writes
-- the number of words; until that release runs everywhere the column has to accept rows without it.
ALTER TABLE articles ADD COLUMN word_count integer;

COMMENT ON COLUMN articles.word_count IS 'Words of content_text; the interface makes minutes of it.';
