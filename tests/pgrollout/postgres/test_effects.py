"""Effects: statements outside a transaction that were killed, or whose end was not recorded, and what is said of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgrollout.errors import IndexBuildUnderWay
from pgrollout.outside import Form
from pgrollout.postgres import carcasses, effects
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.effects import Effect, State, Verdict, found, settle
from pgrollout.quoting import name
from tests.pgrollout.postgres.interrupting import holding, interrupt, invalid, kill, running, waits, what
from tests.project import eventually
from tests.servers import Database

pytestmark = pytest.mark.parametrize("any_server", [15, 18], indirect=True)
"""What lies between them has nothing of its own here."""

DONE, AGAIN, UNKNOWN = Effect.TOOK_EFFECT, Effect.RUN_AGAIN, Effect.UNKNOWN
WRITER, READER = "INSERT INTO app.t VALUES (1, 'x')", "SELECT FROM app.t LIMIT 1"


def drop(connection: Connection, indexes: tuple[str, ...]) -> None:
    """Drop what is left."""
    carcasses.drop_indexes(connection, indexes, deadline_ms=20_000, wait_ms=100)


@pytest.fixture
def connection(any_database: Database, tmp_path: Path) -> Iterator[Connection]:
    """A connection as the stages have it, on each version, to a database with two tables."""
    any_database.execute(
        "CREATE SCHEMA app; CREATE TABLE app.t (a int, b text); INSERT INTO app.t SELECT n, n FROM generate_series(1, 50) n;"
        "CREATE TABLE app.other (a int)"
    )
    with connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection:
        connection.execute("SET search_path = app")
        yield connection


def before(connection: Connection, text: str) -> dict[str, Any]:
    """Note what is there, and read it back as the ledger does."""
    noted: dict[str, Any] = json.loads(json.dumps(effects.before(connection, what(text))))
    return noted


def judged(connection: Connection, text: str, noted: dict[str, Any] | None) -> Verdict:
    """Settle in another session state than the statement had."""
    connection.execute("RESET ALL")
    try:
        return settle(connection, what(text), text, noted)
    finally:
        connection.execute("SET search_path = app")


# CREATE INDEX CONCURRENTLY.

BUILDS = [
    "CREATE INDEX CONCURRENTLY i ON t (a) WHERE b <> ''",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (lower(b))",
    "CREATE UNIQUE INDEX CONCURRENTLY ON t (a)",
]


def test_build_killed_at_its_begin(connection: Connection, any_database: Database) -> None:
    """A killed build has left an invalid index: it is dropped, the statement works again, and is then known to be done."""
    for text in BUILDS:
        noted = before(connection, text)
        assert judged(connection, text, noted).effect is AGAIN  # killed before it began

        interrupt(any_database, text, WRITER, lambda: invalid(any_database))
        (left,) = map(quoted, invalid(any_database))
        verdict = judged(connection, text, noted)
        assert verdict == Verdict(AGAIN, f"index {left} is there and invalid", (left,))

        drop(connection, verdict.left)
        assert not invalid(any_database)
        connection.execute(text.encode())
        assert judged(connection, text, noted) == Verdict(DONE, f"index {left} is there and valid")
        connection.execute(f"DROP INDEX {left}".encode())


def quoted(shown: str) -> str:
    """Return a name as the verdict has it."""
    return name(*shown.split("."))


def test_build_killed_at_its_end(connection: Connection, any_database: Database) -> None:
    """A unique index that is complete but for old snapshots is invalid all the same, and rejects rows: it is dropped."""
    text = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"
    noted = before(connection, text)
    with holding(any_database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT FROM app.other"):
        with running(any_database, text) as pid:
            eventually(
                lambda: any_database.execute("SELECT 1 FROM pg_index WHERE indisready AND NOT indisvalid"),
                "a ready index",
            )
            kill(any_database, pid)
        verdict = judged(connection, text, noted)
        assert (verdict.effect, verdict.left) == (AGAIN, ('"app"."i"',))

        carcasses.drop_indexes(connection, verdict.left, deadline_ms=1000, wait_ms=100)  # in spite of the old snapshot

    assert not invalid(any_database)


def test_build_under_way_is_not_touched(connection: Connection, any_database: Database) -> None:
    """Another session's build of that name is no leftover: the verdict waits for its end."""
    text = "CREATE INDEX CONCURRENTLY i ON t (a)"
    noted = before(connection, text)
    with holding(any_database, WRITER), running(any_database, text) as pid:
        eventually(lambda: invalid(any_database) and waits(any_database, pid), "a build")
        with pytest.raises(IndexBuildUnderWay, match=f'"app"."t" is being built online by somebody else, pid {pid} '):
            judged(connection, text, noted)
        with pytest.raises(IndexBuildUnderWay):
            found(connection, what(text), text)
        kill(any_database, pid)

    assert judged(connection, text, noted).effect is AGAIN


