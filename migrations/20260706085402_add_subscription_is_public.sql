-- Readers may show what they read, and the new recommendation service learns from those who do.
-- Nobody does until they say so. The default is a constant, so no row is written now.
ALTER TABLE subscriptions ADD COLUMN is_public boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN subscriptions.is_public IS
    'Whether the reader lets others know; false unless they chose so.';
