-- Three million files have only the old column. They are filled in by batches along the primary
-- key, each committed, so that no row is locked for longer than a moment and the replica keeps up.
-- Only rows that lack the new number are looked at: it can be stopped and called again.
CREATE PROCEDURE backfill_enclosure_lengths(batch_size integer)
LANGUAGE plpgsql
AS $procedure$
DECLARE
    done_up_to bigint := 0;
    batch_end bigint;
BEGIN
    LOOP
        WITH batch AS (
            SELECT id
            FROM enclosures
            WHERE id > done_up_to AND length_bytes IS NULL AND size_bytes IS NOT NULL
            ORDER BY id
            LIMIT batch_size
        ), filled AS (
            UPDATE enclosures
            SET length_bytes = size_bytes
            FROM batch
            WHERE enclosures.id = batch.id
        )
        SELECT max(id) INTO batch_end FROM batch;

        EXIT WHEN batch_end IS NULL;
        done_up_to := batch_end;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END;
$procedure$;

COMMENT ON PROCEDURE backfill_enclosure_lengths(integer) IS
    'Fills enclosures.length_bytes where only size_bytes is there, in committed batches; may be repeated.';
