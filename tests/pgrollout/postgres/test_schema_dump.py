"""Schema dumps and their comparison, on real servers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pgrollout.catalog.scope import Scope
from pgrollout.errors import ConfigurationError
from pgrollout.postgres import programs
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.schema_dump import Comparison, compare, cut, schema_sql
from tests.servers import Database, Server, fresh_database

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE feeds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title varchar CHECK (title IN ('a', 'b')), mood mood);
CREATE INDEX feeds_title_idx ON feeds (title);
COMMENT ON TABLE feeds IS 'what is read';
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS $$
SET search_path = '';
SELECT n * 2;
$$;
CREATE VIEW happy AS SELECT * FROM feeds WHERE mood = 'happy';
CREATE TABLE events (day date NOT NULL) PARTITION BY RANGE (day);
CREATE INDEX events_day_idx ON events (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE SCHEMA app;
CREATE TABLE app.users (id serial PRIMARY KEY);
"""


@contextmanager
def both(server: Server, live: str, shadow: str) -> Iterator[tuple[Connection, Connection]]:
    """Two databases of one server, each with its SQL, as connections."""
    with fresh_database(server) as first, fresh_database(server) as second:
        first.execute(live)
        second.execute(shadow)
        with first.connect() as one, second.connect() as other:
            yield one, other


def compared(server: Server, live: str, shadow: str, scope: Scope | None = None) -> Comparison:
    """Compare what two texts make."""
    with both(server, live, shadow) as (one, other):
        return compare(one, other, scope or Scope())


def said(comparison: Comparison) -> list[str]:
    """The sentences of all differences."""
    return [str(difference) for difference in comparison.differences]


def test_same_sql_makes_the_same_schema(any_server: Server) -> None:
    """On each version, the same statements make no difference."""
    comparison = compared(any_server, SCHEMA, SCHEMA)

    assert comparison.differences == ()
    assert comparison.objects > 10
    assert comparison.not_compared == ""


def test_empty_databases_are_the_same(any_server: Server) -> None:
    """Where nothing is, nothing differs; against something, everything is missing."""
    assert compared(any_server, "SELECT 1", "SELECT 1").differences == ()
    assert said(compared(any_server, "SELECT 1", "CREATE TABLE t (id int)")) == [
        "TABLE public.t: missing; the directory makes it"
    ]


def test_objects_have_names_and_sql(database: Database) -> None:
    """Each object is there under its kind and name, without owner, comment or setting."""
    database.execute(SCHEMA)
    program = programs.fitting("pg_dump", at_least=18, near=18, tls=False)

    with database.connect() as connection:
        objects = cut(schema_sql(connection, Scope(), program), Scope(), {})

    assert {"TYPE public.mood", "TABLE public.feeds", "INDEX public.feeds_title_idx", "SCHEMA app"} <= objects.keys()
    assert objects["TYPE public.mood"] == "CREATE TYPE public.mood AS ENUM (\n    'sad',\n    'happy'\n);"
    assert objects["CONSTRAINT app.users users_pkey"] == (
        "ALTER TABLE ONLY app.users\n    ADD CONSTRAINT users_pkey PRIMARY KEY (id);"
    )
    assert "SET search_path = '';" in objects["FUNCTION public.twice(integer)"]
    everything = "\n".join(objects.values())
    assert "OWNER TO" not in everything
    assert "what is read" not in everything
    assert "default_table_access_method" not in everything
    assert "restrict" not in everything


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DROP INDEX feeds_title_idx", "INDEX public.feeds_title_idx: missing; the directory makes it"),
        ("CREATE TABLE extra (id int)", "TABLE public.extra: not made by the directory"),
        (
            "ALTER TYPE mood ADD VALUE 'grim'",
            "TYPE public.mood: not as the directory makes it (- 'happy'; + 'happy',; + 'grim')",
        ),
        (
            "ALTER TABLE feeds ALTER title SET STATISTICS 7",
            "TABLE public.feeds: not as the directory makes it "
            "(+ALTER TABLE ONLY public.feeds ALTER COLUMN title SET STATISTICS 7;)",
        ),
        (
            "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 3'",
            "FUNCTION public.twice(integer): not as the directory makes it",
        ),
        ("GRANT SELECT ON feeds TO PUBLIC", "ACL public.TABLE feeds: not made by the directory"),
        ("CREATE EXTENSION citext", "EXTENSION citext: not made by the directory"),
        ("CREATE SCHEMA mine", "SCHEMA mine: not made by the directory"),
        ("CREATE PUBLICATION p FOR TABLE feeds", "PUBLICATION p: not made by the directory"),
    ],
)
def test_difference_is_named(server: Server, change: str, sentence: str) -> None:
    """Whatever was changed by hand is named, object by object."""
    found = said(compared(server, f"{SCHEMA};{change}", SCHEMA))

    assert any(difference.startswith(sentence) for difference in found)


