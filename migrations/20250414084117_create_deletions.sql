-- A client that was offline learns what is new, but never what was deleted, and shows it for good.
-- Deleted things leave a number behind. It comes from a sequence that belongs to no table: changes
-- will draw from it as well, so that one number says how far a client has got. There is no foreign
-- key, because deletions of an account's last things are noted while the account itself goes.
CREATE SEQUENCE sync_number;

COMMENT ON SEQUENCE sync_number IS 'Orders everything that clients have to hear of; gaps mean nothing.';

CREATE TABLE deletions (
    number bigint NOT NULL DEFAULT nextval('sync_number') CONSTRAINT deletions_pkey PRIMARY KEY,
    account_id bigint NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    object_id bigint NOT NULL,
    kind text NOT NULL CONSTRAINT deletions_kind_check CHECK (kind IN ('folder', 'subscription'))
);

COMMENT ON TABLE deletions IS 'What was deleted, for clients that have not heard of it yet.';
COMMENT ON COLUMN deletions.object_id IS 'The folder, or the feed that is no longer subscribed to.';

CREATE INDEX deletions_account_id_number_idx ON deletions (account_id, number);
CREATE INDEX deletions_deleted_at_idx ON deletions (deleted_at);

GRANT SELECT, INSERT, DELETE ON deletions TO reader_app;
GRANT USAGE ON SEQUENCE sync_number TO reader_app;
