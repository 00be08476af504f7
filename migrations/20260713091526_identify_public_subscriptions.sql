-- Changes of subscriptions are now told with the account, the feed and whether it was public, which
-- is what the filter of the publication in the next file looks at.
ALTER TABLE subscriptions REPLICA IDENTITY USING INDEX subscriptions_identity_key;
