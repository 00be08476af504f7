-- Feeds come in every language and often mix two, so stemming by one language's rules would lose
-- words of all others. Search compares whole words instead, in lower case and without accents.
CREATE TEXT SEARCH CONFIGURATION reader (COPY = simple);

ALTER TEXT SEARCH CONFIGURATION reader
    ALTER MAPPING FOR word, hword, hword_part WITH unaccent, simple;

COMMENT ON TEXT SEARCH CONFIGURATION reader IS
    'Whole words, lower case, accents removed; no stemming, no stop words.';
