-- Single changes of the large schema. A heading says what the difference must say, and nothing else, of each line
-- below it; a line is one change, of one or several statements. What is added is unexpected, what is dropped missing.

---- schemas

-- SCHEMA added: unexpected
CREATE SCHEMA added;
-- SCHEMA spare: missing
DROP SCHEMA spare;
-- SCHEMA shop: owner
ALTER SCHEMA shop OWNER TO catalog_owner;
-- SCHEMA shop: grants
GRANT CREATE ON SCHEMA shop TO catalog_app;
REVOKE USAGE ON SCHEMA shop FROM catalog_reader;
GRANT USAGE ON SCHEMA shop TO catalog_app WITH GRANT OPTION;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
REVOKE ALL ON SCHEMA shop FROM CURRENT_USER;
-- SCHEMA public: grants
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
-- SCHEMA types: grants
REVOKE GRANT OPTION FOR CREATE ON SCHEMA types FROM catalog_lead;
-- SCHEMA shop: comment
COMMENT ON SCHEMA shop IS NULL;
COMMENT ON SCHEMA shop IS 'what customers buy ';
-- SCHEMA spare: comment
COMMENT ON SCHEMA spare IS 'new';
-- SCHEMA "Odd Names.x": comment
COMMENT ON SCHEMA "Odd Names.x" IS E'a name that needs quotes; it''s "so"\na second line, ü €';

---- tables

-- TABLE shop.added: unexpected
CREATE TABLE shop.added (a integer);
CREATE TABLE shop.added ();
CREATE TABLE shop.added (a serial PRIMARY KEY, b text CHECK (b <> ''));
CREATE TABLE shop.added OF types.pair;
CREATE UNLOGGED TABLE shop.added (LIKE shop.orders INCLUDING ALL);
-- TABLE shop.no_columns: missing
DROP TABLE shop.no_columns;
-- TABLE shop.defaults: missing
DROP TABLE shop.defaults;
-- TABLE shop.owned: missing
DROP TABLE shop.owned;
-- TABLE shop.no_columns: renamed to TABLE spare.no_columns
ALTER TABLE shop.no_columns SET SCHEMA spare;
-- TABLE shop.cache: persistence
ALTER TABLE shop.cache SET LOGGED;
-- TABLE shop.no_columns: persistence
ALTER TABLE shop.no_columns SET UNLOGGED;
-- TABLE shop.customers: storage parameters
ALTER TABLE shop.customers SET (fillfactor = 81);
ALTER TABLE shop.customers RESET (parallel_workers);
ALTER TABLE shop.customers SET (autovacuum_enabled = true);
ALTER TABLE shop.customers SET (autovacuum_vacuum_scale_factor = 0.1);
ALTER TABLE shop.customers SET (toast_tuple_target = 4000);
-- TABLE shop.customers: toast storage parameters
ALTER TABLE shop.customers SET (toast.autovacuum_vacuum_threshold = 1001);
ALTER TABLE shop.customers RESET (toast.autovacuum_vacuum_threshold);
ALTER TABLE shop.customers SET (toast.autovacuum_enabled = false);
-- TABLE shop.plain: storage parameters
ALTER TABLE shop.plain SET (vacuum_truncate = off);
-- TABLE shop.customers: replica identity
ALTER TABLE shop.customers REPLICA IDENTITY DEFAULT;
ALTER TABLE shop.customers REPLICA IDENTITY NOTHING;
ALTER TABLE shop.customers REPLICA IDENTITY USING INDEX customers_pkey;
-- TABLE shop.cache: replica identity
ALTER TABLE shop.cache REPLICA IDENTITY FULL;
-- TABLE shop.identified: replica identity
ALTER TABLE shop.identified REPLICA IDENTITY DEFAULT;
-- TABLE shop.orders: clustered on
ALTER TABLE shop.orders SET WITHOUT CLUSTER;
ALTER TABLE shop.orders CLUSTER ON orders_number_key;
-- TABLE shop.customers: clustered on
ALTER TABLE shop.customers CLUSTER ON customers_born_idx;
-- TABLE shop.orders: row level security
ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY;
-- TABLE shop.orders: row level security for the owner
ALTER TABLE shop.orders NO FORCE ROW LEVEL SECURITY;
-- TABLE shop.customers: row level security
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
-- TABLE shop.customers: row level security for the owner
ALTER TABLE shop.customers FORCE ROW LEVEL SECURITY;
-- TABLE shop.plain: access method
ALTER TABLE shop.plain SET ACCESS METHOD catalog_heap;
-- TABLE shop.other_heap: access method
ALTER TABLE shop.other_heap SET ACCESS METHOD heap;
-- TABLE parts.merged: inherits
ALTER TABLE parts.merged NO INHERIT parts.base;
-- TABLE parts.grandchild: inherits
DROP TABLE parts.grandchild; CREATE TABLE parts.grandchild (name varchar(30), more text) INHERITS (parts.named, parts.child); ALTER TABLE parts.grandchild ALTER COLUMN note SET STATISTICS 10;
-- TABLE shop.people: of type
ALTER TABLE shop.people NOT OF;
-- TABLE shop.owned: owner
ALTER TABLE shop.owned OWNER TO catalog_lead;
-- TABLE shop.no_columns: owner
ALTER TABLE shop.no_columns OWNER TO catalog_lead;
-- TABLE shop.order_notes: owner
ALTER TABLE shop.order_notes OWNER TO catalog_owner;
-- TABLE shop.customers: grants
GRANT TRUNCATE ON shop.customers TO catalog_app;
REVOKE INSERT ON shop.customers FROM catalog_app;
GRANT SELECT ON shop.customers TO PUBLIC;
GRANT SELECT ON shop.customers TO catalog_app WITH GRANT OPTION;
REVOKE DELETE ON shop.customers FROM CURRENT_USER;
GRANT SELECT ON shop.customers TO catalog_reader;
-- TABLE shop.orders: grants
SET LOCAL ROLE catalog_lead; REVOKE INSERT ON shop.orders FROM catalog_app; RESET ROLE;
SET LOCAL ROLE catalog_lead; REVOKE INSERT ON shop.orders FROM catalog_app; RESET ROLE; GRANT INSERT ON shop.orders TO catalog_app;
REVOKE GRANT OPTION FOR TRIGGER ON shop.orders FROM catalog_lead;
-- TABLE shop.no_columns: grants
GRANT SELECT ON shop.no_columns TO catalog_app;
-- TABLE shop.owned: grants
GRANT INSERT ON shop.owned TO catalog_owner;
-- TABLE shop.customers: grants (since 17)
GRANT MAINTAIN ON shop.customers TO catalog_app;
-- TABLE shop.orders: grants (since 17)
REVOKE MAINTAIN ON shop.orders FROM catalog_lead;
-- TABLE shop.customers: comment
COMMENT ON TABLE shop.customers IS NULL;
COMMENT ON TABLE shop.customers IS 'Who buys';
-- TABLE shop.plain: comment
COMMENT ON TABLE shop.plain IS 'x';
-- TABLE parts.events_2024: comment
COMMENT ON TABLE parts.events_2024 IS 'x';
-- TABLE parts.by_word_n: unexpected
CREATE TABLE parts.by_word_n PARTITION OF parts.by_word FOR VALUES FROM ('n', 1) TO ('z', 5);
-- TABLE parts.by_case_d: unexpected
CREATE TABLE parts.by_case_d PARTITION OF parts.by_case DEFAULT;
-- TABLE parts.by_word_a: missing
DROP TABLE parts.by_word_a;
-- TABLE parts.hashed_1: missing
DROP TABLE parts.hashed_1;
-- TABLE parts.by_word_a: partition of | TABLE parts.by_word_a: partition bound
ALTER TABLE parts.by_word DETACH PARTITION parts.by_word_a;
-- TABLE parts.free: partition of | TABLE parts.free: partition bound
ALTER TABLE parts.by_word ATTACH PARTITION parts.free FOR VALUES FROM ('o', 1) TO ('z', 5);
-- TABLE parts.by_word_a: partition bound
ALTER TABLE parts.by_word DETACH PARTITION parts.by_word_a; ALTER TABLE parts.by_word ATTACH PARTITION parts.by_word_a FOR VALUES FROM ('a', MINVALUE) TO ('m', 6);
-- TABLE parts.by_case_1: partition bound
ALTER TABLE parts.by_case DETACH PARTITION parts.by_case_1; ALTER TABLE parts.by_case ATTACH PARTITION parts.by_case_1 FOR VALUES IN (1);
ALTER TABLE parts.by_case DETACH PARTITION parts.by_case_1; ALTER TABLE parts.by_case ATTACH PARTITION parts.by_case_1 DEFAULT;
-- TABLE parts.hashed_1: partition bound
ALTER TABLE parts.hashed DETACH PARTITION parts.hashed_1; ALTER TABLE parts.hashed ATTACH PARTITION parts.hashed_1 FOR VALUES WITH (MODULUS 4, REMAINDER 1);
-- TABLE parts.by_case: partition key
DROP TABLE parts.by_case; CREATE TABLE parts.by_case (kind varchar(10), n integer) PARTITION BY LIST ((CASE WHEN kind IN ('a', 'c') THEN 1 ELSE 2 END)); CREATE TABLE parts.by_case_1 PARTITION OF parts.by_case FOR VALUES IN (1, NULL);
-- TABLE parts.by_word: partition key
DROP TABLE parts.by_word; CREATE TABLE parts.by_word (name text, kind varchar(10), n integer) PARTITION BY RANGE (lower(name) COLLATE "C", n); CREATE TABLE parts.by_word_a PARTITION OF parts.by_word FOR VALUES FROM ('a', MINVALUE) TO ('m', 5);
-- TABLE parts.hashed: partition key
DROP TABLE parts.hashed; CREATE TABLE parts.hashed (id integer, name text) PARTITION BY HASH (name, id); CREATE TABLE parts.hashed_0 PARTITION OF parts.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE parts.hashed_1 PARTITION OF parts.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
-- TABLE parts.events_default: storage parameters
ALTER TABLE parts.events_default SET (fillfactor = 71);

---- columns

