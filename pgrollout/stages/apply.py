"""
Stage apply: run the pending migrations, exactly once.

One attempt: take the run lock, read what the database says about itself, decide, then act file by file. A connection is
never opened again inside an attempt; after a loss the attempt ends, and the next one begins anew. What runs a single file
is ``postgres.writer``.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from pgrollout.content import Content
from pgrollout.errors import (
    Interrupted,
    PgrolloutError,
    PlanChanged,
    TableNotReadable,
)
from pgrollout.history import ExecOrder, Pending
from pgrollout.interrupts import held_back
from pgrollout.plan import Plan
from pgrollout.postgres import atlas_lock, ledger
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.ledger import OpenIntent, Run
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import Session, State, check_clean, read_session, read_state
from pgrollout.postgres.writer import Writer
from pgrollout.progress import reporting
from pgrollout.stages.deciding import Choice, decide, plan_of, repeatable_intents, resumed_by
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_contents, read_reviewed, started_by
from pgrollout.stages.stage import Outcome, Report, Request

if TYPE_CHECKING:
    from pgrollout.stages.watching import Watching

log = logging.getLogger(__name__)


class TakenBackup(BaseModel):
    """The backup that was taken for this run; recorded with its first row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str = Field(description="Where it is.")
    size_bytes: int = Field(description="How big it is.")
    digest: str = Field(description="Digest of its manifest.")
    server_position: str = Field(description="WAL position when it was taken.")
    taken_at: str = Field(description="When, ISO 8601.")


class ApplyRequest(Request):
    """What to apply."""

    to_version: str | None = Field(None, description="Last version to apply, inclusive; None is all.")
    amount: int | None = Field(None, ge=1, description="How many files at most; None is all.")
    baseline: str | None = Field(None, description="Version that an existing database already has.")
    allow_dirty: bool = Field(False, description="Run on a database that has tables and no history.")
    plan: str | None = Field(None, description="Digest of the approved plan; None takes what is decided now.")
    backup: TakenBackup | None = Field(None, description="The backup taken before.")
    source: str = Field("cli", description="Where the run was started.")
    reason: str = Field("", description="Why, in the operator's words.")

    @property
    def choice(self) -> Choice:
        """What it asks for among the pending files."""
        order = ExecOrder(self.database.exec_order)
        return Choice(order, self.baseline, self.to_version, self.amount, self.allow_dirty)


