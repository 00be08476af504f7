-- "Why is my feed late?" is the commonest question to support, and the answer is in the last
-- fetches. There are half a million a day and nobody asks about last year's, so they are kept by
-- quarter: an old quarter is detached and dropped in a moment, where deleting its rows would take
-- hours.
CREATE TABLE fetches (
    feed_id bigint NOT NULL CONSTRAINT fetches_feed_id_fkey REFERENCES feeds ON DELETE CASCADE,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    http_status smallint,
    new_articles integer NOT NULL DEFAULT 0,
    error text,
    CONSTRAINT fetches_pkey PRIMARY KEY (feed_id, started_at),
    CONSTRAINT fetches_duration_ms_check CHECK (duration_ms >= 0)
) PARTITION BY RANGE (started_at);

COMMENT ON TABLE fetches IS 'One row per attempt to fetch a feed, in partitions of a quarter (UTC).';
COMMENT ON COLUMN fetches.http_status IS 'NULL if there was no answer; error then says why.';

CREATE INDEX fetches_failed_idx ON fetches (started_at) WHERE error IS NOT NULL;

CREATE TABLE fetches_2025_q4 PARTITION OF fetches
    FOR VALUES FROM ('2025-10-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');
CREATE TABLE fetches_2026_q1 PARTITION OF fetches
    FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-04-01 00:00:00+00');

GRANT SELECT, INSERT ON fetches TO reader_app;
GRANT SELECT ON fetches TO reader_readonly;
