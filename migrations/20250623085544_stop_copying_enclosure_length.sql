-- Release 2.3 reads and writes length_bytes only, and runs everywhere since Thursday. Nobody writes
-- size_bytes any more, so nothing has to be copied; trigger and backfill have had their day.
DROP TRIGGER enclosures_copy_length ON enclosures;
DROP FUNCTION copy_enclosure_length();
DROP PROCEDURE backfill_enclosure_lengths(integer);

COMMENT ON COLUMN enclosures.size_bytes IS
    'Not used since release 2.3; see length_bytes. To be dropped in July 2025.';
