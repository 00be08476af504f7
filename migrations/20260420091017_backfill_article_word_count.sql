-- atlas:txmode none

-- Runs the backfill of word counts. It commits after each batch, so it cannot run inside a
-- transaction; whatever it has done stays done, and if it is interrupted it may simply run again.
-- pgrollout:repeatable
CALL backfill_article_word_counts(5000);
