"""What counts as a difference between two schemas, and what does not, on real servers."""

import pytest

from pgrollout.catalog.difference import Difference, difference
from pgrollout.catalog.difference_text import VERIFY, as_json, as_markdown, as_text, line
from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import Scope
from pgrollout.errors import ConfigurationError
from pgrollout.postgres.catalog import read_catalog
from tests.servers import Database, Server, fresh_database

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE feeds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title varchar CHECK (title IN ('a', 'b')), mood mood);
CREATE INDEX feeds_title_idx ON feeds (title);
COMMENT ON TABLE feeds IS 'what is read';
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2 $$;
CREATE VIEW happy AS SELECT * FROM feeds WHERE mood = 'happy' AND title IN ('a', 'b');
CREATE TABLE events (day date NOT NULL) PARTITION BY RANGE (day);
CREATE INDEX events_day_idx ON events (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE SCHEMA app;
CREATE TABLE app.users (id serial PRIMARY KEY);
"""


_made: dict[tuple[int, str, Scope], Catalog] = {}
"""What a text makes on a server is the same whenever it is made."""


def catalog(server: Server, text: str, scope: Scope | None = None) -> Catalog:
    """Return the catalog of a new database with that SQL."""
    key = (server.version, text, scope or Scope())
    if key not in _made:
        with fresh_database(server) as database:
            database.execute(text)
            with database.connect() as connection:
                _made[key] = read_catalog(connection, scope or Scope())
    return _made[key]


def compared(server: Server, before: str, after: str, scope: Scope | None = None) -> Difference:
    """Compare what two texts make."""
    return difference(catalog(server, before, scope), catalog(server, after, scope))


def said(found: Difference) -> list[str]:
    """The sentences of all differences."""
    return [line(one, VERIFY) for one in found.objects]


def changed_by(database: Database, change: str, setup: str = SCHEMA) -> list[str]:
    """Return what a change is said to have done, in one database."""
    database.execute(setup)
    with database.connect() as connection:
        before = read_catalog(connection, Scope())
        connection.execute(change.encode())
        after = read_catalog(connection, Scope())
    assert fingerprint(before) != fingerprint(after)
    return said(difference(before, after))


def test_same_sql_makes_the_same_schema(any_server: Server) -> None:
    """On each version, the same statements make no difference and one fingerprint."""
    one, other = catalog(any_server, SCHEMA), catalog(any_server, f"{SCHEMA};")
    found = difference(one, other)

    assert not found
    assert found.compared > 20
    assert fingerprint(one) == fingerprint(other)


def test_empty_databases_are_the_same(any_server: Server) -> None:
    """Where nothing is, nothing differs; against something, all is missing, each thing said once."""
    assert not compared(any_server, "SELECT 1", "SELECT 1")
    assert said(compared(any_server, "CREATE TABLE t (id int PRIMARY KEY)", "SELECT 1")) == [
        "TABLE public.t: missing; the directory makes it"
    ]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("DROP INDEX feeds_title_idx", ["INDEX public.feeds_title_idx: missing; the directory makes it"]),
        ("CREATE TABLE extra (id int PRIMARY KEY)", ["TABLE public.extra: not made by the directory"]),
        ("ALTER TABLE events ADD x int", ["COLUMN public.events.x: not made by the directory"]),
        ("CREATE EXTENSION citext", ["EXTENSION citext: not made by the directory"]),
        ("CREATE SCHEMA mine CREATE TABLE t (id int)", ["SCHEMA mine: not made by the directory"]),
        (
            "ALTER TYPE mood ADD VALUE 'grim'",
            ["ENUM public.mood: not as the directory makes it (values: sad, happy → sad, happy, grim)"],
        ),
        (
            "GRANT SELECT ON feeds TO PUBLIC",
            ["TABLE public.feeds: not as the directory makes it (grants: + PUBLIC: SELECT)"],
        ),
        (
            "ALTER TABLE feeds OWNER TO pg_monitor",
            ["TABLE public.feeds: not as the directory makes it (owner: the migrating role → pg_monitor)"],
        ),
    ],
)
def test_difference_is_named(server: Server, change: str, sentences: list[str]) -> None:
    """Whatever was changed by hand is named once, object by object; what follows from it is not."""
    found = said(compared(server, SCHEMA, f"{SCHEMA};{change}"))

    assert [one for one in found if "SEQUENCE public.feeds_id_seq" not in one] == sentences


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER TABLE feeds RENAME TO sources", "TABLE public.feeds: renamed to TABLE public.sources"),
        ("ALTER TABLE app.users RENAME id TO key", "COLUMN app.users.id: renamed to COLUMN app.users.key"),
        ("ALTER SCHEMA app RENAME TO web", "SCHEMA app: renamed to SCHEMA web"),
        ("ALTER INDEX feeds_title_idx RENAME TO i", "INDEX public.feeds_title_idx: renamed to INDEX public.i"),
    ],
)
def test_what_was_renamed_in_one_database_is_said_so(database: Database, change: str, sentence: str) -> None:
    """The server's own number tells; texts that have the new name for the old one are the same."""
    assert changed_by(database, change) == [sentence]


def test_column_that_took_the_place_of_another_is_not_renamed(database: Database) -> None:
    """What was in it is lost: one went and one came, also in one database, and across two."""
    change = "ALTER TABLE app.users ADD a int; ALTER TABLE app.users DROP a, ADD b int"

    assert changed_by(database, change) == ["COLUMN app.users.b: not made by the directory"]


def test_index_of_another_name_in_another_database(server: Server) -> None:
    """One that went and one that came with the same definition, and no other: it has another name."""
    change = "DROP INDEX feeds_title_idx; CREATE INDEX other ON feeds (title)"

    assert said(compared(server, SCHEMA, f"{SCHEMA};{change}")) == [
        "INDEX public.feeds_title_idx: renamed to INDEX public.other"
    ]


def test_change_that_partitions_share_is_said_once(database: Database) -> None:
    """ALTER TABLE passes it on to them; one that a partition has alone is said of the partition."""
    assert changed_by(database, "ALTER TABLE events ALTER day SET DEFAULT '2026-01-01'") == [
        "COLUMN public.events.day: not as the directory makes it (default: – → '2026-01-01'::date), "
        "and so on 1 that inherits it"
    ]
    with database.connect() as connection:
        before = read_catalog(connection, Scope())
        connection.execute("ALTER TABLE events_2026 ALTER day DROP DEFAULT")
        assert said(difference(before, read_catalog(connection, Scope())))[0].startswith(
            "COLUMN public.events_2026.day"
        )


@pytest.mark.parametrize(
    "change",
    [
        "CREATE SCHEMA pgrollout CREATE TABLE run (id int)",
        "CREATE SCHEMA atlas_schema_revisions CREATE TABLE atlas_schema_revisions (version text PRIMARY KEY)",
        "INSERT INTO app.users DEFAULT VALUES",
        "ALTER TABLE feeds ADD x int; ALTER TABLE feeds DROP x",
        "GRANT SELECT ON feeds TO PUBLIC; REVOKE SELECT ON feeds FROM PUBLIC",
        "DROP INDEX feeds_title_idx; CREATE INDEX feeds_title_idx ON feeds (title)",
    ],
)
def test_what_does_not_count(server: Server, change: str) -> None:
    """Our ledger, Atlas's table, rows, and what was done and undone are no schema."""
    one, other = catalog(server, SCHEMA), catalog(server, f"{SCHEMA};{change}")

    assert not difference(one, other)
    assert fingerprint(one) == fingerprint(other)


def test_revisions_table_in_another_schema(server: Server) -> None:
    """Atlas's table is left out where it is; its schema is not, if others live there."""
    revisions = "CREATE TABLE app.atlas_schema_revisions (version text PRIMARY KEY); CREATE TABLE app.extra (id int)"

    found = compared(server, SCHEMA, SCHEMA + revisions, Scope(revisions_schema="app"))

    assert said(found) == ["TABLE app.extra: not made by the directory"]


def test_migrating_role_has_no_name(database: Database) -> None:
    """Owners and grants are the same whatever the role is called that the migrations run as."""
    one, other, app = (database.make_role(name, "NOLOGIN") for name in ("one", "other", "app"))
    made = (
        'GRANT CREATE ON SCHEMA public TO "{0}"; SET ROLE "{0}"; CREATE TABLE t (id int); RESET ROLE;'
        'REVOKE ALL ON SCHEMA public FROM "{0}"; REVOKE INSERT ON t FROM "{0}"; GRANT SELECT ON t TO "{1}";'
        'CREATE TABLE u (id int); GRANT SELECT ON u TO "{0}";'
        'ALTER DEFAULT PRIVILEGES FOR ROLE "{0}" GRANT SELECT ON TABLES TO "{1}"'
    )
    found = []
    for role in (one, other):
        with fresh_database(database.server) as made_by:
            made_by.execute(made.format(role, app))
            with made_by.connect() as connection:
                found.append(read_catalog(connection, Scope(), owners=[role]))

    assert said(difference(*found)) == []
    assert fingerprint(found[0]) == fingerprint(found[1])


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (Scope(exclude=("app",)), ["ENUM public.tmp_kind", "TABLE public.tmp_1"]),
        (Scope(exclude=("*.tmp_*",)), []),
        (Scope(exclude=("public.tmp_[0-9]", "app.*")), ["ENUM public.tmp_kind"]),
        (Scope(schemas=("app",)), ["TABLE app.tmp_2", "VIEW app.other"]),
        (Scope(schemas=("pub*",), exclude=("public.tmp_[^0-9]*",)), ["TABLE public.tmp_1"]),
    ],
)
def test_scope(server: Server, scope: Scope, left: list[str]) -> None:
    """Schemas and objects outside the scope are left out, with indexes, sequences, constraints and grants."""
    live = (
        "CREATE TABLE tmp_1 (id int); CREATE TYPE tmp_kind AS ENUM (); CREATE TABLE app.tmp_2 (id serial);"
        "CREATE INDEX i ON app.tmp_2 (id); CREATE INDEX j ON tmp_1 (id); CREATE VIEW app.other AS SELECT 1 AS one"
        if not scope.exclude or scope.exclude[0] != "*.tmp_*"
        else "CREATE TABLE tmp_1 (id int); CREATE TABLE app.tmp_2 (id serial); CREATE INDEX i ON app.tmp_2 (id)"
    )

    assert [str(one.identity) for one in compared(server, SCHEMA, SCHEMA + live, scope).objects] == left


