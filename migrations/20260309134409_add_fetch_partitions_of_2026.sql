-- The fetcher cannot write to a quarter that has no partition, and April is near. Partitions are
-- made as tables of their own and then attached: CREATE TABLE ... PARTITION OF would lock out the
-- fetcher and everybody who reads. The foreign key keeps writes to feeds waiting, but only until
-- this file commits, and the new tables are empty.
CREATE TABLE fetches_2026_q2 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2026_q2
    FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-07-01 00:00:00+00');

CREATE TABLE fetches_2026_q3 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2026_q3
    FOR VALUES FROM ('2026-07-01 00:00:00+00') TO ('2026-10-01 00:00:00+00');

CREATE TABLE fetches_2026_q4 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2026_q4
    FOR VALUES FROM ('2026-10-01 00:00:00+00') TO ('2027-01-01 00:00:00+00');
