-- Second of three releases that move theme into the preferences: nothing reads accounts.theme any
-- more, and this release no longer writes it. New accounts must be possible without one.
ALTER TABLE accounts ALTER COLUMN theme DROP NOT NULL;

COMMENT ON COLUMN accounts.theme IS
    'Not used since release 3.6; see preferences. To be dropped in September 2026.';
