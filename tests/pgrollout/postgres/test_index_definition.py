"""Index definitions: an index that is there is, or is not, the one that a statement asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrollout.errors import ExitCode, ServerRefused
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.index_definition import CannotTell, Settings, compare, definition, read_settings
from tests.servers import Database

SCHEMA = """
CREATE SCHEMA app;
CREATE SCHEMA "Types";
CREATE TYPE "Types".mood AS ENUM ('well', 'ill');
CREATE FUNCTION app.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
CREATE OPERATOR CLASS app.reverse_ops FOR TYPE int USING btree AS
    OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int, int);
CREATE TABLE app.t (
    gone int, a int NOT NULL, gone_too text, b text COLLATE "C", m "Types".mood, "Odd ""name" int, j jsonb, s tsvector,
    g int GENERATED ALWAYS AS (a * 2) STORED
);
ALTER TABLE app.t DROP COLUMN gone, DROP COLUMN gone_too;
"""


@pytest.fixture
def connection(any_database: Database, tmp_path: Path) -> Iterator[Connection]:
    """A connection as the stages have it, on each version, to a database with a table."""
    any_database.execute(SCHEMA)
    with connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection:
        connection.execute('SET search_path = app, "Types"')
        yield connection


def there(connection: Connection, text: str) -> int:
    """Make an index, and return its OID."""
    connection.execute(text.encode())
    ((oid,),) = connection.execute("SELECT max(indexrelid::int8) FROM pg_index").fetchall()
    return int(oid)


SAME = [
    ("(a)", "(a)"),
    ("(a)", "USING btree (a ASC NULLS LAST)"),
    ("(g, a DESC)", "(g, a DESC NULLS FIRST)"),
    ("(lower(b))", "(LOWER((b)))"),
    ("(b)", '(b COLLATE "C")'),
    ('("Odd ""name")', '(U&"Odd ""name")'),
    ("(twice(a)) WHERE m = 'well'", "(app.twice(a)) WHERE m = 'well'::\"Types\".mood"),
    ("(a reverse_ops)", "(a app.reverse_ops)"),
    ("(a) WHERE t.a > 1 AND b IS NOT NULL", "(a) WHERE (a > 1) AND (b IS NOT NULL)"),
    ("(a) INCLUDE (b, m) WITH (fillfactor = 70)", "(a) INCLUDE (b, m) WITH (fillfactor = '70')"),
    ("USING gin (j jsonb_path_ops)", "USING gin (j jsonb_path_ops)"),
    ("USING gist (s tsvector_ops (siglen = 100))", "USING gist (s tsvector_ops(siglen='100'))"),
    ("(a) TABLESPACE pg_default", "(a)"),
]
DIFFERENT = [
    ("(a)", "(g)"),
    ("(a)", "(a, g)"),
    ("(a, g)", "(g, a)"),
    ("(a)", "(a DESC)"),
    ("(a)", "(a NULLS FIRST)"),
    ("(a)", "(a reverse_ops)"),
    ("(a)", "USING hash (a)"),
    ("(b)", '(b COLLATE "POSIX")'),
    ("(b)", "(b text_pattern_ops)"),
    ("(b)", "(lower(b))"),
    ("(a)", "(a) WHERE a > 1"),
    ("(a) WHERE a > 1", "(a) WHERE a > 2"),
    ("(a) INCLUDE (b)", "(a, b)"),
    ("(a)", "(a) INCLUDE (b)"),
    ("(a)", "(a) WITH (fillfactor = 70)"),
    ("USING gin (j)", "USING gin (j jsonb_path_ops)"),
    ("USING gist (s)", "USING gist (s tsvector_ops (siglen = 100))"),
]


def test_same(connection: Connection) -> None:
    """However it is written, the same index is the same; also online, by another name, and with the table's schema."""
    for made, asked in SAME:
        oid = there(connection, f"CREATE INDEX ON t {made}")

        text = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS j ON ONLY app.t {asked};"
        found = compare(connection, text, "app", "t", [oid])

        assert found.is_equal(oid), found
        assert found.asked.shown == found.there[oid].shown == definition(connection, oid).shown


def test_different(connection: Connection) -> None:
    """Every property counts, and what is shown differs too."""
    for made, asked in DIFFERENT:
        oid = there(connection, f"CREATE INDEX ON t {made}")

        found = compare(connection, f"CREATE INDEX CONCURRENTLY i ON t {asked}", "app", "t", [oid])

        assert not found.is_equal(oid), found
        assert found.asked.shown != found.there[oid].shown


