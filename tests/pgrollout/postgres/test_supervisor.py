"""The supervisor: who waits for our backend is seen, and only what we execute is cancelled."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from pgrollout.lock_mode import Lock, Mode, Reach
from pgrollout.nodes import Name
from pgrollout.postgres.awaited import row_holders
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.supervisor import Stall, Supervisor
from pgrollout.progress import Reporter
from tests.pgrollout.postgres.interrupting import running, waits
from tests.project import Project, eventually
from tests.servers import Database

BACKEND = (
    "SELECT pid, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00') FROM pg_stat_activity "
    "WHERE pid = pg_backend_pid()"
)
BUDGET_MS = 200


@pytest.fixture
def table(database: Database) -> Database:
    """A database with a table ``app.a`` of one row."""
    database.execute("CREATE SCHEMA app; CREATE TABLE app.a (id int); INSERT INTO app.a VALUES (1)")
    return database


class Scene:
    """A supervisor at work, and the connection that it watches over."""

    def __init__(self, executing: Connection, supervisor: Supervisor) -> None:
        self.executing = executing
        self.supervisor = supervisor

    def execute(self, statement: str) -> Stall | None:
        """Execute a statement under the watchdog; return why it was cancelled."""
        with self.supervisor.watching("testing", BUDGET_MS) as watch:
            try:
                self.executing.execute(statement.encode())
            except psycopg.errors.QueryCanceled:
                return self.supervisor.stall(watch)
        return None


@contextmanager
def supervised(database: Database, *, start: str | None = None, reporter: Reporter | None = None) -> Iterator[Scene]:
    """Give an executing connection in a transaction, which is watched over as the backend that started then."""
    with database.connect() as watch, database.connect(options="-c search_path=app") as executing:
        row = executing.execute(BACKEND).fetchone()
        assert row is not None
        supervisor = Supervisor(watch, "pgrollout", 30_000, reporter or Reporter("testing", None))
        with supervisor.started(None):
            supervisor.watch_over((row[0], start or row[1]))
            executing.execute("BEGIN")
            yield Scene(executing, supervisor)
            executing.execute("ROLLBACK")


UNTIL_CANCELLED = "SELECT pg_sleep(60)"
UNTIL_SOMEBODY_WAITS = (
    "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid() "
    "AND waitstart < clock_timestamp() - interval '0.4 s') LOOP PERFORM pg_sleep(0.01); END LOOP; END $$"
)
"""Ends when somebody has waited for twice the budget."""


@pytest.mark.parametrize(
    ("lock", "waiter"),
    [
        ("LOCK TABLE a IN ACCESS EXCLUSIVE MODE", "SELECT FROM a"),
        ("LOCK TABLE a IN SHARE MODE", "INSERT INTO a VALUES (2)"),
        ("UPDATE a SET id = 2", "UPDATE a SET id = 3"),
        ("UPDATE a SET id = 2", "SELECT FROM a FOR UPDATE"),
    ],
    ids=["reader", "writer", "writer of the row", "locker of the row"],
)
def test_work_that_others_wait_for_is_cancelled(table: Database, lock: str, waiter: str) -> None:
    """Who reads, writes or locks rows behind us has our statement cancelled, and goes on when we have rolled back."""
    with supervised(table) as scene:
        scene.executing.execute(lock.encode())
        with running(table, waiter) as pid:
            eventually(lambda: waits(table, pid), "somebody who waits")
            stall = scene.execute(UNTIL_CANCELLED)
            scene.executing.execute("ROLLBACK")

    assert stall is not None
    assert stall.waiters == 1
    assert stall.waited_ms >= BUDGET_MS * 0.6
    assert not stall.was_waiting


@pytest.mark.parametrize(
    ("lock", "waiter"),
    [
        ("LOCK TABLE a IN ROW EXCLUSIVE MODE", "ALTER TABLE a ADD COLUMN b int"),
        ("LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE", "VACUUM a"),
    ],
    ids=["DDL", "vacuum"],
)
def test_other_ddl_waits(table: Database, lock: str, waiter: str) -> None:
    """Other DDL and vacuum are not protected: our statement goes on."""
    with supervised(table) as scene:
        scene.executing.execute(lock.encode())
        with running(table, waiter):
            assert scene.execute(UNTIL_SOMEBODY_WAITS) is None
            scene.executing.execute("ROLLBACK")


def test_our_own_wait_is_told_apart(table: Database) -> None:
    """Somebody waits behind us while we wait ourselves: we have done nothing yet, and may try again."""
    with ExitStack() as stack:
        first = stack.enter_context(table.connect(autocommit=False))
        first.execute("SELECT FROM app.a")
        scene = stack.enter_context(supervised(table))
        found: list[Stall | None] = []
        ours = threading.Thread(target=lambda: found.append(scene.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")))
        ours.start()
        eventually(lambda: waits(table, scene.executing.info.backend_pid), "our wait")
        with running(table, "SELECT FROM a"):
            ours.join(60)
            scene.executing.execute("ROLLBACK")

    assert found[0] is not None
    assert found[0].was_waiting


def test_deadlock_in_the_making(table: Database) -> None:
    """We and somebody else wait for each other: we give way before the server chooses a victim, and know what we waited for."""
    table.execute("CREATE TABLE app.b (id int)")
    with supervised(table) as scene:
        scene.executing.execute("LOCK TABLE a")
        with running(table, "BEGIN", "LOCK TABLE b", "LOCK TABLE a", "COMMIT") as pid:
            eventually(lambda: waits(table, pid), "somebody who waits for us")
            with scene.supervisor.watching("testing", 600_000) as watch:
                with pytest.raises(psycopg.errors.QueryCanceled):
                    scene.executing.execute("LOCK TABLE b")
                stall = scene.supervisor.stall(watch)
            scene.executing.execute("ROLLBACK")

    assert stall is not None
    assert (stall.waiters, stall.was_waiting) == (1, True)
    assert {each.lock for each in watch.awaited} == {Lock(Name("app", "b"), Mode.ACCESS_EXCLUSIVE, Reach.ALONE)}


@pytest.mark.parametrize("name", ["", "second"])
def test_row_that_is_waited_for(table: Database, name: str) -> None:
    """Whoever has the row is known, also behind another one who wants it."""
    with ExitStack() as stack:
        first = stack.enter_context(table.connect(autocommit=False, application_name="first"))
        first.execute("UPDATE app.a SET id = 2")
        if name:
            pid = stack.enter_context(running(table, "UPDATE a SET id = 3", name=name))
            eventually(lambda: waits(table, pid), "another one who wants the row")
        scene = stack.enter_context(supervised(table))
        with scene.supervisor.watching("testing", 600_000) as watch:
            ours = threading.Thread(target=scene.executing.execute, args=("UPDATE a SET id = 4",))
            ours.start()
            eventually(lambda: watch.awaited, "what we wait for")
            found = row_holders(scene.supervisor.connection, watch.awaited)
            first.rollback()
            ours.join(60)
        scene.executing.execute("ROLLBACK")
        left = row_holders(scene.supervisor.connection, watch.awaited)

    assert [each.application_name for each in found] == ["first"]
    assert str(found[0]).endswith("holds ROW EXCLUSIVE on a row of app.a")
    assert left == ()


def test_cancel_that_is_not_heeded(table: Database) -> None:
    """A statement that catches every cancel loses its backend: nobody waits for longer than the budget."""
    catches = (
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
    )
    with table.connect() as watch, table.connect() as executing:
        backend = executing.execute(BACKEND).fetchone()
        assert backend is not None
        supervisor = Supervisor(watch, "pgrollout", 30_000, Reporter("testing", None))
        supervisor.watch_over(backend)
        with supervisor.started(None), supervisor.watching("testing", BUDGET_MS):
            executing.execute("BEGIN; LOCK TABLE app.a")
            with running(table, "SELECT FROM a"), pytest.raises(psycopg.errors.AdminShutdown):
                executing.execute(catches)

    assert "did not heed a cancel" in supervisor.ended


def test_another_backend_of_that_pid_is_not_cancelled(table: Database) -> None:
    """The pid alone does not say who it is."""
    with supervised(table, start="2001-01-01 00:00:00+00") as scene:
        scene.executing.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with running(table, "SELECT FROM a"):
            assert scene.execute(UNTIL_SOMEBODY_WAITS) is None
            scene.executing.execute("ROLLBACK")


def test_who_is_waited_for_is_told(table: Database) -> None:
    """A person who watches sees whom our statement waits for."""
    reporter = Reporter("testing", None)
    with (
        table.connect(autocommit=False, application_name="report") as first,
        supervised(table, reporter=reporter) as scene,
    ):
        pid = first.info.backend_pid
        first.execute("SELECT FROM app.a")
        ours = threading.Thread(target=scene.execute, args=("LOCK TABLE a IN ACCESS EXCLUSIVE MODE",))
        ours.start()
        try:
            eventually(lambda: "waits for pid" in reporter.now().doing, "who is waited for")
        finally:
            first.rollback()
            ours.join(60)

    assert f"waits for pid {pid} (report, idle in transaction, for " in reporter.now().doing


# Signs of life.


@pytest.fixture
def leased(tmp_path: Path, database: Database) -> Database:
    """A database whose lease somebody has just taken, with token 1."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    database.execute("UPDATE pgrollout.lease SET heartbeat = now() - interval '1 hour'")
    return database


def test_signs_of_life(leased: Database) -> None:
    """They are given while the block lasts; when the token is somebody else's, the run is lost, and that is all."""
    with leased.connect() as watch:
        supervisor = Supervisor(watch, "pgrollout", 300, Reporter("testing", None))
        with supervisor.started(1):
            eventually(
                lambda: leased.execute("SELECT 1 FROM pgrollout.lease WHERE heartbeat > now() - interval '1 minute'"),
                "a sign of life",
            )
            assert supervisor.lost is None
            leased.execute("UPDATE pgrollout.lease SET token = 2")
            eventually(lambda: supervisor.lost, "the loss of the lease")

    assert supervisor.lost == "another run has taken over"


def test_supervising_connection_is_lost(leased: Database) -> None:
    """Without it nobody would see who waits: the run is to end."""
    with leased.connect() as watch:
        supervisor = Supervisor(watch, "pgrollout", 300, Reporter("testing", None))
        with supervisor.started(1):
            leased.execute("SELECT pg_terminate_backend(%s)", watch.info.backend_pid)
            eventually(lambda: supervisor.lost, "the loss of the connection")

    assert "the supervising connection: terminating connection" in (supervisor.lost or "")
