-- atlas:txmode none

-- The unique index on account and name answers "all folders of this reader" as well. In two weeks
-- nothing has used the shorter one, and every change to a folder still paid for it.
DROP INDEX CONCURRENTLY folders_account_id_idx;