def test_build_of_another_index_is_none_of_ours(connection: Connection, any_database: Database) -> None:
    """Our build is known to be done, or not to have begun, while another session builds another index of the table."""
    text, unnamed = "CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX CONCURRENTLY ON t (a)"
    noted = before(connection, text)
    other = "CREATE INDEX CONCURRENTLY ON t (b)"
    with holding(any_database, WRITER), running(any_database, other) as pid:
        eventually(lambda: invalid(any_database) and waits(any_database, pid), "a build")
        assert judged(connection, text, noted).effect is AGAIN
        assert judged(connection, unnamed, noted).effect is AGAIN
        kill(any_database, pid)
    connection.execute(text.encode())
    with holding(any_database, WRITER), running(any_database, other) as pid:
        eventually(lambda: len(invalid(any_database)) > 1 and waits(any_database, pid), "a build")
        assert judged(connection, text, noted).effect is DONE
        assert judged(connection, unnamed, noted).effect is DONE
        kill(any_database, pid)


def test_build_under_way_seen_by_an_owner(any_database: Database, tmp_path: Path) -> None:
    """A role that may not see what others do sees that they build."""
    role = any_database.make_role("owner")
    any_database.execute(
        f'CREATE SCHEMA app AUTHORIZATION "{role}"; CREATE TABLE app.t (a int); ALTER TABLE app.t OWNER TO "{role}"'
    )
    text = "CREATE INDEX CONCURRENTLY i ON app.t (a)"
    url = any_database.server.url(any_database.name, user=role)
    with connect(any_database.settings(tmp_path, url=url), application_name="pgrollout/test") as connection:
        noted = before(connection, text)
        with holding(any_database, "INSERT INTO app.t VALUES (1)"), running(any_database, text) as pid:
            eventually(lambda: invalid(any_database) and waits(any_database, pid), "a build")
            with pytest.raises(IndexBuildUnderWay):
                judged(connection, text, noted)
            kill(any_database, pid)


def test_build_that_somebody_else_made_otherwise(connection: Connection) -> None:
    """A valid index of that name with another definition is not the one: a person is asked, and sees both."""
    text = "CREATE INDEX CONCURRENTLY i ON t (a)"
    noted = before(connection, text)
    connection.execute("CREATE INDEX i ON t (b)")

    assert judged(connection, text, noted) == Verdict(
        UNKNOWN, 'index "app"."i" is another one: there btree (b), asked for btree (a)'
    )


def test_unnamed_build_beside_another(connection: Connection) -> None:
    """Where the server chose the name, the definition tells; an index that was there before is not meant."""
    connection.execute("CREATE INDEX ON t (a)")
    text = "CREATE INDEX CONCURRENTLY ON t (a)"
    noted = before(connection, text)
    connection.execute("CREATE INDEX ON t (b)")
    assert judged(connection, text, noted) == Verdict(AGAIN, 'no such index is on "app"."t"')

    connection.execute(text.encode())
    assert judged(connection, text, noted) == Verdict(DONE, 'index "app"."t_a_idx1" is there and valid')
    assert judged(connection, text, None).effect is not DONE


def test_build_without_a_note(connection: Connection) -> None:
    """An intent of an older version is settled by name and definition."""
    text = "CREATE INDEX CONCURRENTLY i ON app.t (a)"
    assert judged(connection, text, None).effect is AGAIN
    connection.execute(text.encode())
    assert judged(connection, text, None).effect is DONE


def test_build_on_a_table_that_is_gone(connection: Connection) -> None:
    """Without the table there is nothing to record; the server will say so."""
    text = "CREATE INDEX CONCURRENTLY i ON t (a)"
    noted = before(connection, text)
    connection.execute("DROP TABLE t")

    assert judged(connection, text, noted) == Verdict(AGAIN, "table t is not there")
    assert judged(connection, text, before(connection, text)).effect is AGAIN


