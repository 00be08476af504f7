-- Feeds the recommendation service: subscriptions that are public, and of feeds what their page
-- shows. What a reader calls a feed, and in which folder it is, stays here. The server needs
-- wal_level logical before anybody can subscribe; where it has another, this only warns.
CREATE PUBLICATION recommendations FOR TABLE
    subscriptions (account_id, feed_id, created_at, is_public) WHERE (is_public),
    feeds (id, url, title, language_code);

COMMENT ON PUBLICATION recommendations IS 'For the recommendation service: who publicly reads what.';
