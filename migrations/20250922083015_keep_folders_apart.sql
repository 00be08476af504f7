-- For half a year the database has kept notes apart without a complaint. Folders are next: all
-- releases that run say for whom they work. Policies and switch are one transaction, or nobody
-- would see a folder in between. The owner is not held to them, so migrations still reach every
-- row.
CREATE POLICY folders_own ON folders TO reader_app
    USING (account_id = current_account_id())
    WITH CHECK (account_id = current_account_id());
CREATE POLICY folders_support ON folders FOR SELECT TO reader_readonly USING (true);

ALTER TABLE folders ENABLE ROW LEVEL SECURITY;
