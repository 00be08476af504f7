"""
Stage apply: run the pending migrations, exactly once.

The order of what follows is what makes it safe. A run that finds something to do waits for its turn: no other run at work.
It takes the lease, ends what dead runs have left running, and only then reads the past. On one executing connection, which
holds Atlas's lock, it settles statements whose end nobody saw, decides, and acts file by file. That connection is never
opened again: after a loss the run ends, and the next one begins anew. Whose turn it is knows ``postgres.turn``; what runs
a single file is ``postgres.writer``.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from pgrollout.content import Content
from pgrollout.errors import (
    Interrupted,
    PgrolloutError,
    PlanChanged,
    ServerIsStandby,
    TableNotReadable,
)
from pgrollout.history import ExecOrder, Pending
from pgrollout.interrupts import held_back, let_through
from pgrollout.log_fields import about
from pgrollout.plan import Plan
from pgrollout.postgres import atlas_lock, lease, ledger
from pgrollout.postgres.connection import Connecting, Connection, connecting
from pgrollout.postgres.execute import StatementLeft
from pgrollout.postgres.ledger import Run
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import Session, State, read_checked, read_session
from pgrollout.postgres.supervisor import Supervisor, quietly, silence
from pgrollout.postgres.turn import FIRST, Turn
from pgrollout.progress import Reporter, reporting
from pgrollout.stages.deciding import Choice, decide, plan_of, resumed_by
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_contents, read_reviewed, started_by
from pgrollout.stages.stage import Outcome, Report, Request, logged

if TYPE_CHECKING:
    from pgrollout.postgres.executing import Executing
    from pgrollout.postgres.records import File
    from pgrollout.postgres.writer import Writer
    from pgrollout.stages.backup import BackupReport
    from pgrollout.stages.watching import Watching

log = logging.getLogger(__name__)

SHORTEST_SILENCE_SECONDS = 10.0
"""A busy server may take a while; less is not taken for a lost connection."""
NOTHING = "nothing to do: no migration is pending"


class TakenBackup(BaseModel):
    """The backup that was taken for this run; recorded with its first row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str = Field(description="Where it is.")
    size_bytes: int = Field(description="How big it is.")
    digest: str = Field(description="Digest of its manifest.")
    server_position: str = Field(description="WAL position when it was taken.")
    taken_at: str = Field(description="When, ISO 8601.")

    @classmethod
    def of(cls, report: "BackupReport") -> "TakenBackup | None":
        """Return what apply records of what stage backup reports; None if it took no backup."""
        if report.path is None or report.digest is None:
            return None
        return cls(
            place=report.path,
            size_bytes=report.size_bytes,
            digest=report.digest,
            server_position=report.wal_position,
            taken_at=report.taken_at,
        )


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


@logged
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
        connecting(request.database) as open_connection,
        open_connection(f"pgrollout/{run_id}/watch") as watch,
    ):
        # What is asked there is answered at once, and a lease whose heartbeat fails for so long is another run's.
        watch.given_up = silence(max(SHORTEST_SILENCE_SECONDS, request.database.lease_timeout_ms / 1000))
        session = read_session(watch, request.database)
        report = _Run(request, run_id, reviewed, open_connection, watch, session, started).run()
    return report.model_copy(update={"duration_ms": round((time.monotonic() - started) * 1000)})