-- COLUMN shop.plain.c: unexpected
ALTER TABLE shop.plain ADD COLUMN c integer;
ALTER TABLE shop.plain ADD COLUMN c integer GENERATED ALWAYS AS IDENTITY;
-- COLUMN shop.no_columns.c: unexpected
ALTER TABLE shop.no_columns ADD COLUMN c text DEFAULT 'x' NOT NULL;
-- COLUMN shop.customers.secret: missing
ALTER TABLE shop.customers DROP COLUMN secret;
-- COLUMN shop.customers.tags: missing
ALTER TABLE shop.customers DROP COLUMN tags;
-- COLUMN shop.all_types.c01: missing
ALTER TABLE shop.all_types DROP COLUMN c01;
-- COLUMN shop.order_notes.c: missing
ALTER TABLE shop.order_notes DROP COLUMN c;
-- TABLE shop.all_types: columns
ALTER TABLE shop.all_types DROP COLUMN c01; ALTER TABLE shop.all_types ADD COLUMN c01 smallint; COMMENT ON COLUMN shop.all_types.c01 IS 'the first';
-- COLUMN shop.all_types.c01: type
ALTER TABLE shop.all_types ALTER COLUMN c01 TYPE integer;
-- COLUMN shop.all_types.c02: type
ALTER TABLE shop.all_types ALTER COLUMN c02 TYPE bigint[];
-- COLUMN shop.all_types.c03: type
ALTER TABLE shop.all_types ALTER COLUMN c03 TYPE numeric;
-- COLUMN shop.all_types.c04: type
ALTER TABLE shop.all_types ALTER COLUMN c04 TYPE double precision;
-- COLUMN shop.all_types.c06: type
ALTER TABLE shop.all_types ALTER COLUMN c06 TYPE numeric;
-- COLUMN shop.all_types.c07: type
ALTER TABLE shop.all_types ALTER COLUMN c07 TYPE numeric(5, 3);
-- COLUMN shop.all_types.c08: type
ALTER TABLE shop.all_types ALTER COLUMN c08 TYPE char(1);
-- COLUMN shop.all_types.c09: type
ALTER TABLE shop.all_types ALTER COLUMN c09 TYPE char(4);
-- COLUMN shop.all_types.c10: type
ALTER TABLE shop.all_types ALTER COLUMN c10 TYPE varchar(8);
ALTER TABLE shop.all_types ALTER COLUMN c10 TYPE varchar;
-- COLUMN shop.all_types.c11: type
ALTER TABLE shop.all_types ALTER COLUMN c11 TYPE text;
-- COLUMN shop.all_types.c12: type
ALTER TABLE shop.all_types ALTER COLUMN c12 TYPE text;
-- COLUMN shop.all_types.c13: type
ALTER TABLE shop.all_types ALTER COLUMN c13 TYPE bit(5);
-- COLUMN shop.all_types.c14: type
ALTER TABLE shop.all_types ALTER COLUMN c14 TYPE varbit;
-- COLUMN shop.all_types.c15: type
ALTER TABLE shop.all_types ALTER COLUMN c15 TYPE time;
-- COLUMN shop.all_types.c16: type
ALTER TABLE shop.all_types ALTER COLUMN c16 TYPE time(2) with time zone;
-- COLUMN shop.all_types.c17: type
ALTER TABLE shop.all_types ALTER COLUMN c17 TYPE timestamp;
ALTER TABLE shop.all_types ALTER COLUMN c17 TYPE timestamptz(0);
-- COLUMN shop.all_types.c18: type
ALTER TABLE shop.all_types ALTER COLUMN c18 TYPE interval;
-- COLUMN shop.all_types.c19: type
ALTER TABLE shop.all_types ALTER COLUMN c19 TYPE interval month;
-- COLUMN shop.all_types.c21: type
ALTER TABLE shop.all_types ALTER COLUMN c21 TYPE jsonb;
-- COLUMN shop.all_types.c23: type
ALTER TABLE shop.all_types ALTER COLUMN c23 TYPE cidr;
-- COLUMN shop.all_types.c26: type
ALTER TABLE shop.all_types ALTER COLUMN c26 TYPE text;
-- COLUMN shop.all_types.c27: type
ALTER TABLE shop.all_types ALTER COLUMN c27 TYPE numeric;
-- COLUMN shop.all_types.c32: type
ALTER TABLE shop.all_types ALTER COLUMN c32 TYPE oid;
-- COLUMN shop.all_types.c35: type
ALTER TABLE shop.all_types ALTER COLUMN c35 TYPE text;
-- COLUMN shop.all_types.c38: type
ALTER TABLE shop.all_types ALTER COLUMN c38 TYPE integer;
-- COLUMN shop.all_types.c39: type
ALTER TABLE shop.all_types ALTER COLUMN c39 TYPE numeric(3, -1);
-- COLUMN shop.order_notes.c: type
ALTER TABLE shop.order_notes ALTER COLUMN c TYPE types.plain_text;
-- COLUMN shop.order_notes.c: collation
ALTER TABLE shop.order_notes ALTER COLUMN c TYPE text COLLATE "C";
ALTER TABLE shop.order_notes ALTER COLUMN c TYPE text COLLATE types.plain;
-- COLUMN shop.all_types.c37: collation
ALTER TABLE shop.all_types ALTER COLUMN c37 TYPE text[] COLLATE "POSIX";
-- COLUMN shop.defaults.a: default
ALTER TABLE shop.defaults ALTER COLUMN a SET DEFAULT 1 + 3;
-- COLUMN shop.defaults.b: default
ALTER TABLE shop.defaults ALTER COLUMN b SET DEFAULT 'it''s' || E'\t';
-- COLUMN shop.defaults.c: default
ALTER TABLE shop.defaults ALTER COLUMN c SET DEFAULT CURRENT_DATE + 1;
-- COLUMN shop.defaults.d: default
ALTER TABLE shop.defaults ALTER COLUMN d SET DEFAULT '{"a": [2]}';
-- COLUMN shop.defaults.e: default
ALTER TABLE shop.defaults ALTER COLUMN e SET DEFAULT SESSION_USER;
-- COLUMN shop.defaults.f: default
ALTER TABLE shop.defaults ALTER COLUMN f SET DEFAULT (1 IN (1, 3));
-- COLUMN shop.defaults.g: default
ALTER TABLE shop.defaults ALTER COLUMN g SET DEFAULT 'X';
-- COLUMN shop.defaults.h: default
ALTER TABLE shop.defaults ALTER COLUMN h SET DEFAULT 'new';
-- COLUMN shop.defaults.i: default
ALTER TABLE shop.defaults ALTER COLUMN i SET DEFAULT '25 hours';
-- COLUMN shop.defaults.j: default
ALTER TABLE shop.defaults ALTER COLUMN j SET DEFAULT 1.5;
-- COLUMN shop.defaults.k: default
ALTER TABLE shop.defaults ALTER COLUMN k SET DEFAULT 1;
-- COLUMN shop.defaults.l: default
ALTER TABLE shop.defaults ALTER COLUMN l SET DEFAULT 'happy';
-- COLUMN shop.defaults.m: default
ALTER TABLE shop.defaults ALTER COLUMN m SET DEFAULT ARRAY[2, 1];
-- COLUMN shop.defaults.n: default
ALTER TABLE shop.defaults ALTER COLUMN n SET DEFAULT code.plain();
ALTER TABLE shop.defaults ALTER COLUMN n SET DEFAULT NULL;
-- COLUMN shop.defaults.o: default
ALTER TABLE shop.defaults ALTER COLUMN o SET DEFAULT '2020-01-02 UTC';
-- COLUMN shop.defaults.a: default
ALTER TABLE shop.defaults ALTER COLUMN a DROP DEFAULT;
-- COLUMN shop.plain.b: default
ALTER TABLE shop.plain ALTER COLUMN b SET DEFAULT '';
-- COLUMN shop.orders.number: default
ALTER TABLE shop.orders ALTER COLUMN number DROP DEFAULT;
ALTER TABLE shop.orders ALTER COLUMN number SET DEFAULT nextval('shop.plain_seq');
-- COLUMN parts.events_2025_eu.region: default
ALTER TABLE parts.events_2025_eu ALTER COLUMN region SET DEFAULT 'eu';
-- COLUMN parts.events.region: default
ALTER TABLE ONLY parts.events ALTER COLUMN region SET DEFAULT 'us';
-- COLUMN parts.child.at: default
ALTER TABLE parts.child ALTER COLUMN at SET DEFAULT '2000-01-02';
-- COLUMN shop.plain.a: not null
ALTER TABLE shop.plain ALTER COLUMN a SET NOT NULL;
-- COLUMN shop.cache.value: not null
ALTER TABLE shop.cache ALTER COLUMN value DROP NOT NULL;
-- COLUMN shop.people.born: not null
ALTER TABLE shop.people ALTER COLUMN born DROP NOT NULL;
-- COLUMN shop.customers.id: identity
ALTER TABLE shop.customers ALTER COLUMN id SET GENERATED BY DEFAULT;
-- COLUMN shop.orders.id: identity
ALTER TABLE shop.orders ALTER COLUMN id SET GENERATED ALWAYS;
ALTER TABLE shop.orders ALTER COLUMN id DROP IDENTITY;
-- COLUMN shop.identified.a: identity
ALTER TABLE shop.identified ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY;
-- SEQUENCE shop.orders_numbers: increment
ALTER TABLE shop.orders ALTER COLUMN id SET INCREMENT 11;
-- SEQUENCE shop.orders_numbers: start
ALTER TABLE shop.orders ALTER COLUMN id SET START 110;
-- SEQUENCE shop.orders_numbers: minimum
ALTER TABLE shop.orders ALTER COLUMN id SET MINVALUE 90;
-- SEQUENCE shop.orders_numbers: maximum
ALTER TABLE shop.orders ALTER COLUMN id SET MAXVALUE 200000;
-- SEQUENCE shop.orders_numbers: cache
ALTER TABLE shop.orders ALTER COLUMN id SET CACHE 6;
-- SEQUENCE shop.orders_numbers: cycle
ALTER TABLE shop.orders ALTER COLUMN id SET NO CYCLE;
-- COLUMN shop.defaults.p: generated
ALTER TABLE shop.defaults ALTER COLUMN p DROP EXPRESSION;
-- COLUMN shop.customers.full_name: generated
ALTER TABLE shop.customers ALTER COLUMN full_name DROP EXPRESSION;
-- COLUMN shop.defaults.p: generated (since 17)
ALTER TABLE shop.defaults ALTER COLUMN p SET EXPRESSION AS (CASE WHEN g IN ('x', 'z') THEN 1 ELSE 2 END);
-- COLUMN shop.defaults.p: generated
ALTER TABLE shop.defaults DROP COLUMN p; ALTER TABLE shop.defaults ADD COLUMN p integer GENERATED ALWAYS AS (a + 1) STORED;
-- COLUMN shop.customers.payload: storage
ALTER TABLE shop.customers ALTER COLUMN payload SET STORAGE PLAIN;
ALTER TABLE shop.customers ALTER COLUMN payload SET STORAGE EXTENDED;
ALTER TABLE shop.customers ALTER COLUMN payload SET STORAGE MAIN;
-- COLUMN shop.plain.b: storage
ALTER TABLE shop.plain ALTER COLUMN b SET STORAGE EXTERNAL;
-- COLUMN shop.customers.note: compression
ALTER TABLE shop.customers ALTER COLUMN note SET COMPRESSION DEFAULT;
-- COLUMN shop.plain.b: compression
ALTER TABLE shop.plain ALTER COLUMN b SET COMPRESSION pglz;
-- COLUMN shop.customers.name: statistics target
ALTER TABLE shop.customers ALTER COLUMN name SET STATISTICS 501;
ALTER TABLE shop.customers ALTER COLUMN name SET STATISTICS -1;
-- COLUMN shop.plain.a: statistics target
ALTER TABLE shop.plain ALTER COLUMN a SET STATISTICS 0;
-- COLUMN parts.child.note: statistics target
ALTER TABLE parts.child ALTER COLUMN note SET STATISTICS 11;
-- COLUMN shop.customers.born: options
ALTER TABLE shop.customers ALTER COLUMN born SET (n_distinct = 1);
ALTER TABLE shop.customers ALTER COLUMN born RESET (n_distinct_inherited);
-- COLUMN shop.plain.a: options
ALTER TABLE shop.plain ALTER COLUMN a SET (n_distinct = 5);
-- COLUMN shop.customers.name: comment
COMMENT ON COLUMN shop.customers.name IS NULL;
COMMENT ON COLUMN shop.customers.name IS 'x';
-- COLUMN shop.plain.a: comment
COMMENT ON COLUMN shop.plain.a IS 'x';
-- COLUMN "Odd Names.x"."Table.with ""quotes"""."a.b": comment
COMMENT ON COLUMN "Odd Names.x"."Table.with ""quotes"""."a.b" IS 'x';
-- COLUMN shop.customers.note: grants
GRANT SELECT (note) ON shop.customers TO catalog_reader;
-- COLUMN shop.customers.name: grants
REVOKE UPDATE (name) ON shop.customers FROM catalog_reader;
-- COLUMN shop.customers.id: grants
REVOKE REFERENCES (id) ON shop.customers FROM PUBLIC;
-- COLUMN shop.customers.born: grants
REVOKE GRANT OPTION FOR SELECT (born) ON shop.customers FROM catalog_reader;
-- COLUMN shop.totals.total: grants
GRANT SELECT (total) ON shop.totals TO PUBLIC;
-- COLUMN "select"."table"."user": not null
ALTER TABLE "select"."table" ALTER COLUMN "user" SET NOT NULL;
-- COLUMN shop.since_18.twice: generated | TABLE shop.since_18: columns (since 18)
ALTER TABLE shop.since_18 DROP COLUMN twice; ALTER TABLE shop.since_18 ADD COLUMN twice integer GENERATED ALWAYS AS (a * 2) STORED;
-- COLUMN shop.virtual_18.twice: generated (since 18)
ALTER TABLE shop.virtual_18 ALTER COLUMN twice SET EXPRESSION AS (a * 4);
-- COLUMN shop.since_18.key: default (since 18)
ALTER TABLE shop.since_18 ALTER COLUMN key SET DEFAULT uuidv4();
-- COLUMN shop.since_16.a: storage (since 16)
ALTER TABLE shop.since_16 ALTER COLUMN a SET STORAGE DEFAULT;

---- constraints

