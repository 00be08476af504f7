-- Who writes to support gives a mail address, and support has to find the account behind it without
-- being able to read addresses. The function may read them and gives back only the number. It runs
-- with its owner's rights, so it fixes where names are looked up, and not everybody may call it.
CREATE FUNCTION support.find_account(address citext) RETURNS bigint
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT accounts.id FROM public.accounts WHERE accounts.email = address;
END;

COMMENT ON FUNCTION support.find_account(citext) IS
    'The number of the account with exactly this mail address, whatever its case; NULL if there is none.';

REVOKE EXECUTE ON FUNCTION support.find_account(citext) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION support.find_account(citext) TO reader_readonly;
