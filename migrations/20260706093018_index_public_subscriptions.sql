-- atlas:txmode none

-- The recommendation service will get the public subscriptions only, and be told when one stops
-- being public. For that the old row has to say whether it was: the index that identifies rows to
-- it has to have that column. It is built beside the running application.
CREATE UNIQUE INDEX CONCURRENTLY subscriptions_identity_key ON subscriptions (account_id, feed_id, is_public);