-- CONSTRAINT shop.plain.added: unexpected
ALTER TABLE shop.plain ADD CONSTRAINT added CHECK (a > 0);
ALTER TABLE shop.plain ADD CONSTRAINT added CHECK (a > 0) NO INHERIT NOT VALID;
-- CONSTRAINT shop.identified.added: unexpected
ALTER TABLE shop.identified ADD CONSTRAINT added PRIMARY KEY (a, b);
-- CONSTRAINT shop.plain.added: unexpected
ALTER TABLE shop.plain ADD CONSTRAINT added UNIQUE (b);
ALTER TABLE shop.plain ADD CONSTRAINT added UNIQUE (b) DEFERRABLE;
ALTER TABLE shop.plain ADD CONSTRAINT added UNIQUE NULLS NOT DISTINCT (a, b);
ALTER TABLE shop.plain ADD CONSTRAINT added EXCLUDE USING btree (a WITH =);
ALTER TABLE shop.plain ADD CONSTRAINT added FOREIGN KEY (a) REFERENCES shop.customers (id);
ALTER TABLE shop.plain ADD CONSTRAINT added FOREIGN KEY (a) REFERENCES shop.customers NOT VALID;
-- CONSTRAINT shop.orders.added: unexpected
ALTER TABLE shop.orders ADD CONSTRAINT added FOREIGN KEY (parent_id) REFERENCES shop.orders;
-- CONSTRAINT parts.events.added: unexpected
ALTER TABLE parts.events ADD CONSTRAINT added CHECK (id > 0);
-- CONSTRAINT shop.plain.added: unexpected (since 18)
ALTER TABLE shop.plain ADD CONSTRAINT added CHECK (a > 0) NOT ENFORCED;
ALTER TABLE shop.plain ADD CONSTRAINT added FOREIGN KEY (a) REFERENCES shop.customers NOT ENFORCED;
-- CONSTRAINT outside.remote.added: unexpected
ALTER TABLE outside.remote ADD CONSTRAINT added CHECK (id > 0);
-- CONSTRAINT shop.customers.customers_status_check: missing
ALTER TABLE shop.customers DROP CONSTRAINT customers_status_check;
-- CONSTRAINT shop.customers.customers_note_check: missing
ALTER TABLE shop.customers DROP CONSTRAINT customers_note_check;
-- CONSTRAINT shop.customers.customers_name_key: missing
ALTER TABLE shop.customers DROP CONSTRAINT customers_name_key;
-- CONSTRAINT shop.customers.customers_email_key: missing
ALTER TABLE shop.customers DROP CONSTRAINT customers_email_key;
-- CONSTRAINT shop.orders.orders_during_excl: missing
ALTER TABLE shop.orders DROP CONSTRAINT orders_during_excl;
-- CONSTRAINT shop.orders.orders_customer_fkey: missing
ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey;
-- CONSTRAINT shop.orders.orders_parent_fkey: missing
ALTER TABLE shop.orders DROP CONSTRAINT orders_parent_fkey;
-- CONSTRAINT shop.orders.orders_note_fkey: missing
ALTER TABLE shop.orders DROP CONSTRAINT orders_note_fkey;
-- CONSTRAINT shop.orders.orders_amount_check: missing
ALTER TABLE shop.orders DROP CONSTRAINT orders_amount_check;
-- CONSTRAINT shop.orders.orders_number_key: missing
ALTER TABLE shop.orders DROP CONSTRAINT orders_number_key;
-- CONSTRAINT parts.base.base_only: missing
ALTER TABLE parts.base DROP CONSTRAINT base_only;
-- CONSTRAINT parts.base.base_id_check: missing
ALTER TABLE parts.base DROP CONSTRAINT base_id_check;
-- CONSTRAINT parts.events.events_kind_check: missing
ALTER TABLE parts.events DROP CONSTRAINT events_kind_check;
-- CONSTRAINT parts.events_2024.events_2024_body: missing
ALTER TABLE parts.events_2024 DROP CONSTRAINT events_2024_body;
-- CONSTRAINT outside.remote.remote_kind_check: missing
ALTER TABLE outside.remote DROP CONSTRAINT remote_kind_check;
-- CONSTRAINT parts.referring.referring_event_fkey: missing
ALTER TABLE parts.referring DROP CONSTRAINT referring_event_fkey;
-- CONSTRAINT shop.customers.customers_balance_check: definition
ALTER TABLE shop.customers DROP CONSTRAINT customers_balance_check; ALTER TABLE shop.customers ADD CONSTRAINT customers_balance_check CHECK (balance >= 1 OR status NOT IN ('new', 'bad'));
ALTER TABLE shop.customers DROP CONSTRAINT customers_balance_check; ALTER TABLE shop.customers ADD CONSTRAINT customers_balance_check CHECK (balance >= 0 OR status NOT IN ('bad', 'new'));
ALTER TABLE shop.customers DROP CONSTRAINT customers_balance_check; ALTER TABLE shop.customers ADD CONSTRAINT customers_balance_check CHECK (balance >= 0 OR status IN ('new', 'bad'));
ALTER TABLE shop.customers DROP CONSTRAINT customers_balance_check; ALTER TABLE shop.customers ADD CONSTRAINT customers_balance_check CHECK (balance >= 0 OR status NOT IN ('new', 'Bad'));
ALTER TABLE shop.customers DROP CONSTRAINT customers_balance_check; ALTER TABLE shop.customers ADD CONSTRAINT customers_balance_check CHECK (balance >= 0 OR status NOT IN ('new', 'bad')) NO INHERIT;
-- CONSTRAINT shop.customers.customers_name_key: definition
ALTER TABLE shop.customers DROP CONSTRAINT customers_name_key; ALTER TABLE shop.customers ADD CONSTRAINT customers_name_key UNIQUE (born, name);
ALTER TABLE shop.customers DROP CONSTRAINT customers_name_key; ALTER TABLE shop.customers ADD CONSTRAINT customers_name_key UNIQUE (name);
ALTER TABLE shop.customers DROP CONSTRAINT customers_name_key; ALTER TABLE shop.customers ADD CONSTRAINT customers_name_key UNIQUE (name, born) INCLUDE (note);
ALTER TABLE shop.customers DROP CONSTRAINT customers_name_key; ALTER TABLE shop.customers ADD CONSTRAINT customers_name_key UNIQUE NULLS NOT DISTINCT (name, born);
ALTER TABLE shop.customers DROP CONSTRAINT customers_name_key; ALTER TABLE shop.customers ADD CONSTRAINT customers_name_key UNIQUE (name, born) DEFERRABLE;
-- CONSTRAINT shop.orders.orders_number_key: definition
ALTER TABLE shop.orders DROP CONSTRAINT orders_number_key; ALTER TABLE shop.orders ADD CONSTRAINT orders_number_key UNIQUE (number) DEFERRABLE;
ALTER TABLE shop.orders DROP CONSTRAINT orders_number_key; ALTER TABLE shop.orders ADD CONSTRAINT orders_number_key UNIQUE (number);
-- CONSTRAINT shop.orders.orders_during_excl: definition
ALTER TABLE shop.orders DROP CONSTRAINT orders_during_excl; ALTER TABLE shop.orders ADD CONSTRAINT orders_during_excl EXCLUDE USING gist (during WITH =) WHERE (room > 0) DEFERRABLE;
ALTER TABLE shop.orders DROP CONSTRAINT orders_during_excl; ALTER TABLE shop.orders ADD CONSTRAINT orders_during_excl EXCLUDE USING gist (during WITH &&) WHERE (room > 1) DEFERRABLE;
ALTER TABLE shop.orders DROP CONSTRAINT orders_during_excl; ALTER TABLE shop.orders ADD CONSTRAINT orders_during_excl EXCLUDE USING spgist (during WITH &&) WHERE (room > 0) DEFERRABLE;
ALTER TABLE shop.orders DROP CONSTRAINT orders_during_excl; ALTER TABLE shop.orders ADD CONSTRAINT orders_during_excl EXCLUDE USING gist (during WITH &&) DEFERRABLE;
-- CONSTRAINT shop.orders.orders_customer_fkey: definition
ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer_id) REFERENCES shop.customers ON DELETE SET NULL ON UPDATE RESTRICT;
ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer_id) REFERENCES shop.customers ON DELETE CASCADE;
ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer_id) REFERENCES shop.orders ON DELETE CASCADE ON UPDATE RESTRICT;
ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (referrer_id) REFERENCES shop.customers ON DELETE CASCADE ON UPDATE RESTRICT;
-- CONSTRAINT shop.orders.orders_referrer_fkey: definition
ALTER TABLE shop.orders DROP CONSTRAINT orders_referrer_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_referrer_fkey FOREIGN KEY (referrer_id) REFERENCES shop.customers ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
-- CONSTRAINT shop.orders.orders_note_fkey: definition
ALTER TABLE shop.orders DROP CONSTRAINT orders_note_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_note_fkey FOREIGN KEY (note, number) REFERENCES shop.order_notes (a, b) ON DELETE SET NULL (number) NOT VALID;
ALTER TABLE shop.orders DROP CONSTRAINT orders_note_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_note_fkey FOREIGN KEY (note, number) REFERENCES shop.order_notes (a, b) ON DELETE SET NULL NOT VALID;
-- CONSTRAINT shop.since_18.since_18_kind: definition (since 18)
ALTER TABLE shop.since_18 DROP CONSTRAINT since_18_kind; ALTER TABLE shop.since_18 ADD CONSTRAINT since_18_kind CHECK (kind IN ('a', 'b'));
-- CONSTRAINT shop.temporal.temporal_note: definition (since 18)
ALTER TABLE shop.temporal DROP CONSTRAINT temporal_note; ALTER TABLE shop.temporal ADD CONSTRAINT temporal_note UNIQUE (id, until);
-- CONSTRAINT shop.orders.orders_customer_fkey: definition
ALTER TABLE shop.orders ALTER CONSTRAINT orders_customer_fkey DEFERRABLE;
ALTER TABLE shop.orders ALTER CONSTRAINT orders_customer_fkey DEFERRABLE INITIALLY DEFERRED;
-- CONSTRAINT shop.orders.orders_referrer_fkey: definition
ALTER TABLE shop.orders ALTER CONSTRAINT orders_referrer_fkey INITIALLY IMMEDIATE;
ALTER TABLE shop.orders ALTER CONSTRAINT orders_referrer_fkey NOT DEFERRABLE;
-- CONSTRAINT shop.since_18.since_18_customer: definition (since 18)
ALTER TABLE shop.since_18 ALTER CONSTRAINT since_18_customer ENFORCED;
-- CONSTRAINT shop.orders.orders_note_fkey: not valid
ALTER TABLE shop.orders VALIDATE CONSTRAINT orders_note_fkey;
-- CONSTRAINT shop.customers.customers_note_check: not valid
ALTER TABLE shop.customers VALIDATE CONSTRAINT customers_note_check;
-- CONSTRAINT shop.customers.customers_status_check: comment
COMMENT ON CONSTRAINT customers_status_check ON shop.customers IS NULL;
-- CONSTRAINT shop.orders.orders_pkey: comment
COMMENT ON CONSTRAINT orders_pkey ON shop.orders IS 'x';
-- CONSTRAINT shop.customers.customers_pkey: index comment
COMMENT ON INDEX shop.customers_pkey IS 'x';
-- CONSTRAINT shop.customers.customers_email_key: index storage parameters
ALTER INDEX shop.customers_email_key SET (fillfactor = 50);
-- CONSTRAINT shop.orders.orders_pkey: index storage parameters
ALTER INDEX shop.orders_pkey SET (deduplicate_items = off);
-- CONSTRAINT shop.orders.orders_pkey: index invalid
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_pkey'::regclass;
-- COLUMN shop.since_18.id: not null constraint (since 18)
ALTER TABLE shop.since_18 RENAME CONSTRAINT since_18_id_there TO other;
-- COLUMN shop.since_18.a: not null no inherit (since 18)
ALTER TABLE shop.since_18 ALTER CONSTRAINT since_18_a_own INHERIT;
-- COLUMN shop.since_18.kind: not null not valid (since 18)
ALTER TABLE shop.since_18 VALIDATE CONSTRAINT since_18_kind_there;
-- COLUMN shop.since_18.id: not null comment (since 18)
COMMENT ON CONSTRAINT since_18_id_there ON shop.since_18 IS 'x';
-- CONSTRAINT parts.fk_18.fk_18_fkey: not valid (since 18)
ALTER TABLE parts.fk_18 VALIDATE CONSTRAINT fk_18_fkey;
-- CONSTRAINT shop.temporal_child.temporal_child_fkey: missing (since 18)
ALTER TABLE shop.temporal_child DROP CONSTRAINT temporal_child_fkey;

-- CONSTRAINT shop.excluded.excluded_a: index statistics targets
ALTER INDEX shop.excluded_a ALTER COLUMN 1 SET STATISTICS 41;

---- indexes

