-- A folder's name is unique among the folders of its reader. The index exists, so this only writes
-- the catalog.
ALTER TABLE folders
    ADD CONSTRAINT folders_account_id_name_key UNIQUE USING INDEX folders_account_id_name_key;
