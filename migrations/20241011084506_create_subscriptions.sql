-- Who reads which feed, and in which folder it is shown. A folder that is deleted leaves its
-- subscriptions behind, without a folder: losing a folder must never lose a feed.
CREATE TABLE folders (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT folders_pkey PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT folders_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    position integer NOT NULL DEFAULT 0,
    name text NOT NULL,
    CONSTRAINT folders_name_check CHECK (name <> '')
);

COMMENT ON TABLE folders IS 'A reader''s own grouping of their subscriptions.';
COMMENT ON COLUMN folders.position IS 'Where it stands in the side bar; equal positions are ordered by name.';

CREATE INDEX folders_account_id_idx ON folders (account_id);

CREATE TABLE subscriptions (
    account_id bigint NOT NULL CONSTRAINT subscriptions_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    feed_id bigint NOT NULL CONSTRAINT subscriptions_feed_id_fkey REFERENCES feeds,
    folder_id bigint CONSTRAINT subscriptions_folder_id_fkey REFERENCES folders ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    title text,
    CONSTRAINT subscriptions_pkey PRIMARY KEY (account_id, feed_id)
);

COMMENT ON TABLE subscriptions IS 'One row per account and feed it follows.';
COMMENT ON COLUMN subscriptions.title IS 'What the reader calls the feed; NULL shows the feed''s own title.';

CREATE INDEX subscriptions_feed_id_idx ON subscriptions (feed_id);
CREATE INDEX subscriptions_folder_id_idx ON subscriptions (folder_id) WHERE folder_id IS NOT NULL;

CREATE TRIGGER subscriptions_set_updated_at
    BEFORE UPDATE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

GRANT SELECT, INSERT, UPDATE, DELETE ON folders, subscriptions TO reader_app;
GRANT SELECT ON folders, subscriptions TO reader_readonly;
