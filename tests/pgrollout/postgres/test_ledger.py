"""The ledger: its fence, its token, its open intents, and that it needs nothing but Atlas's table to go on."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgrollout.postgres import atlas_lock, ledger
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.ledger import Ledger, Run
from tests.project import Project, eventually
from tests.servers import Database

EMPTY = Ledger("pgrollout", 0, 0)


def make_run(token: int, name: str = "", history: str = "h") -> Run:
    """Return a run with this token."""
    return Run(name or f"run {token}", history, token, "release", "plan", 180000, "me@here", "cli", "because")


def do(database: Database, *texts: str) -> None:
    """Run texts one after the other, each committed."""
    with database.connect() as connection:
        for text in texts:
            connection.execute(text.encode())


def open_ledger(database: Database, token: int = 1) -> None:
    """Make the ledger, with a run that has the token."""
    do(database, "".join(ledger.upgrades(EMPTY)), ledger.start_run_sql(EMPTY, make_run(token)))


@pytest.fixture
def connection(any_database: Database, tmp_path: Path) -> Iterator[Connection]:
    """A connection as the stages have it."""
    with connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection:
        yield connection


@pytest.fixture
def locked(connection: Connection) -> Connection:
    """The same, holding Atlas's lock, without which nothing passes the fence."""
    atlas_lock.acquire(connection, wait_ms=0)
    return connection


def test_upgrades_are_numbered_and_run_once(any_database: Database, connection: Connection) -> None:
    """A database without a ledger gets all numbered SQL, one that has it gets none."""
    assert ledger.read(connection, "pgrollout", "h") == EMPTY

    open_ledger(any_database)
    now = ledger.read(connection, "pgrollout", "h")

    assert now.exists
    assert now.token == 1
    assert list(ledger.upgrades(now)) == []
    assert any_database.execute("SELECT max(number), count(*) FROM pgrollout.upgrade") == [(now.number, now.number)]


def test_schema_has_any_name(any_database: Database, locked: Connection) -> None:
    """A name that needs quotes is quoted everywhere, in the functions too."""
    before = Ledger('my "own" ledger', 0, 0)
    do(any_database, "".join(ledger.upgrades(before)), ledger.start_run_sql(before, make_run(1)))

    locked.execute(ledger.fence_sql(before.schema, 1).encode())

    assert ledger.read(locked, before.schema, "h").token == 1


def test_fence_lets_the_newest_token_pass(any_database: Database, locked: Connection) -> None:
    """The token of the lease passes, an older one fails with PR001, also when nobody may have written."""
    open_ledger(any_database)
    do(any_database, ledger.start_run_sql(ledger.read(locked, "pgrollout", "h"), make_run(2)))

    locked.execute(ledger.fence_sql("pgrollout", 2).encode())
    with pytest.raises(psycopg.Error) as caught:
        locked.execute(ledger.fence_sql("pgrollout", 1).encode())

    assert caught.value.sqlstate == "PR001"
    assert any_database.execute("SELECT token, run FROM pgrollout.lease") == [(2, "run 2")]


def test_fence_asks_for_the_lock(any_database: Database, locked: Connection) -> None:
    """Who has lost Atlas's lock fails with PR002, whatever the token: the Atlas CLI may be at work."""
    open_ledger(any_database)
    locked.execute("SELECT pg_advisory_unlock_all()")

    with pytest.raises(psycopg.Error) as caught:
        locked.execute(ledger.fence_sql("pgrollout", 1).encode())

    assert caught.value.sqlstate == "PR002"


def test_takeover_waits_for_a_fenced_transaction(any_database: Database, connection: Connection) -> None:
    """Who has passed the fence commits before the token changes: a takeover waits, or gives up, but never overtakes."""
    open_ledger(any_database)
    take = ledger.start_run_sql(Ledger("pgrollout", 1, 1), make_run(2))
    with any_database.connect(autocommit=False) as fenced:
        atlas_lock.acquire(fenced, wait_ms=0)
        fenced.execute(ledger.fence_sql("pgrollout", 1).encode())

        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(f"BEGIN; SET LOCAL lock_timeout = '10ms'; {take} COMMIT".encode())
        connection.execute("ROLLBACK")
        connection.execute("UPDATE pgrollout.lease SET heartbeat = now()")  # a heartbeat is not in its way

    connection.execute(take.encode())


def test_fence_waits_for_a_takeover(any_database: Database, connection: Connection) -> None:
    """Who comes to the fence while a takeover is open waits for it, and is refused afterwards."""
    open_ledger(any_database)
    with any_database.connect(autocommit=False) as taking, any_database.connect() as late:
        taking.execute(ledger.start_run_sql(Ledger("pgrollout", 1, 1), make_run(2)).encode())
        late.pgconn.send_query(ledger.fence_sql("pgrollout", 1).encode())
        eventually(
            lambda: connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", [late.info.backend_pid]
            ).fetchone(),
            "the fence waiting",
        )
        taking.commit()
        result = late.pgconn.get_result()

        assert result is not None
        assert late.pgconn.get_result() is None
        assert b"PR001" in (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"")


