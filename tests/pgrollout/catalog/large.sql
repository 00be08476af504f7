-- part: schemas
CREATE SCHEMA shop;
CREATE SCHEMA types AUTHORIZATION catalog_owner;
CREATE SCHEMA parts;
CREATE SCHEMA code;
CREATE SCHEMA ops;
CREATE SCHEMA search;
CREATE SCHEMA outside;
CREATE SCHEMA "Odd Names.x";
CREATE SCHEMA "select";
CREATE SCHEMA spare;
COMMENT ON SCHEMA shop IS 'what customers buy';
COMMENT ON SCHEMA "Odd Names.x" IS E'a name that needs quotes; it''s "so"\nand a second line, ü €';
GRANT USAGE ON SCHEMA shop TO catalog_app, catalog_reader;
GRANT USAGE, CREATE ON SCHEMA types TO catalog_lead WITH GRANT OPTION;
GRANT USAGE ON SCHEMA code TO PUBLIC;
REVOKE CREATE ON SCHEMA parts FROM CURRENT_USER;
GRANT CREATE ON SCHEMA public TO catalog_app;

-- part: collations, needs: schemas
CREATE COLLATION types.plain (PROVIDER = libc, LOCALE = 'C');
CREATE COLLATION types.mixed (PROVIDER = libc, LC_COLLATE = 'C', LC_CTYPE = 'POSIX');
CREATE COLLATION "Odd Names.x"."From C" FROM "C";
COMMENT ON COLLATION types.plain IS 'byte by byte';
ALTER COLLATION types.mixed OWNER TO catalog_owner;

-- part: enums, needs: schemas
CREATE TYPE types.status AS ENUM ('new', 'paid', 'shipped');
ALTER TYPE types.status ADD VALUE 'packed' BEFORE 'shipped';
ALTER TYPE types.status ADD VALUE 'checked' AFTER 'new';
ALTER TYPE types.status ADD VALUE 'lost';
ALTER TYPE types.status RENAME VALUE 'lost' TO 'returned';
CREATE TYPE types.mood AS ENUM ('happy', 'it''s "complicated"', 'sad, very');
CREATE TYPE types.nothing AS ENUM ();
COMMENT ON TYPE types.status IS 'of an order';
ALTER TYPE types.mood OWNER TO catalog_owner;
GRANT USAGE ON TYPE types.status TO catalog_app;
REVOKE USAGE ON TYPE types.mood FROM PUBLIC;

-- part: composites, needs: schemas collations
CREATE TYPE types.pair AS (a integer, b text COLLATE "C", c numeric(10, 2)[]);
CREATE TYPE types.person AS (name text, born date, note varchar(40) COLLATE types.plain);
CREATE TYPE types.hollow AS ();
CREATE TYPE types.shrunk AS (a integer, b integer, c integer, f text COLLATE "C");
ALTER TYPE types.shrunk DROP ATTRIBUTE b;
ALTER TYPE types.shrunk ADD ATTRIBUTE d timestamptz(3);
CREATE TYPE types.nested AS (p types.pair, list types.person[]);
COMMENT ON TYPE types.pair IS 'two and a list';
COMMENT ON COLUMN types.pair.b IS 'the second';
ALTER TYPE types.person OWNER TO catalog_owner;

-- part: domains, needs: schemas collations
CREATE DOMAIN types.email AS varchar(200) COLLATE "C" NOT NULL DEFAULT 'nobody@example.org'
    CONSTRAINT email_has_at CHECK (VALUE LIKE '%@%') CONSTRAINT email_short CHECK (length(VALUE) < 190);
CREATE DOMAIN types.positive AS integer CONSTRAINT positive_check CHECK (VALUE > 0);
CREATE DOMAIN types.small_positive AS types.positive CHECK (VALUE < 100);
CREATE DOMAIN types.grade AS varchar(10) CONSTRAINT grade_known CHECK (VALUE IN ('good', 'fair', 'poor'));
CREATE DOMAIN types.tags AS text[] DEFAULT '{}'::text[] CHECK (array_length(VALUE, 1) < 10);
ALTER DOMAIN types.tags ADD CONSTRAINT tags_not_valid CHECK (VALUE <> '{bad}') NOT VALID;
CREATE DOMAIN types.plain_text AS text;
COMMENT ON DOMAIN types.email IS 'an address';
COMMENT ON CONSTRAINT email_has_at ON DOMAIN types.email IS 'roughly';
ALTER DOMAIN types.positive OWNER TO catalog_owner;
GRANT USAGE ON DOMAIN types.email TO catalog_app WITH GRANT OPTION;

-- part: ranges, needs: schemas collations
CREATE FUNCTION types.float8_distance(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE TYPE types.floats AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = types.float8_distance,
    MULTIRANGE_TYPE_NAME = types.many_floats);
CREATE TYPE types.words AS RANGE (SUBTYPE = text, COLLATION = "C");
CREATE TYPE types.times AS RANGE (SUBTYPE = time);
COMMENT ON TYPE types.floats IS 'from to';
ALTER TYPE types.words OWNER TO catalog_owner;
GRANT USAGE ON TYPE types.floats TO catalog_reader;

-- part: bases, needs: schemas
CREATE TYPE types.shell;
CREATE TYPE types.cell;
CREATE FUNCTION types.cell_in(cstring) RETURNS types.cell LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION types.cell_out(types.cell) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE types.cell (INPUT = types.cell_in, OUTPUT = types.cell_out, INTERNALLENGTH = 4, PASSEDBYVALUE,
    ALIGNMENT = int4, CATEGORY = 'X', PREFERRED = true, DEFAULT = '7', DELIMITER = ';');
CREATE TYPE types.blob;
CREATE FUNCTION types.blob_in(cstring) RETURNS types.blob LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION types.blob_out(types.blob) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE types.blob (INPUT = types.blob_in, OUTPUT = types.blob_out, STORAGE = extended, COLLATABLE = true);
COMMENT ON TYPE types.cell IS 'a number';
COMMENT ON TYPE types.shell IS 'nothing yet';

-- part: sequences, needs: schemas
CREATE SEQUENCE shop.plain_seq;
CREATE SEQUENCE shop.order_number AS integer INCREMENT BY 5 MINVALUE 10 MAXVALUE 1000000 START WITH 20 CACHE 7 CYCLE;
CREATE SEQUENCE shop.down AS smallint INCREMENT BY -1 MINVALUE -100 MAXVALUE -1;
CREATE UNLOGGED SEQUENCE shop.unlogged_seq;
CREATE SEQUENCE "Odd Names.x"."Seq ""x""" START 3;
COMMENT ON SEQUENCE shop.order_number IS 'printed on the invoice';
ALTER SEQUENCE shop.down OWNER TO catalog_owner;
GRANT USAGE ON SEQUENCE shop.order_number TO catalog_app;
GRANT SELECT, UPDATE ON SEQUENCE shop.plain_seq TO catalog_app WITH GRANT OPTION;
GRANT ALL ON SEQUENCE shop.plain_seq TO PUBLIC;

