-- "I was not notified" and "I was notified twice": support needs to see what was sent.
-- Notifications on a telephone are forgotten after a week, mails after a year, so each channel is a
-- partition and has its own clock. A channel that is tried out goes to the default partition until
-- it stays.
CREATE TABLE deliveries (
    account_id bigint NOT NULL CONSTRAINT deliveries_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    sent_at timestamptz NOT NULL,
    channel text NOT NULL,
    articles integer NOT NULL,
    CONSTRAINT deliveries_pkey PRIMARY KEY (account_id, sent_at, channel),
    CONSTRAINT deliveries_articles_check CHECK (articles > 0)
) PARTITION BY LIST (channel);

COMMENT ON TABLE deliveries IS 'One row per notification that was sent, in a partition per channel.';
COMMENT ON COLUMN deliveries.articles IS 'How many articles it told of.';

CREATE TABLE deliveries_push PARTITION OF deliveries FOR VALUES IN ('apple', 'web');
CREATE TABLE deliveries_mail PARTITION OF deliveries FOR VALUES IN ('mail');
CREATE TABLE deliveries_other PARTITION OF deliveries DEFAULT;

GRANT SELECT, INSERT ON deliveries TO reader_app;
GRANT SELECT ON deliveries TO reader_readonly;
