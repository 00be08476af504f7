-- Forty million articles lack a word count. One UPDATE would hold locks on all of them for the
-- better part of an hour and make the replica lag as long; this walks along the primary key,
-- commits each batch and takes a breath after it. It only looks at articles without a count, so it
-- can be stopped and called again.
CREATE PROCEDURE backfill_article_word_counts(batch_size integer)
LANGUAGE plpgsql
AS $procedure$
DECLARE
    done_up_to bigint := 0;
    batch_end bigint;
BEGIN
    LOOP
        WITH batch AS (
            SELECT id
            FROM articles
            WHERE id > done_up_to AND word_count IS NULL
            ORDER BY id
            LIMIT batch_size
        ), counted AS (
            UPDATE articles
            SET word_count = CASE
                WHEN btrim(content_text) = '' THEN 0
                ELSE cardinality(regexp_split_to_array(btrim(content_text), '\s+'))
            END
            FROM batch
            WHERE articles.id = batch.id
        )
        SELECT max(id) INTO batch_end FROM batch;

        EXIT WHEN batch_end IS NULL;
        done_up_to := batch_end;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END;
$procedure$;

COMMENT ON PROCEDURE backfill_article_word_counts(integer) IS
    'Fills articles.word_count where it is missing, in committed batches; may be repeated.';