-- INDEX shop.added_index: unexpected
CREATE INDEX added_index ON shop.plain (a);
CREATE UNIQUE INDEX added_index ON shop.plain (b);
CREATE INDEX added_index ON shop.plain (lower(b)) WHERE a > 0;
CREATE INDEX added_index ON shop.orders USING hash (kind);
CREATE INDEX added_index ON shop.filled (a);
CREATE INDEX added_index ON shop.order_notes (c) INCLUDE (b);
-- INDEX parts.added_index: unexpected
CREATE INDEX added_index ON parts.events (upper(body));
CREATE INDEX added_index ON ONLY parts.events (body);
CREATE INDEX added_index ON parts.events_2024 (region);
-- INDEX shop.orders_brin: missing
DROP INDEX shop.orders_brin;
-- INDEX shop.orders_hash: missing
DROP INDEX shop.orders_hash;
-- INDEX parts.events_2024_body_idx: missing
DROP INDEX parts.events_2024_body_idx;
-- INDEX parts.events_kind_idx: missing
DROP INDEX parts.events_kind_idx;
-- INDEX parts.events_region_idx: missing
DROP INDEX parts.events_region_idx;
-- INDEX shop."Odd index.name": missing
DROP INDEX shop."Odd index.name";
-- INDEX "select".index: missing
DROP INDEX "select".index;
-- INDEX shop.orders_kind_idx: unique
DROP INDEX shop.orders_kind_idx; CREATE UNIQUE INDEX orders_kind_idx ON shop.orders (kind) WHERE kind IN ('web', 'phone');
-- INDEX shop.orders_kind_idx: definition
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind) WHERE kind IN ('web', 'fax');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind);
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind DESC) WHERE kind IN ('web', 'phone');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind NULLS FIRST) WHERE kind IN ('web', 'phone');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind varchar_pattern_ops) WHERE kind IN ('web', 'phone');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind COLLATE "C") WHERE kind IN ('web', 'phone');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind, id) WHERE kind IN ('web', 'phone');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind) INCLUDE (id) WHERE kind IN ('web', 'phone');
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders USING hash (kind) WHERE kind IN ('web', 'phone');
-- INDEX shop.orders_number_kind: definition
DROP INDEX shop.orders_number_kind; CREATE UNIQUE INDEX orders_number_kind ON shop.orders (number, kind);
-- INDEX shop.orders_doc_idx: definition
DROP INDEX shop.orders_doc_idx; CREATE INDEX orders_doc_idx ON shop.orders USING gist (doc tsvector_ops (siglen = 65)) WITH (buffering = off);
DROP INDEX shop.orders_doc_idx; CREATE INDEX orders_doc_idx ON shop.orders USING gist (doc) WITH (buffering = off);
-- INDEX shop.orders_brin: definition
DROP INDEX shop.orders_brin; CREATE INDEX orders_brin ON shop.orders USING brin (placed_at timestamptz_minmax_multi_ops (values_per_range = 17)) WITH (pages_per_range = 32, autosummarize = on);
DROP INDEX shop.orders_brin; CREATE INDEX orders_brin ON shop.orders USING brin (placed_at) WITH (pages_per_range = 32, autosummarize = on);
-- INDEX shop.orders_expression_idx: definition
ALTER INDEX shop.orders_expression_idx SET (fillfactor = 61);
ALTER INDEX shop.orders_expression_idx RESET (deduplicate_items);
-- INDEX shop.orders_doc_gin: definition
ALTER INDEX shop.orders_doc_gin SET (fastupdate = on);
-- INDEX shop.orders_brin: definition
ALTER INDEX shop.orders_brin SET (autosummarize = off);
-- INDEX shop.customers_born_idx: definition
ALTER INDEX shop.customers_born_idx SET (fillfactor = 99);
-- INDEX shop.orders_expression_idx: statistics targets
ALTER INDEX shop.orders_expression_idx ALTER COLUMN 2 SET STATISTICS 301;
ALTER INDEX shop.orders_expression_idx ALTER COLUMN 1 SET STATISTICS 5;
-- INDEX shop.customers_search_idx: statistics targets
ALTER INDEX shop.customers_search_idx ALTER COLUMN 1 SET STATISTICS 5;
-- INDEX shop.orders_customer_idx: comment
COMMENT ON INDEX shop.orders_customer_idx IS NULL;
-- INDEX shop.orders_hash: comment
COMMENT ON INDEX shop.orders_hash IS 'x';
-- INDEX shop.orders_hash: invalid
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_hash'::regclass;
-- nothing
CREATE TABLE parts.kept AS SELECT 1; DROP TABLE parts.kept;
ALTER TABLE shop.order_notes DROP COLUMN c; ALTER TABLE shop.order_notes ADD COLUMN c text;
DROP INDEX shop.orders_hash; CREATE INDEX orders_hash ON shop.orders USING hash (note);
ALTER TABLE shop.order_notes ALTER COLUMN c TYPE name; ALTER TABLE shop.order_notes ALTER COLUMN c TYPE text;
-- TABLE shop.identified: clustered on
ALTER TABLE shop.identified SET WITHOUT CLUSTER;
-- MATERIALIZED VIEW shop.totals: clustered on
ALTER MATERIALIZED VIEW shop.totals SET WITHOUT CLUSTER;

---- statistics

-- STATISTICS shop.added_statistics: unexpected
CREATE STATISTICS shop.added_statistics ON a, b FROM shop.plain;
-- STATISTICS shop.orders_expr: missing
DROP STATISTICS shop.orders_expr;
-- STATISTICS shop.orders_expr: definition
DROP STATISTICS shop.orders_expr; CREATE STATISTICS shop.orders_expr ON (CASE WHEN kind IN ('web', 'fax') THEN 1 ELSE 2 END) FROM shop.orders;
DROP STATISTICS shop.orders_expr; CREATE STATISTICS shop.orders_expr ON lower(note) FROM shop.orders;
-- STATISTICS shop.orders_stat: definition
DROP STATISTICS shop.orders_stat; CREATE STATISTICS shop.orders_stat (ndistinct) ON customer_id, kind FROM shop.orders; COMMENT ON STATISTICS shop.orders_stat IS 'they belong together';
-- STATISTICS shop.orders_mcv: target
ALTER STATISTICS shop.orders_mcv SET STATISTICS 201;
-- STATISTICS shop.orders_stat: target
ALTER STATISTICS shop.orders_stat SET STATISTICS 0;
-- STATISTICS shop.orders_mcv: owner
ALTER STATISTICS shop.orders_mcv OWNER TO catalog_owner;
-- STATISTICS shop.orders_stat: comment
COMMENT ON STATISTICS shop.orders_stat IS NULL;
-- STATISTICS shop.orders_stat: renamed to STATISTICS spare.orders_stat
ALTER STATISTICS shop.orders_stat SET SCHEMA spare;

---- views

-- TABLE parts.events: access method (since 17)
ALTER TABLE parts.events SET ACCESS METHOD catalog_heap;
-- COLUMN parts.identity_17.id: identity (since 17)
ALTER TABLE parts.identity_17 ALTER COLUMN id SET GENERATED BY DEFAULT;
-- COLUMN types.shrunk.f: collation
ALTER TYPE types.shrunk ALTER ATTRIBUTE f TYPE text COLLATE "POSIX";
-- FUNCTION code.unused(): returns
DROP FUNCTION code.unused(); CREATE FUNCTION code.unused() RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1';
-- PROCEDURE code.run(integer, text): arguments
CREATE OR REPLACE PROCEDURE code.run(a integer, INOUT b text DEFAULT 'y') LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '4MB' AS $$BEGIN b := a::text; END$$;
-- COLUMN shop.good.id: grants
GRANT SELECT (id) ON shop.good TO PUBLIC;

-- VIEW shop.added_view: unexpected
CREATE VIEW shop.added_view AS SELECT 1 AS a;
-- VIEW shop.local_checked: missing
DROP VIEW shop.local_checked;
-- VIEW shop.with_default: definition
CREATE OR REPLACE VIEW shop.with_default AS SELECT id, name, note FROM shop.customers WHERE id > 1;
-- VIEW shop.on_good: definition
CREATE OR REPLACE VIEW shop.on_good AS SELECT name AS "Name", g.* FROM shop.good g WHERE NOT status IN ('bat');
-- VIEW shop.on_good: definition | VIEW shop.on_good: columns
CREATE OR REPLACE VIEW shop.on_good AS SELECT name AS "Name", g.*, 1 AS more FROM shop.good g WHERE NOT status IN ('bad');
-- COLUMN shop.on_good."Name": renamed to COLUMN shop.on_good."name of"
ALTER VIEW shop.on_good RENAME COLUMN "Name" TO "name of";
-- VIEW shop.good_checked: options
ALTER VIEW shop.good_checked SET (security_barrier = false);
ALTER VIEW shop.good_checked SET (check_option = local);
ALTER VIEW shop.good_checked RESET (check_option);
-- VIEW shop.local_checked: options
ALTER VIEW shop.local_checked SET (security_invoker = false);
ALTER VIEW shop.local_checked RESET (security_barrier);
-- VIEW shop.with_default: options
ALTER VIEW shop.with_default SET (security_invoker);
-- COLUMN shop.with_default.note: default
ALTER VIEW shop.with_default ALTER COLUMN note SET DEFAULT 'some';
-- COLUMN shop.with_default.note: default
ALTER VIEW shop.with_default ALTER COLUMN note DROP DEFAULT;
-- VIEW shop.summary: owner
ALTER VIEW shop.summary OWNER TO catalog_owner;
-- VIEW shop.summary: grants
GRANT SELECT ON shop.summary TO catalog_app;
-- VIEW shop.good: grants
REVOKE SELECT ON shop.good FROM catalog_reader;
-- VIEW shop.good: comment
COMMENT ON VIEW shop.good IS NULL;
-- COLUMN shop.good.name: comment
COMMENT ON COLUMN shop.good.name IS 'x';
-- MATERIALIZED VIEW shop.added_matview: unexpected
CREATE MATERIALIZED VIEW shop.added_matview AS SELECT 1 AS a;
-- MATERIALIZED VIEW shop.filled: missing
DROP MATERIALIZED VIEW shop.filled;
-- MATERIALIZED VIEW shop.totals: storage parameters
ALTER MATERIALIZED VIEW shop.totals SET (fillfactor = 76);
-- MATERIALIZED VIEW shop.filled: storage parameters
ALTER MATERIALIZED VIEW shop.filled SET (autovacuum_enabled = off);
-- COLUMN shop.filled.a: statistics target
ALTER MATERIALIZED VIEW shop.filled ALTER COLUMN a SET STATISTICS 78;
-- COLUMN shop.filled.b: storage
ALTER MATERIALIZED VIEW shop.filled ALTER COLUMN b SET STORAGE MAIN;
-- COLUMN shop.filled.a: options
ALTER MATERIALIZED VIEW shop.filled ALTER COLUMN a SET (n_distinct = 5);
-- MATERIALIZED VIEW shop.filled: owner
ALTER MATERIALIZED VIEW shop.filled OWNER TO catalog_lead;
-- MATERIALIZED VIEW shop.filled: access method
ALTER MATERIALIZED VIEW shop.filled SET ACCESS METHOD catalog_heap;
-- MATERIALIZED VIEW shop.totals: grants
GRANT INSERT ON shop.totals TO catalog_reader;
-- MATERIALIZED VIEW shop.totals: comment
COMMENT ON MATERIALIZED VIEW shop.totals IS NULL;
-- COLUMN shop.totals.total: comment
COMMENT ON COLUMN shop.totals.total IS 'x';
-- MATERIALIZED VIEW shop.other_heap_view: definition
DROP MATERIALIZED VIEW shop.other_heap_view; CREATE MATERIALIZED VIEW shop.other_heap_view USING catalog_heap AS SELECT 2 AS a;
-- nothing
REFRESH MATERIALIZED VIEW shop.filled WITH NO DATA;

---- rules

-- RULE shop.plain.added: unexpected
CREATE RULE added AS ON INSERT TO shop.plain DO ALSO NOTIFY x;
-- RULE shop.plain.tell: missing
DROP RULE tell ON shop.plain;
-- RULE shop.plain.tell: definition
CREATE OR REPLACE RULE tell AS ON DELETE TO shop.plain DO ALSO NOTIFY changes;
CREATE OR REPLACE RULE tell AS ON DELETE TO shop.plain DO INSTEAD NOTIFY changed;
CREATE OR REPLACE RULE tell AS ON UPDATE TO shop.plain DO ALSO NOTIFY changed;
-- RULE shop.good.no_delete: definition
CREATE OR REPLACE RULE no_delete AS ON DELETE TO shop.good WHERE OLD.status IN ('good') DO INSTEAD NOTHING;
-- RULE shop.good.good_insert: definition
CREATE OR REPLACE RULE good_insert AS ON INSERT TO shop.good DO INSTEAD INSERT INTO shop.plain (a, b) VALUES (NEW.id + 1, NEW.name);
-- RULE shop.plain.also: enabled
ALTER TABLE shop.plain ENABLE RULE also;
ALTER TABLE shop.plain ENABLE REPLICA RULE also;
-- RULE shop.plain.tell: enabled
ALTER TABLE shop.plain DISABLE RULE tell;
-- RULE shop.plain."Odd rule": enabled
ALTER TABLE shop.plain ENABLE RULE "Odd rule";
-- RULE shop.plain.also: comment
COMMENT ON RULE also ON shop.plain IS 'x';

---- triggers

