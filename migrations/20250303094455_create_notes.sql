-- Readers write notes on articles. The application sees those of the account it works for, support
-- all but the private ones, which no later rule can open again since it is restrictive. The owner
-- is held to the rules as well: a function with its rights must not become a way around them.
-- Backups are made by a role with BYPASSRLS.
CREATE TABLE notes (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT notes_pkey PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT notes_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    article_id bigint NOT NULL CONSTRAINT notes_article_id_fkey REFERENCES articles ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    is_private boolean NOT NULL DEFAULT true,
    body text NOT NULL CONSTRAINT notes_body_check CHECK (body <> '')
);

COMMENT ON TABLE notes IS 'What readers write on articles; row-level security keeps one from the other.';

CREATE INDEX notes_account_id_article_id_idx ON notes (account_id, article_id);
CREATE INDEX notes_article_id_idx ON notes (article_id);

CREATE TRIGGER notes_set_updated_at
    BEFORE UPDATE ON notes
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE POLICY notes_own ON notes TO reader_app
    USING (account_id = current_account_id())
    WITH CHECK (account_id = current_account_id());
CREATE POLICY notes_support ON notes FOR SELECT TO reader_readonly USING (true);
CREATE POLICY notes_private ON notes AS RESTRICTIVE FOR SELECT TO reader_readonly USING (NOT is_private);

COMMENT ON POLICY notes_private ON notes IS
    'Restrictive: whatever else is granted, private notes stay private.';

ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO reader_app;
GRANT SELECT ON notes TO reader_readonly;
