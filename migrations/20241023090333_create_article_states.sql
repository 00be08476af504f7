-- Read and starred belong to a reader and an article together. An article nobody has touched has no
-- row: most articles are never opened, and a row for each subscriber of each article would be the
-- largest table by far.
CREATE TABLE article_states (
    account_id bigint NOT NULL CONSTRAINT article_states_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    article_id bigint NOT NULL CONSTRAINT article_states_article_id_fkey REFERENCES articles ON DELETE CASCADE,
    read_at timestamptz,
    starred_at timestamptz,
    CONSTRAINT article_states_pkey PRIMARY KEY (account_id, article_id)
);

COMMENT ON TABLE article_states IS 'What a reader did with an article; no row means neither read nor starred.';

CREATE INDEX article_states_article_id_idx ON article_states (article_id);
CREATE INDEX article_states_starred_idx ON article_states (account_id, starred_at DESC)
    WHERE starred_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON article_states TO reader_app;
GRANT SELECT ON article_states TO reader_readonly;