-- TRIGGER shop.plain.added: unexpected
CREATE TRIGGER added BEFORE UPDATE ON shop.plain FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE CONSTRAINT TRIGGER added AFTER UPDATE ON shop.plain FOR EACH ROW EXECUTE FUNCTION code.touch();
-- TRIGGER parts.events.added: unexpected
CREATE TRIGGER added AFTER UPDATE ON parts.events FOR EACH ROW EXECUTE FUNCTION code.touch();
-- TRIGGER shop.orders.emptied: missing
DROP TRIGGER emptied ON shop.orders;
-- TRIGGER shop.summary.through: missing
DROP TRIGGER through ON shop.summary;
-- TRIGGER shop.orders.checked: missing
DROP TRIGGER checked ON shop.orders;
-- TRIGGER outside.remote.touch: missing
DROP TRIGGER touch ON outside.remote;
-- TRIGGER shop.orders.emptied: definition
CREATE OR REPLACE TRIGGER emptied AFTER TRUNCATE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER emptied BEFORE TRUNCATE OR INSERT ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER emptied BEFORE TRUNCATE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch_again();
CREATE OR REPLACE TRIGGER emptied BEFORE TRUNCATE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch('x');
-- TRIGGER shop.orders.removed: definition
CREATE OR REPLACE TRIGGER removed AFTER DELETE ON shop.orders FOR EACH ROW WHEN (OLD.note IS NOT NULL) EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER removed AFTER DELETE OR UPDATE OF kind ON shop.orders FOR EACH ROW WHEN (OLD.note IS NOT NULL) EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER removed AFTER DELETE OR UPDATE ON shop.orders FOR EACH ROW WHEN (OLD.note IS NULL) EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER removed AFTER DELETE OR UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER removed AFTER DELETE OR UPDATE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
-- TRIGGER shop.orders.after_all: definition
CREATE OR REPLACE TRIGGER after_all AFTER INSERT ON shop.orders REFERENCING NEW TABLE AS fresher FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
CREATE OR REPLACE TRIGGER after_all AFTER INSERT ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
-- TRIGGER shop.orders.touch: definition
CREATE OR REPLACE TRIGGER touch BEFORE INSERT OR UPDATE OF amount ON shop.orders FOR EACH ROW WHEN (NEW.amount > 10 AND NEW.kind IN ('web', 'phone')) EXECUTE FUNCTION code.touch('a', 'it''s');
CREATE OR REPLACE TRIGGER touch BEFORE INSERT OR UPDATE OF amount, note ON shop.orders FOR EACH ROW WHEN (NEW.amount > 10 AND NEW.kind IN ('web', 'fax')) EXECUTE FUNCTION code.touch('a', 'it''s');
CREATE OR REPLACE TRIGGER touch BEFORE INSERT OR UPDATE OF amount, note ON shop.orders FOR EACH ROW WHEN (NEW.amount > 10 AND NEW.kind IN ('web', 'phone')) EXECUTE FUNCTION code.touch('a', 'its');
-- TRIGGER shop.orders.checked: definition
DROP TRIGGER checked ON shop.orders; CREATE CONSTRAINT TRIGGER checked AFTER INSERT OR UPDATE ON shop.orders FROM shop.customers DEFERRABLE FOR EACH ROW EXECUTE FUNCTION code.touch();
DROP TRIGGER checked ON shop.orders; CREATE CONSTRAINT TRIGGER checked AFTER INSERT OR UPDATE ON shop.orders FROM shop.customers FOR EACH ROW EXECUTE FUNCTION code.touch();
DROP TRIGGER checked ON shop.orders; CREATE CONSTRAINT TRIGGER checked AFTER INSERT OR UPDATE ON shop.orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION code.touch();
DROP TRIGGER checked ON shop.orders; CREATE TRIGGER checked AFTER INSERT OR UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION code.touch();
-- TRIGGER shop.customers.off: enabled
ALTER TABLE shop.customers ENABLE TRIGGER off;
ALTER TABLE shop.customers ENABLE REPLICA TRIGGER off;
-- TRIGGER shop.customers.on_replica: enabled
ALTER TABLE shop.customers ENABLE TRIGGER on_replica;
-- TRIGGER shop.customers.on_both: enabled
ALTER TABLE shop.customers DISABLE TRIGGER on_both;
-- TRIGGER shop.customers."Odd trigger.x": enabled
ALTER TABLE shop.customers DISABLE TRIGGER "Odd trigger.x";
-- TRIGGER shop.customers.checked_now: enabled
ALTER TABLE shop.customers ENABLE ALWAYS TRIGGER checked_now;
-- TRIGGER parts.events_2024.touch: enabled
ALTER TABLE parts.events_2024 ENABLE TRIGGER touch;
-- TRIGGER parts.events_default.touch: enabled
ALTER TABLE parts.events_default DISABLE TRIGGER touch;
-- TRIGGER shop.orders.touch: comment
COMMENT ON TRIGGER touch ON shop.orders IS NULL;
-- EVENT TRIGGER added: unexpected
CREATE EVENT TRIGGER added ON sql_drop EXECUTE FUNCTION code.watch();
-- EVENT TRIGGER catalog_off: missing
DROP EVENT TRIGGER catalog_off;
-- EVENT TRIGGER catalog_drops: event
DROP EVENT TRIGGER catalog_drops; CREATE EVENT TRIGGER catalog_drops ON ddl_command_end WHEN TAG IN ('DROP LANGUAGE') EXECUTE FUNCTION code.watch();
-- EVENT TRIGGER catalog_drops: tags
DROP EVENT TRIGGER catalog_drops; CREATE EVENT TRIGGER catalog_drops ON sql_drop WHEN TAG IN ('DROP LANGUAGE', 'DROP CAST') EXECUTE FUNCTION code.watch();
DROP EVENT TRIGGER catalog_drops; CREATE EVENT TRIGGER catalog_drops ON sql_drop EXECUTE FUNCTION code.watch();
-- EVENT TRIGGER catalog_drops: function
DROP EVENT TRIGGER catalog_drops; CREATE EVENT TRIGGER catalog_drops ON sql_drop WHEN TAG IN ('DROP LANGUAGE') EXECUTE FUNCTION code.watch_again();
-- EVENT TRIGGER catalog_off: enabled
ALTER EVENT TRIGGER catalog_off ENABLE;
-- EVENT TRIGGER catalog_watch: enabled
ALTER EVENT TRIGGER catalog_watch ENABLE REPLICA;
-- EVENT TRIGGER catalog_rewrites: enabled
ALTER EVENT TRIGGER catalog_rewrites ENABLE;
-- EVENT TRIGGER catalog_watch: comment
COMMENT ON EVENT TRIGGER catalog_watch IS NULL;

---- policies

-- POLICY shop.plain.added: unexpected
CREATE POLICY added ON shop.plain USING (true);
-- POLICY shop.orders.own: missing
DROP POLICY own ON shop.orders;
-- POLICY shop.orders.own: roles
ALTER POLICY own ON shop.orders TO catalog_app;
ALTER POLICY own ON shop.orders TO PUBLIC;
-- POLICY shop.orders.removing: roles
ALTER POLICY removing ON shop.orders TO catalog_owner;
-- POLICY shop.orders.own: using
ALTER POLICY own ON shop.orders USING (customer_id = 2);
-- POLICY shop.orders.partly: using
ALTER POLICY partly ON shop.orders USING (kind IN ('web', 'fax'));
-- POLICY shop.orders.partly: with check
ALTER POLICY partly ON shop.orders WITH CHECK (kind IN ('phone'));
-- POLICY shop.orders.adding: with check
ALTER POLICY adding ON shop.orders WITH CHECK (amount < 101);
-- POLICY shop.orders.changing: command
DROP POLICY changing ON shop.orders; CREATE POLICY changing ON shop.orders FOR ALL USING (amount < 100) WITH CHECK (note IS NOT NULL);
-- POLICY shop.orders.changing: kind
DROP POLICY changing ON shop.orders; CREATE POLICY changing ON shop.orders AS RESTRICTIVE FOR UPDATE USING (amount < 100) WITH CHECK (note IS NOT NULL);
-- POLICY shop.orders.changing: with check
DROP POLICY changing ON shop.orders; CREATE POLICY changing ON shop.orders FOR UPDATE USING (amount < 100);
-- POLICY shop.orders.own: comment
COMMENT ON POLICY own ON shop.orders IS 'x';

---- sequences

-- SEQUENCE shop.added_sequence: unexpected
CREATE SEQUENCE shop.added_sequence;
-- SEQUENCE shop.down: missing
DROP SEQUENCE shop.down;
-- SEQUENCE shop.down: increment
ALTER SEQUENCE shop.down INCREMENT BY -2;
-- SEQUENCE shop.down: minimum
ALTER SEQUENCE shop.down MINVALUE -99;
-- SEQUENCE shop.down: start
ALTER SEQUENCE shop.down MAXVALUE -1 START -2;
-- SEQUENCE shop.down: cache
ALTER SEQUENCE shop.down CACHE 2;
-- SEQUENCE shop.down: cycle
ALTER SEQUENCE shop.down CYCLE;
-- SEQUENCE shop.down: type
ALTER SEQUENCE shop.down AS integer;
-- SEQUENCE shop.down: owned by
ALTER SEQUENCE shop.down OWNED BY shop.owned.a;
-- SEQUENCE shop.down: owner
ALTER SEQUENCE shop.down OWNER TO catalog_lead;
-- nothing
ALTER SEQUENCE shop.down MAXVALUE -1 MINVALUE -100 START -1;
-- SEQUENCE shop.plain_seq: maximum
ALTER SEQUENCE shop.plain_seq MAXVALUE 1000;
-- SEQUENCE shop.unlogged_seq: persistence
ALTER SEQUENCE shop.unlogged_seq SET LOGGED;
-- SEQUENCE shop.plain_seq: persistence
ALTER SEQUENCE shop.plain_seq SET UNLOGGED;
-- SEQUENCE shop.unlogged_seq: owned by
ALTER SEQUENCE shop.unlogged_seq OWNED BY NONE;
ALTER SEQUENCE shop.unlogged_seq OWNED BY shop.orders.note;
-- SEQUENCE shop.order_number: grants
GRANT SELECT ON SEQUENCE shop.order_number TO catalog_app;
REVOKE USAGE ON SEQUENCE shop.order_number FROM catalog_app;
-- SEQUENCE shop.order_number: comment
COMMENT ON SEQUENCE shop.order_number IS NULL;
-- nothing
SELECT setval('shop.plain_seq', 100);
ALTER SEQUENCE shop.plain_seq RESTART WITH 50;

---- functions

-- FUNCTION code.added(): unexpected
CREATE FUNCTION code.added() RETURNS integer LANGUAGE sql AS 'SELECT 1';
-- FUNCTION code.plain(bigint): unexpected
CREATE FUNCTION code.plain(a bigint) RETURNS text LANGUAGE sql AS 'SELECT 1';
-- FUNCTION code.unused(): missing
DROP FUNCTION code.unused();
-- FUNCTION code.plain(integer, text): missing
DROP FUNCTION code.plain(integer, text);
-- FUNCTION code."Odd Name, (x)"(integer, text): missing
DROP FUNCTION code."Odd Name, (x)";
-- FUNCTION code.fixed(numeric): volatility
ALTER FUNCTION code.fixed(numeric) STABLE;
ALTER FUNCTION code.fixed(numeric) VOLATILE;
-- FUNCTION code.fixed(numeric): strict
ALTER FUNCTION code.fixed(numeric) CALLED ON NULL INPUT;
-- FUNCTION code.fixed(numeric): parallel
ALTER FUNCTION code.fixed(numeric) PARALLEL RESTRICTED;
ALTER FUNCTION code.fixed(numeric) PARALLEL UNSAFE;
-- FUNCTION code.fixed(numeric): leakproof
ALTER FUNCTION code.fixed(numeric) NOT LEAKPROOF;
-- FUNCTION code.fixed(numeric): cost
ALTER FUNCTION code.fixed(numeric) COST 8;
ALTER FUNCTION code.fixed(numeric) COST 100;
-- FUNCTION code.fixed(numeric): security definer
ALTER FUNCTION code.fixed(numeric) SECURITY DEFINER;
-- FUNCTION code.fixed(numeric): settings
ALTER FUNCTION code.fixed(numeric) SET search_path = code;
-- FUNCTION code.fixed(numeric): owner
ALTER FUNCTION code.fixed(numeric) OWNER TO catalog_lead;
-- FUNCTION code.secure(types.email): security definer
ALTER FUNCTION code.secure(types.email) SECURITY INVOKER;
-- FUNCTION code.secure(types.email): settings
ALTER FUNCTION code.secure(types.email) RESET statement_timeout;
ALTER FUNCTION code.secure(types.email) SET statement_timeout = '6s';
ALTER FUNCTION code.secure(types.email) SET search_path = pg_temp, code;
ALTER FUNCTION code.secure(types.email) SET "my.setting" TO 'b, a';
ALTER FUNCTION code.secure(types.email) RESET ALL;
-- FUNCTION code.many(integer, text[]): rows
ALTER FUNCTION code.many(integer, text[]) ROWS 51;
-- FUNCTION code.supported(text, text): support
CREATE OR REPLACE FUNCTION code.supported(a text, b text) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'textlike';
-- FUNCTION code.unused(): body
CREATE OR REPLACE FUNCTION code.unused() RETURNS integer LANGUAGE sql AS 'SELECT 2';
CREATE OR REPLACE FUNCTION code.unused() RETURNS integer LANGUAGE sql AS 'SELECT 1 ';
CREATE OR REPLACE FUNCTION code.unused() RETURNS integer LANGUAGE sql RETURN 1;
-- FUNCTION code.standard(integer, integer): body
CREATE OR REPLACE FUNCTION code.standard(a integer, b integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN a - b;
-- FUNCTION code.standard_body(integer): body
CREATE OR REPLACE FUNCTION code.standard_body(a integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT 1 WHERE a > 1; SELECT code.standard(a, 2); END;
-- FUNCTION code.spoken(): language
CREATE OR REPLACE FUNCTION code.spoken() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
-- FUNCTION code.many(integer, text[]): arguments
CREATE OR REPLACE FUNCTION code.many(n integer DEFAULT 4, VARIADIC rest text[] DEFAULT '{}') RETURNS SETOF text LANGUAGE sql ROWS 50 AS 'SELECT unnest($2)';
-- FUNCTION code.transformed(bigint): transforms
CREATE OR REPLACE FUNCTION code.transformed(bigint) RETURNS bigint LANGUAGE catalog_language AS 'BEGIN RETURN $1; END';
-- FUNCTION code.unused(): strict
CREATE OR REPLACE FUNCTION code.unused() RETURNS integer LANGUAGE sql STRICT AS 'SELECT 1';
-- FUNCTION code.handle_inline(internal): body
CREATE OR REPLACE FUNCTION code.handle_inline(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
-- FUNCTION code.unused(): returns
DROP FUNCTION code.unused(); CREATE FUNCTION code.unused() RETURNS bigint LANGUAGE sql AS 'SELECT 1';
-- FUNCTION code.listed(integer): returns
DROP FUNCTION code.listed(integer); CREATE FUNCTION code.listed(n integer) RETURNS TABLE (a integer, c text) LANGUAGE sql AS 'SELECT n, n::text';
-- FUNCTION code.steady(numeric): arguments
DROP FUNCTION code.steady(numeric); CREATE FUNCTION code.steady(m numeric) RETURNS numeric LANGUAGE sql STABLE PARALLEL RESTRICTED AS 'SELECT $1 * 3';
-- FUNCTION code.compatible(anycompatible, anycompatible): arguments
DROP FUNCTION code.compatible(anycompatible, anycompatible); CREATE FUNCTION code.compatible(a anycompatible, b anycompatible DEFAULT NULL) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1';
-- FUNCTION code.windowed(): window
DROP FUNCTION code.windowed(); CREATE FUNCTION code.windowed() RETURNS bigint LANGUAGE internal IMMUTABLE STRICT AS 'window_row_number';
-- FUNCTION code.secure(types.email): grants
GRANT EXECUTE ON FUNCTION code.secure(types.email) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION code.secure(types.email) FROM catalog_app;
-- FUNCTION code.unused(): grants
REVOKE EXECUTE ON FUNCTION code.unused() FROM PUBLIC;
-- FUNCTION code.standard(integer, integer): grants
GRANT EXECUTE ON FUNCTION code.standard(integer, integer) TO CURRENT_USER;
-- FUNCTION code.plain(integer): comment
COMMENT ON FUNCTION code.plain(integer) IS NULL;
-- FUNCTION code.plain(): comment
COMMENT ON FUNCTION code.plain() IS 'x';
-- FUNCTION code.unused(): renamed to FUNCTION spare.unused()
ALTER FUNCTION code.unused() SET SCHEMA spare;
-- PROCEDURE code.added_procedure(): unexpected
CREATE PROCEDURE code.added_procedure() LANGUAGE sql AS '';
-- PROCEDURE code.run_standard(): missing
DROP PROCEDURE code.run_standard();
-- PROCEDURE code.run(integer, text): security definer
ALTER PROCEDURE code.run(integer, text) SECURITY INVOKER;
-- PROCEDURE code.run(integer, text): settings
ALTER PROCEDURE code.run(integer, text) SET work_mem = '5MB';
-- PROCEDURE code.run(): owner
ALTER PROCEDURE code.run() OWNER TO catalog_lead;
-- PROCEDURE code.run(): body
CREATE OR REPLACE PROCEDURE code.run() LANGUAGE sql AS 'SELECT 1';
-- PROCEDURE code.run_standard(): body
CREATE OR REPLACE PROCEDURE code.run_standard() LANGUAGE sql BEGIN ATOMIC SELECT code.standard(1, 3); END;
-- PROCEDURE code.run(integer, text): grants
REVOKE EXECUTE ON PROCEDURE code.run(integer, text) FROM catalog_lead;
-- PROCEDURE code.run(integer, text): comment
COMMENT ON PROCEDURE code.run(integer, text) IS NULL;

---- aggregates

-- AGGREGATE code.added(integer): unexpected
CREATE AGGREGATE code.added(integer) (SFUNC = int4larger, STYPE = integer);
-- AGGREGATE code.row_count(): missing
DROP AGGREGATE code.row_count(*);
-- AGGREGATE code.total(numeric): sfunc
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.sub_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): sspace
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 65, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): initcond
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '1', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): finalfunc
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = abs, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): finalfunc modify
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = SHAREABLE, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_WRITE, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): combinefunc
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.sub_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): msfunc
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_again, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): minvfunc
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.add_again, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): msspace
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 33, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): minitcond
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '1', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): mfinalfunc
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = abs, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): mfinalfunc modify
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = SHAREABLE, PARALLEL = SAFE);
-- AGGREGATE code.total(numeric): parallel
CREATE OR REPLACE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it, MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0', MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = RESTRICTED);
-- AGGREGATE code.lowest(integer): sort operator
CREATE OR REPLACE AGGREGATE code.lowest(integer) (SFUNC = int4smaller, STYPE = integer, SORTOP = >);
-- AGGREGATE code.lowest(integer): owner
ALTER AGGREGATE code.lowest(integer) OWNER TO catalog_lead;
-- AGGREGATE code.lowest(integer): grants
REVOKE EXECUTE ON FUNCTION code.lowest(integer) FROM PUBLIC;
-- AGGREGATE code.total(numeric): comment
COMMENT ON AGGREGATE code.total(numeric) IS NULL;

