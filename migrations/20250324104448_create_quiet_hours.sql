-- Nobody wants to be told of a new article at night. Overlapping spans were saved twice by one
-- client and then could not be deleted, so the database refuses them. It looks at the end of the
-- transaction: the settings page deletes and inserts in whatever order it likes.
CREATE TABLE quiet_hours (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT quiet_hours_pkey PRIMARY KEY,
    account_id bigint NOT NULL CONSTRAINT quiet_hours_account_id_fkey REFERENCES accounts ON DELETE CASCADE,
    weekday smallint NOT NULL CONSTRAINT quiet_hours_weekday_check CHECK (weekday BETWEEN 1 AND 7),
    span timerange NOT NULL CONSTRAINT quiet_hours_span_check CHECK (NOT isempty(span)),
    CONSTRAINT quiet_hours_overlap_excl
        EXCLUDE USING gist (account_id WITH =, weekday WITH =, span WITH &&)
        DEFERRABLE INITIALLY DEFERRED
);

COMMENT ON TABLE quiet_hours IS 'When a reader wants no notifications, in the time zone of the account.';
COMMENT ON COLUMN quiet_hours.weekday IS 'As in ISO 8601: 1 is Monday.';

GRANT SELECT, INSERT, UPDATE, DELETE ON quiet_hours TO reader_app;
GRANT SELECT ON quiet_hours TO reader_readonly;
