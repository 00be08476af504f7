"""The executing connection: what the server is to see to, whatever the role's own settings are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from pgrollout.postgres import atlas_lock
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.executing import Executing
from pgrollout.postgres.ledger import Run
from pgrollout.postgres.records import Records
from pgrollout.postgres.state import read_session, read_state
from pgrollout.postgres.supervisor import Supervisor
from pgrollout.progress import Reporter
from tests.project import Project
from tests.servers import Database

TIMEOUT_MS = 7000


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project on PostgreSQL 18."""
    return Project(tmp_path, database)


@contextmanager
def executing(project: Project, url: str, *, has_lease: bool) -> Iterator[tuple[Executing, Connection]]:
    """Give an executing connection under Atlas's lock, prepared, to an empty database or one with the ledger."""
    settings = project.settings(url=SecretStr(url))
    with (
        connect(settings, application_name="pgrollout/test") as connection,
        atlas_lock.held(connection, wait_ms=0),
    ):
        session, state = read_session(connection, settings), read_state(connection, settings)
        token = state.ledger.token if has_lease else 1
        run = Run("r", state.table.schema, token, "", "", session.server_version, "me", "test")
        supervisor = Supervisor(connection, state.ledger.schema, TIMEOUT_MS, Reporter("testing", None))
        records = Records(state.table, state.ledger.schema, run, session)
        made = Executing(
            connection, records, state.ledger, supervisor, lambda: 0, has_lease=has_lease, lease_timeout_ms=TIMEOUT_MS
        )
        made.prepare()
        yield made, connection


def idle_ms(connection: Connection) -> int:
    """Return how long the server lets the session be idle."""
    row = connection.execute("SELECT setting FROM pg_settings WHERE name = 'idle_session_timeout'").fetchone()
    assert row is not None
    return int(row[0])


def impatient(project: Project) -> str:
    """Return the URL of a role whose sessions may be idle for three seconds."""
    role = project.database.make_role("impatient", "LOGIN SUPERUSER")
    project.database.execute(f"ALTER ROLE \"{role}\" SET idle_session_timeout = '3s'")
    return project.database.server.url(project.database.name, user=role)


def test_first_run_may_be_idle_until_it_has_a_lease(project: Project) -> None:
    """Until its first commit the server ends who is not alive; then its heartbeat tells, and it may wait for others."""
    with executing(project, impatient(project), has_lease=False) as (first, connection):
        assert idle_ms(connection) == TIMEOUT_MS
        first.is_used()
        first.clean()
        assert idle_ms(connection) == TIMEOUT_MS
        first.transaction("starting the run", [])
        assert idle_ms(connection) == 0
        first.is_used()
        first.clean()
        assert idle_ms(connection) == 0


def test_later_run_may_be_idle(project: Project) -> None:
    """The limit of the role holds for none of the connections of a run: waiting for a table is no mistake."""
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()

    with executing(project, impatient(project), has_lease=True) as (later, connection):
        assert idle_ms(connection) == 0
        later.is_used()
        later.clean()
        assert idle_ms(connection) == 0
