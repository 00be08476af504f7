-- atlas:txmode none

-- The search box completes titles while the reader types. With a few letters in the middle of a
-- word the full-text index is of no use and the scan of all articles took 9 s. The fetcher never
-- stops inserting, so the index is built without locking it out.
CREATE INDEX CONCURRENTLY articles_title_trgm_idx ON articles USING gin (title gin_trgm_ops);