@pytest.mark.parametrize(
    "change",
    [
        "COMMENT ON TABLE feeds IS 'something else'",
        "ALTER TABLE feeds OWNER TO pg_monitor",
        "CREATE SCHEMA pgrollout CREATE TABLE run (id int)",
        "CREATE SCHEMA atlas_schema_revisions CREATE TABLE atlas_schema_revisions (version text PRIMARY KEY)",
        "INSERT INTO app.users DEFAULT VALUES",
    ],
)
def test_what_does_not_count(server: Server, change: str) -> None:
    """Comments, owners, our ledger, Atlas's table and rows are no schema."""
    assert compared(server, f"{SCHEMA};{change}", SCHEMA).differences == ()


def test_revisions_table_in_another_schema(server: Server) -> None:
    """Atlas's table is left out where it is; its schema is not, if others live there."""
    revisions = "CREATE TABLE app.atlas_schema_revisions (version text PRIMARY KEY); CREATE TABLE app.extra (id int)"

    comparison = compared(server, SCHEMA + revisions, SCHEMA, Scope(revisions_schema="app"))

    assert said(comparison) == ["TABLE app.extra: not made by the directory"]


def test_grants_of_another_owner_are_the_same(database: Database) -> None:
    """What an owner may do with its own objects does not depend on its name."""
    one, other, app = (database.make_role(name, "NOLOGIN") for name in ("one", "other", "app"))
    made = (
        'CREATE TABLE t (id int); ALTER TABLE t OWNER TO "{0}"; REVOKE ALL ON t FROM "{0}"; GRANT SELECT ON t TO "{0}";'
        'GRANT INSERT ON t TO "{1}"; ALTER DEFAULT PRIVILEGES FOR ROLE "{0}" GRANT SELECT ON TABLES TO "{1}"'
    )

    assert compared(database.server, made.format(one, app), made.format(other, app)).differences == ()


MADE = """
CREATE SCHEMA "{app}"; CREATE TABLE "{app}".t (id int); CREATE TYPE "{app}"."M m" AS ENUM ();
CREATE FUNCTION "{app}".f(n int) RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION "{app}".f FROM PUBLIC; REVOKE ALL ON TYPE "{app}"."M m" FROM PUBLIC;
GRANT USAGE ON SCHEMA "{app}" TO "{reader}";
"""
OWNED = """
ALTER SCHEMA "{app}" OWNER TO "{owner}"; ALTER TABLE "{app}".t OWNER TO "{owner}"; ALTER TYPE "{app}"."M m" OWNER TO "{owner}";
ALTER FUNCTION "{app}".f OWNER TO "{owner}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA "{app}" GRANT SELECT ON TABLES TO "{app}";
"""
GRANTED = """
GRANT SELECT, INSERT ON "{app}".t TO "{app}", "{other}"; GRANT SELECT (id) ON "{app}".t TO "{app}", "{other}";
GRANT USAGE ON SCHEMA "{app}" TO "{app}", "{other}"; GRANT USAGE ON TYPE "{app}"."M m" TO "{app}", "{other}";
GRANT EXECUTE ON FUNCTION "{app}".f TO "{app}", "{other}";
"""


@pytest.fixture
def roles(database: Database) -> dict[str, str]:
    """Three roles; a schema is called like the first."""
    return {role: database.make_role(role, "NOLOGIN") for role in ("app", "other", "reader")}


@pytest.mark.parametrize("live", [MADE + OWNED + GRANTED, MADE + GRANTED + OWNED])
def test_grants_to_an_owner_do_not_count(server: Server, roles: dict[str, str], live: str) -> None:
    """A grant to who owns the live object, then or since, or the shadow's, is one of the other side's only."""
    shadow = MADE + OWNED + GRANTED

    comparison = compared(
        server, live.format(**roles, owner=roles["app"]), shadow.format(**roles, owner=roles["other"])
    )

    assert comparison.differences == ()


