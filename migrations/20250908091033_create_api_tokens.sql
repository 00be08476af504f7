-- Other people's clients may sign in with a token. We keep its hash, which is compared and never
-- read: in byte order, whatever language the server was set up for, so that no upgrade of the
-- operating system's collations can leave the index out of order. Support sees that there is one.
CREATE COLLATION machine_text (provider = libc, locale = 'C');

COMMENT ON COLLATION machine_text IS 'Byte order, for what machines compare: hashes, tokens, keys.';

CREATE TABLE api_tokens (
    hash text COLLATE machine_text CONSTRAINT api_tokens_pkey PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT api_tokens_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    name text NOT NULL,
    CONSTRAINT api_tokens_hash_check CHECK (hash ~ '^[0-9a-f]{64}$')
);

COMMENT ON TABLE api_tokens IS 'Tokens that clients of others sign in with.';
COMMENT ON COLUMN api_tokens.hash IS 'SHA-256 of the token, which is shown once and kept nowhere.';

CREATE INDEX api_tokens_account_id_idx ON api_tokens (account_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON api_tokens TO reader_app;
GRANT SELECT (account_id, created_at, last_used_at, name) ON api_tokens TO reader_readonly;
