-- Support kept writing to authors of feeds that had only moved. The view now says where to; the
-- column stands last, so that whoever reads the view by position is not disturbed.
CREATE OR REPLACE VIEW feed_health AS
SELECT
    feeds.id AS feed_id,
    feeds.url,
    feeds.status,
    feeds.next_fetch_at,
    last_day.fetches AS fetches_last_day,
    last_day.failures AS failures_last_day,
    last_day.last_success_at,
    target.url AS redirected_to_url
FROM feeds
LEFT JOIN feeds AS target
    ON target.id = feeds.redirected_to_feed_id
CROSS JOIN LATERAL (
    SELECT
        count(*) AS fetches,
        count(*) FILTER (WHERE fetches.error IS NOT NULL) AS failures,
        max(fetches.started_at) FILTER (WHERE fetches.error IS NULL) AS last_success_at
    FROM fetches
    WHERE fetches.feed_id = feeds.id
        AND fetches.started_at > now() - interval '1 day'
) AS last_day;
