-- Support asks two things all day: is this feed healthy, and how much has this reader left to read.
-- The queries went round by chat in four variants that disagreed; now there is one of each.
CREATE VIEW feed_health AS
SELECT
    feeds.id AS feed_id,
    feeds.url,
    feeds.status,
    feeds.next_fetch_at,
    last_day.fetches AS fetches_last_day,
    last_day.failures AS failures_last_day,
    last_day.last_success_at
FROM feeds
CROSS JOIN LATERAL (
    SELECT
        count(*) AS fetches,
        count(*) FILTER (WHERE fetches.error IS NOT NULL) AS failures,
        max(fetches.started_at) FILTER (WHERE fetches.error IS NULL) AS last_success_at
    FROM fetches
    WHERE fetches.feed_id = feeds.id
        AND fetches.started_at > now() - interval '1 day'
) AS last_day;

COMMENT ON VIEW feed_health IS 'One row per feed: how its fetches of the last 24 hours went.';

CREATE VIEW unread_counts AS
SELECT
    subscriptions.account_id,
    subscriptions.feed_id,
    count(articles.id) AS unread
FROM subscriptions
LEFT JOIN articles
    ON articles.feed_id = subscriptions.feed_id
    AND NOT EXISTS (
        SELECT
        FROM article_states
        WHERE article_states.account_id = subscriptions.account_id
            AND article_states.article_id = articles.id
            AND article_states.read_at IS NOT NULL
    )
GROUP BY subscriptions.account_id, subscriptions.feed_id;

COMMENT ON VIEW unread_counts IS
    'One row per subscription: how many of the feed''s articles its reader has not read.';

GRANT SELECT ON feed_health, unread_counts TO reader_app, reader_readonly;
