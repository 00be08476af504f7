-- One client with a bug asked 200 times a second. Requests are counted per token and minute, and
-- refused above a limit. The counts are worth nothing after a crash, so they are not written to the
-- log, which would otherwise be mostly about them.
CREATE UNLOGGED TABLE request_counts (
    token_hash text COLLATE machine_text NOT NULL
        CONSTRAINT request_counts_token_hash_fkey REFERENCES api_tokens ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    requests integer NOT NULL DEFAULT 1,
    CONSTRAINT request_counts_pkey PRIMARY KEY (token_hash, minute)
) WITH (fillfactor = 50);

COMMENT ON TABLE request_counts IS
    'Requests per token and minute. Unlogged: empty after a crash, and on a replica.';

GRANT SELECT, INSERT, UPDATE, DELETE ON request_counts TO reader_app;
