"""Stage apply beside a standby: that commits wait for it is said; after a failover the next run goes on there."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from pgrollout.errors import ExitCode, Interrupted, ServerIsStandby, ServerUnavailable
from pgrollout.stages import by_hand
from pgrollout.stages.stage import Outcome
from tests.pgrollout.stages.test_stopping import interrupted_when
from tests.project import AT_THE_GATE, GATE, Project, backend_in, eventually, lock_holder, observed
from tests.servers import Database, Server, Servers, fresh_database

WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE 'pgrollout/%'"


@dataclass(frozen=True)
class Pair:
    """Two servers, one of which follows the other."""

    primary: Server
    standby: Server

    def url(self, dbname: str, **parameters: str) -> SecretStr:
        """Return the URL that names both."""
        return SecretStr(self.standby.url(dbname, host=f"{self.standby.host},{self.primary.host}", **parameters))

    def has_caught_up(self) -> bool:
        """Whether the standby has everything."""
        with self.primary.connect() as connection:
            caught_up = "SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()"
            return connection.execute(caught_up).fetchone() is not None

    @contextmanager
    def synchronous(self, names: str) -> Iterator[None]:
        """Let commits wait for these standbys."""
        with self.primary.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            connection.execute("SELECT pg_reload_conf()")
            try:
                yield
            finally:
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="module")
def pair(servers: Servers) -> Pair:
    """A primary and its standby."""
    primary = servers.own()
    return Pair(primary, servers.standby(primary))


@pytest.fixture
def project(tmp_path: Path, pair: Pair) -> Iterator[Project]:
    """A project on the primary, with one file applied and one pending."""
    with fresh_database(pair.primary) as database:
        project = Project(tmp_path, database)
        project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
        project.apply()
        project.write({"2_b.sql": "INSERT INTO a VALUES (2);\n"})
        eventually(pair.has_caught_up, "a standby that has everything")
        yield project


def test_commits_that_wait_are_said_beforehand(project: Project, pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A COMMIT cannot be cancelled: that it waits for a standby, with all its locks, is logged before the first."""
    caplog.set_level(logging.WARNING, "pgrollout")
    role = project.database.make_role("careless", "LOGIN SUPERUSER")
    project.database.execute(f'ALTER ROLE "{role}" SET synchronous_commit = local')
    careless = project.settings(url=SecretStr(pair.primary.url(project.database.name, user=role)))

    with pair.synchronous("*"):
        project.apply()
        project.write({"3_c.sql": "SELECT 3;\n"})
        project.apply(careless)
    project.write({"4_d.sql": "SELECT 4;\n"})
    project.apply()

    assert project.versions() == ["1", "2", "3", "4"]
    assert [record.getMessage() for record in caplog.records] == [
        'commits wait for a standby synchronous_standby_names="*"'
    ]


def test_interrupted_while_a_standby_is_away(project: Project, pair: Pair) -> None:
    """The first Ctrl-C ends the wait, and what has committed is in the history; the next run goes on."""
    project.write({"3_c.sql": "INSERT INTO a VALUES (3);\n"})

    def waits() -> bool:
        with pair.primary.connect() as connection:
            return connection.execute(WAITS).fetchone() is not None

    with pair.synchronous("nobody"):
        with interrupted_when(waits), pytest.raises(Interrupted) as caught:
            project.apply()
        assert caught.value.code is ExitCode.WAIT
    project.apply()

    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(2,), (3,)]
    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [
        ("done",), ("interrupted",), ("done",),
    ]  # fmt: skip


def test_nothing_is_written_on_a_standby(project: Project, pair: Pair) -> None:
    """Who names the standby alone is told to wait for the end of the failover, or to name both: exit code 75."""
    there = project.settings(url=SecretStr(pair.standby.url(project.database.name)))

    with pytest.raises(ServerIsStandby, match="name all hosts") as caught:
        project.apply(there)
    assert caught.value.code is ExitCode.WAIT
    assert project.apply(there, dry_run=True).would_apply == ("2_b.sql",)

    project.remove("2_b.sql")
    assert project.apply(there).outcome is Outcome.NOTHING_TO_DO


def test_history_is_not_edited_on_a_standby(project: Project, pair: Pair) -> None:
    """By hand neither."""
    there = project.settings(url=SecretStr(pair.standby.url(project.database.name)))

    with pytest.raises(ServerIsStandby):
        by_hand.set_current(there, "2", reason="because")


def test_failover(project: Project, pair: Pair) -> None:
    """The primary goes down in mid-file: exit code 75, also until there is another; then the next run goes on there."""
    project.write({"2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n", "3_c.sql": "INSERT INTO a VALUES (3);\n"})
    both = pair.url(project.database.name)

    with (
        lock_holder(project.database, GATE),
        observed(project.start("apply", PGROLLOUT_URL=both.get_secret_value())) as process,
    ):
        backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        pair.primary.stop(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.WAIT, err
    assert "the connection was lost" in err

    with pytest.raises(ServerUnavailable):
        project.apply(project.settings(url=both))

    moved = Project(project.root, Database(pair.standby, project.database.name))
    with pair.standby.connect() as connection:
        connection.execute("SELECT pg_promote()")
    writable = pair.url(project.database.name, target_session_attrs="read-write")
    report = moved.apply(moved.settings(url=writable))

    assert [file.version for file in report.applied] == ["2", "3"]
    assert moved.database.execute("SELECT id FROM a ORDER BY 1") == [(2,), (3,)]
    assert moved.apply(moved.settings(url=both)).outcome is Outcome.NOTHING_TO_DO
