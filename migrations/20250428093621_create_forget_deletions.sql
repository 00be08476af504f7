-- Deletions pile up, and no client stays away for a year; one that does loads everything anew. A
-- job calls this each night. It commits after each batch, so that it holds nobody up for long.
CREATE PROCEDURE forget_deletions(older_than interval, batch_size integer)
LANGUAGE plpgsql
AS $procedure$
BEGIN
    LOOP
        DELETE FROM deletions
        WHERE number IN (
            SELECT number
            FROM deletions
            WHERE deleted_at < now() - older_than
            ORDER BY deleted_at
            LIMIT batch_size
        );
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END;
$procedure$;

COMMENT ON PROCEDURE forget_deletions(interval, integer) IS
    'Deletes what was noted longer ago than that, in committed batches; may be repeated.';

GRANT EXECUTE ON PROCEDURE forget_deletions(interval, integer) TO reader_app;
