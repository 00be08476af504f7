-- Application servers keep accounts in memory for a minute, and who switched to dark mode thought
-- that it had not worked. Now they hear of a change at once. The second site reads from a logical
-- copy, to which rows come by replication and not from an application: the trigger has to fire
-- there as well.
CREATE FUNCTION announce_account() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('changed_accounts', NEW.id::text);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION announce_account() IS
    'Row trigger AFTER UPDATE on accounts: notifies channel changed_accounts with the account''s id.';

CREATE TRIGGER accounts_announce
    AFTER UPDATE ON accounts
    FOR EACH ROW EXECUTE FUNCTION announce_account();

ALTER TABLE accounts ENABLE ALWAYS TRIGGER accounts_announce;