def test_grants_are_in_scope_with_their_objects(any_server: Server) -> None:
    """Functions, types, sequences, columns and servers are left out with their grants, by their name alone."""
    live = (
        "CREATE FUNCTION app.f(n int, m text) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE app.mood AS ENUM ();"
        "CREATE PROCEDURE app.\"P p\"(n int) LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE app.s; CREATE DOMAIN app.d AS int;"
        'REVOKE ALL ON FUNCTION app.f FROM PUBLIC; REVOKE ALL ON PROCEDURE app."P p" FROM PUBLIC;'
        "REVOKE ALL ON TYPE app.mood, app.d FROM PUBLIC; GRANT USAGE ON SEQUENCE app.s TO PUBLIC;"
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER there FOREIGN DATA WRAPPER w;"
        "GRANT USAGE ON FOREIGN SERVER there TO PUBLIC; GRANT SELECT (id) ON app.users TO PUBLIC"
    )
    scope = Scope(exclude=("app.f", "app.mood", "app.P p", "app.s", "app.d", "app.users*", "there", "w"))

    assert said(compared(any_server, SCHEMA, SCHEMA + live, scope)) == []


@pytest.mark.parametrize("pattern", ["public.t.column", "public.*[type=view]"])
def test_patterns_that_would_have_no_effect_are_refused(pattern: str) -> None:
    """Atlas's patterns for less than an object are refused rather than passed over."""
    with pytest.raises(ConfigurationError, match="is neither a schema nor schema"):
        Scope(exclude=(pattern,))


