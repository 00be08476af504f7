-- Notes are coming, and they are private: the database itself is to keep readers apart. Since
-- release 1.9 the application says at the start of each transaction for whom it works; this reads
-- it.
CREATE FUNCTION current_account_id() RETURNS bigint
LANGUAGE sql
STABLE
PARALLEL SAFE
RETURN nullif(current_setting('reader.account_id', true), '')::bigint;

COMMENT ON FUNCTION current_account_id() IS
    'Account that the transaction works for, as SET LOCAL reader.account_id says; NULL if it says nothing.';

GRANT EXECUTE ON FUNCTION current_account_id() TO reader_app, reader_readonly;