def test_grants_to_who_owns_something_else_count(server: Server, roles: dict[str, str]) -> None:
    """Grants to an owner are missed on what it does not own, and so are grants to others on what it does."""
    live = MADE + OWNED + "CREATE TABLE mine (id int);"
    shadow = live + 'GRANT SELECT ON mine TO "{app}"; GRANT SELECT ON "{app}".t TO "{reader}"'

    comparison = compared(
        server, live.format(**roles, owner=roles["app"]), shadow.format(**roles, owner=roles["other"])
    )

    assert said(comparison) == [
        "ACL public.TABLE mine: missing; the directory makes it",
        f"ACL {roles['app']}.TABLE t: missing; the directory makes it",
    ]


def test_partitions_made_at_run_time_are_tolerated(server: Server) -> None:
    """Partitions that only the live database has, with all that hangs on them, are reported and no failure."""
    live = (
        "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
        " PARTITION BY RANGE (day);"
        "CREATE TABLE events_2027_01 PARTITION OF events_2027 FOR VALUES FROM ('2027-01-01') TO ('2027-02-01');"
        "GRANT SELECT ON events_2027_01 TO PUBLIC; CREATE INDEX mine ON events_2027_01 ((day + 1))"
    )

    comparison = compared(server, SCHEMA + live, SCHEMA)

    assert said(comparison) == [
        "TABLE public.events_2027: not made by the directory [a partition made at run time]",
        "TABLE public.events_2027_01: not made by the directory [a partition made at run time]",
    ]
    assert all(difference.tolerated for difference in comparison.differences)


def test_partition_that_is_gone_is_a_difference(server: Server) -> None:
    """A partition that the directory makes is missed."""
    found = said(compared(server, f"{SCHEMA}; DROP TABLE events_2026", SCHEMA))

    assert "TABLE public.events_2026: missing; the directory makes it" in found


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (Scope(exclude=("app",)), ["TABLE public.tmp_1", "TYPE public.tmp_kind"]),
        (Scope(exclude=("*.tmp_*",)), []),
        (Scope(exclude=("public.tmp_[0-9]", "app.*")), ["TYPE public.tmp_kind"]),
        (Scope(schemas=("app",)), ["INDEX app.tmp_i", "SEQUENCE app.tmp_2_id_seq", "TABLE app.tmp_2"]),
        (Scope(schemas=("pub*",), exclude=("public.tmp_[^0-9]*",)), ["TABLE public.tmp_1"]),
    ],
)
def test_scope(server: Server, scope: Scope, left: list[str]) -> None:
    """Schemas and objects outside the scope are left out, with indexes, sequences, constraints and grants."""
    live = (
        "CREATE TABLE tmp_1 (id int); CREATE TYPE tmp_kind AS ENUM (); CREATE TABLE app.tmp_2 (id serial);"
        "CREATE INDEX tmp_i ON app.tmp_2 (id)"
    )

    found = {difference.object for difference in compared(server, SCHEMA + live, SCHEMA, scope).differences}

    assert {name for name in found if re.match(r"(TABLE|TYPE|INDEX|SEQUENCE) [^ ]+$", name)} == set(left)
    assert bool(found) == bool(left)


def test_grants_are_in_scope_with_their_objects(any_server: Server) -> None:
    """Grants on functions, types, sequences, columns and servers are left out by the name of the object alone."""
    live = (
        "CREATE FUNCTION app.f(n int, m text) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE app.mood AS ENUM ();"
        "CREATE PROCEDURE app.\"P p\"(n int) LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE app.s; CREATE DOMAIN app.d AS int;"
        'REVOKE ALL ON FUNCTION app.f FROM PUBLIC; REVOKE ALL ON PROCEDURE app."P p" FROM PUBLIC;'
        "REVOKE ALL ON TYPE app.mood, app.d FROM PUBLIC; GRANT USAGE ON SEQUENCE app.s TO PUBLIC;"
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER there FOREIGN DATA WRAPPER w;"
        "GRANT USAGE ON FOREIGN SERVER there TO PUBLIC; GRANT SELECT (id) ON app.users TO PUBLIC"
    )
    scope = Scope(exclude=("app.f", "app.mood", "app.P p", "app.s", "app.d", "app.users*", "there", "w"))

    assert compared(any_server, SCHEMA + live, SCHEMA, scope).differences == ()


