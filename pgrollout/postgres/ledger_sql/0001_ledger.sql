-- The ledger: how the history came about. What has been applied is in Atlas's table alone.
-- {schema} is replaced by the configured schema's quoted name, {lock_key} by the key of Atlas's lock.
CREATE SCHEMA IF NOT EXISTS {schema};

CREATE TABLE {schema}.upgrade (
    number integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE {schema}.upgrade IS 'Numbered SQL that the ledger itself has had.';

-- The token is the primary key so that taking it over (an UPDATE of a key column) waits for every transaction
-- that has passed the fence, and the other way round.
CREATE TABLE {schema}.lease (
    token bigint PRIMARY KEY,
    run text NOT NULL,
    holder text NOT NULL,
    heartbeat timestamptz NOT NULL
);
COMMENT ON TABLE {schema}.lease IS 'Who may write: one row, the newest token.';

CREATE TABLE {schema}.run (
    id text PRIMARY KEY,
    history text NOT NULL,
    token bigint NOT NULL,
    release text NOT NULL,
    plan text NOT NULL,
    tool_version text NOT NULL,
    server_version integer NOT NULL,
    started_by text NOT NULL,
    source text NOT NULL,
    reason text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    outcome text,
    error text
);
COMMENT ON COLUMN {schema}.run.history IS 'Schema of the atlas_schema_revisions that the run belongs to.';
COMMENT ON COLUMN {schema}.run.source IS 'Where it was started: cli, or the Prefect flow run.';

CREATE TABLE {schema}.step (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run text NOT NULL REFERENCES {schema}.run,
    history text NOT NULL,
    version text NOT NULL,
    position integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('transaction', 'block', 'statement', 'alone', 'set', 'resolve')),
    statement text NOT NULL,
    hash text NOT NULL,
    intent_at timestamptz NOT NULL,
    ended_at timestamptz,
    outcome text,
    reason text,
    backend_pid integer NOT NULL,
    backend_start timestamptz NOT NULL
);
COMMENT ON COLUMN {schema}.step.position IS 'First statement of the file that it covers, from 1; 0 for the whole file.';
COMMENT ON COLUMN {schema}.step.kind IS
    'A file in one transaction; an explicit block; a statement in a transaction of its own; one alone, outside any.';
COMMENT ON COLUMN {schema}.step.ended_at IS 'NULL: started outside a transaction, and nobody saw the end.';
CREATE INDEX step_open_idx ON {schema}.step (history, version) WHERE ended_at IS NULL;

CREATE TABLE {schema}.backup (
    run text PRIMARY KEY REFERENCES {schema}.run,
    place text NOT NULL,
    size_bytes bigint NOT NULL,
    digest text NOT NULL,
    server_position text NOT NULL,
    taken_at timestamptz NOT NULL,
    tried boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN {schema}.backup.tried IS 'Whether it has been restored somewhere since.';

-- The fence fails in the server: a client that checks an answer comes too late, its next statements are on their way.
CREATE FUNCTION {schema}.fence(held bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $fence$
BEGIN
    PERFORM 1 FROM {schema}.lease WHERE token = held FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease with token % is no longer held', held
            USING ERRCODE = 'PR001', HINT = 'Another run has taken over. This one must not write any more.';
    END IF;
    PERFORM 1 FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 0 AND objid = {lock_key} AND objsubid = 1 AND granted AND pid = pg_backend_pid();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lock that keeps other runs and the Atlas CLI away is no longer held' USING ERRCODE = 'PR002';
    END IF;
END
$fence$;
