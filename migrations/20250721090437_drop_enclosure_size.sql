-- Last step from integer to bigint: size_bytes has been neither read nor written since release 2.3
-- of 19 June, and every value that it had is in length_bytes.

-- Waived, because the logs of four weeks show no query that names the column, and the backup of
-- this run still has it should we be wrong.
-- atlas:nolint DS103
ALTER TABLE enclosures DROP COLUMN size_bytes;
