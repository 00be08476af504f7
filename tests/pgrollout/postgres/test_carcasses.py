"""Carcasses: what an interrupted statement left is got rid of, briefly, again and again, or who is in the way is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrollout.errors import ConnectionBroken, DetachNotFinished, ExitCode, IndexNotDropped, ServerRefused
from pgrollout.postgres.carcasses import drop_indexes, duplicates_sql, finalize
from pgrollout.postgres.connection import Connection, connect
from tests.pgrollout.postgres.interrupting import holding, interrupt, invalid, kill, what
from tests.servers import Database

READER = "SELECT FROM app.t LIMIT 1"
INDEX = '"app"."i"'
PARTITION = ('"app"."parent"', '"app"."p"')


@pytest.fixture
def connection(any_database: Database, tmp_path: Path) -> Iterator[Connection]:
    """A connection as the stages have it, on each version, to a database with an invalid index."""
    any_database.execute("CREATE SCHEMA app; CREATE TABLE app.t (a int); CREATE INDEX i ON app.t (a)")
    interrupt(any_database, "DROP INDEX CONCURRENTLY i", READER, lambda: invalid(any_database))
    with connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection:
        yield connection


def test_index_in_use(connection: Connection, any_database: Database) -> None:
    """An index that is in use all the time is left, who uses it is named, and the session keeps its timeouts."""
    connection.execute("SET statement_timeout = '7min'; SET lock_timeout = '8min'")
    reader = r'Index "app"."i".* in use by pid \d+ \(postgres, the reader, idle in transaction\)'
    with (
        holding(any_database, "SET LOCAL application_name = 'the reader'", READER),
        pytest.raises(IndexNotDropped, match=reader) as raised,
    ):
        drop_indexes(connection, [INDEX], deadline_ms=300, wait_ms=20)

    assert raised.value.code is ExitCode.WAIT
    assert invalid(any_database) == ["app.i"]
    kept = connection.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')").fetchall()
    assert kept == [("7min", "8min")]


def test_index_in_use_by_a_prepared_transaction(connection: Connection, any_database: Database) -> None:
    """A prepared transaction, which has no session, is named as well."""
    any_database.execute(f"BEGIN; {READER}; PREPARE TRANSACTION '{any_database.name}'")

    with pytest.raises(IndexNotDropped, match=f"in use by prepared transaction '{any_database.name}'"):
        drop_indexes(connection, [INDEX], deadline_ms=200, wait_ms=20)

    any_database.execute(f"ROLLBACK PREPARED '{any_database.name}'")


def test_index_that_gets_free(connection: Connection, any_database: Database) -> None:
    """After a while with nobody out of the way the plain form has its moment as soon as they are."""
    with any_database.connect() as reader, any_database.connect() as observer:
        reader.execute("BEGIN; " + READER)

        def look() -> bool:
            query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query LIKE 'DROP INDEX IF EXISTS%%'"
            if observer.execute(query, [connection.info.backend_pid]).fetchone():
                reader.execute("ROLLBACK")
            return False

        drop_indexes(connection, [INDEX], deadline_ms=1500, wait_ms=500, wants_end=look)

    assert any_database.execute("SELECT to_regclass('app.i') IS NULL") == [(True,)]


def test_valid_index_is_never_dropped(connection: Connection, any_database: Database) -> None:
    """An index that somebody has built anew meanwhile stays; one that is gone is none."""
    connection.execute("REINDEX INDEX app.i")

    drop_indexes(connection, [INDEX, '"app"."gone"'], deadline_ms=1000, wait_ms=100)

    assert any_database.execute("SELECT to_regclass('app.i') IS NOT NULL") == [(True,)]


def test_interrupt(connection: Connection, any_database: Database) -> None:
    """Whoever wants an end gets it, while the server waits and while we do."""
    with holding(any_database, READER), pytest.raises(KeyboardInterrupt):
        drop_indexes(connection, [INDEX], deadline_ms=60_000, wait_ms=100, wants_end=lambda: True)

    assert invalid(any_database) == ["app.i"]


def test_refused(connection: Connection, any_database: Database) -> None:
    """What the server refuses for another reason is said at once; a connection that is gone is an error of its own."""
    role = any_database.make_role("other")
    any_database.execute(f'GRANT USAGE ON SCHEMA app TO "{role}"')
    connection.execute(f'SET ROLE "{role}"'.encode())
    with pytest.raises(ServerRefused, match="must be owner of index i"):
        drop_indexes(connection, [INDEX], deadline_ms=60_000, wait_ms=100)

    kill(any_database, connection.info.backend_pid)
    with pytest.raises(ConnectionBroken):
        drop_indexes(connection, [INDEX], deadline_ms=60_000, wait_ms=100)


def test_detach(connection: Connection, any_database: Database) -> None:
    """A partition in use, or an old snapshot, keeps a detach from being finished; afterwards it is."""
    connection.execute("CREATE TABLE app.parent (a int) PARTITION BY RANGE (a)")
    connection.execute("CREATE TABLE app.p PARTITION OF app.parent FOR VALUES FROM (1) TO (9)")
    text, pending = (
        "ALTER TABLE parent DETACH PARTITION p CONCURRENTLY",
        "SELECT 1 FROM pg_inherits WHERE inhdetachpending",
    )
    interrupt(any_database, text, "SELECT FROM app.parent", lambda: any_database.execute(pending))

    for in_the_way in (["SELECT FROM app.p"], ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT"]):
        with (
            holding(any_database, "SET LOCAL application_name = 'the reader'", *in_the_way),
            pytest.raises(
                DetachNotFinished, match=r'Detaching "app"."p" .*in use by pid \d+ \(postgres, the reader, '
            ) as e,
        ):
            finalize(connection, *PARTITION, deadline_ms=200, wait_ms=50)
        assert e.value.code is ExitCode.WAIT
        assert any_database.execute(pending)

    finalize(connection, *PARTITION, deadline_ms=10_000, wait_ms=500)
    assert not any_database.execute(pending)
    finalize(connection, *PARTITION, deadline_ms=10_000, wait_ms=500)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY i ON app.t (a)",
            "SELECT a, count(*) FROM app.t WHERE a IS NOT NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY count(*) DESC",
        ),
        (
            'CREATE UNIQUE INDEX CONCURRENTLY i ON t USING btree (lower("N,") COLLATE "C" text_ops DESC NULLS LAST, (a + (b)), '
            "f.g(a)) INCLUDE (c) NULLS NOT DISTINCT WITH (fillfactor = 70) TABLESPACE x WHERE a > 1 OR b IN (1, 2);",
            'SELECT lower("N,") COLLATE "C", (a + (b)), f.g(a), count(*) FROM t WHERE (a > 1 OR b IN (1, 2)) '
            "GROUP BY 1, 2, 3 HAVING count(*) > 1 ORDER BY count(*) DESC",
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a int4_ops (x = ','), b) WHERE a > 1",
            "SELECT a, b, count(*) FROM t WHERE (a > 1) AND a IS NOT NULL AND b IS NOT NULL "
            "GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY count(*) DESC",
        ),
    ],
)
def test_duplicates(text: str, query: str) -> None:
    """The query groups by the keys alone, among the rows that the index would have."""
    assert duplicates_sql(what(text), text) == query


def test_duplicates_are_found(database: Database) -> None:
    """The query runs, and lists the keys that the unique index refuses; of another index there is none."""
    database.execute(
        "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, 'X'), (3, 'y'), (4, NULL), (5, NULL)"
    )
    text = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(b)) WHERE a < 9"

    assert database.execute(duplicates_sql(what(text), text)) == [("x", 2)]
    assert duplicates_sql(what(text.replace("UNIQUE ", "")), text) == ""