---- types

-- ENUM types.added_enum: unexpected
CREATE TYPE types.added_enum AS ENUM ('a');
-- ENUM types.nothing: missing
DROP TYPE types.nothing;
-- ENUM types.status: values
ALTER TYPE types.status ADD VALUE 'more';
ALTER TYPE types.status ADD VALUE 'more' BEFORE 'new';
ALTER TYPE types.status ADD VALUE 'more' AFTER 'paid';
-- ENUM types.nothing: values
ALTER TYPE types.nothing ADD VALUE 'x';
-- ENUM types.mood: values
ALTER TYPE types.mood RENAME VALUE 'happy' TO 'Happy';
-- ENUM types.mood: owner
ALTER TYPE types.mood OWNER TO catalog_lead;
-- ENUM types.mood: grants
GRANT USAGE ON TYPE types.mood TO PUBLIC;
-- ENUM types.status: grants
REVOKE USAGE ON TYPE types.status FROM catalog_app;
-- ENUM types.status: comment
COMMENT ON TYPE types.status IS 'x';
-- TYPE types.added: unexpected
CREATE TYPE types.added AS (a integer);
CREATE TYPE types.added;
-- TYPE types.hollow: missing
DROP TYPE types.hollow;
-- TYPE types.shell: missing
DROP TYPE types.shell;
-- TYPE types.shrunk: missing
DROP TYPE types.shrunk;
-- COLUMN types.shrunk.e: unexpected
ALTER TYPE types.shrunk ADD ATTRIBUTE e text;
-- COLUMN types.shrunk.a: missing
ALTER TYPE types.shrunk DROP ATTRIBUTE a;
-- COLUMN types.shrunk.c: type
ALTER TYPE types.shrunk ALTER ATTRIBUTE c TYPE bigint;
-- COLUMN types.shrunk.d: type
ALTER TYPE types.shrunk ALTER ATTRIBUTE d TYPE timestamptz(2);
-- TYPE types.shrunk: attributes
ALTER TYPE types.shrunk DROP ATTRIBUTE a; ALTER TYPE types.shrunk ADD ATTRIBUTE a integer;
-- COLUMN types.hollow.a: unexpected
ALTER TYPE types.hollow ADD ATTRIBUTE a text COLLATE "C";
-- COLUMN types.pair.b: comment
COMMENT ON COLUMN types.pair.b IS NULL;
-- TYPE types.pair: comment
COMMENT ON TYPE types.pair IS NULL;
-- TYPE types.pair: owner
ALTER TYPE types.pair OWNER TO catalog_owner;
-- TYPE types.pair: grants
REVOKE USAGE ON TYPE types.pair FROM PUBLIC;
-- TYPE types.blob: storage
ALTER TYPE types.blob SET (STORAGE = main);
-- TYPE types.cell: comment
COMMENT ON TYPE types.cell IS NULL;
-- TYPE types.shell: comment
COMMENT ON TYPE types.shell IS NULL;
-- TYPE types.blob: storage
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = external, COLLATABLE = true);
-- TYPE types.blob: collatable
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended);
-- TYPE types.blob: category
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, CATEGORY = 'Y');
-- TYPE types.blob: preferred
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, PREFERRED = true);
-- TYPE types.blob: default
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, DEFAULT = 'x');
-- TYPE types.blob: delimiter
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, DELIMITER = '|');
-- TYPE types.blob: alignment
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, ALIGNMENT = double);
-- TYPE types.blob: analyze
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, ANALYZE = ts_typanalyze);
-- TYPE types.blob: typmod input
DROP TYPE types.blob CASCADE; CREATE TYPE types.blob; CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true, TYPMOD_IN = varchartypmodin);
-- DOMAIN types.added_domain: unexpected
CREATE DOMAIN types.added_domain AS integer;
-- DOMAIN types.grade: missing
DROP DOMAIN types.grade;
-- DOMAIN types.email: default
ALTER DOMAIN types.email SET DEFAULT 'x@y';
ALTER DOMAIN types.email DROP DEFAULT;
-- DOMAIN types.email: not null
ALTER DOMAIN types.email DROP NOT NULL;
-- DOMAIN types.positive: not null
ALTER DOMAIN types.positive SET NOT NULL;
-- DOMAIN types.positive: owner
ALTER DOMAIN types.positive OWNER TO catalog_lead;
-- DOMAIN types.email: grants
REVOKE GRANT OPTION FOR USAGE ON DOMAIN types.email FROM catalog_app;
-- DOMAIN types.email: comment
COMMENT ON DOMAIN types.email IS NULL;
-- DOMAIN types.grade: type
DROP DOMAIN types.grade; CREATE DOMAIN types.grade AS varchar(11) CONSTRAINT grade_known CHECK (VALUE IN ('good', 'fair', 'poor'));
-- DOMAIN types.grade: collation
DROP DOMAIN types.grade; CREATE DOMAIN types.grade AS varchar(10) COLLATE "C" CONSTRAINT grade_known CHECK (VALUE IN ('good', 'fair', 'poor'));
-- DOMAIN CONSTRAINT types.grade.grade_known: definition
DROP DOMAIN types.grade; CREATE DOMAIN types.grade AS varchar(10) CONSTRAINT grade_known CHECK (VALUE IN ('good', 'fair', 'bad'));
-- DOMAIN CONSTRAINT types.email.added: unexpected
ALTER DOMAIN types.email ADD CONSTRAINT added CHECK (VALUE <> 'x');
-- DOMAIN CONSTRAINT types.email.email_short: missing
ALTER DOMAIN types.email DROP CONSTRAINT email_short;
-- DOMAIN CONSTRAINT types.tags.tags_not_valid: not valid
ALTER DOMAIN types.tags VALIDATE CONSTRAINT tags_not_valid;
-- DOMAIN CONSTRAINT types.email.email_has_at: comment
COMMENT ON CONSTRAINT email_has_at ON DOMAIN types.email IS NULL;
-- RANGE TYPE types.added_range: unexpected
CREATE TYPE types.added_range AS RANGE (SUBTYPE = integer);
-- RANGE TYPE types.times: missing
DROP TYPE types.times;
-- RANGE TYPE types.times: operator class | RANGE TYPE types.times: subtype
DROP TYPE types.times; CREATE TYPE types.times AS RANGE (SUBTYPE = timetz);
-- RANGE TYPE types.times: multirange type
DROP TYPE types.times; CREATE TYPE types.times AS RANGE (SUBTYPE = time, MULTIRANGE_TYPE_NAME = types.many_times);
-- RANGE TYPE types.times: subtype diff | FUNCTION types.time_diff(time without time zone, time without time zone): unexpected
CREATE FUNCTION types.time_diff(time, time) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8'; DROP TYPE types.times; CREATE TYPE types.times AS RANGE (SUBTYPE = time, SUBTYPE_DIFF = types.time_diff);
-- RANGE TYPE types.words: collation
DROP TYPE types.words; CREATE TYPE types.words AS RANGE (SUBTYPE = text, COLLATION = "POSIX"); ALTER TYPE types.words OWNER TO catalog_owner;
-- RANGE TYPE types.words: operator class
DROP TYPE types.words; CREATE TYPE types.words AS RANGE (SUBTYPE = text, COLLATION = "C", SUBTYPE_OPCLASS = text_pattern_ops); ALTER TYPE types.words OWNER TO catalog_owner;
-- RANGE TYPE types.words: owner
ALTER TYPE types.words OWNER TO catalog_lead;
-- RANGE TYPE types.floats: grants
REVOKE USAGE ON TYPE types.floats FROM catalog_reader;
-- RANGE TYPE types.floats: comment
COMMENT ON TYPE types.floats IS NULL;
-- COLLATION types.added_collation: unexpected
CREATE COLLATION types.added_collation FROM "C";
-- COLLATION types.mixed: missing
DROP COLLATION types.mixed;
-- COLLATION types.mixed: lc_collate
DROP COLLATION types.mixed; CREATE COLLATION types.mixed (PROVIDER = libc, LC_COLLATE = 'POSIX', LC_CTYPE = 'POSIX'); ALTER COLLATION types.mixed OWNER TO catalog_owner;
-- COLLATION types.mixed: lc_ctype
DROP COLLATION types.mixed; CREATE COLLATION types.mixed (PROVIDER = libc, LC_COLLATE = 'C', LC_CTYPE = 'C'); ALTER COLLATION types.mixed OWNER TO catalog_owner;
-- COLLATION types.mixed: owner
ALTER COLLATION types.mixed OWNER TO catalog_lead;
-- COLLATION types.plain: comment
COMMENT ON COLLATION types.plain IS NULL;
-- COLLATION types.builtin: locale (since 17)
DROP COLLATION types.builtin; CREATE COLLATION types.builtin (PROVIDER = builtin, LOCALE = 'C');

---- operators

