"""
Measured: what a monitoring system wants to know of a database, read while others work on it.

No stage: it takes no lock that anybody waits for, never starts a server, and never raises for what is wrong with the
database or its directory: that is what is measured. Every answer is waited for a few seconds at most.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import psycopg

from pgrollout.catalog.difference import difference
from pgrollout.catalog.ignored import sift
from pgrollout.errors import HistoryError, PgrolloutError
from pgrollout.history import ExecOrder
from pgrollout.postgres import figures, fingerprints
from pgrollout.postgres.connection import Connection, connecting
from pgrollout.postgres.figures import Figures
from pgrollout.postgres.state import State, read_state
from pgrollout.settings import Database
from pgrollout.stages.deciding import Choice, decide
from pgrollout.stages.last_run import is_mended, is_partition_that_came_or_went
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed

WAIT_MS = 3000
"""How long an answer is waited for: a monitoring system itself waits ten seconds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One look at a database. What could not be read is None."""

    is_up: bool = False
    """Whether it let us in, and answered."""
    is_readable: bool = False
    """Whether history and ledger could be read; also where there are none yet."""
    problems: tuple[str, ...] = ()
    """Why something could not be read."""
    connect_seconds: float | None = None
    server_version: int | None = None
    state: State | None = None
    figures: Figures | None = None
    release: str | None = None
    """Digest of the directory."""
    pending: int | None = None
    """Files that a run would apply."""
    is_refused: bool | None = None
    """Whether a run would refuse, because directory and history do not agree."""
    drifted: int | None = None
    """Objects that the last check for drift found changed since the last run; None if they cannot be compared."""


def measure(database: Database) -> Measured:
    """Look at a database and its directory."""
    limited = database.model_copy(update={"connect_timeout_ms": min(database.connect_timeout_ms, WAIT_MS)})
    found, started = Measured(), time.monotonic()
    try:
        with (
            connecting(limited, start=False) as open_connection,
            open_connection(f"pgrollout/{new_run_id()}/metrics") as connection,
        ):
            connection.given_up = _too_long
            connection.execute("SELECT")
            found = replace(
                found,
                is_up=True,
                connect_seconds=time.monotonic() - started,
                server_version=connection.info.server_version,
            )
            found = _with_state(found, connection, database)
    except (PgrolloutError, psycopg.Error) as error:
        found = replace(found, is_up=False, is_readable=False, problems=(_first_line(error),))
    return _with_directory(found, database)


def _too_long(since: float) -> str | None:
    """A server that is frozen keeps none of its own timeouts."""
    return "no answer in time" if time.monotonic() - since > 2 * WAIT_MS / 1000 else None


def _with_state(found: Measured, connection: Connection, database: Database) -> Measured:
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute(f"SET LOCAL statement_timeout = {WAIT_MS}")
            connection.execute(f"SET LOCAL lock_timeout = {WAIT_MS}")
            state = read_state(connection, database)
            return replace(
                found,
                is_readable=True,
                state=state,
                figures=figures.read(connection, state),
                drifted=drifted(connection, state, database, datetime.now(UTC).date()),
            )
    except (PgrolloutError, psycopg.Error) as error:
        if isinstance(error, psycopg.Error) and error.sqlstate is None:
            raise  # the connection is gone
        return replace(found, problems=(*found.problems, _first_line(error)))


def _with_directory(found: Measured, database: Database) -> Measured:
    try:
        reviewed = read_reviewed(database)
    except PgrolloutError as error:
        return replace(found, problems=(*found.problems, _first_line(error)))
    found = replace(found, release=reviewed.release.digest)
    return found if found.state is None else _with_pending(found, reviewed, found.state, database)


def _with_pending(found: Measured, reviewed: Reviewed, state: State, database: Database) -> Measured:
    try:
        todo = decide(reviewed, state, Choice(ExecOrder(database.exec_order), allow_dirty=True))
    except HistoryError as error:
        return replace(found, is_refused=True, problems=(*found.problems, _first_line(error)))
    return replace(found, is_refused=False, pending=len(todo.migrations))


def drifted(connection: Connection, state: State, database: Database, today: date) -> int | None:
    """
    Return how many objects the last check for drift found changed since the last run; None if they cannot be compared.

    As the check itself counts, but for partitions that came or went, which only the directory can judge.
    """
    schema, history = state.ledger.schema, state.table.schema
    if not state.ledger.exists or not fingerprints.exist(connection, schema):
        return None
    run, check = (
        fingerprints.last_of_a_run(connection, schema, history),
        fingerprints.last_check(connection, schema, history),
    )
    if (
        run is None
        or check is None
        or run.moment != "after"
        or run.scope != check.scope
        or check.taken_at < run.taken_at
    ):
        return None
    if any(revision.executed_at > run.taken_at for revision in state.revisions):
        return None  # the Atlas CLI has been here since
    if check.digest == run.reviewed:
        return 0
    with suppress(PgrolloutError):  # a catalog that a later version has stored
        before = fingerprints.catalog_of(connection, schema, run, reviewed=True)
        found = difference(before, fingerprints.catalog_of(connection, schema, check))
        counted = [one for one in found.objects if not (is_mended(one) or is_partition_that_came_or_went(one))]
        return len(sift(replace(found, objects=tuple(counted)), database.drift_ignore, today).left.objects)
    return None


def _first_line(error: Exception) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return (str(error).strip() or type(error).__name__).splitlines()[0]
