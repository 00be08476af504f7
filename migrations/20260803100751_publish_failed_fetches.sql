-- The warehouse keeps failed fetches for years, we keep them until their quarter is dropped. It
-- gets them as they happen, and only as they happen: what is deleted here stays there. It need not
-- know about quarters, so they arrive as rows of the whole table.
CREATE PUBLICATION warehouse FOR TABLE
    fetches (feed_id, started_at, http_status, error) WHERE (error IS NOT NULL)
    WITH (publish = 'insert', publish_via_partition_root = true);

COMMENT ON PUBLICATION warehouse IS 'For the warehouse: fetches that failed.';
