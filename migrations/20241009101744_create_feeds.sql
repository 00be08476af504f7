-- A feed is fetched once for all its subscribers, so it is a thing of its own and not a part of a
-- subscription. The fetcher takes the feeds that are due, oldest first; paused and gone ones must
-- not cost it anything.
CREATE TYPE feed_status AS ENUM ('active', 'paused', 'gone');

COMMENT ON TYPE feed_status IS
    'active: fetched when due; paused: not for now; gone: answered 410, never fetched again.';

CREATE TABLE feeds (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT feeds_pkey PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    next_fetch_at timestamptz NOT NULL DEFAULT now(),
    fetch_interval interval NOT NULL DEFAULT '1 hour',
    status feed_status NOT NULL DEFAULT 'active',
    url text NOT NULL CONSTRAINT feeds_url_key UNIQUE,
    site_url text,
    title text NOT NULL DEFAULT '',
    etag text,
    last_modified text,
    CONSTRAINT feeds_url_check CHECK (url ~ '^https?://'),
    CONSTRAINT feeds_fetch_interval_check CHECK (fetch_interval >= interval '5 minutes')
);

COMMENT ON TABLE feeds IS 'One row per feed URL, shared by all who subscribe to it.';
COMMENT ON COLUMN feeds.last_modified IS 'The HTTP header as received: it is sent back word for word, never compared.';

CREATE INDEX feeds_next_fetch_at_idx ON feeds (next_fetch_at) WHERE status = 'active';

-- Each fetch writes to the feed, but only what a reader sees counts as a change.
CREATE TRIGGER feeds_set_updated_at
    BEFORE UPDATE OF status, url, site_url, title ON feeds
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON feeds TO reader_app;
GRANT SELECT ON feeds TO reader_readonly;
