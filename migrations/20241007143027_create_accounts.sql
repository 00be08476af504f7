-- Somebody who reads. The mail address is how they sign in, so it is unique whatever its case.
-- Support may look at accounts, but not at mail addresses.
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT accounts_pkey PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    email citext NOT NULL CONSTRAINT accounts_email_key UNIQUE,
    display_name text NOT NULL,
    theme text NOT NULL CONSTRAINT accounts_theme_check CHECK (theme IN ('light', 'dark', 'sepia')),
    time_zone text NOT NULL DEFAULT 'UTC'
);

COMMENT ON TABLE accounts IS 'One row per person who reads.';
COMMENT ON COLUMN accounts.time_zone IS 'IANA name; decides where a day ends in the reading statistics.';

CREATE TRIGGER accounts_set_updated_at
    BEFORE UPDATE ON accounts
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts TO reader_app;
GRANT SELECT (id, created_at, updated_at, display_name, time_zone) ON accounts TO reader_readonly;
