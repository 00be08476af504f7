-- "Mark all as read" sent one request per article and timed out on feeds with thousands of them.
-- One call does it, only for articles that were there when the reader's list was loaded: what
-- arrived meanwhile stays unread.
CREATE FUNCTION mark_feed_read(reader bigint, feed bigint, list_loaded_at timestamptz) RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO article_states AS state (account_id, article_id, read_at)
    SELECT reader, articles.id, now()
    FROM articles
    WHERE articles.feed_id = feed AND articles.fetched_at <= list_loaded_at
    ON CONFLICT (account_id, article_id) DO UPDATE
        SET read_at = excluded.read_at
        WHERE state.read_at IS NULL;

    SELECT unread FROM unread_counts WHERE account_id = reader AND feed_id = feed;
END;

COMMENT ON FUNCTION mark_feed_read(bigint, bigint, timestamptz) IS
    'Marks what a feed had at that time as read; returns how many of its articles are left unread.';

GRANT EXECUTE ON FUNCTION mark_feed_read(bigint, bigint, timestamptz) TO reader_app;
