-- Font size, line width and density are coming, and a column for each would mean a migration for
-- each. They go into one document, and theme with them. First of three releases that move it: from
-- now on the application writes the theme to both places and reads the document, or the column
-- where the document says nothing.
ALTER TABLE accounts ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN accounts.preferences IS
    'How the reader likes to read: theme, and whatever the clients add. Unknown keys are kept.';
