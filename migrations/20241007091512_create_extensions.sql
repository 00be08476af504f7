-- People type their mail address in any case, half remember a title, search inside one feed, and
-- write "cafe" for a word with an accent: citext, pg_trgm, btree_gin and unaccent, in that order.
--
-- Two roles must exist before this file runs, made by whoever runs the database and not by a
-- migration: reader_app, the application, and reader_readonly, support and reports. Every later
-- file grants to them; if one is missing, we want to hear of it here.
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gin;
CREATE EXTENSION unaccent;

GRANT USAGE ON SCHEMA public TO reader_app, reader_readonly;
