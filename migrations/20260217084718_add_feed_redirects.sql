-- A redirected feed names the feed it moved to, so that its subscribers can be moved as well. The
-- rule that it must name one holds for new rows at once, and for the old ones after the next file.
ALTER TABLE feeds
    ADD COLUMN redirected_to_feed_id bigint CONSTRAINT feeds_redirected_to_feed_id_fkey REFERENCES feeds,
    ADD CONSTRAINT feeds_redirected_check
        CHECK ((status = 'redirected') = (redirected_to_feed_id IS NOT NULL)) NOT VALID;

COMMENT ON COLUMN feeds.redirected_to_feed_id IS
    'The feed this one moved to; set if and only if the status is redirected.';
COMMENT ON TYPE feed_status IS
    'active: fetched when due; paused: not for now; redirected: moved for good, its new feed is fetched;'
    ' gone: answered 410, never fetched again.';
