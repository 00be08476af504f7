-- Each fetch updates its feed, and after two weeks the table was three times the size of its rows.
-- With room left on each page the new version of a row stays beside the old one and no index is
-- touched, and vacuum comes by sooner. Pages that are there already fill up as they were.
ALTER TABLE feeds SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
