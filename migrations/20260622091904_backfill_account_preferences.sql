-- The new release runs everywhere and writes both places, so accounts can catch up that have not
-- been saved since. There are 60,000 of them: one statement, two seconds, and no reader waits,
-- since a row is locked only against another change of the same account. Their updated_at moves, so
-- each client loads its preferences once.
UPDATE accounts
SET preferences = jsonb_build_object('theme', theme) || preferences
WHERE preferences -> 'theme' IS NULL;
