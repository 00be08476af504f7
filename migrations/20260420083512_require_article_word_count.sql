-- Every fetcher now writes word_count, on new articles and on corrected ones. From here on the
-- database insists on it; articles from before are filled in by the backfill that follows, and
-- checked after that.
ALTER TABLE articles
    ADD CONSTRAINT articles_word_count_present CHECK (word_count IS NOT NULL) NOT VALID;