-- part: functions, needs: schemas enums composites domains
CREATE FUNCTION code.plain(a integer, b text) RETURNS text LANGUAGE sql AS $$SELECT b || a$$;
CREATE FUNCTION code.plain(a integer) RETURNS text LANGUAGE sql AS $$SELECT a::text$$;
CREATE FUNCTION code.plain() RETURNS text LANGUAGE sql AS $$SELECT 'none'$$;
CREATE FUNCTION code.fixed(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF COST 7
    AS 'SELECT $1 * 2';
CREATE FUNCTION code.steady(n numeric) RETURNS numeric LANGUAGE sql STABLE PARALLEL RESTRICTED AS 'SELECT $1 * 3';
CREATE FUNCTION code.many(n integer DEFAULT 3, VARIADIC rest text[] DEFAULT '{}') RETURNS SETOF text
    LANGUAGE sql ROWS 50 AS 'SELECT unnest($2)';
CREATE FUNCTION code.listed(n integer) RETURNS TABLE (a integer, b text) LANGUAGE sql AS 'SELECT n, n::text';
CREATE FUNCTION code.outs(IN a integer, OUT b integer, INOUT c text) LANGUAGE plpgsql AS $$BEGIN b := a; END$$;
CREATE FUNCTION code.any_of(a anyelement, b anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION code.compatible(a anycompatible, b anycompatible) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION code.secure(who types.email) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = code, pg_temp SET statement_timeout TO '5s' SET "my.setting" TO 'a, b'
    AS $$BEGIN RETURN who IS NOT NULL; END$$;
CREATE FUNCTION code.standard(a integer, b integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN a + b;
CREATE FUNCTION code.standard_body(a integer) RETURNS integer LANGUAGE sql
    BEGIN ATOMIC SELECT 1 WHERE a > 0; SELECT code.standard(a, 2); END;
CREATE FUNCTION code.windowed() RETURNS bigint LANGUAGE internal WINDOW IMMUTABLE STRICT AS 'window_row_number';
CREATE FUNCTION code.supported(a text, b text) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT
    SUPPORT textlike_support AS 'textlike';
CREATE FUNCTION code.takes_pair(types.pair, types.status[], p types.person) RETURNS types.pair LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION code."Odd Name, (x)"("Arg One" integer, "select" text) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION code.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION code.touch_again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION code.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE FUNCTION code.watch_again() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE PROCEDURE code.run(a integer, INOUT b text DEFAULT 'x') LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '4MB'
    AS $$BEGIN b := a::text; END$$;
CREATE PROCEDURE code.run() LANGUAGE sql AS '';
CREATE PROCEDURE code.returned(OUT a integer) LANGUAGE plpgsql AS $$BEGIN a := 1; END$$;
CREATE PROCEDURE code.run_standard() LANGUAGE sql BEGIN ATOMIC SELECT code.standard(1, 2); END;
CREATE FUNCTION code.unused() RETURNS integer LANGUAGE sql AS 'SELECT 1';
COMMENT ON FUNCTION code.plain(integer, text) IS 'two';
COMMENT ON FUNCTION code.plain(integer) IS 'one';
COMMENT ON PROCEDURE code.run(integer, text) IS 'runs';
ALTER FUNCTION code.fixed(numeric) OWNER TO catalog_owner;
ALTER PROCEDURE code.run() OWNER TO catalog_owner;
REVOKE EXECUTE ON FUNCTION code.secure(types.email) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION code.secure(types.email) TO catalog_app, catalog_lead;
GRANT EXECUTE ON PROCEDURE code.run(integer, text) TO catalog_lead WITH GRANT OPTION;
REVOKE ALL ON FUNCTION code.standard(integer, integer) FROM CURRENT_USER;

-- part: aggregates, needs: functions
CREATE FUNCTION code.add_it(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION code.add_again(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $2 + $1';
CREATE FUNCTION code.sub_it(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE FUNCTION code.end_it(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE AGGREGATE code.total(numeric) (SFUNC = code.add_it, STYPE = numeric, SSPACE = 64, INITCOND = '0',
    FINALFUNC = code.end_it, FINALFUNC_MODIFY = READ_ONLY, COMBINEFUNC = code.add_it,
    MSFUNC = code.add_it, MINVFUNC = code.sub_it, MSTYPE = numeric, MSSPACE = 32, MINITCOND = '0',
    MFINALFUNC = code.end_it, MFINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
CREATE FUNCTION code.add_two(bigint, integer, integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2 + $3';
CREATE AGGREGATE code.total(integer, integer) (SFUNC = code.add_two, STYPE = bigint);
CREATE AGGREGATE code.lowest(integer) (SFUNC = int4smaller, STYPE = integer, SORTOP = <);
CREATE AGGREGATE code.middle(float8 ORDER BY float8) (SFUNC = ordered_set_transition, STYPE = internal,
    FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE);
CREATE AGGREGATE code.rank_of(VARIADIC "any" ORDER BY VARIADIC "any") (SFUNC = ordered_set_transition_multi,
    STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE AGGREGATE code.gather(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, INITCOND = '{}');
CREATE AGGREGATE code.row_count(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0');
COMMENT ON AGGREGATE code.total(numeric) IS 'sum, with all options';
ALTER AGGREGATE code.lowest(integer) OWNER TO catalog_owner;
GRANT EXECUTE ON FUNCTION code.lowest(integer) TO catalog_app;

-- part: operators, needs: schemas bases
CREATE FUNCTION ops.same(integer, integer) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION ops.other(integer, integer) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4ne';
CREATE FUNCTION ops.cell_eq(types.cell, types.cell) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION ops.cell_lt(types.cell, types.cell) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
CREATE FUNCTION ops.cell_le(types.cell, types.cell) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4le';
CREATE FUNCTION ops.cell_gt(types.cell, types.cell) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4gt';
CREATE FUNCTION ops.cell_ge(types.cell, types.cell) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4ge';
CREATE FUNCTION ops.cell_cmp(types.cell, types.cell) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE FUNCTION ops.cell_hash(types.cell) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'hashint4';
CREATE OPERATOR ops.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = ops.same, COMMUTATOR = OPERATOR(ops.===),
    NEGATOR = OPERATOR(ops.!==), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR ops.!== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = ops.other, COMMUTATOR = OPERATOR(ops.!==),
    NEGATOR = OPERATOR(ops.===), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR ops.!# (RIGHTARG = bigint, FUNCTION = int8abs);
CREATE OPERATOR ops.~~# (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl);
CREATE OPERATOR ops.= (LEFTARG = types.cell, RIGHTARG = types.cell, FUNCTION = ops.cell_eq,
    COMMUTATOR = OPERATOR(ops.=), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR ops.< (LEFTARG = types.cell, RIGHTARG = types.cell, FUNCTION = ops.cell_lt,
    COMMUTATOR = OPERATOR(ops.>), NEGATOR = OPERATOR(ops.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR ops.<= (LEFTARG = types.cell, RIGHTARG = types.cell, FUNCTION = ops.cell_le,
    COMMUTATOR = OPERATOR(ops.>=), NEGATOR = OPERATOR(ops.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR ops.> (LEFTARG = types.cell, RIGHTARG = types.cell, FUNCTION = ops.cell_gt,
    COMMUTATOR = OPERATOR(ops.<), NEGATOR = OPERATOR(ops.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR ops.>= (LEFTARG = types.cell, RIGHTARG = types.cell, FUNCTION = ops.cell_ge,
    COMMUTATOR = OPERATOR(ops.<=), NEGATOR = OPERATOR(ops.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR ops.=== (integer, integer) IS 'really equal';
COMMENT ON OPERATOR ops.!# (NONE, bigint) IS 'prefix';
ALTER OPERATOR ops.~~# (integer, integer) OWNER TO catalog_owner;

-- part: operator classes, needs: operators
CREATE OPERATOR FAMILY ops.cell_family USING btree;
CREATE OPERATOR CLASS ops.cell_ops DEFAULT FOR TYPE types.cell USING btree FAMILY ops.cell_family AS
    OPERATOR 1 ops.<, OPERATOR 2 ops.<=, OPERATOR 3 ops.=, OPERATOR 4 ops.>=, OPERATOR 5 ops.>,
    FUNCTION 1 ops.cell_cmp(types.cell, types.cell), FUNCTION 4 btequalimage(oid);
CREATE OPERATOR CLASS ops.cell_hash_ops FOR TYPE types.cell USING hash AS
    OPERATOR 1 ops.=, FUNCTION 1 ops.cell_hash(types.cell);
CREATE OPERATOR FAMILY ops.int_family USING btree;
ALTER OPERATOR FAMILY ops.int_family USING btree ADD
    OPERATOR 1 < (integer, bigint), OPERATOR 2 <= (integer, bigint), OPERATOR 3 = (integer, bigint),
    OPERATOR 4 >= (integer, bigint), OPERATOR 5 > (integer, bigint), FUNCTION 1 (integer, bigint) btint48cmp(integer, bigint);
CREATE OPERATOR CLASS ops.gist_words FOR TYPE tsvector USING gist AS
    STORAGE gtsvector, OPERATOR 1 @@ (tsvector, tsquery),
    FUNCTION 1 gtsvector_consistent(internal, tsvector, smallint, oid, internal), FUNCTION 2 gtsvector_union(internal, internal),
    FUNCTION 3 gtsvector_compress(internal), FUNCTION 4 gtsvector_decompress(internal),
    FUNCTION 5 gtsvector_penalty(internal, internal, internal), FUNCTION 6 gtsvector_picksplit(internal, internal),
    FUNCTION 7 gtsvector_same(gtsvector, gtsvector, internal);
CREATE OPERATOR FAMILY ops.empty_family USING gin;
COMMENT ON OPERATOR CLASS ops.cell_ops USING btree IS 'sorts cells';
COMMENT ON OPERATOR FAMILY ops.cell_family USING btree IS 'of cells';
ALTER OPERATOR CLASS ops.cell_hash_ops USING hash OWNER TO catalog_owner;
ALTER OPERATOR FAMILY ops.empty_family USING gin OWNER TO catalog_owner;

-- part: casts, needs: bases composites enums
CREATE CAST (types.cell AS integer) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (integer AS types.cell) WITHOUT FUNCTION;
CREATE CAST (types.mood AS text) WITH INOUT AS IMPLICIT;
CREATE FUNCTION types.pair_to_text(types.pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1).b';
CREATE CAST (types.pair AS text) WITH FUNCTION types.pair_to_text(types.pair) AS ASSIGNMENT;
COMMENT ON CAST (types.cell AS integer) IS 'same bytes';

-- part: customers, needs: schemas enums domains composites collations sequences functions
CREATE TABLE shop.customers (
    id bigint GENERATED ALWAYS AS IDENTITY,
    gone integer,
    name text COLLATE "C" NOT NULL,
    email types.email,
    status varchar(20) DEFAULT 'new' NOT NULL,
    gone_too text DEFAULT 'x' CHECK (gone_too <> 'y'),
    born date,
    pair types.pair,
    balance numeric(12, 2) DEFAULT 0,
    full_name text GENERATED ALWAYS AS (name || ' (' || status || ')') STORED,
    tags text[] DEFAULT '{}'::text[],
    seen timestamp(3) with time zone DEFAULT now(),
    payload bytea,
    note text,
    secret text,
    CONSTRAINT customers_pkey PRIMARY KEY (id),
    CONSTRAINT customers_name_key UNIQUE (name, born),
    CONSTRAINT customers_status_check CHECK (status IN ('new', 'good', 'bad')),
    CONSTRAINT customers_balance_check CHECK (balance >= 0 OR status NOT IN ('new', 'bad'))
) WITH (fillfactor = 80, autovacuum_enabled = false, toast.autovacuum_vacuum_threshold = 1000, parallel_workers = 2);
ALTER TABLE shop.customers DROP COLUMN gone, DROP COLUMN gone_too;
ALTER TABLE shop.customers ALTER COLUMN name SET STATISTICS 500;
ALTER TABLE shop.customers ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE shop.customers ALTER COLUMN note SET STORAGE MAIN;
ALTER TABLE shop.customers ALTER COLUMN note SET COMPRESSION pglz;
ALTER TABLE shop.customers ALTER COLUMN born SET (n_distinct = 20000, n_distinct_inherited = -0.5);
ALTER TABLE shop.customers ADD CONSTRAINT customers_note_check CHECK (note <> '') NO INHERIT NOT VALID;
ALTER TABLE shop.customers ADD CONSTRAINT customers_email_key UNIQUE NULLS NOT DISTINCT (email) INCLUDE (name)
    WITH (fillfactor = 90);
COMMENT ON TABLE shop.customers IS 'who buys';
COMMENT ON COLUMN shop.customers.name IS 'as they write it';
COMMENT ON CONSTRAINT customers_status_check ON shop.customers IS 'the three of them';
COMMENT ON INDEX shop.customers_pkey IS 'of the key';
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.customers TO catalog_app;
GRANT SELECT (id, name), UPDATE (name) ON shop.customers TO catalog_reader;
GRANT SELECT (born) ON shop.customers TO catalog_reader WITH GRANT OPTION;
GRANT REFERENCES (id) ON shop.customers TO PUBLIC;
ALTER TABLE shop.customers REPLICA IDENTITY FULL;

-- part: order notes, needs: schemas
CREATE TABLE shop.order_notes (a text, b integer, c text, UNIQUE (a, b));

-- part: orders, needs: customers order-notes
CREATE TABLE shop.orders (
    id bigint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME shop.orders_numbers START 100 INCREMENT 10 MINVALUE 100
        MAXVALUE 100000 CACHE 5 CYCLE),
    number integer DEFAULT nextval('shop.order_number') NOT NULL,
    customer_id bigint NOT NULL,
    referrer_id bigint,
    parent_id bigint,
    kind varchar DEFAULT 'web',
    status types.status DEFAULT 'new',
    amount numeric NOT NULL CHECK (amount > 0),
    placed_at timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL,
    during tstzrange,
    room integer,
    note text,
    doc tsvector,
    serial_id serial,
    CONSTRAINT orders_pkey PRIMARY KEY (id),
    CONSTRAINT orders_number_key UNIQUE (number) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT orders_note_key UNIQUE (note) DEFERRABLE,
    CONSTRAINT orders_customer_fkey FOREIGN KEY (customer_id) REFERENCES shop.customers ON DELETE CASCADE
        ON UPDATE RESTRICT,
    CONSTRAINT orders_referrer_fkey FOREIGN KEY (referrer_id) REFERENCES shop.customers MATCH FULL ON DELETE SET NULL
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT orders_parent_fkey FOREIGN KEY (parent_id) REFERENCES shop.orders ON DELETE SET DEFAULT,
    CONSTRAINT orders_kind_check CHECK (kind IN ('web', 'phone')),
    CONSTRAINT orders_during_excl EXCLUDE USING gist (during WITH &&) WHERE (room > 0) DEFERRABLE,
    CONSTRAINT orders_status_check CHECK (status IN ('new', 'paid') OR amount = 1)
);
ALTER TABLE shop.orders ADD CONSTRAINT orders_note_fkey FOREIGN KEY (note, number) REFERENCES shop.order_notes (a, b)
    ON DELETE SET NULL (note) NOT VALID;
ALTER TABLE shop.orders CLUSTER ON orders_pkey;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE shop.orders IS 'what they buy';
COMMENT ON COLUMN shop.orders.note IS 'by the customer';
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON shop.orders TO catalog_lead WITH GRANT OPTION;
GRANT SELECT ON shop.orders TO catalog_reader;
GRANT USAGE ON SCHEMA shop TO catalog_lead;
SET ROLE catalog_lead;
GRANT SELECT, INSERT ON shop.orders TO catalog_app;
RESET ROLE;
ALTER SEQUENCE shop.unlogged_seq OWNED BY shop.orders.room;

-- part: other tables, needs: schemas enums composites ranges bases domains collations customers functions
CREATE UNLOGGED TABLE shop.cache (key text PRIMARY KEY, value jsonb NOT NULL, at timestamptz);
ALTER TABLE shop.cache REPLICA IDENTITY NOTHING;
CREATE TABLE shop.identified (a integer NOT NULL, b integer NOT NULL, c integer);
CREATE UNIQUE INDEX identified_key ON shop.identified (a, b);
ALTER TABLE shop.identified REPLICA IDENTITY USING INDEX identified_key;
CREATE TABLE shop.people OF types.person (name WITH OPTIONS PRIMARY KEY, born WITH OPTIONS DEFAULT '2000-01-01' NOT NULL);
CREATE TABLE shop.no_columns ();
CREATE TABLE shop.plain (a integer, b text);
CREATE TABLE shop.excluded (a text, CONSTRAINT excluded_a EXCLUDE (lower(a) WITH =));
CREATE TABLE shop.owned (a integer, b smallserial, c bigserial);
ALTER TABLE shop.owned OWNER TO catalog_owner;
REVOKE INSERT, TRUNCATE ON shop.owned FROM catalog_owner;
CREATE TABLE shop.all_types (
    c01 smallint, c02 integer[], c03 bigint, c04 real, c05 double precision, c06 numeric(5), c07 numeric(5, 2),
    c08 "char", c09 char(3), c10 varchar(7), c11 varchar, c12 name, c13 bit(4), c14 bit varying(9), c15 time(2),
    c16 time(1) with time zone, c17 timestamp(0), c18 interval day to second(3), c19 interval year, c20 uuid,
    c21 json, c22 jsonb, c23 inet, c24 cidr, c25 macaddr, c26 macaddr8, c27 money, c28 point, c29 polygon,
    c30 int4multirange, c31 tsquery, c32 regclass, c33 types.nested[], c34 types.floats, c35 pg_lsn, c36 xid8,
    c37 text[][], c38 types.small_positive DEFAULT 4, c39 numeric(3, -2), c40 types.cell DEFAULT '3'
);
COMMENT ON COLUMN shop.all_types.c01 IS 'the first';
CREATE TABLE shop.defaults (
    a integer DEFAULT 1 + 2, b text DEFAULT 'it''s' || E'\t\\', c date DEFAULT CURRENT_DATE, d jsonb DEFAULT '{"a": [1]}',
    e text DEFAULT CURRENT_USER, f boolean DEFAULT (1 IN (1, 2)), g varchar DEFAULT 'x'::varchar,
    h types.status DEFAULT 'paid'::types.status, i interval DEFAULT '1 day', j numeric DEFAULT 1.50, k integer DEFAULT -1,
    l types.mood DEFAULT NULL, m integer[] DEFAULT ARRAY[1, 2], n text DEFAULT code.plain(3), o timestamptz DEFAULT '2020-01-01 UTC',
    p integer GENERATED ALWAYS AS (CASE WHEN g IN ('x', 'y') THEN 1 ELSE 2 END) STORED
);

-- part: inheritance, needs: schemas functions
CREATE TABLE parts.base (id integer NOT NULL, at timestamptz DEFAULT now(), note text, CONSTRAINT base_id_check CHECK (id > 0),
    CONSTRAINT base_only CHECK (note <> 'x') NO INHERIT);
CREATE TABLE parts.named (name varchar(30), id integer);
CREATE TABLE parts.child (extra integer) INHERITS (parts.base);
CREATE TABLE parts.grandchild (name varchar(30), more text) INHERITS (parts.child, parts.named);
CREATE TABLE parts.merged (id integer DEFAULT 7, note text, CONSTRAINT base_id_check CHECK (id > 0)) INHERITS (parts.base);
CREATE TABLE parts.later (id integer NOT NULL, at timestamptz, note text, CONSTRAINT base_id_check CHECK (id > 0));
ALTER TABLE parts.later INHERIT parts.base;
ALTER TABLE parts.child ALTER COLUMN at SET DEFAULT '2000-01-01';
ALTER TABLE parts.child ALTER COLUMN note SET STATISTICS 10;

-- part: partitions, needs: schemas functions collations
CREATE TABLE parts.events (
    id bigint NOT NULL, at timestamptz NOT NULL, region text COLLATE "C" DEFAULT 'eu' NOT NULL, kind varchar(10), body text,
    CONSTRAINT events_pkey PRIMARY KEY (id, at, region),
    CONSTRAINT events_kind_check CHECK (kind IN ('a', 'b'))
) PARTITION BY RANGE (at);
CREATE INDEX events_region_idx ON parts.events (region, lower(body));
CREATE TABLE parts.events_2024 PARTITION OF parts.events FOR VALUES FROM ('2024-01-01 00:00Z') TO ('2025-01-01 00:00Z');
CREATE TABLE parts.events_2025 PARTITION OF parts.events FOR VALUES FROM ('2025-01-01 00:00Z') TO (MAXVALUE)
    PARTITION BY LIST (region);
CREATE TABLE parts.events_2025_eu PARTITION OF parts.events_2025 (region DEFAULT 'eu-west') FOR VALUES IN ('eu', 'eu-west');
CREATE TABLE parts.events_2025_rest PARTITION OF parts.events_2025 DEFAULT;
CREATE TABLE parts.events_old (body text, kind varchar(10), dropped integer, id bigint NOT NULL, at timestamptz NOT NULL,
    region text COLLATE "C" DEFAULT 'old' NOT NULL, CONSTRAINT events_kind_check CHECK (kind IN ('a', 'b')));
ALTER TABLE parts.events_old DROP COLUMN dropped;
ALTER TABLE parts.events ATTACH PARTITION parts.events_old FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00Z');
CREATE TABLE parts.events_default PARTITION OF parts.events DEFAULT WITH (fillfactor = 70);
ALTER TABLE parts.events_2024 ADD CONSTRAINT events_2024_body CHECK (body <> '');
CREATE INDEX events_2024_body_idx ON parts.events_2024 (body);
CREATE INDEX events_kind_idx ON ONLY parts.events (kind);
CREATE INDEX events_2024_kind ON parts.events_2024 (kind);
ALTER INDEX parts.events_kind_idx ATTACH PARTITION parts.events_2024_kind;
CREATE TABLE parts.hashed (id integer, name text) PARTITION BY HASH (id, name text_ops);
CREATE TABLE parts.hashed_0 PARTITION OF parts.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts.hashed_1 PARTITION OF parts.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parts.by_word (name text, kind varchar(10), n integer) PARTITION BY RANGE (lower(name) COLLATE "C" text_pattern_ops, n);
CREATE TABLE parts.by_word_a PARTITION OF parts.by_word FOR VALUES FROM ('a', MINVALUE) TO ('m', 5);
CREATE TABLE parts.by_case (kind varchar(10), n integer) PARTITION BY LIST ((CASE WHEN kind IN ('a', 'b') THEN 1 ELSE 2 END));
CREATE TABLE parts.by_case_1 PARTITION OF parts.by_case FOR VALUES IN (1, NULL);
CREATE TABLE parts.free (name text, kind varchar(10), n integer);
CREATE TABLE parts.referring (id bigint, event_id bigint, event_at timestamptz, event_region text COLLATE "C",
    CONSTRAINT referring_event_fkey FOREIGN KEY (event_id, event_at, event_region) REFERENCES parts.events) PARTITION BY LIST (id);
CREATE TABLE parts.referring_1 PARTITION OF parts.referring FOR VALUES IN (1);
CREATE TRIGGER touch BEFORE INSERT ON parts.events FOR EACH ROW EXECUTE FUNCTION code.touch();
ALTER TABLE parts.events_2024 DISABLE TRIGGER touch;
COMMENT ON TABLE parts.events_2024 IS 'of that year';
COMMENT ON INDEX parts.events_region_idx IS 'partitioned';
GRANT SELECT ON parts.events TO catalog_reader;
GRANT INSERT ON parts.events_2024 TO catalog_app;

-- part: indexes, needs: customers orders functions other-tables operator-classes
CREATE INDEX orders_customer_idx ON shop.orders (customer_id DESC NULLS LAST, placed_at) INCLUDE (amount, note)
    WHERE status <> 'returned';
CREATE INDEX orders_kind_idx ON shop.orders (kind) WHERE kind IN ('web', 'phone');
CREATE UNIQUE INDEX orders_number_kind ON shop.orders (number, kind) NULLS NOT DISTINCT;
CREATE INDEX orders_expression_idx ON shop.orders (lower(note) COLLATE "C" text_pattern_ops, (amount * 2) DESC, (CASE WHEN kind IN ('web') THEN 1 END))
    WITH (fillfactor = 60, deduplicate_items = off);
ALTER INDEX shop.orders_expression_idx ALTER COLUMN 2 SET STATISTICS 300;
CREATE INDEX orders_doc_idx ON shop.orders USING gist (doc tsvector_ops (siglen = 64)) WITH (buffering = off);
CREATE INDEX orders_doc_gin ON shop.orders USING gin (doc) WITH (fastupdate = off, gin_pending_list_limit = 128);
CREATE INDEX orders_brin ON shop.orders USING brin (placed_at timestamptz_minmax_multi_ops (values_per_range = 16))
    WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX orders_hash ON shop.orders USING hash (note);
CREATE INDEX customers_spgist ON shop.customers USING spgist (note);
CREATE INDEX customers_born_idx ON shop.customers (born NULLS FIRST);
CREATE INDEX "Odd index.name" ON shop.customers (note varchar_pattern_ops);
CREATE INDEX cells ON shop.all_types (c40);
CREATE UNIQUE INDEX customers_note_unique ON shop.customers (note);
COMMENT ON INDEX shop.orders_customer_idx IS 'for the customer''s page';
ALTER TABLE shop.identified CLUSTER ON identified_key;

-- part: statistics, needs: customers orders
CREATE STATISTICS shop.orders_stat (ndistinct, dependencies) ON customer_id, kind FROM shop.orders;
CREATE STATISTICS shop.orders_mcv (mcv) ON kind, status, lower(note) FROM shop.orders;
CREATE STATISTICS shop.orders_expr ON (CASE WHEN kind IN ('web', 'phone') THEN 1 ELSE 2 END) FROM shop.orders;
CREATE STATISTICS shop.customers_all ON name, born FROM shop.customers;
ALTER STATISTICS shop.orders_mcv SET STATISTICS 200;
COMMENT ON STATISTICS shop.orders_stat IS 'they belong together';
ALTER STATISTICS shop.customers_all OWNER TO catalog_owner;

-- part: views, needs: customers orders functions
CREATE VIEW shop.good AS SELECT id, name, status FROM shop.customers WHERE status IN ('good', 'new');
CREATE VIEW shop.good_checked WITH (security_barrier) AS SELECT id, name, status FROM shop.customers WHERE status = 'good'
    WITH CASCADED CHECK OPTION;
CREATE VIEW shop.local_checked WITH (security_invoker = true, security_barrier = false) AS SELECT id, name FROM shop.customers
    WHERE id > 10 WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW shop.tree (id, parent_id, depth) AS
    SELECT id, parent_id, 0 FROM shop.orders WHERE parent_id IS NULL
    UNION ALL SELECT o.id, o.parent_id, t.depth + 1 FROM shop.orders o JOIN tree t ON o.parent_id = t.id;
CREATE VIEW shop.summary AS SELECT c.name, count(*) AS orders, sum(o.amount) FILTER (WHERE o.kind IN ('web', 'phone')) AS web,
    row_number() OVER (PARTITION BY c.name ORDER BY count(*) DESC) FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id
    GROUP BY c.name, c.id HAVING count(*) > 0;
CREATE VIEW shop.on_good AS SELECT name AS "Name", g.* FROM shop.good g WHERE NOT status IN ('bad');
CREATE VIEW shop.with_default AS SELECT id, name, note FROM shop.customers;
ALTER VIEW shop.with_default ALTER COLUMN note SET DEFAULT 'none';
CREATE VIEW "Odd Names.x"."view ""x""" AS SELECT 1 AS "A b", 'x'::text AS "select";
COMMENT ON VIEW shop.good IS 'the good ones';
COMMENT ON COLUMN shop.good.name IS 'of a good one';
ALTER VIEW shop.good_checked OWNER TO catalog_owner;
GRANT SELECT ON shop.good TO catalog_reader;
GRANT SELECT (name) ON shop.summary TO PUBLIC;

-- part: materialized views, needs: views
CREATE MATERIALIZED VIEW shop.totals WITH (fillfactor = 75) AS SELECT kind, sum(amount) AS total FROM shop.orders
    WHERE kind IN ('web', 'phone') GROUP BY kind WITH NO DATA;
CREATE UNIQUE INDEX totals_kind ON shop.totals (kind);
CREATE MATERIALIZED VIEW shop.filled AS SELECT 1 AS a, 'x'::varchar(4) AS b;
ALTER MATERIALIZED VIEW shop.filled ALTER COLUMN a SET STATISTICS 77;
ALTER MATERIALIZED VIEW shop.filled ALTER COLUMN b SET STORAGE EXTERNAL;
ALTER MATERIALIZED VIEW shop.totals CLUSTER ON totals_kind;
COMMENT ON MATERIALIZED VIEW shop.totals IS 'per kind';
COMMENT ON COLUMN shop.totals.total IS 'in euro';
ALTER MATERIALIZED VIEW shop.filled OWNER TO catalog_owner;
GRANT SELECT ON shop.totals TO catalog_reader;

-- part: rules, needs: views other-tables
CREATE RULE good_insert AS ON INSERT TO shop.good DO INSTEAD INSERT INTO shop.plain (a, b) VALUES (NEW.id, NEW.name);
CREATE RULE no_delete AS ON DELETE TO shop.good WHERE OLD.status IN ('good', 'new') DO INSTEAD NOTHING;
CREATE RULE also AS ON UPDATE TO shop.plain WHERE NEW.b IN ('x', 'y') DO ALSO (DELETE FROM shop.cache WHERE key = NEW.b; UPDATE shop.cache SET at = now() WHERE key = OLD.b);
CREATE RULE tell AS ON DELETE TO shop.plain DO ALSO NOTIFY changed;
CREATE RULE "Odd rule" AS ON INSERT TO shop.plain DO ALSO NOTHING;
ALTER TABLE shop.plain DISABLE RULE also;
ALTER TABLE shop.plain ENABLE ALWAYS RULE "Odd rule";
COMMENT ON RULE also ON shop.plain IS 'tells others';

-- part: triggers, needs: orders customers views functions
CREATE TRIGGER touch BEFORE INSERT OR UPDATE OF amount, note ON shop.orders FOR EACH ROW
    WHEN (NEW.amount > 10 AND NEW.kind IN ('web', 'phone')) EXECUTE FUNCTION code.touch('a', 'it''s');
CREATE TRIGGER after_all AFTER INSERT ON shop.orders REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
CREATE TRIGGER after_update AFTER UPDATE ON shop.orders REFERENCING OLD TABLE AS before NEW TABLE AS "After"
    FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE TRIGGER emptied BEFORE TRUNCATE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION code.touch();
CREATE TRIGGER removed AFTER DELETE OR UPDATE ON shop.orders FOR EACH ROW WHEN (OLD.note IS NOT NULL) EXECUTE FUNCTION code.touch();
CREATE TRIGGER through INSTEAD OF INSERT OR UPDATE OR DELETE ON shop.summary FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE CONSTRAINT TRIGGER checked AFTER INSERT OR UPDATE ON shop.orders FROM shop.customers DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE CONSTRAINT TRIGGER checked_now AFTER DELETE ON shop.customers FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE TRIGGER off AFTER INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE TRIGGER on_replica AFTER INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE TRIGGER on_both AFTER INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION code.touch();
CREATE TRIGGER "Odd trigger.x" AFTER INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION code.touch();
ALTER TABLE shop.customers DISABLE TRIGGER off;
ALTER TABLE shop.customers ENABLE REPLICA TRIGGER on_replica;
ALTER TABLE shop.customers ENABLE ALWAYS TRIGGER on_both;
COMMENT ON TRIGGER touch ON shop.orders IS 'touches';

-- part: policies, needs: orders customers other-tables
CREATE POLICY own ON shop.orders FOR SELECT TO catalog_app, catalog_reader USING (customer_id = 1);
CREATE POLICY partly ON shop.orders AS RESTRICTIVE FOR ALL TO PUBLIC USING (kind IN ('web', 'phone')) WITH CHECK (kind IN ('web'));
CREATE POLICY adding ON shop.orders FOR INSERT TO catalog_lead WITH CHECK (amount < 100);
CREATE POLICY changing ON shop.orders FOR UPDATE USING (amount < 100) WITH CHECK (note IS NOT NULL);
CREATE POLICY removing ON shop.orders FOR DELETE TO CURRENT_USER USING (EXISTS (SELECT FROM shop.customers c WHERE c.id = customer_id));
CREATE POLICY "Odd policy" ON shop.plain TO "catalog Odd.Röle" USING (true);
ALTER TABLE shop.cache ENABLE ROW LEVEL SECURITY;
COMMENT ON POLICY own ON shop.orders IS 'theirs only';

-- part: odd names, needs: schemas
CREATE TABLE "Odd Names.x"."Table.with ""quotes""" ("Id" integer PRIMARY KEY, "select" text, "a.b" integer DEFAULT 1, "ü€" varchar(3) CHECK ("ü€" IN ('ä', 'ö''x')),
    " " integer, "x""y" integer, CONSTRAINT "a.b c" UNIQUE ("a.b"), CONSTRAINT "Check Me" CHECK ("Id" > 0));
CREATE TABLE "select"."table" ("order" integer PRIMARY KEY, "user" text, "from" integer, "primary" integer REFERENCES "select"."table" ("order"));
CREATE INDEX "index" ON "select"."table" ("user", "from");
CREATE VIEW "select"."view" AS SELECT "order", "user" FROM "select"."table";
CREATE FUNCTION "select"."function"("in" integer, "out" "select"."table") RETURNS "select"."table" LANGUAGE sql AS 'SELECT $2';
CREATE TYPE "select"."type" AS ("case" integer, "end" text);
CREATE DOMAIN "select"."domain" AS integer CONSTRAINT "check" CHECK (VALUE > 0);
CREATE TYPE "Odd Names.x"."Enum E" AS ENUM ('A.b', '"q"', '');
CREATE TABLE "Odd Names.x".a_name_that_is_as_long_as_a_name_can_be_in_postgresql_63_bytes (a_column_that_is_as_long_as_a_name_can_be_in_postgresql_63_byte integer,
    UNIQUE (a_column_that_is_as_long_as_a_name_can_be_in_postgresql_63_byte));
COMMENT ON COLUMN "Odd Names.x"."Table.with ""quotes"""."x""y" IS 'a quote';
COMMENT ON COLUMN "Odd Names.x"."Table.with ""quotes"""."a.b" IS 'a dot';
GRANT SELECT ("select", "a.b") ON "Odd Names.x"."Table.with ""quotes""" TO "catalog Odd.Röle";
CREATE TABLE public.in_public (id serial PRIMARY KEY, t text);

-- part: text search, needs: schemas
CREATE TEXT SEARCH PARSER search.words (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH PARSER search.bare (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE search.simple (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH TEMPLATE search.without_init (LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY search.english (TEMPLATE = snowball, LANGUAGE = english, STOPWORDS = english);
CREATE TEXT SEARCH DICTIONARY search.own (TEMPLATE = search.simple, ACCEPT = false);
CREATE TEXT SEARCH DICTIONARY search."Odd dict" (TEMPLATE = pg_catalog.simple);
CREATE TEXT SEARCH CONFIGURATION search.site (PARSER = search.words);
ALTER TEXT SEARCH CONFIGURATION search.site ADD MAPPING FOR asciiword, word, hword WITH search.own, search.english, simple;
ALTER TEXT SEARCH CONFIGURATION search.site ADD MAPPING FOR int, float WITH simple;
CREATE TEXT SEARCH CONFIGURATION search.copied (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION search.copied DROP MAPPING FOR email, url;
COMMENT ON TEXT SEARCH CONFIGURATION search.site IS 'of the site';
COMMENT ON TEXT SEARCH DICTIONARY search.own IS 'ours';
COMMENT ON TEXT SEARCH PARSER search.words IS 'parses';
COMMENT ON TEXT SEARCH TEMPLATE search.simple IS 'a template';
ALTER TEXT SEARCH CONFIGURATION search.copied OWNER TO catalog_owner;
ALTER TEXT SEARCH DICTIONARY search.english OWNER TO catalog_owner;

-- part: text search used, needs: text-search customers
CREATE INDEX customers_search_idx ON shop.customers USING gin (to_tsvector('search.site', name));

-- part: foreign data, needs: schemas functions enums
CREATE FOREIGN DATA WRAPPER catalog_wrapper VALIDATOR postgresql_fdw_validator;
CREATE FOREIGN DATA WRAPPER catalog_bare OPTIONS (debug 'true', "Odd Option" 'it''s');
CREATE SERVER catalog_server TYPE 'elsewhere' VERSION '9.1' FOREIGN DATA WRAPPER catalog_wrapper OPTIONS (host 'db.example.org', dbname 'x');
CREATE SERVER catalog_other FOREIGN DATA WRAPPER catalog_bare OPTIONS ("any" 'thing', "Odd Option" 'it''s');
CREATE USER MAPPING FOR catalog_app SERVER catalog_server OPTIONS ("user" 'app', password 'hidden');
CREATE USER MAPPING FOR PUBLIC SERVER catalog_server OPTIONS ("user" 'anybody');
CREATE USER MAPPING FOR "catalog Odd.Röle" SERVER catalog_other;
CREATE FOREIGN TABLE outside.remote (id integer OPTIONS (column_name 'ID') NOT NULL, name text COLLATE "C" DEFAULT 'x', kind varchar CHECK (kind IN ('a', 'b')),
    twice integer GENERATED ALWAYS AS (id * 2) STORED) SERVER catalog_other OPTIONS (table_name 'there', "Other" 'x');
CREATE FOREIGN TABLE outside.bare (a types.status) SERVER catalog_server;
CREATE TABLE outside.parted (a integer, b text) PARTITION BY LIST (a);
CREATE FOREIGN TABLE outside.parted_1 PARTITION OF outside.parted FOR VALUES IN (1) SERVER catalog_other;
COMMENT ON FOREIGN DATA WRAPPER catalog_wrapper IS 'wraps';
COMMENT ON SERVER catalog_server IS 'serves';
COMMENT ON FOREIGN TABLE outside.remote IS 'over there';
COMMENT ON COLUMN outside.remote.name IS 'its name';
CREATE TRIGGER touch BEFORE INSERT ON outside.remote FOR EACH ROW EXECUTE FUNCTION code.touch();
GRANT USAGE ON FOREIGN DATA WRAPPER catalog_wrapper TO catalog_lead WITH GRANT OPTION;
GRANT USAGE ON FOREIGN SERVER catalog_server TO catalog_app;
GRANT SELECT ON outside.remote TO catalog_reader;
ALTER FOREIGN TABLE outside.bare OWNER TO catalog_owner;

-- part: languages, needs: schemas composites
-- Handlers of pg_catalog would make pg_dump take the language for an extension's.
CREATE FUNCTION code.handle() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION code.handle_inline(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION code.validate(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE catalog_language HANDLER code.handle INLINE code.handle_inline VALIDATOR code.validate;
CREATE LANGUAGE catalog_untrusted HANDLER code.handle;
COMMENT ON LANGUAGE catalog_language IS 'spoken';
GRANT USAGE ON LANGUAGE catalog_language TO catalog_app;
REVOKE USAGE ON LANGUAGE catalog_language FROM PUBLIC;
CREATE FUNCTION code.spoken() RETURNS integer LANGUAGE catalog_language AS 'BEGIN RETURN 1; END';
CREATE TRANSFORM FOR types.pair LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
CREATE TRANSFORM FOR bigint LANGUAGE catalog_language (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int8recv(internal));
CREATE FUNCTION code.transformed(bigint) RETURNS bigint TRANSFORM FOR TYPE bigint LANGUAGE catalog_language AS 'BEGIN RETURN $1; END';
COMMENT ON TRANSFORM FOR bigint LANGUAGE catalog_language IS 'to and fro';

-- part: conversions, needs: schemas
CREATE CONVERSION code.to_utf8 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION code.from_utf8 FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
COMMENT ON CONVERSION code.to_utf8 IS 'converts';
ALTER CONVERSION code.from_utf8 OWNER TO catalog_owner;

-- part: access methods, needs: schemas operator-classes
CREATE ACCESS METHOD catalog_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD catalog_gist TYPE INDEX HANDLER gisthandler;
CREATE TABLE shop.other_heap (a integer, doc tsvector) USING catalog_heap;
CREATE MATERIALIZED VIEW shop.other_heap_view USING catalog_heap AS SELECT 1 AS a;
CREATE OPERATOR CLASS ops.other_words DEFAULT FOR TYPE tsvector USING catalog_gist AS
    STORAGE gtsvector, OPERATOR 1 @@ (tsvector, tsquery),
    FUNCTION 1 gtsvector_consistent(internal, tsvector, smallint, oid, internal), FUNCTION 2 gtsvector_union(internal, internal),
    FUNCTION 3 gtsvector_compress(internal), FUNCTION 4 gtsvector_decompress(internal),
    FUNCTION 5 gtsvector_penalty(internal, internal, internal), FUNCTION 6 gtsvector_picksplit(internal, internal),
    FUNCTION 7 gtsvector_same(gtsvector, gtsvector, internal);
CREATE INDEX other_heap_idx ON shop.other_heap USING catalog_gist (doc);
COMMENT ON ACCESS METHOD catalog_heap IS 'as heap';

-- part: event triggers, needs: functions
CREATE EVENT TRIGGER catalog_watch ON ddl_command_end WHEN TAG IN ('CREATE CAST', 'DROP CAST') EXECUTE FUNCTION code.watch();
CREATE EVENT TRIGGER catalog_drops ON sql_drop WHEN TAG IN ('DROP LANGUAGE') EXECUTE FUNCTION code.watch();
CREATE EVENT TRIGGER catalog_off ON ddl_command_start EXECUTE FUNCTION code.watch();
CREATE EVENT TRIGGER catalog_rewrites ON table_rewrite EXECUTE FUNCTION code.watch();
ALTER EVENT TRIGGER catalog_off DISABLE;
ALTER EVENT TRIGGER catalog_rewrites ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER catalog_watch IS 'watches';

-- part: publications, needs: customers orders other-tables partitions indexes
CREATE PUBLICATION catalog_all FOR ALL TABLES WITH (publish = 'insert, truncate');
CREATE PUBLICATION catalog_schemas FOR TABLES IN SCHEMA parts, types;
CREATE PUBLICATION catalog_some FOR TABLE shop.customers (id, name, status) WHERE (name IN ('x', 'y') AND id > 3), shop.orders, TABLE parts.events
    WITH (publish = 'insert, update', publish_via_partition_root = true);
CREATE PUBLICATION catalog_mixed FOR TABLES IN SCHEMA code, TABLE shop.plain WHERE (a > 5);
CREATE PUBLICATION "catalog Odd pub";
COMMENT ON PUBLICATION catalog_some IS 'published';
ALTER PUBLICATION "catalog Odd pub" OWNER TO catalog_owner;

-- part: subscriptions, needs: schemas
CREATE SUBSCRIPTION catalog_subscription CONNECTION 'host=db.example.org user=replica password=hidden dbname=x' PUBLICATION one, "Two x"
    WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false, binary = true, synchronous_commit = 'local');
CREATE SUBSCRIPTION catalog_plain CONNECTION 'host=db.example.org' PUBLICATION one
    WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false);
COMMENT ON SUBSCRIPTION catalog_subscription IS 'subscribed';

-- part: default privileges, needs: schemas enums composites domains ranges functions sequences other-tables views materialized-views foreign-data
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner GRANT SELECT ON TABLES TO catalog_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner GRANT USAGE ON SCHEMAS TO catalog_app WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_owner IN SCHEMA shop GRANT ALL ON TABLES TO catalog_app;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_lead IN SCHEMA shop GRANT USAGE ON SEQUENCES TO catalog_app, catalog_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_lead IN SCHEMA code GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_lead IN SCHEMA "Odd Names.x" GRANT USAGE ON TYPES TO "catalog Odd.Röle" WITH GRANT OPTION;

-- part: contrib, needs: schemas customers, extension: citext
CREATE EXTENSION citext WITH SCHEMA code;
CREATE EXTENSION hstore WITH SCHEMA public;
CREATE EXTENSION pg_trgm WITH SCHEMA code;
CREATE EXTENSION btree_gist;
CREATE TABLE shop.contrib (a code.citext PRIMARY KEY, b public.hstore DEFAULT ''::public.hstore, c int4range, d integer,
    EXCLUDE USING gist (d WITH =, c WITH &&));
CREATE INDEX contrib_trgm ON shop.contrib USING gin ((a::text) code.gin_trgm_ops);
CREATE FUNCTION code.uses_citext(code.citext) RETURNS code.citext LANGUAGE sql AS 'SELECT $1';
CREATE VIEW shop.uses_contrib AS SELECT a, b OPERATOR(public.->) 'x' AS x FROM shop.contrib WHERE a OPERATOR(code.=) 'b'::code.citext;
COMMENT ON EXTENSION citext IS 'ours';
CREATE SCHEMA own_of_extension;
CREATE EXTENSION unaccent WITH SCHEMA own_of_extension;

-- part: vectors, needs: schemas, extension: vector
CREATE EXTENSION vector WITH SCHEMA code;
CREATE TABLE shop.embeddings (id integer PRIMARY KEY, at code.vector(3));

-- part: since 16, needs: schemas, since: 16
CREATE TABLE shop.since_16 (a text STORAGE EXTERNAL, b text STORAGE MAIN COMPRESSION pglz);
CREATE SUBSCRIPTION catalog_since_16 CONNECTION 'host=db.example.org' PUBLICATION one
    WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false, origin = none, run_as_owner = true, streaming = parallel);

-- part: since 17, needs: orders functions, since: 17
GRANT MAINTAIN ON shop.orders TO catalog_lead WITH GRANT OPTION;
CREATE COLLATION types.builtin (PROVIDER = builtin, LOCALE = 'C.UTF-8');
CREATE TABLE parts.identity_17 (id integer GENERATED ALWAYS AS IDENTITY, a integer) PARTITION BY LIST (a);
CREATE TABLE parts.identity_17_1 PARTITION OF parts.identity_17 FOR VALUES IN (1);
CREATE TABLE parts.excluded_17 (a integer, b int4range, EXCLUDE USING gist (b WITH =)) ;
CREATE EVENT TRIGGER catalog_login ON login EXECUTE FUNCTION code.watch();
ALTER EVENT TRIGGER catalog_login DISABLE;

-- part: since 18, needs: customers functions orders, since: 18
CREATE TABLE shop.since_18 (
    id integer CONSTRAINT since_18_id_there NOT NULL,
    a integer,
    twice integer GENERATED ALWAYS AS (a * 2) VIRTUAL,
    thrice integer GENERATED ALWAYS AS (a * 3) STORED,
    key uuid DEFAULT uuidv7(),
    kind varchar(5) CONSTRAINT since_18_kind CHECK (kind IN ('a', 'b')) NOT ENFORCED,
    customer_id bigint CONSTRAINT since_18_customer REFERENCES shop.customers NOT ENFORCED,
    CONSTRAINT since_18_a_own NOT NULL a NO INHERIT,
    CONSTRAINT since_18_pkey PRIMARY KEY (id)
);
ALTER TABLE shop.since_18 ADD CONSTRAINT since_18_kind_there NOT NULL kind NOT VALID;
COMMENT ON CONSTRAINT since_18_id_there ON shop.since_18 IS 'named';
CREATE TABLE shop.virtual_18 (a integer, twice integer GENERATED ALWAYS AS (a * 2) VIRTUAL);
CREATE TABLE shop.temporal (id int4range, valid daterange, until daterange, CONSTRAINT temporal_pkey PRIMARY KEY (id, valid WITHOUT OVERLAPS),
    CONSTRAINT temporal_note UNIQUE (id, until WITHOUT OVERLAPS));
CREATE TABLE shop.temporal_child (id int4range, valid daterange, CONSTRAINT temporal_child_fkey FOREIGN KEY (id, PERIOD valid)
    REFERENCES shop.temporal (id, PERIOD valid));
CREATE PUBLICATION catalog_generated FOR TABLE shop.since_18 WITH (publish_generated_columns = stored);
CREATE TABLE parts.fk_18 (a integer) PARTITION BY LIST (a);
ALTER TABLE parts.fk_18 ADD CONSTRAINT fk_18_fkey FOREIGN KEY (a) REFERENCES shop.since_18 NOT VALID;
CREATE TABLE parts.nn_18 (a integer CONSTRAINT nn_18_given NOT NULL, b integer NOT NULL);
CREATE TABLE parts.nn_18_child (CONSTRAINT nn_18_child_own NOT NULL b) INHERITS (parts.nn_18);
