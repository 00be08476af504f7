"""
Stage drift: what somebody has changed in the live schema, past the migrations.

Compared with what the last run left, and with what the directory makes on a shadow database. Each object, property by
property, since which check; what somebody accepted in ``drift_ignore`` is listed apart. The check itself is recorded in
the ledger, where that can be written; nothing else is.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, Literal

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from pgrollout.catalog import ignored
from pgrollout.catalog.difference import Change, Difference, ObjectDifference, difference
from pgrollout.catalog.difference_text import DRIFT, VERIFY, Sides, line, not_comparable, shown
from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.ignored import sift
from pgrollout.catalog.model import Catalog, Identity
from pgrollout.catalog.scope import Scope
from pgrollout.errors import DriftFound, NothingCompared
from pgrollout.history import ExecOrder
from pgrollout.migration import Migration
from pgrollout.postgres import drift_checks, fingerprints, ledger, revisions
from pgrollout.postgres.catalog import migrating_role, read_catalog, scope_of
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.fingerprints import Recorded
from pgrollout.postgres.ledger import Ledger
from pgrollout.postgres.readable import tables_readable
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import State, read_session
from pgrollout.progress import reporting
from pgrollout.settings import Database, DriftIgnore
from pgrollout.stages.deciding import Choice, check_history, decide
from pgrollout.stages.expected import expected_files, expected_schema, idle_patterns, kept_baseline, tolerated
from pgrollout.stages.last_run import LastRun, catalog_of, is_mended, is_partition_that_came_or_went, last_run
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed
from pgrollout.stages.stage import Outcome, Report, Request, logged

RUN: Final = "the last run"
DIRECTORY: Final = "the directory"
Other = Literal["the last run", "the directory"]
_IN_DIRECTORY = Sides(DIRECTORY, VERIFY.after, VERIFY.removed, VERIFY.added, VERIFY.changed)


class DriftRequest(Request):
    """What to look at."""

    no_directory: bool = Field(False, description="Compare with the last run only: no shadow, no directory.")


class DriftedProperty(BaseModel):
    """One property that is not as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    property: str
    expected: str = Field(description="As the last run left it, or the directory makes it; secrets masked.")
    live: str = Field(description="As it is.")


class Drifted(BaseModel):
    """One object that is not as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object: str = Field(description="Its identity, as people write it; that of the last run if it was renamed.")
    change: str = Field(description="removed, added, changed or renamed.")
    renamed_to: str | None = None
    compared_with: tuple[Other, ...] = Field(description="What it differs from: the last run, the directory, or both.")
    properties: tuple[DriftedProperty, ...] = ()
    said: str = Field(description="All of it in a line.")
    since: datetime | None = Field(None, description="When it was first seen so; None: by this check.")
    good: datetime | None = Field(None, description="When it was last seen otherwise; None if never.")
    before_the_run_ended: bool = Field(False, description="Whether the last run left it so already.")

    @property
    def since_shown(self) -> str:
        """Since when, for people."""
        good = f", seen otherwise at {minute(self.good)}" if self.good else ""
        if self.before_the_run_ended and self.since:
            return f"so already when the last run ended, at {minute(self.since)}"
        if self.since is None:
            return f"first seen by this check{good}"
        return f"first seen by the check of {minute(self.since)}{good}"


class IgnoredDrift(BaseModel):
    """Drift that somebody accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object: str
    compared_with: tuple[Other, ...]
    said: str
    reason: str
    until: date = Field(description="The last day on which it is accepted.")


