-- A third of the feeds has no title of its own, but somebody who reads it has given it one. "The
-- first that is known, in this order" was a window function and two subqueries in each query that
-- asked for it; as an aggregate it is one word.
CREATE FUNCTION first_known_step(known text, next text) RETURNS text
LANGUAGE sql
IMMUTABLE STRICT
PARALLEL SAFE
RETURN known;

COMMENT ON FUNCTION first_known_step(text, text) IS
    'Step of first_known(): keeps what it has. Never called with NULL.';

CREATE AGGREGATE first_known(text) (
    sfunc = first_known_step,
    stype = text,
    parallel = safe
);

COMMENT ON AGGREGATE first_known(text) IS
    'The first value that is not NULL, in the order of its ORDER BY.';

GRANT EXECUTE ON FUNCTION first_known(text) TO reader_app, reader_readonly;