-- OPERATOR ops.+# (integer, integer): unexpected
CREATE OPERATOR ops.+# (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl);
-- OPERATOR ops.!# (NONE, bigint): missing
DROP OPERATOR ops.!# (NONE, bigint);
-- OPERATOR ops.=== (integer, integer): restrict
ALTER OPERATOR ops.=== (integer, integer) SET (RESTRICT = NONE);
-- OPERATOR ops.=== (integer, integer): join
ALTER OPERATOR ops.=== (integer, integer) SET (JOIN = neqjoinsel);
-- OPERATOR ops.~~# (integer, integer): owner
ALTER OPERATOR ops.~~# (integer, integer) OWNER TO catalog_lead;
-- OPERATOR ops.~~# (integer, integer): commutator (since 17)
ALTER OPERATOR ops.~~# (integer, integer) SET (COMMUTATOR = OPERATOR(ops.~~#));
-- OPERATOR ops.!# (NONE, bigint): function
DROP OPERATOR ops.!# (NONE, bigint); CREATE OPERATOR ops.!# (RIGHTARG = bigint, FUNCTION = int8um); COMMENT ON OPERATOR ops.!# (NONE, bigint) IS 'prefix';
-- OPERATOR ops.=== (integer, integer): comment
COMMENT ON OPERATOR ops.=== (integer, integer) IS NULL;
-- OPERATOR FAMILY ops.added USING hash: unexpected
CREATE OPERATOR FAMILY ops.added USING hash;
-- OPERATOR FAMILY ops.empty_family USING gin: missing
DROP OPERATOR FAMILY ops.empty_family USING gin;
-- OPERATOR FAMILY ops.int_family USING btree: operators
ALTER OPERATOR FAMILY ops.int_family USING btree DROP OPERATOR 5 (integer, bigint);
-- OPERATOR FAMILY ops.int_family USING btree: functions
ALTER OPERATOR FAMILY ops.int_family USING btree DROP FUNCTION 1 (integer, bigint);
-- OPERATOR FAMILY ops.int_family USING btree: operators
ALTER OPERATOR FAMILY ops.int_family USING btree ADD OPERATOR 1 < (bigint, integer);
-- OPERATOR FAMILY ops.empty_family USING gin: owner
ALTER OPERATOR FAMILY ops.empty_family USING gin OWNER TO catalog_lead;
-- OPERATOR FAMILY ops.cell_family USING btree: comment
COMMENT ON OPERATOR FAMILY ops.cell_family USING btree IS NULL;
-- OPERATOR CLASS ops.cell_hash_ops USING hash: missing
DROP OPERATOR CLASS ops.cell_hash_ops USING hash;
-- OPERATOR CLASS ops.cell_hash_ops USING hash: owner
ALTER OPERATOR CLASS ops.cell_hash_ops USING hash OWNER TO catalog_lead;
-- OPERATOR CLASS ops.cell_ops USING btree: comment
COMMENT ON OPERATOR CLASS ops.cell_ops USING btree IS NULL;
-- OPERATOR CLASS ops.cell_hash_ops USING hash: default
DROP OPERATOR CLASS ops.cell_hash_ops USING hash; CREATE OPERATOR CLASS ops.cell_hash_ops DEFAULT FOR TYPE types.cell USING hash FAMILY ops.cell_hash_ops AS OPERATOR 1 ops.=, FUNCTION 1 ops.cell_hash(types.cell); ALTER OPERATOR CLASS ops.cell_hash_ops USING hash OWNER TO catalog_owner;
-- OPERATOR CLASS ops.cell_hash_ops USING hash: operators
DROP OPERATOR CLASS ops.cell_hash_ops USING hash; CREATE OPERATOR CLASS ops.cell_hash_ops FOR TYPE types.cell USING hash FAMILY ops.cell_hash_ops AS FUNCTION 1 ops.cell_hash(types.cell); ALTER OPERATOR CLASS ops.cell_hash_ops USING hash OWNER TO catalog_owner;
-- OPERATOR CLASS ops.cell_hash_ops USING hash: functions
DROP OPERATOR CLASS ops.cell_hash_ops USING hash; CREATE OPERATOR CLASS ops.cell_hash_ops FOR TYPE types.cell USING hash FAMILY ops.cell_hash_ops AS OPERATOR 1 ops.=; ALTER OPERATOR CLASS ops.cell_hash_ops USING hash OWNER TO catalog_owner;
-- CAST (types.hollow AS text): unexpected
CREATE CAST (types.hollow AS text) WITH INOUT;
-- CAST (types.mood AS text): missing
DROP CAST (types.mood AS text);
-- CAST (types.mood AS text): context
DROP CAST (types.mood AS text); CREATE CAST (types.mood AS text) WITH INOUT AS ASSIGNMENT;
-- CAST (integer AS types.cell): method
DROP CAST (integer AS types.cell); CREATE CAST (integer AS types.cell) WITH INOUT;
-- CAST (types.cell AS integer): comment
COMMENT ON CAST (types.cell AS integer) IS NULL;

---- search

-- TEXT SEARCH CONFIGURATION search.added: unexpected
CREATE TEXT SEARCH CONFIGURATION search.added (PARSER = search.words);
-- TEXT SEARCH CONFIGURATION search.copied: missing
DROP TEXT SEARCH CONFIGURATION search.copied;
-- TEXT SEARCH CONFIGURATION search.site: mappings
ALTER TEXT SEARCH CONFIGURATION search.site DROP MAPPING FOR int;
ALTER TEXT SEARCH CONFIGURATION search.site ADD MAPPING FOR url WITH simple;
ALTER TEXT SEARCH CONFIGURATION search.site ALTER MAPPING FOR word WITH search.english, search.own, simple;
ALTER TEXT SEARCH CONFIGURATION search.site ALTER MAPPING FOR float WITH search.own;
ALTER TEXT SEARCH CONFIGURATION search.site ALTER MAPPING REPLACE search.english WITH pg_catalog.english_stem;
-- TEXT SEARCH CONFIGURATION search.copied: owner
ALTER TEXT SEARCH CONFIGURATION search.copied OWNER TO catalog_lead;
-- TEXT SEARCH CONFIGURATION search.site: comment
COMMENT ON TEXT SEARCH CONFIGURATION search.site IS NULL;
-- TEXT SEARCH DICTIONARY search.added: unexpected
CREATE TEXT SEARCH DICTIONARY search.added (TEMPLATE = pg_catalog.simple);
-- TEXT SEARCH DICTIONARY search."Odd dict": missing
DROP TEXT SEARCH DICTIONARY search."Odd dict";
-- TEXT SEARCH DICTIONARY search.own: options
ALTER TEXT SEARCH DICTIONARY search.own (ACCEPT = true);
-- TEXT SEARCH DICTIONARY search.english: options
ALTER TEXT SEARCH DICTIONARY search.english (STOPWORDS);
-- TEXT SEARCH DICTIONARY search.english: owner
ALTER TEXT SEARCH DICTIONARY search.english OWNER TO catalog_lead;
-- TEXT SEARCH DICTIONARY search."Odd dict": template
DROP TEXT SEARCH DICTIONARY search."Odd dict"; CREATE TEXT SEARCH DICTIONARY search."Odd dict" (TEMPLATE = search.simple);
-- TEXT SEARCH DICTIONARY search.own: comment
COMMENT ON TEXT SEARCH DICTIONARY search.own IS NULL;
-- TEXT SEARCH PARSER search.bare: missing
DROP TEXT SEARCH PARSER search.bare;
-- TEXT SEARCH PARSER search.bare: headline
DROP TEXT SEARCH PARSER search.bare; CREATE TEXT SEARCH PARSER search.bare (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
-- TEXT SEARCH PARSER search.words: comment
COMMENT ON TEXT SEARCH PARSER search.words IS NULL;
-- TEXT SEARCH TEMPLATE search.without_init: missing
DROP TEXT SEARCH TEMPLATE search.without_init;
-- TEXT SEARCH TEMPLATE search.without_init: init
DROP TEXT SEARCH TEMPLATE search.without_init; CREATE TEXT SEARCH TEMPLATE search.without_init (INIT = dsimple_init, LEXIZE = dsimple_lexize);
-- TEXT SEARCH TEMPLATE search.simple: comment
COMMENT ON TEXT SEARCH TEMPLATE search.simple IS NULL;

---- foreign

-- FOREIGN DATA WRAPPER added: unexpected
CREATE FOREIGN DATA WRAPPER added;
-- FOREIGN DATA WRAPPER catalog_bare: options
ALTER FOREIGN DATA WRAPPER catalog_bare OPTIONS (SET debug 'false');
ALTER FOREIGN DATA WRAPPER catalog_bare OPTIONS (ADD more '');
-- FOREIGN DATA WRAPPER catalog_wrapper: validator
ALTER FOREIGN DATA WRAPPER catalog_wrapper NO VALIDATOR;
-- FOREIGN DATA WRAPPER catalog_wrapper: grants
REVOKE USAGE ON FOREIGN DATA WRAPPER catalog_wrapper FROM catalog_lead;
-- FOREIGN DATA WRAPPER catalog_wrapper: comment
COMMENT ON FOREIGN DATA WRAPPER catalog_wrapper IS NULL;
-- SERVER added: unexpected
CREATE SERVER added FOREIGN DATA WRAPPER catalog_bare;
-- SERVER catalog_server: version
ALTER SERVER catalog_server VERSION '9.2';
-- SERVER catalog_server: options
ALTER SERVER catalog_server OPTIONS (SET host 'other.example.org');
ALTER SERVER catalog_server OPTIONS (DROP dbname);
-- SERVER catalog_other: options
ALTER SERVER catalog_other OPTIONS (SET "Odd Option" 'its');
-- SERVER catalog_server: owner
ALTER SERVER catalog_server OWNER TO catalog_lead;
-- SERVER catalog_server: grants
REVOKE USAGE ON FOREIGN SERVER catalog_server FROM catalog_app;
-- SERVER catalog_server: comment
COMMENT ON SERVER catalog_server IS NULL;
-- USER MAPPING FOR catalog_reader SERVER catalog_server: unexpected
CREATE USER MAPPING FOR catalog_reader SERVER catalog_server;
-- USER MAPPING FOR PUBLIC SERVER catalog_server: missing
DROP USER MAPPING FOR PUBLIC SERVER catalog_server;
-- USER MAPPING FOR catalog_app SERVER catalog_server: options
ALTER USER MAPPING FOR catalog_app SERVER catalog_server OPTIONS (SET "user" 'other');
-- nothing
ALTER USER MAPPING FOR catalog_app SERVER catalog_server OPTIONS (SET password 'changed');
-- USER MAPPING FOR catalog_app SERVER catalog_server: options
ALTER USER MAPPING FOR catalog_app SERVER catalog_server OPTIONS (DROP password);
-- FOREIGN TABLE outside.added: unexpected
CREATE FOREIGN TABLE outside.added (a integer) SERVER catalog_other;
-- FOREIGN TABLE outside.bare: missing
DROP FOREIGN TABLE outside.bare;
-- FOREIGN TABLE outside.remote: options
ALTER FOREIGN TABLE outside.remote OPTIONS (SET table_name 'here');
ALTER FOREIGN TABLE outside.remote OPTIONS (DROP "Other");
-- COLUMN outside.remote.id: foreign options
ALTER FOREIGN TABLE outside.remote ALTER COLUMN id OPTIONS (SET column_name 'Id');
-- COLUMN outside.remote.name: foreign options
ALTER FOREIGN TABLE outside.remote ALTER COLUMN name OPTIONS (ADD column_name 'n');
-- COLUMN outside.remote.name: default
ALTER FOREIGN TABLE outside.remote ALTER COLUMN name DROP DEFAULT;
-- COLUMN outside.remote.id: not null
ALTER FOREIGN TABLE outside.remote ALTER COLUMN id DROP NOT NULL;
-- COLUMN outside.remote.name: type
ALTER FOREIGN TABLE outside.remote ALTER COLUMN name TYPE varchar COLLATE "C";
-- COLUMN outside.bare.b: unexpected
ALTER FOREIGN TABLE outside.bare ADD COLUMN b text;
-- FOREIGN TABLE outside.bare: server
DROP FOREIGN TABLE outside.bare; CREATE FOREIGN TABLE outside.bare (a types.status) SERVER catalog_other; ALTER FOREIGN TABLE outside.bare OWNER TO catalog_owner;
-- FOREIGN TABLE outside.bare: owner
ALTER FOREIGN TABLE outside.bare OWNER TO catalog_lead;
-- FOREIGN TABLE outside.remote: grants
GRANT INSERT ON outside.remote TO catalog_reader;
-- FOREIGN TABLE outside.remote: comment
COMMENT ON FOREIGN TABLE outside.remote IS NULL;
-- COLUMN outside.remote.name: comment
COMMENT ON COLUMN outside.remote.name IS NULL;
-- FOREIGN TABLE outside.parted_1: partition of | FOREIGN TABLE outside.parted_1: partition bound
ALTER TABLE outside.parted DETACH PARTITION outside.parted_1;

---- languages

-- LANGUAGE added: unexpected
CREATE LANGUAGE added HANDLER code.handle;
-- LANGUAGE catalog_untrusted: missing
DROP LANGUAGE catalog_untrusted;
-- LANGUAGE catalog_untrusted: trusted
CREATE OR REPLACE TRUSTED LANGUAGE catalog_untrusted HANDLER code.handle;
-- LANGUAGE catalog_untrusted: inline handler
CREATE OR REPLACE LANGUAGE catalog_untrusted HANDLER code.handle INLINE code.handle_inline;
-- LANGUAGE catalog_untrusted: validator
CREATE OR REPLACE LANGUAGE catalog_untrusted HANDLER code.handle VALIDATOR code.validate;
-- LANGUAGE catalog_untrusted: owner
ALTER LANGUAGE catalog_untrusted OWNER TO catalog_owner;
-- LANGUAGE catalog_language: grants
GRANT USAGE ON LANGUAGE catalog_language TO PUBLIC;
-- LANGUAGE catalog_language: comment
COMMENT ON LANGUAGE catalog_language IS NULL;
-- TRANSFORM FOR integer LANGUAGE sql: unexpected
CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
-- TRANSFORM FOR types.pair LANGUAGE sql: missing
DROP TRANSFORM FOR types.pair LANGUAGE sql;
-- TRANSFORM FOR bigint LANGUAGE catalog_language: from sql
CREATE OR REPLACE TRANSFORM FOR bigint LANGUAGE catalog_language (TO SQL WITH FUNCTION int8recv(internal));
-- TRANSFORM FOR bigint LANGUAGE catalog_language: to sql
CREATE OR REPLACE TRANSFORM FOR bigint LANGUAGE catalog_language (FROM SQL WITH FUNCTION prsd_lextype(internal));
-- TRANSFORM FOR bigint LANGUAGE catalog_language: comment
COMMENT ON TRANSFORM FOR bigint LANGUAGE catalog_language IS NULL;
-- CONVERSION code.added: unexpected
CREATE CONVERSION code.added FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
-- CONVERSION code.from_utf8: missing
DROP CONVERSION code.from_utf8;
-- CONVERSION code.to_utf8: default
DROP CONVERSION code.to_utf8; CREATE DEFAULT CONVERSION code.to_utf8 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; COMMENT ON CONVERSION code.to_utf8 IS 'converts';
-- CONVERSION code.from_utf8: owner
ALTER CONVERSION code.from_utf8 OWNER TO catalog_lead;
-- CONVERSION code.to_utf8: comment
COMMENT ON CONVERSION code.to_utf8 IS NULL;
-- ACCESS METHOD added: unexpected
CREATE ACCESS METHOD added TYPE TABLE HANDLER heap_tableam_handler;
-- ACCESS METHOD catalog_heap: comment
COMMENT ON ACCESS METHOD catalog_heap IS NULL;

---- publications

-- PUBLICATION added: unexpected
CREATE PUBLICATION added FOR TABLE shop.plain;
-- PUBLICATION catalog_all: missing
DROP PUBLICATION catalog_all;
-- PUBLICATION catalog_all: publish
ALTER PUBLICATION catalog_all SET (publish = 'insert');
-- PUBLICATION catalog_some: publish
ALTER PUBLICATION catalog_some SET (publish = 'insert, update, delete');
-- PUBLICATION catalog_some: publish via partition root
ALTER PUBLICATION catalog_some SET (publish_via_partition_root = false);
-- PUBLICATION "catalog Odd pub": tables
ALTER PUBLICATION "catalog Odd pub" ADD TABLE shop.plain;
-- PUBLICATION "catalog Odd pub": tables in schemas
ALTER PUBLICATION "catalog Odd pub" ADD TABLES IN SCHEMA shop;
-- PUBLICATION catalog_some: tables
ALTER PUBLICATION catalog_some DROP TABLE shop.orders;
ALTER PUBLICATION catalog_some SET TABLE shop.customers (id, name) WHERE (name IN ('x', 'y') AND id > 3), shop.orders, parts.events;
ALTER PUBLICATION catalog_some SET TABLE shop.customers (id, name, status) WHERE (name IN ('x', 'z') AND id > 3), shop.orders, parts.events;
ALTER PUBLICATION catalog_some SET TABLE shop.customers WHERE (name IN ('x', 'y') AND id > 3), shop.orders, parts.events;
ALTER PUBLICATION catalog_some SET TABLE shop.customers (id, name, status), shop.orders, parts.events;
-- PUBLICATION catalog_schemas: tables in schemas
ALTER PUBLICATION catalog_schemas DROP TABLES IN SCHEMA types;
-- PUBLICATION "catalog Odd pub": owner
ALTER PUBLICATION "catalog Odd pub" OWNER TO CURRENT_USER;
-- PUBLICATION catalog_some: comment
COMMENT ON PUBLICATION catalog_some IS NULL;
-- PUBLICATION catalog_generated: publish generated columns (since 18)
ALTER PUBLICATION catalog_generated SET (publish_generated_columns = none);
-- SUBSCRIPTION added: unexpected
CREATE SUBSCRIPTION added CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false);
-- SUBSCRIPTION catalog_plain: missing
DROP SUBSCRIPTION catalog_plain;
-- SUBSCRIPTION catalog_plain: slot name
ALTER SUBSCRIPTION catalog_plain SET (slot_name = 'slot');
-- SUBSCRIPTION catalog_plain: binary
ALTER SUBSCRIPTION catalog_plain SET (binary = true);
-- SUBSCRIPTION catalog_plain: synchronous commit
ALTER SUBSCRIPTION catalog_plain SET (synchronous_commit = 'remote_apply');
-- SUBSCRIPTION catalog_plain: disable on error
ALTER SUBSCRIPTION catalog_plain SET (disable_on_error = true);
-- SUBSCRIPTION catalog_plain: publications
ALTER SUBSCRIPTION catalog_plain SET PUBLICATION two WITH (refresh = false);
-- SUBSCRIPTION catalog_plain: streaming
ALTER SUBSCRIPTION catalog_plain SET (streaming = on);
-- SUBSCRIPTION catalog_plain: origin (since 16)
ALTER SUBSCRIPTION catalog_plain SET (origin = none);
-- SUBSCRIPTION catalog_plain: run as owner (since 16)
ALTER SUBSCRIPTION catalog_plain SET (run_as_owner = true);
-- SUBSCRIPTION catalog_plain: password required (since 16)
ALTER SUBSCRIPTION catalog_plain SET (password_required = false);
-- nothing
ALTER SUBSCRIPTION catalog_subscription SET PUBLICATION "Two x", one WITH (refresh = false);
-- SUBSCRIPTION catalog_subscription: comment
COMMENT ON SUBSCRIPTION catalog_subscription IS NULL;

