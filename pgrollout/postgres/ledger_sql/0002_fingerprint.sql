-- Fingerprints: what the schema was before and after each run, and when somebody looked for drift.
CREATE TABLE {schema}.catalog (
    digest text NOT NULL,
    scope text NOT NULL,
    server_version integer NOT NULL,
    objects integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (digest, scope)
);
COMMENT ON TABLE {schema}.catalog IS 'Schemas as values, each once; content is JSON, compressed with zlib.';
COMMENT ON COLUMN {schema}.catalog.digest IS 'Equal for equal schemas on servers of one major version.';

CREATE TABLE {schema}.fingerprint (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    history text NOT NULL,
    run text REFERENCES {schema}.run,
    moment text NOT NULL CHECK (moment IN ('before', 'after', 'check')),
    taken_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    digest text NOT NULL,
    scope text NOT NULL,
    without_drift text,
    FOREIGN KEY (digest, scope) REFERENCES {schema}.catalog,
    FOREIGN KEY (without_drift, scope) REFERENCES {schema}.catalog
);
COMMENT ON COLUMN {schema}.fingerprint.run IS 'NULL: a check for drift, which is no run.';
COMMENT ON COLUMN {schema}.fingerprint.scope IS 'What was looked at, as JSON: schemas and exclude.';
COMMENT ON COLUMN {schema}.fingerprint.without_drift IS
    'After a run: the schema without the drift that it found and passed over; NULL: there was none.';
CREATE INDEX fingerprint_history_idx ON {schema}.fingerprint (history, id);

CREATE TABLE {schema}.baseline (
    history text PRIMARY KEY,
    version text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    server_version integer NOT NULL,
    content bytea NOT NULL
);
COMMENT ON TABLE {schema}.baseline IS
    'The schema that a database had when its history began: SQL of pg_dump, compressed with zlib, without secrets.';