class AppliedFile(BaseModel):
    """One migration that was applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    statements: int = Field(description="How many of its statements this run executed.")
    duration_ms: int


class ApplyReport(Report):
    """What was applied."""

    run_id: str
    release: str = Field(description="Digest of the release.")
    plan: str | None = Field(description="Digest of the plan; None when nothing was pending.")
    before: str | None = Field(description="Version of the newest migration before.")
    after: str | None = Field(description="And after.")
    baseline: str | None = Field(None, description="Version recorded as applied before, without being run.")
    applied: tuple[AppliedFile, ...] = ()
    would_apply: tuple[str, ...] = Field((), description="Files that a dry run would have applied.")


def run(request: ApplyRequest) -> ApplyReport:
    """
    Apply what is pending.

    Raises:
        PgrolloutError: Nothing was applied, or the run stopped at a file; what committed before stays.
    """
    started = time.monotonic()
    run_id = request.run_id or new_run_id()
    reviewed = read_reviewed(request.database, request.release)
    with (
        explained("looking at the database"),
        connect(request.database, application_name=f"pgrollout/{run_id}/0") as connection,
        ExitStack() as stack,
    ):
        session = read_session(connection, request.database)
        if not request.dry_run:
            stack.enter_context(atlas_lock.held(connection, wait_ms=request.database.wait_for_run_ms))
        report = _Attempt(request, run_id, reviewed, connection, session).run()
    return report.model_copy(update={"duration_ms": round((time.monotonic() - started) * 1000)})


@dataclass
class _Attempt:
    """One try, on one connection, under the run lock."""

    request: ApplyRequest
    run_id: str
    reviewed: Reviewed
    connection: Connection
    session: Session
    applied: list[AppliedFile] = field(default_factory=list)

    def run(self) -> ApplyReport:
        request = self.request
        state = read_state(self.connection, request.database)
        todo = decide(self.reviewed, state, request.choice)
        if request.choice.needs_clean(state):
            check_clean(self.connection, request.database, state.table)
        contents = read_contents(todo.migrations)
        repeated = repeatable_intents(state, contents)
        if not todo.migrations and not todo.baseline:
            return self._report(state, None, Outcome.NOTHING_TO_DO, "nothing to do: no migration is pending")
        plan = plan_of(request.database, self.reviewed, state, todo, contents)
        if request.plan is not None and request.plan != plan.digest:
            raise PlanChanged(request.plan, plan.digest)
        if request.dry_run:
            names = tuple(migration.name for migration in todo.migrations)
            summary = f"dry run: {_counted(len(names))} would be applied"
            dry = self._report(state, plan, Outcome.DONE, summary)
            return dry.model_copy(update={"would_apply": names, "after": state.current})
        self._act(state, todo, contents, plan, repeated)
        summary = f"{_counted(len(self.applied))} applied"
        if todo.baseline:
            summary = f"baseline {todo.baseline.version} recorded; {summary}"
        return self._report(state, plan, Outcome.DONE, summary)

    def _act(
        self,
        state: State,
        todo: Pending,
        contents: Mapping[str, Content],
        plan: Plan,
        repeated: Sequence[OpenIntent],
    ) -> None:
        request, schema = self.request, state.ledger.schema
        run = Run(
            id=self.run_id,
            history=state.table.schema,
            token=state.ledger.token + 1,
            release=plan.release,
            plan=plan.digest,
            server_version=self.session.server_version,
            started_by=started_by(),
            source=request.source,
            reason=request.reason,
        )
        records = [
            ledger.end_intent_sql(schema, run, intent.version, intent.position, "run again", "pgrollout:repeatable")
            for intent in repeated
        ]
        # Not for a run that finds nothing to do: it knows all kinds of objects.
        from pgrollout.stages.watching import Watching

        watching = Watching(self.connection, request.database, state, run)
        before = [watching.before(contents)]
        if request.backup is not None:
            records.append(ledger.backup_sql(schema, run, **request.backup.model_dump()))
        if todo.baseline is not None:
            before += watching.baseline(todo.baseline.version)
        try:
            with held_back() as wants_end:
                writer = Writer(self.connection, self.session, state.table, state.ledger, run, wants_end)
                try:
                    self._write(writer, state, todo, contents, before, records)
                    writer.end("done", extra=self._after(writer, watching))
                except PgrolloutError as error:
                    self._end_badly(writer, watching, "failed", str(error))
                    raise
                except KeyboardInterrupt:
                    self._end_badly(writer, watching, "interrupted", "")
                    raise
        except KeyboardInterrupt as interrupt:
            raise Interrupted(len(self.applied), len(todo.migrations) - len(self.applied)) from interrupt

    def _write(
        self,
        writer: Writer,
        state: State,
        todo: Pending,
        contents: Mapping[str, Content],
        before: Sequence[str],
        records: Sequence[str],
    ) -> None:
        """Apply the files; ``before`` is written with what starts the run, ``records`` with the first row of the first file."""
        if todo.baseline is not None:
            writer.baseline(todo.baseline.version, todo.baseline.description, before)
            log.info("baseline recorded version=%s", todo.baseline.version)
        elif state.ledger.exists and state.table.exists:
            writer.start(before)
        else:
            records = [*before, *records]
        with reporting("starting", total=len(todo.migrations)) as reporter:
            for number, migration in enumerate(todo.migrations):
                reporter.say(f"applying {migration.name}", done=number)
                self._apply(writer, contents[migration.name], todo, records)
                records = ()

    def _apply(self, writer: Writer, content: Content, todo: Pending, records: Sequence[str]) -> None:
        migration, started = content.migration, time.monotonic()
        resumes = resumed_by(todo, migration.version)
        writer.apply(content, self.reviewed.hash_of(migration), resumes, records)
        duration_ms = round((time.monotonic() - started) * 1000)
        count = len(content.statements) - (resumes.applied if resumes else 0)
        log.info("migration applied version=%s statements=%d duration_ms=%d", migration.version, count, duration_ms)
        self.applied.append(
            AppliedFile(name=migration.name, version=migration.version, statements=count, duration_ms=duration_ms)
        )

    def _after(self, writer: Writer, watching: "Watching") -> Sequence[str]:
        """Return what is recorded of the schema when all is done; for want of it nothing fails any more."""
        if not writer.has_started:
            return ()
        try:
            writer.clean_session()
            return (watching.after(),)
        except (psycopg.Error, TableNotReadable) as error:
            log.warning('schema not recorded moment=after reason="%s"', str(error).strip().partition("\n")[0])
            return ()

    def _end_badly(self, writer: Writer, watching: "Watching", outcome: str, error: str) -> None:
        """Record the end as far as the connection still allows; the history is right in any case."""
        try:
            writer.abandon()
            # Who interrupts does not want to wait for it.
            after = self._after(writer, watching) if outcome == "failed" else ()
            writer.end(outcome, error, after)
        except (PgrolloutError, psycopg.Error) as second:
            log.debug('end of the run not recorded outcome=%s reason="%s"', outcome, second)

    def _report(self, state: State, plan: Plan | None, outcome: Outcome, summary: str) -> ApplyReport:
        after = [state.current or "", plan.baseline or "" if plan else "", *(file.version for file in self.applied)]
        return ApplyReport(
            outcome=outcome,
            summary=summary,
            run_id=self.run_id,
            release=self.reviewed.release.digest,
            plan=plan.digest if plan else None,
            before=state.current,
            after=max(after) or None,
            baseline=plan.baseline if plan else None,
            applied=tuple(self.applied),
        )


def _counted(count: int) -> str:
    return "1 migration" if count == 1 else f"{count} migrations"
