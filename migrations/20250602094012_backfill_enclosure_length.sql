-- atlas:txmode none

-- Runs the backfill of lengths. The trigger is in place, so what is written meanwhile is complete
-- already; what an interrupted run has done stays done, and it may simply run again.
-- pgrollout:repeatable
CALL backfill_enclosure_lengths(5000);
