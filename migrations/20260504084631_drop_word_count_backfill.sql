-- Every article has its word count, and nothing calls the backfill any more.
DROP PROCEDURE backfill_article_word_counts(integer);