def test_open_intents_of_one_history(any_database: Database, connection: Connection) -> None:
    """An intent is open until its end is recorded; another history's is another's."""
    open_ledger(any_database)
    run, other = make_run(1), make_run(1, history="other")
    do(
        any_database,
        *(
            ledger.step_sql(
                "pgrollout", each, version="7", position=2, kind="alone", statement="VACUUM 'it''s'", hash="abc",
                backend=(1, "2026-11-23 10:00:00+00"), is_intent=True,
            )
            for each in (run, other)
        ),
    )  # fmt: skip

    (intent,) = ledger.read(connection, "pgrollout", "h").open_intents
    assert (intent.run, intent.version, intent.position, intent.statement, intent.hash) == (
        "run 1", "7", 2, "VACUUM 'it''s'", "abc",
    )  # fmt: skip
    assert intent.since.tzinfo is not None

    do(any_database, ledger.end_intent_sql("pgrollout", run, "7", 2, "done", "seen"))
    assert ledger.read(connection, "pgrollout", "h").open_intents == ()
    assert len(ledger.read(connection, "pgrollout", "other").open_intents) == 1


@pytest.mark.parametrize(("version", "position"), [("7", 3), ("8", 2)], ids=["position", "version"])
def test_another_intent_stays_open(any_database: Database, connection: Connection, version: str, position: int) -> None:
    """The end of a statement's intent is no other's: not of another statement of the file, nor of another file's."""
    open_ledger(any_database)
    run = make_run(1)
    do(
        any_database,
        *(
            ledger.step_sql(
                "pgrollout", run, version=each, position=number, kind="alone", statement="VACUUM", hash="abc",
                backend=(1, "2026-11-23 10:00:00+00"), is_intent=True,
            )
            for each, number in (("7", 2), (version, position))
        ),
    )  # fmt: skip

    do(any_database, ledger.end_intent_sql("pgrollout", run, "7", 2, "done"))

    (intent,) = ledger.read(connection, "pgrollout", "h").open_intents
    assert (intent.version, intent.position) == (version, position)


def test_a_killed_run_is_not_open_for_ever(any_database: Database) -> None:
    """The next one that has the lock ends it: it was lost."""
    open_ledger(any_database)

    do(any_database, ledger.start_run_sql(Ledger("pgrollout", 1, 1), make_run(2)))

    assert any_database.execute("SELECT id, outcome, ended_at IS NULL FROM pgrollout.run ORDER BY id") == [
        ("run 1", "lost", False),
        ("run 2", None, True),
    ]


def test_backup_is_recorded_once(any_database: Database) -> None:
    """The backup of a run is one row, however often it is recorded."""
    open_ledger(any_database)
    text = ledger.backup_sql(
        "pgrollout", make_run(1), place="/b", size_bytes=5, digest="sha256:0", server_position="0/1",
        taken_at="2026-11-23T10:00:00+00:00",
    )  # fmt: skip

    do(any_database, text, text)

    assert any_database.execute("SELECT run, place, size_bytes, tried FROM pgrollout.backup") == [
        ("run 1", "/b", 5, False)
    ]


def test_lost_ledger_is_made_anew(tmp_path: Path, database: Database) -> None:
    """Without the ledger the history still says what is applied, and the next run goes on."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "CREATE TABLE b (id int);\n"})
    project.apply(amount=1)
    database.execute("DROP SCHEMA pgrollout CASCADE")

    report = project.apply()

    assert [file.version for file in report.applied] == ["2"]
    assert database.execute("SELECT version FROM pgrollout.step") == [("2",)]


def test_every_run_has_a_newer_token(tmp_path: Path, database: Database) -> None:
    """The lease is one row; each run raises its token, a run with nothing to do does not."""
    project = Project(tmp_path, database)
    for number in (1, 2):
        project.write({f"{number}_a.sql": "SELECT 1;\n"})
        project.apply()
    project.apply()

    assert database.execute("SELECT token FROM pgrollout.lease") == [(2,)]
    assert database.execute("SELECT token, outcome FROM pgrollout.run ORDER BY token") == [(1, "done"), (2, "done")]


def test_stolen_lease_stops_a_run(tmp_path: Path, database: Database) -> None:
    """A run whose token is not the newest any more writes nothing, in either mode, and can be repeated."""
    project = Project(tmp_path, database)
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\n",
            "2_b.sql": "-- atlas:txmode none\n\nUPDATE pgrollout.lease SET token = 99;\nCREATE TABLE b (id int);\n",
        }
    )

    done = project.run("apply")

    assert done.returncode == 75
    assert "Another run has taken over this database" in done.stderr
    assert project.versions() == ["1", "2"]
    assert project.rows()[1][3:5] == (0, 2)
    assert not project.exists("b")
