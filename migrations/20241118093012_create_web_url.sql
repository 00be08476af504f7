-- Addresses of icons, sounds and pictures are on their way, and each would repeat the check that
-- feeds.url has. New tables use this type instead; feeds keeps its own, since changing the type of
-- a column that is there would check each row with the table locked.
CREATE DOMAIN web_url AS text
    CONSTRAINT web_url_check CHECK (VALUE ~ '^https?://');

COMMENT ON DOMAIN web_url IS 'An address that a browser can open: http or https, nothing else.';