def test_extension_is_left_out_by_name(server: Server) -> None:
    """What is in no schema is left out by its name alone; what an extension made is never seen."""
    more = "CREATE EXTENSION citext; CREATE PUBLICATION p"

    assert not compared(server, SCHEMA, SCHEMA + more, Scope(exclude=("citext", "p")))
    assert said(compared(server, SCHEMA, SCHEMA + more)) == [
        "EXTENSION citext: not made by the directory",
        "PUBLICATION p: not made by the directory",
    ]


def test_secrets_are_neither_compared_nor_shown(database: Database) -> None:
    """Passwords of foreign servers and user mappings differ from database to database; that one has none counts."""
    made = (
        "CREATE EXTENSION dblink; CREATE SERVER s FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'h');"
        "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u'{0})"
    )
    secret = ", password '{0}'"

    same = compared(database.server, made.format(secret.format("prodsecret9")), made.format(secret.format("x")))
    other = compared(database.server, made.format(secret.format("prodsecret9")), made.format(""))

    assert not same
    assert said(other) == ["USER MAPPING FOR PUBLIC SERVER s: not as the directory makes it (options: - password=***)"]
    assert "prodsecret9" not in repr(other)


def test_two_major_versions(database: Database, tls_database: Database) -> None:
    """What each words in its own way is listed, and neither equal nor different; the rest is compared."""
    for one in (database, tls_database):
        one.execute(SCHEMA)
    database.execute("ALTER TABLE feeds ALTER mood SET NOT NULL")
    with database.connect() as new, tls_database.connect() as old:
        found = difference(read_catalog(old, Scope()), read_catalog(new, Scope()))

    assert said(found) == ["COLUMN public.feeds.mood: not as the directory makes it (not null: no → yes)"]
    assert {(str(one.identity), one.property) for one in found.not_comparable} == {
        ("FUNCTION public.twice(integer)", "body"),
        ("VIEW public.happy", "definition"),
    }


