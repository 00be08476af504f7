-- What the catalog showed before a statement that runs outside a transaction: whether it took effect is the difference.
ALTER TABLE {schema}.step ADD COLUMN before jsonb;
COMMENT ON COLUMN {schema}.step.before IS
    'What the catalog showed before a statement outside a transaction; NULL: nothing was asked, or an older version wrote it.';
