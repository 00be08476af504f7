"""
Stage verify: the live database against what the directory makes.

The files that the history says were applied are replayed on a shadow database, and the two schemas compared object by
object, property by property: so no index is invalid, no constraint NOT VALID and no grant missing, unless the directory
says so. Also: nothing is left to run. Reads only.
"""

import time
from dataclasses import dataclass, field

import psycopg
from pydantic import Field

from pgrollout.catalog.difference import difference
from pgrollout.catalog.difference_text import VERIFY, line, not_comparable
from pgrollout.catalog.model import Catalog, Object, quoted
from pgrollout.errors import HistoryError, VerifyDiffers
from pgrollout.history import ExecOrder, RevisionType
from pgrollout.postgres import revisions
from pgrollout.postgres.catalog import migrating_role, read_catalog, scope_of
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.ledger import Ledger
from pgrollout.postgres.readable import tables_readable
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import State, read_session, read_state
from pgrollout.progress import reporting
from pgrollout.settings import Database
from pgrollout.stages.deciding import Choice, check_history, decide
from pgrollout.stages.expected import expected_files, expected_schema, idle_patterns, kept_baseline, tolerated
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed
from pgrollout.stages.stage import Outcome, Report, Request, logged


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


@logged
def examine(request: VerifyRequest) -> VerifyReport:
    """Verify, and report everything that was found."""
    started = time.monotonic()
    database = request.database
    reviewed = read_reviewed(database, request.release)
    name = f"pgrollout/{request.run_id or new_run_id()}/verify"
    found = _Found()
    with explained("reading the schema"), connect(database, application_name=name) as live:
        read_session(live, database)
        state = _state(live, database, found)
        compared = check_history(reviewed, state).compared
        _check_complete(reviewed, state, request, found)
        if state.revisions:
            _check_schema(live, reviewed, state, database, name, found)
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


@dataclass
class _Found:
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: bool = False
    objects: int = 0


def _state(live: Connection, database: Database, found: _Found) -> State:
    """Return history and ledger; the history alone for who may not read the ledger, which is said."""
    try:
        return read_state(live, database)
    except psycopg.errors.InsufficientPrivilege as error:
        table = revisions.locate(live, database)
        rows = revisions.read(live, table)
        found.notes.append(
            f"the ledger, which knows of statements whose end nobody saw and of baselines, was not looked at: "
            f"{error.diag.message_primary}. Let this role: GRANT USAGE ON SCHEMA {quoted(database.ledger_schema)}, "
            "and SELECT on its tables"
        )
        return State(table, rows, Ledger(database.ledger_schema, 0, 0))


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
    live: Connection, reviewed: Reviewed, state: State, database: Database, name: str, found: _Found
) -> None:
    scope = scope_of(database, state.table)
    owner = migrating_role(live, scope)
    with reporting("reading the schema"), tables_readable(live):
        actual = read_catalog(live, scope)
    found.notes.extend(idle_patterns(scope, actual))
    files = expected_files(reviewed.migrations, state, reviewed.checkpoints)
    expected = expected_schema(
        database,
        files,
        scope,
        owner=owner,
        server_version=live.info.server_version,
        baseline=kept_baseline(live, state),
        application_name=name,
    )
    if expected.catalog is None:
        found.notes.append(f"the schema was not compared: {expected.reason}")
        _check_validity(actual, found)
        return
    if expected.baseline is not None:
        found.notes.append(
            f"compared with the schema that the database had at version {expected.baseline}, and what ran since"
        )
    compared = difference(expected.catalog, actual)
    found.compared, found.objects = True, compared.compared
    for one in compared.objects:
        reason = tolerated(one)
        said = line(one, VERIFY)
        if reason:
            found.notes.append(f"{said} [{reason}]")
        else:
            found.differences.append(said)
    for identity, it in actual.objects.items():
        # Part of something that is said to be there: nobody would look for it.
        if identity not in expected.catalog.objects and (wrong := _wrong(it)):
            found.notes.append(f"{identity}: {wrong} [not made by the directory]")
    if expected.baseline is None and found.differences and state.revisions[0].type is RevisionType.BASELINE:
        found.notes.append(
            "the history began with a baseline whose schema was not kept: what differs and was there by then is accepted by "
            f"`pgrollout set {state.current} --keep-schema`"
        )
    if compared.not_comparable:
        found.notes.append(not_comparable(compared))


def _check_validity(actual: Catalog, found: _Found) -> None:
    """Look for what is wrong without being compared with anything."""
    for identity, it in actual.objects.items():
        if (wrong := _wrong(it)) == "invalid":
            found.differences.append(f"{identity}: {wrong}")
        elif wrong:
            found.notes.append(f"{identity}: {wrong}; whether that is meant was not compared")


def _wrong(it: Object) -> str:
    if it.properties.get("invalid") or it.properties.get("index invalid"):
        return "invalid"
    return "NOT VALID" if it.properties.get("not valid") else ""


def _summary(found: _Found, current: str | None) -> str:
    if found.differences:
        count = len(found.differences)
        return f"{count} difference{'s' if count != 1 else ''} at version {current or 'none'}"
    if found.compared:
        return f"{found.objects} objects are as the directory makes them, at version {current}"
    return f"history complete at version {current}; schema not compared" if current else "no migration applied yet"
