-- Every way in which a folder or a subscription can be deleted has to leave its number behind, also
-- a cascade and a DELETE by hand. So triggers note it, not the application.
CREATE FUNCTION note_deletion() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO deletions (account_id, kind, object_id)
    VALUES (OLD.account_id, TG_ARGV[0], (to_jsonb(OLD) ->> TG_ARGV[1])::bigint);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION note_deletion() IS
    'Row trigger AFTER DELETE: notes a deletion; its arguments are the kind and the column of the number.';

CREATE TRIGGER folders_note_deletion
    AFTER DELETE ON folders
    FOR EACH ROW EXECUTE FUNCTION note_deletion('folder', 'id');
CREATE TRIGGER subscriptions_note_deletion
    AFTER DELETE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION note_deletion('subscription', 'feed_id');