def test_texts(database: Database) -> None:
    """The same differences as text with a diff of what is long, as a table, and as JSON."""
    database.execute(SCHEMA)
    with database.connect() as connection:
        before = read_catalog(connection, Scope())
        connection.execute("CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT n * 3'")
        connection.execute("DROP INDEX feeds_title_idx")
        found = difference(before, read_catalog(connection, Scope()))

    text = as_text(found, VERIFY, ddl=True)
    assert "FUNCTION public.twice(integer): not as the directory makes it (volatility: – → stable; body:" in text
    assert "+AS $$SELECT n * 3$$;" in text
    assert "CREATE INDEX feeds_title_idx ON public.feeds USING btree (title);" in text
    assert "| `INDEX public.feeds_title_idx` | missing; the directory makes it | | |" in as_markdown(found, VERIFY)
    told = as_json(found, VERIFY)["differences"]
    assert [(one["object"], one["change"]) for one in told] == [
        ("FUNCTION public.twice(integer)", "changed"),
        ("INDEX public.feeds_title_idx", "removed"),
    ]
    assert told[0]["properties"][0] == {"property": "volatility", "before": None, "after": "stable"}


def test_what_a_role_may_not_see(any_database: Database) -> None:
    """A role without any right reads the same schema; options that are hidden from it are not called different."""
    any_database.execute(
        SCHEMA + "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u', password 'prodsecret9');"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC"
    )
    nobody = any_database.make_role("nobody")
    with any_database.connect() as one, any_database.connect(user=nobody) as other:
        found = difference(read_catalog(one, Scope()), read_catalog(other, Scope(), owners=["postgres"]))

    assert said(found) == []
    assert [(str(one.identity), one.property) for one in found.not_comparable] == [
        ("USER MAPPING FOR PUBLIC SERVER s", "options")
    ]


