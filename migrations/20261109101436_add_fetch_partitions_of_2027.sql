-- The fetcher cannot write to a quarter that has no partition, and for this year we noticed in March.
-- From now on the partitions of a year are made in the November before it, and attached as in
-- March.
CREATE TABLE fetches_2027_q1 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2027_q1
    FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-04-01 00:00:00+00');

CREATE TABLE fetches_2027_q2 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2027_q2
    FOR VALUES FROM ('2027-04-01 00:00:00+00') TO ('2027-07-01 00:00:00+00');

CREATE TABLE fetches_2027_q3 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2027_q3
    FOR VALUES FROM ('2027-07-01 00:00:00+00') TO ('2027-10-01 00:00:00+00');

CREATE TABLE fetches_2027_q4 (LIKE fetches INCLUDING ALL);
ALTER TABLE fetches ATTACH PARTITION fetches_2027_q4
    FOR VALUES FROM ('2027-10-01 00:00:00+00') TO ('2028-01-01 00:00:00+00');
