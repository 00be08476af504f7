"""Turns: one run at a time, told by the lease and by Atlas's lock; who died is taken over from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pgrollout.errors import ConnectionBroken, LockNotAcquired, PoolerInBetween
from pgrollout.postgres import lease, ledger
from pgrollout.postgres.atlas_lock import LOCK_KEY
from pgrollout.postgres.connection import connect
from pgrollout.postgres.ledger import Ledger
from pgrollout.postgres.state import read_session
from pgrollout.postgres.turn import FIRST, Turn
from tests.project import Project, lock_holder
from tests.servers import Database

HISTORY = "atlas_schema_revisions"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose lease a run had, and gave back."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    return project


@contextmanager
def turn_of(project: Project, run: str = "ours", *, wait_ms: int = 0) -> Iterator[tuple[Turn, Ledger]]:
    """Give a run's turn, and the ledger as it is."""
    settings = project.settings(wait_for_run_ms=wait_ms)
    with connect(settings, application_name=f"pgrollout/{run}/watch") as connection:
        yield Turn(connection, settings, run, "me@here"), ledger.read(connection, settings.ledger_schema, HISTORY)


def test_free(project: Project) -> None:
    """A lease that was given back is taken, and nobody has died; the holder is known by run, person and process."""
    with turn_of(project) as (turn, state):
        assert turn.take(state) == 2
        assert not turn.is_taken_over

    with project.database.connect() as connection:
        now = lease.read(connection, "pgrollout")
    assert now is not None
    assert str(now).startswith("run ours of me@here, process ")


def test_alive(project: Project) -> None:
    """A run that gives signs of life is waited for, and named when the wait is over."""
    with turn_of(project, "theirs") as (theirs, state), turn_of(project) as (turn, _):
        theirs.take(state)

        with pytest.raises(LockNotAcquired, match="run theirs of me@here, process"):
            turn.take(state)

        theirs.give_back("pgrollout", 2)
        assert turn.take(state) == 3
        assert not turn.is_taken_over


def test_dead(project: Project) -> None:
    """A run without signs of life is taken over from, and its supervising backend ended."""
    with turn_of(project, "theirs") as (theirs, state), turn_of(project) as (turn, _):
        theirs.take(state)
        project.database.execute("UPDATE pgrollout.lease SET heartbeat = now() - interval '1 hour'")

        assert turn.take(state) == 3
        assert turn.is_taken_over


def test_first_run(tmp_path: Path, database: Database) -> None:
    """Without a ledger there is no lease to take; Atlas's lock is what is waited for."""
    project = Project(tmp_path, database)
    with turn_of(project) as (turn, state):
        assert turn.take(state) == FIRST
        with (
            lock_holder(database, LOCK_KEY, application_name="atlas"),
            pytest.raises(LockNotAcquired, match=r"atlas \(pid"),
        ):
            turn.take(state)


def test_lock_of_an_orphan(project: Project) -> None:
    """Atlas's lock in the hands of what a dead run left is no run at work: that is ended instead."""
    name = "pgrollout/dead/1"
    with lock_holder(project.database, LOCK_KEY, application_name=name), turn_of(project) as (turn, state):
        assert turn.take(state) == 2

    newer = "pgrollout/alive/3"
    with (
        turn_of(project, "next") as (turn, state),
        lock_holder(project.database, LOCK_KEY, application_name=newer),
    ):
        project.database.execute("UPDATE pgrollout.lease SET heartbeat = '-infinity'")
        with pytest.raises(LockNotAcquired, match=newer):
            turn.take(state)


def test_two_sessions_of_one_server(project: Project) -> None:
    """After a failover the second connection may be to another server; through a pooler it may have the same backend."""
    settings = project.settings()
    with turn_of(project) as (turn, _), connect(settings, application_name="pgrollout/test") as connection:
        ours = read_session(connection, settings)

        turn.check_two_sessions(ours, replace(ours, backend_pid=ours.backend_pid + 1))
        with pytest.raises(ConnectionBroken, match="another server"):
            turn.check_two_sessions(ours, replace(ours, server_start="2001-01-01 00:00:00+00"))
        with pytest.raises(PoolerInBetween):
            turn.check_two_sessions(ours, ours)