@dataclass
class _Run:
    """One run, on its supervising connection: it finds out what there is to do, and waits for its turn."""

    request: ApplyRequest
    run_id: str
    reviewed: Reviewed
    open_connection: Connecting
    watch: Connection
    session: Session
    started: float
    applied: list[AppliedFile] = field(default_factory=list)
    _contents: dict[str, Content] = field(default_factory=dict)
    _planned: tuple[str | None, Pending, Plan] | None = None
    _pending: int | None = None
    """How many files were pending when that was last decided; None if it never was."""

    def run(self) -> ApplyReport:
        """Do what is pending; somebody's interrupt, or the run's deadline, ends it at a safe point."""
        try:
            return self._run()
        except KeyboardInterrupt as interrupt:
            if self._pending is None:
                raise
            raise self._interrupted() from interrupt
        except StatementLeft as left:
            is_left = self.request.database.online_builds == "leave"
            then = "a run after that goes on" if is_left else "the next run waits for that"
            raise self._interrupted(f"The server goes on building an index{left}, and {then}.") from left

    def _interrupted(self, note: str = "") -> Interrupted:
        is_due = self.deadline is not None and time.monotonic() >= self.deadline
        notes = [*(["run_deadline_ms has passed."] if is_due else []), *([note] if note else [])]
        return Interrupted(len(self.applied), (self._pending or 0) - len(self.applied), " ".join(notes))

    @property
    def deadline(self) -> float | None:
        """When the run must have ended, by ``time.monotonic``; None if it may take as long as it takes."""
        deadline_ms = self.request.database.run_deadline_ms
        return self.started + deadline_ms / 1000 if deadline_ms else None

    def _run(self) -> ApplyReport:
        """Look what is pending, until there is nothing or the turn is ours; nothing is written before."""
        turn = Turn(self.watch, self.request.database, self.run_id, started_by(), self.deadline)
        while True:
            state = self.read(self.watch)
            todo = self.decide(state)
            if not self.is_something(state, todo):
                return self.report(state, None, Outcome.NOTHING_TO_DO, NOTHING)
            if self.request.dry_run:
                return self._dry_run(state, todo)
            if self.session.is_standby:
                raise ServerIsStandby(f"database {self.request.database.name}")
            token = turn.take(state.ledger)
            if token is None:
                continue
            try:
                report = self._attempt(turn, token, state, todo)
            finally:
                turn.give_back(state.ledger.schema, token)
            if report is not None:
                return report

    def _attempt(self, turn: Turn, token: int, state: State, todo: Pending) -> ApplyReport | None:
        """Do what is pending, on one executing connection; None if that is to be looked at anew."""
        database = self.request.database
        with (
            reporting("waiting for what an earlier run left") as reporter,
            turn.alive(database.ledger_schema, token, reporter) as supervisor,
        ):
            self._prepare(state, todo, reporter)
            with self.open_connection(f"pgrollout/{self.run_id}/{token}") as connection:
                session = read_session(connection, database)
                turn.check_two_sessions(self.session, session)
                supervisor.watch_over((session.backend_pid, session.backend_start))
                connection.given_up = supervisor.given_up
                if token == FIRST:
                    # No lease tells whether we are alive until the first commit: then the server ends who is not.
                    connection.execute(f"SET idle_session_timeout = {database.lease_timeout_ms}".encode())
                reporter.say("waiting for another run")
                with atlas_lock.held(connection, wait_ms=turn.left_ms):
                    reporter.say("beginning")
                    state = self.read(connection)
                    if token == FIRST and state.ledger.token:
                        return None  # another first run was quicker
                    return _Attempt(self, supervisor, reporter, connection, session, token, turn.is_taken_over).run(
                        state
                    )

    def read(self, connection: Connection) -> State:
        """Read history and ledger; errors as for ``postgres.state.read_checked``."""
        return read_checked(connection, self.request.database, self.request.choice.needs_clean)

    def decide(self, state: State) -> Pending:
        """Return what is pending; errors as for ``stages.deciding``."""
        todo = decide(self.reviewed, state, self.request.choice)
        self._pending = len(todo.migrations)
        return todo

    def contents(self, todo: Pending) -> Mapping[str, Content]:
        """Return what the pending files say; each is read once, before anything is locked."""
        missing = [migration for migration in todo.migrations if migration.name not in self._contents]
        self._contents.update(read_contents(missing))
        return {migration.name: self._contents[migration.name] for migration in todo.migrations}

    def is_something(self, state: State, todo: Pending) -> bool:
        """Whether there is anything to do, be it only to record the end of a run that died after its last file."""
        silent_ms = state.ledger.silent_ms
        is_lost = silent_ms is not None and silent_ms >= self.request.database.lease_timeout_ms
        return bool(todo.migrations or todo.baseline or state.ledger.open_intents or is_lost)

    def plan(self, state: State, todo: Pending, contents: Mapping[str, Content]) -> Plan:
        """Return the plan; raise PlanChanged if it is not the one that was approved."""
        if self._planned is None or self._planned[:2] != (state.current, todo):
            self._planned = state.current, todo, plan_of(self.request.database, self.reviewed, state, todo, contents)
        plan = self._planned[2]
        if self.request.plan is not None and self.request.plan != plan.digest and not self._goes_on(state):
            raise PlanChanged(self.request.plan, plan.digest)
        return plan

    def _goes_on(self, state: State) -> bool:
        """
        Whether this very run has carried out a part of the approved plan, and nobody has run since.

        Then the plan is for what is left of it: of the same release, whose digest was checked.
        """
        return self.request.release is not None and state.ledger.newest == (self.run_id, self.request.plan)

    def _prepare(self, state: State, todo: Pending, reporter: Reporter) -> None:
        """Read and plan while there is no executing connection: a big file takes long, and nothing is to wait idle for it."""
        reporter.say("reading the migrations")
        contents = self.contents(todo)
        reporter.say("planning")
        with suppress(PgrolloutError):  # it is decided once more, by what the database says then
            self.plan(state, todo, contents)

    def report(self, state: State, plan: Plan | None, outcome: Outcome, summary: str) -> ApplyReport:
        """Return what there is to say of the run."""
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

    def _dry_run(self, state: State, todo: Pending) -> ApplyReport:
        plan = self.plan(state, todo, self.contents(todo))
        names = tuple(migration.name for migration in todo.migrations)
        report = self.report(state, plan, Outcome.DONE, f"dry run: {_counted(len(names))} would be applied")
        return report.model_copy(update={"would_apply": names, "after": state.current})


