-- "Café", "cafe" and "CAFE" are one word to whoever looks for a folder or a list. Four queries said
-- so in three ways, one of which forgot the accents. Now it is said once, and looks like what it
-- is.
CREATE FUNCTION reads_alike(one text, other text) RETURNS boolean
LANGUAGE sql
STABLE STRICT
PARALLEL SAFE
RETURN lower(unaccent(one)) = lower(unaccent(other));

COMMENT ON FUNCTION reads_alike(text, text) IS 'Whether two texts differ in case and accents only.';

CREATE OPERATOR === (
    LEFTARG = text,
    RIGHTARG = text,
    FUNCTION = reads_alike,
    COMMUTATOR = ===,
    RESTRICT = eqsel,
    JOIN = eqjoinsel
);

COMMENT ON OPERATOR === (text, text) IS 'Differ in case and accents only.';

GRANT EXECUTE ON FUNCTION reads_alike(text, text) TO reader_app, reader_readonly;
