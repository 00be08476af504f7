-- Feeds that are gone have no language and most others have one, but the planner multiplied the two
-- as if they had nothing to do with each other, and took the slow way for the page of one language.
-- And it cannot guess how many hosts there are. The next ANALYZE counts both.
CREATE STATISTICS feeds_status_language_code_stats (dependencies, mcv) ON status, language_code FROM feeds;
CREATE STATISTICS feeds_host_stats ON (split_part(url, '/', 3)) FROM feeds;

ALTER STATISTICS feeds_status_language_code_stats SET STATISTICS 500;

COMMENT ON STATISTICS feeds_status_language_code_stats IS 'Status and language depend on each other.';