@dataclass
class _Attempt:
    """One try, on one executing connection, with the lease and under Atlas's lock."""

    owner: _Run
    supervisor: Supervisor
    reporter: Reporter
    connection: Connection
    session: Session
    token: int
    is_taken_over: bool
    """Whether the run before died: its end is recorded even if nothing else is to be done."""

    def run(self, state: State) -> ApplyReport:
        """Decide, by what the database says now, and act."""
        owner, request = self.owner, self.owner.request
        todo = owner.decide(state)
        if not (self.is_taken_over or owner.is_something(state, todo)):
            return owner.report(state, None, Outcome.NOTHING_TO_DO, NOTHING)
        contents = owner.contents(todo)
        plan = owner.plan(state, todo, contents)
        run = Run(
            id=owner.run_id,
            history=state.table.schema,
            token=self.token if self.token != FIRST else 1,
            release=plan.release,
            plan=plan.digest,
            server_version=self.session.server_version,
            started_by=started_by(),
            source=request.source,
            reason=request.reason,
        )
        with held_back() as wants_end:
            self._act(state, todo, contents, run, wants_end)
        if not owner.applied and not todo.baseline:
            return owner.report(state, None, Outcome.NOTHING_TO_DO, NOTHING)
        summary = f"{_counted(len(owner.applied))} applied"
        if todo.baseline:
            summary = f"baseline {todo.baseline.version} recorded; {summary}"
        return owner.report(state, plan, Outcome.DONE, summary)

    def _act(
        self, state: State, todo: Pending, contents: Mapping[str, Content], run: Run, wants_end: Callable[[], int]
    ) -> None:
        """Settle what an earlier run left, then apply the files; record how it ended in any case."""
        # Not for a run that finds nothing to do: they know how to parse, and all kinds of objects.
        from pgrollout.lint.recipe import recipe
        from pgrollout.postgres.executing import Executing
        from pgrollout.postgres.records import Records
        from pgrollout.postgres.writer import Writer
        from pgrollout.stages.watching import Watching

        request, database = self.owner.request, self.owner.request.database
        records = Records(state.table, state.ledger.schema, run, self.session)
        executing = Executing(
            self.connection, records, state.ledger, self.supervisor, wants_end,
            has_lease=self.token != FIRST, lease_timeout_ms=database.lease_timeout_ms, deadline=self.owner.deadline,
        )  # fmt: skip
        writer = Writer(executing, database, recipe)
        watching = Watching(self.connection, database, state, run)
        try:
            executing.prepare()
            if self.session.standbys:
                log.warning('commits wait for a standby synchronous_standby_names="%s"', self.session.standbys)
            if state.ledger.open_intents:
                todo, contents = self._settle(state, todo, contents, executing, writer)
            executing.stop_if_asked()
            with let_through():  # it may have to wait for a table
                rows = [watching.before(contents)]
            backup = [ledger.backup_sql(records.schema, run, **request.backup.model_dump())] if request.backup else []
            if todo.baseline is not None:
                rows += watching.baseline(todo.baseline.version)
                writer.baseline(todo.baseline.version, todo.baseline.description, rows)
                log.info("baseline recorded version=%s", todo.baseline.version)
                rows = []
            elif state.ledger.exists and state.table.exists:
                writer.start(rows)
                rows = []
            rows += backup
            for number, migration in enumerate(todo.migrations):
                executing.stop_if_asked()
                self.reporter.say(f"applying {migration.name}", done=number, total=len(todo.migrations))
                with about(version=migration.version):
                    self._apply(writer, self._file(contents[migration.name], todo), rows)
                rows = []
            writer.end("done", records=self._after(executing, watching))
        except (PgrolloutError, psycopg.Error) as error:
            self._end_badly(executing, writer, watching, "failed", str(error))
            raise
        except (KeyboardInterrupt, StatementLeft):
            self._end_badly(executing, writer, watching, "interrupted", "")
            raise

    def _settle(
        self,
        state: State,
        todo: Pending,
        contents: Mapping[str, Content],
        executing: "Executing",
        writer: "Writer",
    ) -> tuple[Pending, Mapping[str, Content]]:
        """Find out what became of statements whose end nobody saw; return what is pending then."""
        from pgrollout.postgres.settling import settle

        files = {migration.version: self._file(contents[migration.name], todo) for migration in todo.migrations}
        settle(executing, writer.alone, state.ledger.open_intents, files)
        todo = self.owner.decide(self.owner.read(self.connection))
        return todo, self.owner.contents(todo)

    def _file(self, content: Content, todo: Pending) -> "File":
        from pgrollout.postgres.records import File

        migration = content.migration
        return File(content, self.owner.reviewed.hash_of(migration), resumed_by(todo, migration.version))

    def _apply(self, writer: "Writer", file: "File", rows: Sequence[str]) -> None:
        started = time.monotonic()
        writer.apply(file, rows)
        duration_ms = round((time.monotonic() - started) * 1000)
        count = len(file.content.statements) - (file.resumes.applied if file.resumes else 0)
        log.info("migration applied version=%s statements=%d duration_ms=%d", file.version, count, duration_ms)
        self.owner.applied.append(
            AppliedFile(name=file.name, version=file.version, statements=count, duration_ms=duration_ms)
        )

    def _after(self, executing: "Executing", watching: "Watching") -> Sequence[str]:
        """Return what is recorded of the schema when all is done; for want of it nothing fails any more."""
        if not executing.has_started:
            return ()
        try:
            executing.clean()
            return (watching.after(),)
        except (psycopg.Error, TableNotReadable) as error:
            log.warning('schema not recorded moment=after reason="%s"', str(error).strip().partition("\n")[0])
            return ()

    def _end_badly(
        self, executing: "Executing", writer: "Writer", watching: "Watching", outcome: str, error: str
    ) -> None:
        """Record the end as far as the connections still allow; the history is right in any case."""
        try:
            executing.roll_back()
            # Who interrupts does not want to wait for it.
            after = self._after(executing, watching) if outcome == "failed" else ()
            writer.end(outcome, error, after)
        except (PgrolloutError, psycopg.Error, KeyboardInterrupt) as second:
            log.debug('end of the run recorded by its supervisor outcome=%s reason="%s"', outcome, second)
            if executing.has_started:
                schema, run = executing.records.schema, executing.records.run
                end = ledger.end_run_sql(schema, run, outcome, error)
                quietly(self.owner.watch, end, lease.give_back_sql(schema, run.token))


def _counted(count: int) -> str:
    return "1 migration" if count == 1 else f"{count} migrations"
