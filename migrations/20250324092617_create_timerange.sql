-- Quiet hours are spans of a day, and PostgreSQL has ranges of dates and of timestamps, but not of
-- times. With one of our own, "do these overlap?" is an operator that an index knows. The
-- difference tells the index which spans lie close to each other.
CREATE FUNCTION time_difference(later time, earlier time) RETURNS double precision
LANGUAGE sql
IMMUTABLE STRICT
PARALLEL SAFE
RETURN extract(epoch FROM later - earlier)::double precision;

COMMENT ON FUNCTION time_difference(time, time) IS 'Seconds from the second to the first.';

CREATE TYPE timerange AS RANGE (
    subtype = time,
    subtype_diff = time_difference,
    multirange_type_name = timemultirange
);

COMMENT ON TYPE timerange IS 'A span within one day; one over midnight is two.';
