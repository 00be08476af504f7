-- Readers want to discover feeds in the languages they read. The list is short, changes about once
-- a year, and its names are shown in the interface, so it is data that ships with the schema.
CREATE TABLE languages (
    code text CONSTRAINT languages_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT languages_name_key UNIQUE,
    CONSTRAINT languages_code_check CHECK (code ~ '^[a-z]{2,3}$')
);

COMMENT ON TABLE languages IS
    'The languages a feed can be in, each named in itself. Filled by migrations only.';
COMMENT ON COLUMN languages.code IS 'ISO 639-1, or 639-3 where there is no shorter one.';

INSERT INTO languages (code, name) VALUES
    ('ar', 'العربية'),
    ('de', 'Deutsch'),
    ('el', 'Ελληνικά'),
    ('en', 'English'),
    ('es', 'Español'),
    ('fr', 'Français'),
    ('hi', 'हिन्दी'),
    ('it', 'Italiano'),
    ('ja', '日本語'),
    ('nl', 'Nederlands'),
    ('pl', 'Polski'),
    ('pt', 'Português'),
    ('sv', 'Svenska'),
    ('tr', 'Türkçe'),
    ('uk', 'Українська'),
    ('zh', '中文');

GRANT SELECT ON languages TO reader_app, reader_readonly;
