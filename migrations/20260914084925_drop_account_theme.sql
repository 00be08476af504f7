-- Third and last release that moves theme into the preferences. The column has been neither read
-- nor written since release 3.6 of 20 July, and its value lives on in the preferences.

-- Waived, because the logs of eight weeks show no query that names the column, and the backup of
-- this run still has it should we be wrong.
-- atlas:nolint DS103
ALTER TABLE accounts DROP COLUMN theme;
