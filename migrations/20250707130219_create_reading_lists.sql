-- Readers put articles into an order of their own, for a course or a trip. Moving one means that
-- the numbers of others change with it, and on the way there two of them are equal, so the
-- constraint looks only at the end of the transaction. Lists nest; names are unique among their
-- siblings, also on the top level, where the parent is NULL.
CREATE TABLE reading_lists (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT reading_lists_pkey PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT reading_lists_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    parent_id bigint CONSTRAINT reading_lists_parent_id_fkey REFERENCES reading_lists ON DELETE CASCADE
        DEFERRABLE INITIALLY IMMEDIATE,
    created_at timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL CONSTRAINT reading_lists_name_check CHECK (name <> ''),
    CONSTRAINT reading_lists_account_id_parent_id_name_key UNIQUE NULLS NOT DISTINCT (account_id, parent_id, name)
);

COMMENT ON TABLE reading_lists IS 'A reader''s own choice of articles, in an order.';

CREATE INDEX reading_lists_parent_id_idx ON reading_lists (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE reading_list_articles (
    list_id bigint NOT NULL CONSTRAINT reading_list_articles_list_id_fkey REFERENCES reading_lists ON DELETE CASCADE,
    article_id bigint NOT NULL CONSTRAINT reading_list_articles_article_id_fkey REFERENCES articles ON DELETE CASCADE,
    position integer NOT NULL,
    CONSTRAINT reading_list_articles_pkey PRIMARY KEY (list_id, article_id),
    CONSTRAINT reading_list_articles_list_id_position_key UNIQUE (list_id, position) DEFERRABLE INITIALLY DEFERRED
);

COMMENT ON TABLE reading_list_articles IS 'Which articles a list has, and where in it.';

CREATE INDEX reading_list_articles_article_id_idx ON reading_list_articles (article_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON reading_lists, reading_list_articles TO reader_app;
GRANT SELECT ON reading_lists, reading_list_articles TO reader_readonly;
