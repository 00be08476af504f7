-- atlas:txmode none

-- Folder names are to be unique per reader, so that no client can make twins again. The index is
-- built first, beside the running application; the constraint then takes it over in a moment.
CREATE UNIQUE INDEX CONCURRENTLY folders_account_id_name_key ON folders (account_id, name);