---- default privileges

-- DEFAULT PRIVILEGES FOR catalog_owner IN outside ON TABLES: unexpected
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner IN SCHEMA outside GRANT SELECT ON TABLES TO PUBLIC;
-- DEFAULT PRIVILEGES FOR catalog_owner ON TABLES: missing
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner REVOKE SELECT ON TABLES FROM catalog_reader;
-- DEFAULT PRIVILEGES FOR catalog_owner ON TABLES: granted
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner GRANT INSERT ON TABLES TO catalog_reader;
-- DEFAULT PRIVILEGES FOR catalog_owner ON FUNCTIONS: missing
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
-- DEFAULT PRIVILEGES FOR catalog_owner ON FUNCTIONS: revoked
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner REVOKE EXECUTE ON FUNCTIONS FROM catalog_owner;
-- DEFAULT PRIVILEGES FOR catalog_owner ON SCHEMAS: granted
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner REVOKE GRANT OPTION FOR USAGE ON SCHEMAS FROM catalog_app;
-- DEFAULT PRIVILEGES FOR catalog_owner IN shop ON TABLES: granted
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner IN SCHEMA shop REVOKE INSERT ON TABLES FROM catalog_app;
-- DEFAULT PRIVILEGES FOR catalog_lead ON SEQUENCES: unexpected
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_lead GRANT SELECT ON SEQUENCES TO PUBLIC;

---- extensions

-- EXTENSION tablefunc: unexpected (with citext)
CREATE EXTENSION tablefunc SCHEMA code;
-- EXTENSION unaccent: missing (with citext)
DROP EXTENSION unaccent;
-- EXTENSION btree_gist: schema (with citext)
ALTER EXTENSION btree_gist SET SCHEMA spare;
-- EXTENSION citext: comment (with citext)
COMMENT ON EXTENSION citext IS 'x';
-- EXTENSION hstore: version (with citext)
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'hstore';
-- EXTENSION plpgsql: comment
COMMENT ON EXTENSION plpgsql IS 'x';
-- FUNCTION code.unused(): missing (with citext)
ALTER EXTENSION citext ADD FUNCTION code.unused();

---- what changes nothing

-- nothing
GRANT SELECT ON shop.no_columns TO CURRENT_USER;
GRANT EXECUTE ON FUNCTION code.unused() TO PUBLIC;
GRANT SELECT ON shop.plain TO catalog_app; REVOKE SELECT ON shop.plain FROM catalog_app;
GRANT SELECT (a) ON shop.plain TO catalog_app; REVOKE SELECT (a) ON shop.plain FROM catalog_app;
REVOKE ALL ON SCHEMA spare FROM CURRENT_USER; GRANT ALL ON SCHEMA spare TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_lead GRANT SELECT ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE catalog_lead REVOKE SELECT ON TABLES FROM PUBLIC;
ALTER TABLE shop.customers RESET (fillfactor); ALTER TABLE shop.customers SET (fillfactor = 80);
INSERT INTO shop.excluded VALUES ('x'); UPDATE shop.cache SET at = now();
REINDEX INDEX shop.orders_pkey;
ANALYZE shop.plain;
TRUNCATE shop.plain;
UPDATE pg_collation SET collversion = '0' WHERE collname = 'plain';
DROP VIEW shop.local_checked; CREATE VIEW shop.local_checked WITH (security_barrier = false, security_invoker = true) AS SELECT id, name FROM shop.customers WHERE id > 10 WITH LOCAL CHECK OPTION;
DROP POLICY adding ON shop.orders; CREATE POLICY adding ON shop.orders FOR INSERT TO catalog_lead WITH CHECK (amount < 100);
DROP TRIGGER emptied ON shop.orders; CREATE TRIGGER emptied BEFORE TRUNCATE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
CREATE OR REPLACE FUNCTION code.unused() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER TABLE shop.orders DROP CONSTRAINT orders_parent_fkey; ALTER TABLE shop.orders ADD CONSTRAINT orders_parent_fkey FOREIGN KEY (parent_id) REFERENCES shop.orders ON DELETE SET DEFAULT;
ALTER TABLE shop.orders DROP CONSTRAINT orders_kind_check; ALTER TABLE shop.orders ADD CONSTRAINT orders_kind_check CHECK ((kind)::text = ANY (ARRAY[('web'::character varying)::text, ('phone'::character varying)::text]));
DROP INDEX shop.orders_kind_idx; CREATE INDEX orders_kind_idx ON shop.orders (kind) WHERE ((kind)::text = ANY (ARRAY[('web'::character varying)::text, ('phone'::character varying)::text]));
DROP PUBLICATION catalog_schemas; CREATE PUBLICATION catalog_schemas FOR TABLES IN SCHEMA types, parts;
ALTER TABLE shop.plain ADD COLUMN more integer; ALTER TABLE shop.plain DROP COLUMN more;
ALTER TABLE shop.plain RENAME TO renamed; ALTER TABLE shop.renamed RENAME TO plain;
SET LOCAL search_path = shop, types, code; SET LOCAL DateStyle = 'German'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'Asia/Tokyo';

---- renames

-- TABLE shop.no_columns: renamed to TABLE shop.other
ALTER TABLE shop.no_columns RENAME TO other;
-- COLUMN shop.order_notes.c: renamed to COLUMN shop.order_notes.d
ALTER TABLE shop.order_notes RENAME COLUMN c TO d;
-- CONSTRAINT shop.orders.orders_amount_check: renamed to CONSTRAINT shop.orders.other
ALTER TABLE shop.orders RENAME CONSTRAINT orders_amount_check TO other;
-- INDEX shop.orders_hash: renamed to INDEX shop.other
ALTER INDEX shop.orders_hash RENAME TO other;
-- SEQUENCE shop.plain_seq: renamed to SEQUENCE shop.other
ALTER SEQUENCE shop.plain_seq RENAME TO other;
-- VIEW shop.local_checked: renamed to VIEW shop.other
ALTER VIEW shop.local_checked RENAME TO other;
-- MATERIALIZED VIEW shop.filled: renamed to MATERIALIZED VIEW shop.other
ALTER MATERIALIZED VIEW shop.filled RENAME TO other;
-- FUNCTION code.unused(): renamed to FUNCTION code.other()
ALTER FUNCTION code.unused() RENAME TO other;
-- ENUM types.nothing: renamed to ENUM types.other
ALTER TYPE types.nothing RENAME TO other;
-- TRIGGER shop.orders.emptied: renamed to TRIGGER shop.orders.other
ALTER TRIGGER emptied ON shop.orders RENAME TO other;
-- POLICY shop.orders.own: renamed to POLICY shop.orders.other
ALTER POLICY own ON shop.orders RENAME TO other;
-- RULE shop.plain.tell: renamed to RULE shop.plain.other
ALTER RULE tell ON shop.plain RENAME TO other;
-- SCHEMA spare: renamed to SCHEMA other
ALTER SCHEMA spare RENAME TO other;
-- PUBLICATION catalog_all: renamed to PUBLICATION other
ALTER PUBLICATION catalog_all RENAME TO other;
-- DOMAIN CONSTRAINT types.tags.tags_check: renamed to DOMAIN CONSTRAINT types.tags.other
ALTER DOMAIN types.tags RENAME CONSTRAINT tags_check TO other;
-- STATISTICS shop.orders_expr: renamed to STATISTICS shop.other
ALTER STATISTICS shop.orders_expr RENAME TO other;
