-- Open browser tabs asked every 30 seconds whether there is something new, which was most of the
-- load at night. Now the database tells the push service which feeds got articles: once per feed
-- and insert, not per article.
CREATE FUNCTION announce_articles() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('new_articles', inserted_feeds.feed_id::text)
    FROM (SELECT DISTINCT feed_id FROM inserted) AS inserted_feeds;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION announce_articles() IS
    'Statement trigger AFTER INSERT on articles: notifies channel new_articles with each feed''s id.';

CREATE TRIGGER articles_announce
    AFTER INSERT ON articles
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION announce_articles();
