-- The page of notes shows them with title and feed of their article. A view reads with its owner's
-- rights unless it says otherwise, and the owner sees no notes. This one reads with the rights of
-- whoever asks, so each reader finds their own in it.
CREATE VIEW noted_articles WITH (security_invoker = true) AS
SELECT
    notes.id AS note_id,
    notes.account_id,
    notes.updated_at,
    notes.body,
    articles.id AS article_id,
    articles.feed_id,
    articles.title
FROM notes
JOIN articles ON articles.id = notes.article_id;

COMMENT ON VIEW noted_articles IS 'One row per note that whoever asks may see, with its article.';

GRANT SELECT ON noted_articles TO reader_app, reader_readonly;
