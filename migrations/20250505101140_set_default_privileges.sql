-- The review of spring found that everybody who can connect may call every new function until its
-- file says otherwise, and twice none did. From here on nobody may; a file grants what it means to.
-- And twice a table came without the right to draw its numbers, which was noticed in production.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO reader_app;