def test_build_that_cannot_be_compared(any_database: Database, tmp_path: Path) -> None:
    """Without the right to make a temporary table, a name that was not there before is proof; one that was is not."""
    role = any_database.make_role("owner")
    any_database.execute(
        f'REVOKE TEMPORARY ON DATABASE {any_database.name} FROM PUBLIC; CREATE SCHEMA app AUTHORIZATION "{role}"'
    )
    text, unnamed = "CREATE INDEX CONCURRENTLY i ON app.t (a)", "CREATE INDEX CONCURRENTLY ON app.t (a)"
    with connect(any_database.settings(tmp_path, role=role), application_name="pgrollout/test") as connection:
        connection.execute("CREATE TABLE app.t (a int)")
        noted = before(connection, text)
        connection.execute(text.encode())

        assert settle(connection, what(text), text, noted) == Verdict(
            DONE, 'index "app"."i" is there and valid, and was not before'
        )
        assert settle(connection, what(text), text, before(connection, text)).effect is UNKNOWN
        assert settle(connection, what(unnamed), unnamed, noted).effect is UNKNOWN
        assert found(connection, what(text), text).state is State.CANNOT_TELL


def test_found(connection: Connection, any_database: Database) -> None:
    """What has the name before a build: nothing, the same, a carcass of it, another index, or no index at all."""
    text = "CREATE INDEX CONCURRENTLY i ON t (a)"
    states = [found(connection, what(text), text).state]
    connection.execute(text.encode())
    states.append(found(connection, what(text), text).state)
    other = found(connection, what(text), text.replace("(a)", "(b)"))
    connection.execute("DROP INDEX i; CREATE INDEX i ON other (a)")
    elsewhere = found(connection, what(text), text)
    connection.execute("DROP INDEX i; CREATE VIEW i AS SELECT 1")
    states.append(found(connection, what(text), text).state)
    connection.execute("DROP VIEW i")
    interrupt(any_database, text, WRITER, lambda: invalid(any_database))
    carcass = found(connection, what(text), text)

    assert states == [State.NONE, State.EQUAL, State.DIFFERS]
    assert (other.state, other.index, other.there, other.asked) == (
        State.DIFFERS,
        '"app"."i"',
        "btree (a)",
        "btree (b)",
    )
    assert (elsewhere.state, elsewhere.there) == (State.DIFFERS, "of another table, btree (a)")
    assert (carcass.state, carcass.index, carcass.is_valid) == (State.CARCASS, '"app"."i"', False)
    drop(connection, (carcass.index,))
    assert found(connection, what(text), text).state is State.NONE


# REINDEX … CONCURRENTLY.

REINDEXES = [
    "REINDEX INDEX CONCURRENTLY t_a_idx",
    "REINDEX (CONCURRENTLY) TABLE t",
    "REINDEX SCHEMA CONCURRENTLY app",
]


@pytest.mark.parametrize(("held_by", "suffix"), [(WRITER, "_ccnew"), (READER, "_ccold")])
def test_reindex_killed(connection: Connection, any_database: Database, held_by: str, suffix: str) -> None:
    """The copy that a killed reindex has left is dropped, the old one as well as the new one; one from before is not."""
    connection.execute("CREATE INDEX ON t (a)")
    kept = f"app.t_a_idx{suffix}"
    interrupt(any_database, "REINDEX INDEX CONCURRENTLY t_a_idx", held_by, lambda: invalid(any_database))
    for text in REINDEXES:
        noted = before(connection, text)
        assert judged(connection, text, noted).effect is AGAIN

        interrupt(any_database, text, held_by, lambda: len(invalid(any_database)) > 1)
        verdict = judged(connection, text, noted)
        left = [index for index in invalid(any_database) if index != kept]
        assert (verdict.effect, sorted(verdict.left)) == (AGAIN, [quoted(index) for index in left])
        assert left[0].startswith(f"app.t_a_idx{suffix}")

        drop(connection, verdict.left)
        assert invalid(any_database) == [kept]
        connection.execute(text.encode())
        assert judged(connection, text, noted).effect is (AGAIN if "SCHEMA" in text else DONE)


def test_reindex_of_somebody_else(connection: Connection, any_database: Database) -> None:
    """What another session's reindex has made so far is not ours."""
    connection.execute("CREATE INDEX ON t (a)")
    text = "REINDEX TABLE CONCURRENTLY t"
    noted = before(connection, text)
    with holding(any_database, WRITER), running(any_database, text) as pid:
        eventually(lambda: invalid(any_database) and waits(any_database, pid), "a reindex")
        with pytest.raises(IndexBuildUnderWay):
            judged(connection, text, noted)
        kill(any_database, pid)


