-- Clients ask for "what changed since my last sync", and a writer that forgets to set updated_at
-- makes their copy stale for good. So the database sets it, on all tables that have the column.
CREATE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$function$;

COMMENT ON FUNCTION set_updated_at() IS
    'Row trigger BEFORE UPDATE: stamps updated_at with the time of the transaction.';
