-- Three settings of the largest table, for rows that are written from here on. Snippets of a search
-- are cut from the middle of a text, which can be done without reading all of it if it is stored
-- uncompressed. The replica for reports was built without lz4, so this table keeps to pglz when the
-- server's default changes in May. And a sample of 30,000 rows finds 4,000 feeds of 60,000, so the
-- planner expected each to have fifteen times its articles.
ALTER TABLE articles
    ALTER COLUMN content_text SET STORAGE EXTERNAL,
    ALTER COLUMN content_html SET COMPRESSION pglz,
    ALTER COLUMN feed_id SET STATISTICS 1000,
    ALTER COLUMN feed_id SET (n_distinct = 60000);
