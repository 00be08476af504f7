-- A video of 2.3 GB does not fit into an integer, and the feed that had it was never stored.
-- Changing the type would copy the table while nobody can read it, so a second column takes over,
-- named as RSS does. Old releases write the first column and new ones the second; the trigger fills
-- the other, and leaves the old one empty where the number is too large for it.
ALTER TABLE enclosures ADD COLUMN length_bytes bigint;

COMMENT ON COLUMN enclosures.length_bytes IS 'As the feed says; NULL if it does not.';
COMMENT ON COLUMN enclosures.size_bytes IS 'Being replaced by length_bytes since release 2.2.';

CREATE FUNCTION copy_enclosure_length() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.length_bytes := coalesce(NEW.length_bytes, NEW.size_bytes);
    ELSIF NEW.size_bytes IS DISTINCT FROM OLD.size_bytes AND NEW.length_bytes IS NOT DISTINCT FROM OLD.length_bytes THEN
        NEW.length_bytes := NEW.size_bytes;
    END IF;
    NEW.size_bytes := CASE WHEN NEW.length_bytes <= 2147483647 THEN NEW.length_bytes END;
    RETURN NEW;
END;
$function$;

COMMENT ON FUNCTION copy_enclosure_length() IS
    'Row trigger BEFORE INSERT OR UPDATE on enclosures: keeps size_bytes and length_bytes equal.';

CREATE TRIGGER enclosures_copy_length
    BEFORE INSERT OR UPDATE OF size_bytes, length_bytes ON enclosures
    FOR EACH ROW EXECUTE FUNCTION copy_enclosure_length();