class LastRunSeen(BaseModel):
    """The last run that left a fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    taken_at: datetime
    fingerprint: str


class DriftReport(Report):
    """What has drifted."""

    database: str
    objects: int = Field(description="How many objects the live schema has.")
    fingerprint: str = Field(description="Digest of the live schema.")
    last_run: LastRunSeen | None = None
    compared_with: tuple[Other, ...] = Field((), description="What the live schema was compared with.")
    drift: tuple[Drifted, ...] = ()
    ignored: tuple[IgnoredDrift, ...] = ()
    notes: tuple[str, ...] = Field((), description="What is reported and no drift.")
    recorded: bool = Field(False, description="Whether the check is in the ledger.")

    def error(self) -> DriftFound:
        """Return the error that says so."""
        return DriftFound(self.database, tuple(f"{one.said}; {one.since_shown}" for one in self.drift))


def run(request: DriftRequest) -> DriftReport:
    """
    Look for drift, and raise when there is some.

    Raises:
        DriftFound: With every object.
        TableNotReadable: Somebody has a table locked.
    """
    report = examine(request)
    if report.drift:
        raise report.error()
    return report


@logged
def examine(request: DriftRequest) -> DriftReport:
    """
    Look for drift, and report everything that was found.

    Raises:
        HistoryError: A file of the directory is not what ran.
        ReplayFailed: The directory does not run on the shadow.
        TableNotReadable: Somebody has a table locked.
        NothingCompared: Neither was possible, although something was applied.
    """
    started = time.monotonic()
    database = request.database
    reviewed = None if request.no_directory else read_reviewed(database, request.release)
    name = f"pgrollout/{request.run_id or new_run_id()}/drift"
    with explained("reading the schema"), connect(database, application_name=name) as live:
        read_session(live, database)
        found = _Looking(live, database, datetime.now(UTC).date()).look(reviewed, name, write=not request.dry_run)
    return found.model_copy(update={"duration_ms": round((time.monotonic() - started) * 1000)})


@dataclass
class _Found:
    """A difference, said once however often it was found."""

    one: ObjectDifference
    words: Sides
    others: list[Other]
    """What the live schema was compared with when it was found."""
    by: DriftIgnore | None
    """Who accepts it."""

    @property
    def said(self) -> str:
        return line(self.one, self.words)


@dataclass
class _Since:
    """Since when an object is as it is."""

    first: datetime | None = None
    good: datetime | None = None
    before_the_run_ended: bool = False


@dataclass
class _Looking:
    """One check."""

    live: Connection
    database: Database
    today: date
    notes: list[str] = field(default_factory=list)
    compared_with: list[Other] = field(default_factory=list)
    drift: "list[_Found]" = field(default_factory=list)
    ignored: "list[_Found]" = field(default_factory=list)
    may_read_ledger: bool = True

    def look(self, reviewed: Reviewed | None, name: str, *, write: bool) -> DriftReport:
        with tables_readable(self.live), self.live.transaction():
            # One snapshot of all, or a run that ends meanwhile would be taken for drift.
            self.live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            state = self._state()
            scope = scope_of(self.database, state.table)
            with reporting("reading the schema"):
                actual = read_catalog(self.live, scope)
            self.notes.extend(idle_patterns(scope, actual))
            before = self._last_run(state, scope, actual)
            was = catalog_of(self.live, state, before.recorded) if before.is_comparable and before.recorded else None
        expected = self._expected(state, scope, actual, reviewed, name) if reviewed else None
        if was is not None:
            self._compare(RUN, DRIFT, was, actual, expected)
        elif before.not_comparable:
            self.notes.append(f"not compared with the last run: {before.not_comparable}")
        if expected is not None:
            self._compare(DIRECTORY, _IN_DIRECTORY, expected, actual, expected)
        elif reviewed is None:
            self.notes.append("not compared with the directory: --no-directory")
        self._tell_of_entries(is_complete=expected is not None and bool(was or before.recorded is None))
        digest = fingerprint(actual)
        known = {digest: actual}
        if was is not None and before.recorded is not None:
            known[before.recorded.reviewed] = was
        rows = tuple(self._rows(state, scope, actual, known))
        if not self.compared_with and state.revisions:
            raise NothingCompared(self.database.name, tuple(self.notes))
        recorded = write and self._record(state, scope, digest, actual)
        return DriftReport(
            outcome=Outcome.DONE if self.compared_with else Outcome.SKIPPED,
            summary=self._summary(before.recorded, len(actual.objects)),
            database=self.database.name,
            objects=len(actual.objects),
            fingerprint=digest,
            last_run=_seen(before.recorded),
            compared_with=tuple(self.compared_with),
            drift=rows,
            ignored=tuple(_accepted(self.ignored)),
            notes=tuple(self.notes),
            recorded=recorded,
        )

    # What there is to compare with.

    def _state(self) -> State:
        table = revisions.locate(self.live, self.database)
        rows = revisions.read(self.live, table)
        schema = self.database.ledger_schema
        try:
            with self.live.transaction():
                return State(table, rows, ledger.read(self.live, schema, table.schema))
        except psycopg.errors.InsufficientPrivilege as error:
            self._ledger_is_closed(error)
            return State(table, rows, Ledger(schema, 0, 0))

    def _last_run(self, state: State, scope: Scope, actual: Catalog) -> LastRun:
        if not self.may_read_ledger:
            return LastRun(None)
        try:
            with self.live.transaction():
                return last_run(self.live, state, scope, actual)
        except psycopg.errors.InsufficientPrivilege as error:
            self._ledger_is_closed(error)
            return LastRun(None)

    def _ledger_is_closed(self, error: psycopg.Error) -> None:
        self.may_read_ledger = False
        self.notes.append(f"not compared with the last run, and not recorded: {error.diag.message_primary}")

    def _expected(self, state: State, scope: Scope, actual: Catalog, reviewed: Reviewed, name: str) -> Catalog | None:
        reason = ""
        files: Sequence[Migration] = ()
        if state.revisions:
            check_history(reviewed, state)
            files = expected_files(reviewed.migrations, state, reviewed.checkpoints)
            half = [revision.version for revision in state.revisions if revision.is_partial]
            half += [intent.version for intent in state.ledger.open_intents]
            if half:
                reason = f"version {half[0]} is applied in part"
        elif any(identity.kind == "TABLE" for identity in actual.objects):
            files = decide(reviewed, state, Choice(ExecOrder(self.database.exec_order))).migrations
            self.notes.append("there is no history here: compared with all that the directory makes")
        else:
            reason = "nothing was applied here yet"
        if not reason:
            baseline = kept_baseline(self.live, state) if self.may_read_ledger else None
            owner = migrating_role(self.live, scope)
            made = expected_schema(
                self.database,
                files,
                scope,
                owner=owner,
                server_version=self.live.info.server_version,
                baseline=baseline,
                application_name=name,
            )
            if made.catalog is not None:
                return made.catalog
            reason = made.reason
        self.notes.append(f"not compared with the directory: {reason}")
        return None

    # What differs.

    def _compare(self, other: Other, words: Sides, before: Catalog, actual: Catalog, expected: Catalog | None) -> None:
        self.compared_with.append(other)
        found = difference(before, actual)
        if found.not_comparable:
            self.notes.append(not_comparable(found))
        counted = []
        for one in found.objects:
            if reason := self._tolerated(other, one, expected):
                note = f"{line(one, words)} [{reason}]"
                # Said once: the other comparison mostly finds the same partitions.
                if not any(said.startswith(f"{one.identity}: ") for said in self.notes):
                    self.notes.append(note)
            else:
                counted.append(one)
        sifted = sift(
            Difference(tuple(counted), found.not_comparable, found.compared), self.database.drift_ignore, self.today
        )
        for accepted in sifted.ignored:
            _add(self.ignored, (accepted.found, accepted.by), other, words)
        for one in sifted.left.objects:
            _add(self.drift, (one, None), other, words)

    def _tolerated(self, other: Other, one: ObjectDifference, expected: Catalog | None) -> str:
        if other == DIRECTORY:
            return tolerated(one)
        if is_mended(one):
            return "the run left it invalid"
        if is_partition_that_came_or_went(one):
            if one.change is Change.ADDED:
                return "a partition made at run time"
            if expected is not None and one.identity not in expected.objects:
                return "a partition made, and dropped, at run time"
        return ""

    def _tell_of_entries(self, *, is_complete: bool) -> None:
        for entry in self.database.drift_ignore:
            if ignored.has_expired(entry, self.today):
                self.notes.append(f"{ignored.shown(entry)} expired on {entry.until}; its reason was: {entry.reason}")
            elif is_complete and all(each.by != entry for each in self.ignored):
                self.notes.append(f"{ignored.shown(entry)} matches nothing: remove it")

    # Since when.

    def _rows(self, state: State, scope: Scope, actual: Catalog, known: Mapping[str, Catalog]) -> Iterator[Drifted]:
        since = self._since(state, scope, actual, known) if self.drift and self.may_read_ledger else {}
        for found in self.drift:
            one = found.one
            seen = since.get(_now(one), _Since())
            yield Drifted(
                object=str(one.identity),
                change=one.change.value,
                renamed_to=str(one.renamed_to) if one.renamed_to else None,
                compared_with=tuple(found.others),
                properties=tuple(
                    DriftedProperty(property=change.name, expected=shown(change.before), live=shown(change.after))
                    for change in one.properties
                ),
                said=found.said,
                since=seen.first,
                good=seen.good,
                before_the_run_ended=seen.before_the_run_ended,
            )

    def _since(
        self, state: State, scope: Scope, actual: Catalog, known: Mapping[str, Catalog]
    ) -> dict[Identity, "_Since"]:
        """Look back, state by state, until each object was otherwise than it is."""
        schema, found = state.ledger.schema, {_now(each.one): _Since() for each in self.drift}
        if not state.ledger.exists or not fingerprints.exist(self.live, schema):
            return found
        open_ = set(found)
        seen = drift_checks.looks(self.live, schema, state.table.schema, scope)
        for look, catalog in drift_checks.catalogs(self.live, schema, scope, seen, known):
            for identity in list(open_):
                if catalog.objects.get(identity) == actual.objects.get(identity):
                    found[identity].first = look.taken_at
                    found[identity].before_the_run_ended = not look.is_check
                else:
                    found[identity].good = look.taken_at
                    open_.remove(identity)
            if not open_:
                break
        return found

    # The record.

    def _record(self, state: State, scope: Scope, digest: str, actual: Catalog) -> bool:
        schema = state.ledger.schema
        if not self.may_read_ledger:
            return False
        if not state.ledger.exists or not fingerprints.exist(self.live, schema):
            self.notes.append("the check was not recorded: the first run makes the ledger")
            return False
        problem = drift_checks.record(self.live, schema, state.table.schema, digest, actual, scope)
        if problem:
            self.notes.append(f"the check was not recorded: {problem}")
        return not problem

    def _summary(self, recorded: Recorded | None, objects: int) -> str:
        if self.drift:
            count = len(self.drift)
            return f"{count} object{'s have' if count != 1 else ' has'} drifted"
        if not self.compared_with:
            return "nothing to compare the schema with"
        as_it_was = {RUN: "as the last run left them", DIRECTORY: "as the directory makes them"}
        accepted = f"; {len(self.ignored)} accepted" if self.ignored else ""
        return f"no drift: {objects} objects are {' and '.join(as_it_was[other] for other in self.compared_with)}{accepted}"


def _add(known: list[_Found], new: tuple[ObjectDifference, DriftIgnore | None], other: Other, words: Sides) -> None:
    one, by = new
    for each in known:
        if (_key(each.one), each.by) == (_key(one), by):
            each.others.append(other)
            return
    known.append(_Found(one, words, [other], by))


def _accepted(known: list[_Found]) -> Iterator[IgnoredDrift]:
    for each in known:
        if each.by is not None:
            yield IgnoredDrift(
                object=str(each.one.identity),
                compared_with=tuple(each.others),
                said=each.said,
                reason=each.by.reason,
                until=each.by.until,
            )


def _key(one: ObjectDifference) -> tuple[Identity, Change, tuple[str, ...]]:
    return one.identity, one.change, tuple(change.name for change in one.properties)


def _now(one: ObjectDifference) -> Identity:
    """Return what the object is called now, or was when it was there."""
    return one.after.identity if one.after else one.identity


def _seen(recorded: Recorded | None) -> LastRunSeen | None:
    if recorded is None:
        return None
    return LastRunSeen(run=recorded.run or "", taken_at=recorded.taken_at, fingerprint=recorded.digest)


def minute(at: datetime) -> str:
    """Return a time for people, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
