-- The first 4,000 feeds were marked as redirected over the weekend, and the directory still offers
-- them until tonight. Refreshed concurrently: whoever looks meanwhile sees the old rows, and waits
-- for nothing.
REFRESH MATERIALIZED VIEW CONCURRENTLY feed_directory;
