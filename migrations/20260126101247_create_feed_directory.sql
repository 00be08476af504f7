-- The page "discover feeds" counted the readers of each feed whenever somebody opened it, 6 s each
-- time. The counts of this morning are good enough. The unique index is there so that the nightly
-- refresh need not lock readers out.
CREATE MATERIALIZED VIEW feed_directory AS
SELECT
    feeds.id AS feed_id,
    feeds.url,
    coalesce(
        nullif(feeds.title, ''),
        first_known(subscriptions.title ORDER BY subscriptions.created_at),
        feeds.url
    ) AS title,
    feeds.language_code,
    count(subscriptions.account_id) AS readers
FROM feeds
LEFT JOIN subscriptions ON subscriptions.feed_id = feeds.id
WHERE feeds.status = 'active'
GROUP BY feeds.id;

COMMENT ON MATERIALIZED VIEW feed_directory IS
    'One row per active feed, as of last night: what it is called, and how many read it.';

CREATE UNIQUE INDEX feed_directory_feed_id_key ON feed_directory (feed_id);
CREATE INDEX feed_directory_language_code_readers_idx ON feed_directory (language_code, readers DESC);

GRANT SELECT ON feed_directory TO reader_app, reader_readonly;
