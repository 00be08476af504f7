-- "How much did I read this year?" needs every session, and the statistics page asks for all of one
-- reader and never for those of a day. So the table is cut by account: a quarter of it is vacuumed
-- at a time, and an account's rows lie in one. Reports go by date; rows arrive in that order, so a
-- few pages of index will do.
CREATE TABLE reading_sessions (
    account_id bigint NOT NULL CONSTRAINT reading_sessions_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    article_id bigint NOT NULL CONSTRAINT reading_sessions_article_id_fkey REFERENCES articles ON DELETE CASCADE,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    duration interval NOT NULL GENERATED ALWAYS AS (ended_at - started_at) STORED,
    CONSTRAINT reading_sessions_pkey PRIMARY KEY (account_id, started_at),
    CONSTRAINT reading_sessions_ended_at_check CHECK (ended_at >= started_at)
) PARTITION BY HASH (account_id);

COMMENT ON TABLE reading_sessions IS
    'One row per time that somebody read an article, in four partitions by account.';

CREATE INDEX reading_sessions_article_id_idx ON reading_sessions (article_id);
CREATE INDEX reading_sessions_started_at_idx ON reading_sessions USING brin (started_at);

CREATE TABLE reading_sessions_0 PARTITION OF reading_sessions FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE reading_sessions_1 PARTITION OF reading_sessions FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE reading_sessions_2 PARTITION OF reading_sessions FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE reading_sessions_3 PARTITION OF reading_sessions FOR VALUES WITH (MODULUS 4, REMAINDER 3);

GRANT SELECT, INSERT ON reading_sessions TO reader_app;
GRANT SELECT ON reading_sessions TO reader_readonly;
