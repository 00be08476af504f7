"""Stage apply, asked to stop: it does within moments, tells what is done and what the next run does, exit code 75."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgrollout.errors import ExitCode, Interrupted, LockNotAcquired
from pgrollout.postgres.atlas_lock import LOCK_KEY
from tests.pgrollout.postgres.interrupting import holding, orphaned_build
from tests.project import Project, eventually, is_gone, lock_holder
from tests.servers import Database

FOR_EVER = "SELECT pg_sleep(3600)"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with one file applied and one pending, on PostgreSQL 18."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int CHECK (id > 0));\n"})
    project.apply()
    project.write({"2_b.sql": "ALTER TABLE a ADD COLUMN b int;\n"})
    return project


@contextmanager
def interrupted_at(line: str) -> Iterator[None]:
    """Press Ctrl-C when this is logged."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if line in record.getMessage():
                signal.raise_signal(signal.SIGINT)

    handler, logger = Handler(), logging.getLogger("pgrollout")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def interrupted_when(condition: Callable[[], object]) -> Iterator[None]:
    """Press Ctrl-C when this is to be seen."""

    def press() -> None:
        eventually(condition, "the moment to press Ctrl-C")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def stopped(project: Project, **settings: object) -> str:
    """Show that apply ends interrupted, exit code 75, and leaves nothing of ours; return what it says."""
    with pytest.raises(Interrupted) as caught:
        project.apply(project.settings(**settings))
    assert caught.value.code is ExitCode.WAIT
    eventually(
        lambda: (
            not project.database.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgrollout/%/%' "
                "AND application_name NOT LIKE '%/orphan/%'"
            )
        ),
        "the end of its backends",
    )
    return str(caught.value)


NOTHING = "Interrupted: 0 migrations applied, 1 left. The next run continues with them."


def test_while_waiting_for_its_turn(project: Project) -> None:
    """Nothing has begun."""
    with lock_holder(project.database, LOCK_KEY), interrupted_at("waiting for another run"):
        assert stopped(project) == NOTHING

    assert project.versions() == ["1"]


def test_while_reading_the_schema(project: Project) -> None:
    """Somebody has a table locked, so the schema cannot be read: that is not waited for."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with project.database.connect(autocommit=False) as other:
        other.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with interrupted_when(lambda: project.database.execute(waiting)):
            assert stopped(project) == NOTHING

    assert project.database.execute("SELECT outcome FROM pgrollout.run") == [("done",)]


def test_while_waiting_for_a_table(project: Project) -> None:
    """Nobody waits behind us, and nothing is kept."""
    with project.database.connect(autocommit=False) as other:
        other.execute("SELECT FROM a")
        with interrupted_at("waiting reason="):
            assert stopped(project) == NOTHING

    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [("done",), ("interrupted",)]
    assert project.apply().after == "2"


def test_between_two_files(project: Project) -> None:
    """A file that has committed counts as applied, the next one does not begin."""
    project.write({"3_c.sql": "CREATE TABLE c (id int);\n"})

    with interrupted_at("migration applied version=2"):
        said = stopped(project)

    assert said == "Interrupted: 1 migrations applied, 1 left. The next run continues with them."
    assert project.versions() == ["1", "2"]
    assert project.apply().after == "3"


def test_after_the_last_file(project: Project) -> None:
    """All is done and recorded; the next run finds nothing to do, and that is said."""
    with interrupted_at("migration applied version=2"):
        said = stopped(project)

    assert said == "Interrupted: 1 migrations applied, 0 left. The next run finds nothing more to do."
    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [("done",), ("done",)]


def test_while_an_orphan_builds(project: Project) -> None:
    """An online build of a run that died is left to itself, for the run after this one."""
    with orphaned_build(project) as pid:
        with interrupted_at("online build adopted"):
            assert stopped(project) == NOTHING
        assert not is_gone(project.database, pid)


def test_deadline_in_a_statement(project: Project) -> None:
    """The run's deadline cancels what is under way, as an interrupt does, and is named."""
    project.write({"2_b.sql": f"INSERT INTO a VALUES (2);\n{FOR_EVER};\n"})

    said = stopped(project, run_deadline_ms=700)

    assert (
        said
        == "Interrupted: 0 migrations applied, 1 left. run_deadline_ms has passed. The next run continues with them."
    )
    assert project.database.execute("SELECT count(*) FROM a") == [(0,)]
    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [("done",), ("interrupted",)]


def test_deadline_while_an_orphan_builds(project: Project) -> None:
    """The build outlives who waits for it; how far it is, is said."""
    with orphaned_build(project) as pid:
        said = stopped(project, run_deadline_ms=500)
        assert not is_gone(project.database, pid)

    assert (
        "run_deadline_ms has passed. The server goes on building an index (CREATE INDEX CONCURRENTLY of a, waiting"
        in said
    )
    assert "and the next run waits for that" in said


def test_deadline_while_another_run_works(project: Project) -> None:
    """The run's deadline is not behind the wait for another run."""
    with lock_holder(project.database, LOCK_KEY), pytest.raises(LockNotAcquired, match="run_deadline_ms"):
        project.apply(project.settings(run_deadline_ms=200))


BUILDING = (
    "FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'CREATE%INDEX %' "
)


def test_builds_that_nobody_waits_for(project: Project) -> None:
    """With online_builds = leave runs end while the server builds, exit code 75; one after that finds the index, and goes on."""
    settings = {"small_table_bytes": 0, "online_builds": "leave"}
    build = "CREATE INDEX CONCURRENTLY a_idx ON a (id);\n"
    project.write({"2_b.sql": build, "3_c.sql": "INSERT INTO a VALUES (3);\n"})
    active = f"SELECT 1 {BUILDING}"

    with holding(project.database, "INSERT INTO a VALUES (2)"):
        for _ in range(2):
            with pytest.raises(Interrupted) as caught:
                project.apply(project.settings(**settings))
            assert caught.value.code is ExitCode.WAIT
            assert "The server goes on building an index (" in str(caught.value)
            assert "waiting for writers" in str(caught.value)
            assert "and a run after that goes on." in str(caught.value)
            assert project.database.execute(active)
    eventually(lambda: not project.database.execute(active), "the end of the build")

    assert project.apply(project.settings(**settings)).after == "3"
    assert project.database.execute("SELECT kind, outcome FROM pgrollout.step WHERE version = '2'") == [
        ("alone", "done")
    ]
    assert project.database.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_idx'::regclass") == [(True,)]


def test_a_unique_build_is_waited_for(project: Project) -> None:
    """Also with online_builds = leave: what the data refuse is to be dropped at once."""
    project.write({"2_b.sql": "CREATE UNIQUE INDEX CONCURRENTLY a_idx ON a (id);\n"})
    settings = project.settings(small_table_bytes=0, online_builds="leave")
    late = f"SELECT 1 {BUILDING} AND query_start < clock_timestamp() - interval '1.5 s'"

    with ThreadPoolExecutor(1) as other:
        with holding(project.database, "INSERT INTO a VALUES (2)"):
            run = other.submit(project.apply, settings)
            eventually(lambda: project.database.execute(late), "a build that takes long")
        assert run.result(60).after == "2"
