"""
Stage verify: the live database against what the directory makes.

The files that the history says were applied are replayed on a shadow database, and the two schemas compared object by
object. Also: nothing is left to run, no index is invalid, no constraint is NOT VALID unless the SQL says so. Reads only.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pydantic import Field

from pgrollout.catalog.scope import Scope
from pgrollout.content import read_content
from pgrollout.errors import HistoryError, VerifyDiffers
from pgrollout.history import ExecOrder
from pgrollout.migration import Migration
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.replay import replay
from pgrollout.postgres.schema_dump import compare
from pgrollout.postgres.shadow import shadow
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import State, read_session, read_state
from pgrollout.postgres.validity import invalid_indexes, not_valid_constraints
from pgrollout.progress import reporting
from pgrollout.settings import Database
from pgrollout.stages.deciding import Choice, check_history, decide
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed
from pgrollout.stages.stage import Outcome, Report, Request


class VerifyRequest(Request):
    """What to verify."""

    allow_pending: bool = Field(False, description="Pending migrations do not make the history incomplete.")


class VerifyReport(Report):
    """What was compared, and what differs."""

    release: str = Field(description="Digest of the release.")
    current: str | None = Field(description="Version of the newest migration.")
    revisions: int = Field(description="Applied revisions whose file is still the one that ran.")
    compared: bool = Field(description="Whether the schemas could be compared.")
    objects: int = Field(0, description="How many objects were.")
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = Field((), description="What is reported and no failure.")


def run(request: VerifyRequest) -> VerifyReport:
    """
    Verify, and raise when something differs.

    Raises:
        VerifyDiffers: With every difference.
        HistoryError: A file that ran is not what it was.
    """
    report = examine(request)
    if report.differences:
        raise VerifyDiffers(report.differences)
    return report


def examine(request: VerifyRequest) -> VerifyReport:
    """Verify, and report everything that was found."""
    started = time.monotonic()
    database = request.database
    reviewed = read_reviewed(database, request.release)
    name = f"pgrollout/{request.run_id or new_run_id()}/verify"
    found = _Found()
    with explained("reading the schema"), connect(database, application_name=name) as live:
        read_session(live, database)
        state = read_state(live, database)
        compared = check_history(reviewed, state).compared
        _check_complete(reviewed, state, request, found)
        scope = Scope(database.schemas, database.exclude, database.ledger_schema, state.table.schema)
        invalid = invalid_indexes(live, scope)
        if state.revisions:
            _check_schema(live, reviewed, state, database, scope, name, found)
        for index, table in invalid.items():
            found.add(f"INDEX {index}: invalid", table)
    return VerifyReport(
        outcome=Outcome.DONE,
        summary=_summary(found, state.current),
        duration_ms=round((time.monotonic() - started) * 1000),
        release=reviewed.release.digest,
        current=state.current,
        revisions=compared,
        compared=found.compared,
        objects=found.objects,
        differences=tuple(found.differences),
        notes=tuple(found.notes),
    )


def expected_files(
    migrations: Sequence[Migration], state: State, checkpoints: Collection[str]
) -> tuple[Migration, ...]:
    """
    Return the files whose replay gives the schema that the history says there is.

    Those with a row; and, where the history began with a baseline, the ordinary files before it, for the database had
    what they make. A history that began with a checkpoint began with nothing.
    """
    rows = {revision.version: revision for revision in state.revisions if not revision.is_partial}
    if not rows:
        return ()
    first = min(rows)
    began_at_checkpoint = any(m.version == first and m.name in checkpoints for m in migrations)
    return tuple(
        migration
        for migration in migrations
        if migration.version in rows
        or (migration.version < first and migration.name not in checkpoints and not began_at_checkpoint)
    )


@dataclass
class _Found:
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: bool = False
    objects: int = 0
    partitions: Collection[tuple[str, str]] = ()

    def add(self, text: str, table: tuple[str, str]) -> None:
        """Add what is wrong with a table: a note if it is a partition made at run time, a difference otherwise."""
        if table in self.partitions:
            self.notes.append(f"{text} [a partition made at run time]")
        else:
            self.differences.append(text)


def _check_complete(reviewed: Reviewed, state: State, request: VerifyRequest, found: _Found) -> None:
    for revision in state.revisions:
        if revision.is_partial:
            done = f"{revision.applied} of {revision.total} statements"
            found.differences.append(f"version {revision.version}: only {done} have run")
    for intent in state.ledger.open_intents:
        found.differences.append(f"version {intent.version}: nobody saw the end of statement {intent.position}")
    try:
        todo = decide(reviewed, state, Choice(ExecOrder(request.database.exec_order)))
    except HistoryError as error:
        found.differences.append(str(error))
        return
    pending = [f"{migration.name}: pending" for migration in todo.migrations if not todo.resumes]
    (found.notes if request.allow_pending else found.differences).extend(pending)


def _check_schema(
    live: Connection, reviewed: Reviewed, state: State, database: Database, scope: Scope, name: str, found: _Found
) -> None:
    not_valid = not_valid_constraints(live, scope)
    files = expected_files(reviewed.migrations, state, reviewed.checkpoints)
    meant: Collection[str] | None = None
    with shadow(database) as made, reporting("replaying the directory on the shadow"):
        if made is None:
            found.notes.append('the schema was not compared: the configuration says shadow.server = "none"')
        else:
            replayed = replay(made, [read_content(migration) for migration in files])
            if replayed.not_analysed is not None:
                reason = (
                    f"the shadow's server cannot run {replayed.not_analysed.place}: {replayed.not_analysed.message}"
                )
                found.notes.append(f"the schema was not compared: {reason}")
            else:
                with connect(made.database, application_name=name) as expected:
                    meant = not_valid_constraints(expected, scope)
                    _compare(live, expected, scope, name, found)
    for constraint, table in not_valid.items():
        if meant is None:
            found.notes.append(f"CONSTRAINT {constraint}: NOT VALID; whether that is meant was not compared")
        elif constraint not in meant:
            found.add(f"CONSTRAINT {constraint}: NOT VALID, and the directory does not say so", table)


def _compare(live: Connection, expected: Connection, scope: Scope, name: str, found: _Found) -> None:
    comparison = compare(live, expected, scope, name)
    found.partitions = comparison.partitions
    if comparison.not_compared:
        found.notes.append(f"the schema was not compared: {comparison.not_compared}")
        return
    found.compared, found.objects = True, comparison.objects
    for difference in comparison.differences:
        (found.notes if difference.tolerated else found.differences).append(str(difference))


def _summary(found: _Found, current: str | None) -> str:
    if found.differences:
        count = len(found.differences)
        return f"{count} difference{'s' if count != 1 else ''} at version {current or 'none'}"
    if found.compared:
        return f"{found.objects} objects are as the directory makes them, at version {current}"
    return f"history complete at version {current}; schema not compared" if current else "no migration applied yet"