def test_default_privileges_of_a_schema_are_in_scope_with_it(server: Server) -> None:
    """Those for one schema are looked at with it, those for all with the whole database."""
    live = (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO PUBLIC"
    )

    of_app = compared(server, SCHEMA, f"{SCHEMA};{live}", Scope(schemas=("app",)))
    whole = compared(server, SCHEMA, f"{SCHEMA};{live}")

    one, other = (f"DEFAULT PRIVILEGES FOR the migrating role{of}" for of in (" IN app ON TABLES", " ON SEQUENCES"))
    assert said(of_app) == [f"{one}: not made by the directory"]
    assert sorted(said(whole)) == sorted([f"{one}: not made by the directory", f"{other}: not made by the directory"])


def test_toast_table_that_no_column_needs_any_more(server: Server) -> None:
    """Its parameters outlive the last long column; a dump does not make them again, and they have no effect."""
    made = "CREATE TABLE t (id int, note text) WITH (toast.autovacuum_enabled = off)"

    assert said(compared(server, f"{made}; ALTER TABLE t DROP note", "CREATE TABLE t (id int)")) == []
    assert said(compared(server, made, "CREATE TABLE t (id int, note text)")) == [
        "TABLE public.t: not as the directory makes it (toast storage parameters: - autovacuum_enabled=off)"
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "CREATE MATERIALIZED VIEW m AS SELECT 1 AS one; ALTER TABLE m REPLICA IDENTITY FULL",
            "MATERIALIZED VIEW public.m: not as the directory makes it (replica identity: – → FULL)",
        ),
        (
            "ALTER FUNCTION twice DEPENDS ON EXTENSION plpgsql",
            "FUNCTION public.twice(integer): not as the directory makes it (depends on extension: + plpgsql)",
        ),
        (
            "ALTER INDEX feeds_title_idx DEPENDS ON EXTENSION plpgsql",
            "INDEX public.feeds_title_idx: not as the directory makes it (depends on extension: + plpgsql)",
        ),
    ],
)
def test_what_is_easily_forgotten(any_server: Server, change: str, sentence: str) -> None:
    """What pg_dump shows too, and few think of."""
    made = "CREATE MATERIALIZED VIEW m AS SELECT 1 AS one" if "VIEW" in change else ""

    assert said(compared(any_server, f"{SCHEMA};{made}", f"{SCHEMA};{change}")) == [sentence]


def test_name_and_comment_of_a_domains_not_null(server: Server) -> None:
    """PostgreSQL has them from 17 on."""
    change = "CREATE DOMAIN d AS int CONSTRAINT there NOT NULL; COMMENT ON CONSTRAINT there ON DOMAIN d IS 'x'"

    assert said(compared(server, "CREATE DOMAIN d AS int NOT NULL", change)) == [
        "DOMAIN public.d: not as the directory makes it (not null constraint: – → there; not null comment: – → x)"
    ]


def test_what_a_trigger_is_told_may_look_like_its_table(server: Server) -> None:
    """Only where the trigger stands is left out of its definition, not an argument of the same words."""
    made = (
        "CREATE TABLE t (id int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        'CREATE TRIGGER "a ON public.t b" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f({})'
    )

    assert said(compared(server, made.format("'x ON public.t y'"), made.format("'x y'"))) == [
        'TRIGGER public.t."a ON public.t b": not as the directory makes it (definition: …UNCTION '
        "public.f('x ON public.t y') → …UNCTION public.f('x y'))"
    ]


def test_check_of_an_extensions_domain_is_the_extensions(server: Server) -> None:
    """It comes and goes with the extension, as the domain does."""
    made = "CREATE DOMAIN earth AS text CONSTRAINT on_surface CHECK (VALUE <> ''); ALTER EXTENSION plpgsql ADD DOMAIN earth"

    assert said(compared(server, made, "")) == []
