-- What the feeds publish. A feed repeats its articles at every fetch; its guid, or the link where
-- there is none, tells which of them we have. The search vector is generated here, from the first
-- day on, because adding a stored column to a large table later would rewrite it while nobody can
-- read.
CREATE TABLE articles (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT articles_pkey PRIMARY KEY,
    feed_id bigint NOT NULL CONSTRAINT articles_feed_id_fkey REFERENCES feeds,
    published_at timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    guid text NOT NULL,
    url text,
    title text NOT NULL DEFAULT '',
    author text,
    content_html text NOT NULL DEFAULT '',
    content_text text NOT NULL DEFAULT '',
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('reader', title), 'A')
        || setweight(to_tsvector('reader', coalesce(author, '')), 'B')
        || setweight(to_tsvector('reader', left(content_text, 100000)), 'C')
    ) STORED,
    CONSTRAINT articles_feed_id_guid_key UNIQUE (feed_id, guid)
);

COMMENT ON TABLE articles IS 'One row per article of a feed, kept as long as anybody subscribes to the feed.';
COMMENT ON COLUMN articles.published_at IS
    'As the feed says; the time of the fetch if it says nothing, or names the future.';
COMMENT ON COLUMN articles.search IS
    'Covers the first 100,000 characters of the text: a tsvector holds at most 1 MB.';

CREATE INDEX articles_feed_id_published_at_idx ON articles (feed_id, published_at DESC);

-- One index serves both searches: in everything, and in one feed.
CREATE INDEX articles_feed_id_search_idx ON articles USING gin (feed_id, search);

GRANT SELECT, INSERT, UPDATE, DELETE ON articles TO reader_app;
GRANT SELECT ON articles TO reader_readonly;