def test_unique(connection: Connection) -> None:
    """A unique index is another one, and so is one that counts nulls."""
    oid = there(connection, "CREATE UNIQUE INDEX i ON t (a)")

    for other in ("CREATE INDEX i ON t (a)", "CREATE UNIQUE INDEX i ON t (a) NULLS NOT DISTINCT"):
        assert not compare(connection, other, "app", "t", [oid]).is_equal(oid)
    assert compare(connection, "CREATE UNIQUE INDEX ON t (a)", "app", "t", [oid]).is_equal(oid)


def test_index_of_a_constraint(connection: Connection) -> None:
    """An index that may be broken until the commit is not what any statement asks for."""
    oid = there(connection, "ALTER TABLE t ADD UNIQUE (a) DEFERRABLE")

    assert not compare(connection, "CREATE UNIQUE INDEX ON t (a)", "app", "t", [oid]).is_equal(oid)


def test_nothing_stays(connection: Connection) -> None:
    """Neither a table, nor a setting, nor a transaction stays."""
    before = connection.execute("SELECT count(*), current_setting('lock_timeout') FROM pg_class").fetchall()

    compare(connection, "CREATE INDEX ON t (a)", "app", "t", [])

    assert connection.execute("SELECT count(*), current_setting('lock_timeout') FROM pg_class").fetchall() == before
    assert read_settings(connection) == Settings('app, "Types"', "")


def test_settings_of_the_statement(connection: Connection) -> None:
    """Names are looked for where the statement would, though the session has other settings by now."""
    oid = there(connection, "CREATE INDEX i ON t (twice(a))")
    settings = read_settings(connection)
    connection.execute("RESET search_path")

    assert compare(connection, "CREATE INDEX i ON t (twice(a))", "app", "t", [oid], settings).is_equal(oid)
    with pytest.raises(CannotTell, match=r"function twice.* does not exist"):
        compare(connection, "CREATE INDEX i ON t (twice(a))", "app", "t", [oid])


def test_default_tablespace(connection: Connection, any_database: Database) -> None:
    """An index goes where the session's other ones go."""
    tablespace = f"{any_database.name}_x"
    connection.execute("SET allow_in_place_tablespaces = on")
    connection.execute(f"CREATE TABLESPACE {tablespace} LOCATION ''".encode())
    try:
        connection.execute(f"SET default_tablespace = {tablespace}".encode())
        oid = there(connection, "CREATE INDEX i ON t (a)")

        found = compare(connection, "CREATE INDEX i ON t (a)", "app", "t", [oid])
        assert found.is_equal(oid)
        assert found.asked.shown == f"btree (a) TABLESPACE {tablespace}"
        assert not compare(connection, "CREATE INDEX i ON t (a) TABLESPACE pg_default", "app", "t", [oid]).is_equal(oid)
        connection.execute("DROP INDEX i")
    finally:
        connection.execute("RESET default_tablespace")
        connection.execute(f"DROP TABLESPACE {tablespace}".encode())


def test_role_without_temporary_tables(any_database: Database, tmp_path: Path) -> None:
    """Where the role may make no temporary table it cannot be told, and the reason is said."""
    role = any_database.make_role("owner")
    any_database.execute(
        f'REVOKE TEMPORARY ON DATABASE {any_database.name} FROM PUBLIC; CREATE SCHEMA x AUTHORIZATION "{role}"'
    )
    with connect(any_database.settings(tmp_path, role=role), application_name="pgrollout/test") as connection:
        oid = there(connection, "CREATE TABLE x.t (a int); CREATE INDEX i ON x.t (a)")

        with pytest.raises(CannotTell, match="permission denied to create temporary tables"):
            compare(connection, "CREATE INDEX i ON x.t (a)", "x", "t", [oid])


def test_locked_table(connection: Connection, any_database: Database) -> None:
    """A table that somebody changes is waited for, but not for long; waiting can cure it."""
    with any_database.connect(autocommit=False) as other:
        other.execute("LOCK TABLE app.t")

        with pytest.raises(ServerRefused) as raised:
            compare(connection, "CREATE INDEX i ON t (a)", "app", "t", [])
    assert raised.value.code is ExitCode.WAIT