# DROP INDEX CONCURRENTLY.


def test_drop_killed(connection: Connection, any_database: Database) -> None:
    """A killed drop has left the index, invalid: it is dropped again; gone is gone, whoever has its name now."""
    connection.execute("CREATE INDEX i ON t (a)")
    text = "DROP INDEX CONCURRENTLY i"
    noted = before(connection, text)
    interrupt(any_database, text, READER, lambda: invalid(any_database))
    assert judged(connection, text, noted) == Verdict(AGAIN, 'index "app"."i" is there')
    assert judged(connection, "DROP INDEX CONCURRENTLY app.i", None).effect is AGAIN
    assert judged(connection, text, None).effect is UNKNOWN

    connection.execute(text.encode())
    connection.execute("CREATE INDEX i ON t (b)")
    assert judged(connection, text, noted) == Verdict(DONE, "index i is not there")
    connection.execute("DROP INDEX i")
    assert judged(connection, text, None).effect is DONE
    assert judged(connection, text, before(connection, text)).effect is AGAIN
    lenient = "DROP INDEX CONCURRENTLY IF EXISTS i"
    assert judged(connection, lenient, before(connection, lenient)).effect is DONE


# DETACH PARTITION … CONCURRENTLY.


def test_detach_killed(connection: Connection, any_database: Database) -> None:
    """A killed detach is finished rather than repeated."""
    connection.execute("CREATE TABLE parent (a int) PARTITION BY RANGE (a)")
    connection.execute('CREATE TABLE "P" PARTITION OF parent FOR VALUES FROM (1) TO (9)')
    text = 'ALTER TABLE parent DETACH PARTITION "P" CONCURRENTLY'
    noted = before(connection, text)
    assert judged(connection, text, noted) == Verdict(AGAIN, '"app"."P" is attached to "app"."parent"')

    qualified = 'ALTER TABLE app.parent DETACH PARTITION app."P" CONCURRENTLY'
    pending = "SELECT 1 FROM pg_inherits WHERE inhdetachpending"
    interrupt(any_database, text, "SELECT FROM app.parent", lambda: any_database.execute(pending))
    for verdict in (judged(connection, text, noted), judged(connection, qualified, None)):
        assert verdict.effect is DONE
        assert verdict.detach == ('"app"."parent"', '"app"."P"')
    assert verdict.detach is not None
    for _ in ("", "it is done already"):
        carcasses.finalize(connection, *verdict.detach, deadline_ms=20_000, wait_ms=500)
    assert not any_database.execute("SELECT 1 FROM pg_inherits WHERE inhrelid = 'app.\"P\"'::regclass")

    assert judged(connection, text, noted) == Verdict(DONE, '"app"."P" is detached from "app"."parent"')
    assert judged(connection, text, before(connection, text)).effect is AGAIN
    connection.execute('DROP TABLE "P"')
    assert judged(connection, text, noted) == Verdict(DONE, "P is gone")
    assert judged(connection, text, before(connection, text)).effect is AGAIN
    assert judged(connection, text, None).effect is UNKNOWN


# What is there or not.


def test_database(connection: Connection, any_database: Database) -> None:
    """A database is there or not; one whose drop was interrupted is neither."""
    other = name(any_database.name + "_other")
    create, remove = f"CREATE DATABASE {other} TEMPLATE template0", f"DROP DATABASE {other}"
    nothing = before(connection, create)
    assert nothing == {"oid": None}
    assert judged(connection, create, nothing).effect is AGAIN
    assert judged(connection, remove, nothing).effect is AGAIN
    assert judged(connection, f"DROP DATABASE IF EXISTS {other}", nothing).effect is DONE
    connection.execute(create.encode())
    try:
        there = before(connection, remove)
        assert judged(connection, create, nothing).effect is DONE
        assert judged(connection, create, there).effect is AGAIN
        assert judged(connection, remove, there).effect is AGAIN
        connection.execute(f"UPDATE pg_database SET datconnlimit = -2 WHERE oid = {there['oid']}".encode())
        assert judged(connection, remove, there).says.endswith("is half dropped")
        assert judged(connection, create, nothing).effect is UNKNOWN
    finally:
        connection.execute(remove.encode())
    assert judged(connection, remove, there).effect is DONE