@pytest.mark.parametrize("pattern", ["public.t.column", "public.*[type=view]"])
def test_patterns_that_would_have_no_effect_are_refused(pattern: str) -> None:
    """Atlas's patterns for less than an object are refused rather than passed over."""
    with pytest.raises(ConfigurationError, match="is neither a schema nor schema"):
        Scope(exclude=(pattern,))


def test_extension_is_left_out_by_name(server: Server) -> None:
    """What is in no schema is left out by its name alone."""
    scope = Scope(exclude=("citext", "p"))

    assert compared(server, SCHEMA + "CREATE EXTENSION citext; CREATE PUBLICATION p", SCHEMA, scope).differences == ()


def test_list_that_was_restored_is_the_same(server: Server) -> None:
    """An IN list over varchar comes back from a restore in other words, and means the same."""
    made = "CREATE TABLE t (title varchar CONSTRAINT c CHECK (title IN ('a', 'it''s')))"
    restored = (
        "CREATE TABLE t (title varchar CONSTRAINT c CHECK "
        "(title::text = ANY (ARRAY['a'::character varying::text, 'it''s'::character varying::text])))"
    )

    assert compared(server, restored, made).differences == ()


def test_secrets_are_neither_compared_nor_shown(database: Database) -> None:
    """Passwords of foreign servers and user mappings differ from database to database; that one has none counts."""
    made = (
        "CREATE EXTENSION dblink; CREATE SERVER s FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'h');"
        "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u'{0})"
    )
    secret = ", password '{0}'"

    same = compared(database.server, made.format(secret.format("prodsecret9")), made.format(secret.format("x")))
    other = compared(database.server, made.format(secret.format("prodsecret9")), made.format(""))

    assert same.differences == ()
    assert "password '***'" in said(other)[0]
    assert "prodsecret9" not in repr(other)


def test_grants_on_public_come_with_the_cluster(server: Server) -> None:
    """A cluster that was upgraded from version 14 lets everybody create in schema public; no migration said so."""
    comparison = compared(server, f"{SCHEMA}; GRANT ALL ON SCHEMA public TO PUBLIC", SCHEMA)

    assert said(comparison) == ["ACL SCHEMA public: not made by the directory [as the cluster was made or upgraded]"]


def test_another_major_version_is_not_compared(database: Database, tls_database: Database) -> None:
    """Schemas of two major versions are said to be not compared, rather than different."""
    with database.connect() as one, tls_database.connect() as other:
        comparison = compare(one, other, Scope())

    assert comparison.not_compared.startswith("the server is PostgreSQL 18, the shadow 15")


def test_without_a_program_nothing_is_compared(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where there is no pg_dump for the server, that is said with the way out."""
    monkeypatch.setattr(programs, "PACKAGE", "no_such_package_anywhere")
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))

    assert "apt-get install" in compared(server, SCHEMA, SCHEMA).not_compared


def test_header_in_a_function_does_not_cut_it() -> None:
    """Only what looks exactly like pg_dump's header begins an object."""
    text = (
        "--\n-- Name: f(); Type: FUNCTION; Schema: public; Owner: me\n--\n\n"
        "CREATE FUNCTION public.f() AS $$\n-- Name: x; Type: TABLE; Schema: y; Owner: z\nSELECT 1\n$$;\n\n\n"
        "ALTER FUNCTION public.f() OWNER TO me;\n\nSET default_tablespace = '';\n\nSET default_table_access_method = heap;\n\n"
        "--\n-- Name: t; Type: TABLE; Schema: public; Owner: me\n--\n\nCREATE TABLE public.t (\n);\n\n\n"
        "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n\n"
    )

    assert cut(text, Scope(), {}) == {
        "FUNCTION public.f()": (
            "CREATE FUNCTION public.f() AS $$\n-- Name: x; Type: TABLE; Schema: y; Owner: z\nSELECT 1\n$$;"
        ),
        "TABLE public.t": "CREATE TABLE public.t (\n);",
    }