def test_tablespace_and_move(connection: Connection, any_database: Database) -> None:
    """A tablespace is there or not, and a database in it or not."""
    other = any_database.name + "_other"
    create, remove = f"CREATE TABLESPACE {other} LOCATION ''", f"DROP TABLESPACE {other}"
    move = f"ALTER DATABASE {other} SET TABLESPACE {other}"
    nothing = before(connection, create)
    assert judged(connection, create, nothing).effect is AGAIN
    assert judged(connection, move, before(connection, move)).effect is AGAIN
    connection.execute("SET allow_in_place_tablespaces = on")
    connection.execute(create.encode())
    try:
        there = before(connection, remove)
        assert judged(connection, create, nothing).effect is DONE
        assert judged(connection, remove, there).effect is AGAIN
        connection.execute(f"CREATE DATABASE {other} TEMPLATE template0".encode())
        try:
            assert judged(connection, move, {}) == Verdict(AGAIN, f"database {other} is in tablespace pg_default")
            connection.execute(move.encode())
            assert judged(connection, move, {}) == Verdict(DONE, f"database {other} is in tablespace {other}")
        finally:
            connection.execute(f"DROP DATABASE {other}".encode())
    finally:
        connection.execute(remove.encode())
    assert judged(connection, remove, there).effect is DONE


def test_subscription(connection: Connection) -> None:
    """A subscription that is there was made; one that is not may have left its slot, and one to be dropped may have lost it."""
    create = "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (slot_name = the_slot)"
    remove, add = "DROP SUBSCRIPTION s", "ALTER SUBSCRIPTION s ADD PUBLICATION q WITH (refresh = true)"
    nothing = before(connection, create)
    verdict = judged(connection, create, nothing)
    assert verdict.effect is UNKNOWN
    assert "SELECT pg_drop_replication_slot('the_slot');" in verdict.advice

    connection.execute(create.replace("slot_name", "connect = false, slot_name").encode())
    there = before(connection, remove)
    assert judged(connection, create, nothing) == Verdict(DONE, "subscription s is there")
    verdict = judged(connection, remove, there)
    assert verdict.effect is UNKNOWN
    assert "slot_name = 'the_slot'" in verdict.advice
    assert 'ALTER SUBSCRIPTION "s" SET (slot_name = NONE);' in verdict.advice

    noted = before(connection, add)
    assert judged(connection, add, noted).effect is AGAIN
    connection.execute(add.replace("true", "false").encode())
    assert judged(connection, add, noted).effect is DONE
    assert judged(connection, "ALTER SUBSCRIPTION s REFRESH PUBLICATION", before(connection, add)).effect is AGAIN

    connection.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
    assert judged(connection, remove, there).effect is AGAIN  # without a slot it is done once or not at all
    connection.execute(remove.encode())
    assert judged(connection, remove, there).effect is DONE


@pytest.mark.parametrize("verb", ["COMMIT", "ROLLBACK"])
def test_prepared_transaction(connection: Connection, any_database: Database, verb: str) -> None:
    """A prepared transaction that was there and is gone was ended."""
    gid = f"{any_database.name} it's"
    shown = "'" + gid.replace("'", "''") + "'"
    text = f"{verb} PREPARED {shown}"
    nothing = before(connection, text)
    any_database.execute("BEGIN; " + WRITER + "; PREPARE TRANSACTION " + shown)
    noted = before(connection, text)
    assert judged(connection, text, noted).effect is AGAIN
    connection.execute(text.encode())

    assert judged(connection, text, noted) == Verdict(DONE, f"prepared transaction {shown} is gone")
    assert judged(connection, text, nothing).effect is AGAIN
    assert judged(connection, text, None).effect is UNKNOWN


def test_what_may_run_again_and_what_nobody_can_tell(connection: Connection) -> None:
    """Some statements do no harm when they run twice; of a CALL nothing can be told."""
    for text in ("VACUUM", "VACUUM FULL t", "CLUSTER", "REINDEX SCHEMA app", "ALTER SYSTEM RESET work_mem"):
        assert before(connection, text) == {}
        assert judged(connection, text, {}).effect is AGAIN
    assert judged(connection, "REINDEX TABLE CONCURRENTLY t", None).effect is AGAIN
    assert settle(connection, None, "CALL p()", {}).effect is UNKNOWN
    assert set(effects._SETTLE) == set(Form)
