"""
Alone: statements that cannot run in a transaction.

Before such a statement an intent is committed: that it will run, and what the catalog showed. After it the end of the intent
is, together with the revision row. Whatever comes between, a crash or a refusal, is settled by the difference that the
catalog then shows: here when the server refuses it, in ``settling`` when a later run finds the intent.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pgrollout.errors import (
    ConnectionBroken,
    ExitCode,
    IndexDiffers,
    RecordsRefused,
    StallBudgetExceeded,
    StatementFailed,
    TableInUse,
    WaitingCanCure,
)
from pgrollout.lock_mode import Lock, Mode, Reach
from pgrollout.outside import Form, Outside, outside
from pgrollout.place import place_at
from pgrollout.postgres import carcasses, effects, sqlstate
from pgrollout.postgres.chunk import Chunk, failed_at
from pgrollout.postgres.effects import Effect, Found, State, Verdict
from pgrollout.postgres.execute import Failure
from pgrollout.postgres.executing import CHECK_CLIENT_MS, IDLE_SHARE, Executing
from pgrollout.postgres.patience import Patience
from pgrollout.postgres.records import File, FileError, Recipe, message_of
from pgrollout.postgres.supervisor import Stall
from pgrollout.quoting import bare
from pgrollout.segments import Kind
from pgrollout.settings import Database
from pgrollout.statement import Statement

log = logging.getLogger(__name__)

ONLINE = frozenset({Form.ONLINE_BUILD, Form.ONLINE_REINDEX, Form.ONLINE_DROP, Form.DETACH})
"""Forms that wait for others, while nobody waits for them: they wait as long as it takes."""
ADOPTABLE = frozenset({Form.ONLINE_BUILD, Form.ONLINE_REINDEX})
"""Forms that the next run waits for when this one must end."""
_BLOCKING = frozenset({Form.VACUUM_FULL, Form.CLUSTER, Form.REINDEX})
"""Forms for which readers wait as long as they work."""
HURRY_MS = 3000
"""How long is tried to clean up when somebody wants an end; what cannot be done then is the next run's."""

_KEPT = (
    "SELECT pg_catalog.set_config('pgrollout.alone_timeout', pg_catalog.current_setting('statement_timeout'), false)"
)
_PATIENT = (
    _KEPT,
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
)
_AS_BEFORE = (
    "SELECT pg_catalog.set_config('statement_timeout', CASE "
    "WHEN pg_catalog.current_setting('pgrollout.alone_timeout', true) OPERATOR(pg_catalog.<>) '' "
    "THEN pg_catalog.current_setting('pgrollout.alone_timeout') "
    "ELSE pg_catalog.current_setting('statement_timeout') END, false)"
)
"""Unless the statement has itself reset everything."""


class Alone:
    """Runs one run's statements that cannot run in a transaction."""

    def __init__(self, executing: Executing, database: Database, recipe: Recipe) -> None:
        """Prepare to run statements on the executing connection, by the database's stall budget and deadlines."""
        self._executing = executing
        self._database = database
        self._recipe = recipe

    def run(
        self, file: File, statement: Statement, records: Sequence[str] = (), *, commits_itself: bool = False
    ) -> None:
        """
        Run a statement.

        Args:
            file: The migration.
            statement: Which of its statements.
            records: Rows to be written with the intent.
            commits_itself: Whether it may stop with a part of it done, which nobody can tell.

        Raises:
            StatementFailed, StallBudgetExceeded: The server refused it, or others waited too long; recorded.
            IndexDiffers: There is another index of that name.
            TableInUse, IndexNotDropped: Somebody was in the way until the deadline.
            StatementLeft: Somebody wants an end, or nobody is to wait; the server goes on with it, and a later run finds it.
            KeyboardInterrupt: Somebody wants an end; it did not run, or was cancelled and cleaned up.
            ConnectionBroken: The connection was lost.
        """
        executing, what = self._executing, self._what(file, statement)
        if self._is_there(file, statement, what):
            row = executing.records.row(file, statement.index + 1)
            executing.transaction("recording an index that is there", [row, *records])
            return
        before = effects.before(executing.connection, what) if what else None
        intent = executing.records.step(file, statement, Kind.ALONE, is_intent=True, before=before)
        row = executing.records.row(file, statement.index)
        executing.transaction("recording an intent", [row, *records, intent], self._settings(file, what))
        if executing.wants_end():
            self._end(file, statement, "interrupted")
            executing.stop()
        log.info("statement runs outside a transaction version=%s statement=%d", file.version, statement.index + 1)
        started = time.monotonic_ns()
        answer, stall = self._send(file, statement, what, before)
        elapsed_ns = time.monotonic_ns() - started
        if isinstance(answer, Failure):
            error: FileError = self._error(file, statement, what, answer, stall, elapsed_ns)
            if commits_itself:
                verdict = Verdict(Effect.UNKNOWN, "code that commits may have stopped half-way")
            else:
                verdict = self._verdict(
                    what, statement, before, error.message if isinstance(error, StatementFailed) else ""
                )
            self._settle(file, statement, what, verdict, answer, error, elapsed_ns)
            return
        if what is not None and what.form is Form.ONLINE_BUILD:
            verdict = effects.settle(executing.connection, what, statement.text, before)
            if verdict.effect is Effect.RUN_AGAIN and not what.if_exists:
                error = RecordsRefused(file.doing(statement), "55000", verdict.says, "Run it again.", ExitCode.FAILED)
                self._settle(file, statement, what, verdict, None, error, elapsed_ns)
        self._done(file, statement)

    def make_room(self, file: File, statement: Statement) -> Found | None:
        """
        Drop what an earlier build of an index has left, so that the statement builds it, and is not content with it.

        Returns what was found of the index that the statement builds; None if it builds none.

        Raises:
            IndexDiffers: There is an index of that name, and another than the one that is asked for.
            IndexNotDropped: Somebody was in the way until the deadline.
        """
        what = self._what(file, statement)
        if what is None or what.form is not Form.ONLINE_BUILD:
            return None
        found = effects.found(self._executing.connection, what, statement.text)
        is_unknown = found.state is State.CANNOT_TELL and not found.is_valid
        if found.state is State.DIFFERS or is_unknown:
            place = place_at(file.name, file.content.text, statement.start)
            raise IndexDiffers(place, found.index, found.there, found.asked)
        if found.state is State.CARCASS:
            log.warning("index was invalid, it is dropped and built again index=%s", bare(found.index))
            self.drop([found.index])
        return found

    def drop(self, indexes: Sequence[str]) -> None:
        """Drop invalid indexes; errors as for ``make_room``."""
        if indexes:
            carcasses.drop_indexes(
                self._executing.connection,
                indexes,
                deadline_ms=self._deadline_ms(),
                wait_ms=self._executing.wait_ms(self._database.stall_budget_ms),
                wants_end=self._wants_end(),
            )

    def finalize(self, verdict: Verdict) -> None:
        """End a detach that is pending: its rows are seen by nobody meanwhile."""
        if verdict.detach is not None:
            parent, partition = verdict.detach
            carcasses.finalize(
                self._executing.connection,
                parent,
                partition,
                deadline_ms=self._deadline_ms(),
                wait_ms=self._executing.wait_ms(self._database.stall_budget_ms),
                wants_end=self._wants_end(),
            )

    def _deadline_ms(self) -> int:
        return HURRY_MS if self._executing.is_to_end() else self._database.table_lock_deadline_ms

    def _wants_end(self) -> Callable[[], bool]:
        """Who asked for an end already gets what can be had quickly."""
        return (lambda: False) if self._executing.is_to_end() else self._executing.is_to_end

    def _what(self, file: File, statement: Statement) -> Outside | None:
        """It was tried in a transaction, or its text tells: in any case it cannot run in one."""
        return outside(statement.text, statement.keywords, refused=True)

    def _is_there(self, file: File, statement: Statement, what: Outside | None) -> bool:
        """Whether somebody has built the index, and died before that was recorded: the history stopped just here."""
        found = self.make_room(file, statement)
        if found is None or found.state is not State.EQUAL or what is None or what.if_exists:
            return False
        if file.resumes is None or file.resumes.applied != statement.index:
            return False
        log.warning(
            "index taken for built version=%s statement=%d index=%s",
            file.version,
            statement.index + 1,
            bare(found.index),
        )
        return True

    # Sending.

    def _budget_ms(self, file: File) -> int:
        return file.content.directives.stall_budget_ms or self._database.stall_budget_ms

    def _settings(self, file: File, what: Outside | None) -> tuple[str, ...]:
        """Return what is set for the session while it runs."""
        if what is not None and what.form in ONLINE:
            # Left to itself an index is finished; what waits to lock a partition would keep its readers out for ever.
            check_ms = CHECK_CLIENT_MS if what.form is Form.DETACH else 0
            return (*_PATIENT, f"SET client_connection_check_interval = {check_ms}")
        wait_ms = self._executing.wait_ms(self._budget_ms(file))
        said = (_KEPT, f"SET lock_timeout = {wait_ms}", f"SET client_connection_check_interval = {CHECK_CLIENT_MS}")
        return (*said, f"SET statement_timeout = {self._server_ms(file)}") if self._is_servers(what) else said

    def _is_servers(self, what: Outside | None) -> bool:
        """Whether the server is to end it, also when nobody waits: it locks tables as long as it works."""
        return self._database.stall_guard == "server" and (what is None or what.form in _BLOCKING)

    def _server_ms(self, file: File) -> int:
        return max(10, int(self._budget_ms(file) * IDLE_SHARE))

    def _send(
        self, file: File, statement: Statement, what: Outside | None, before: Mapping[str, Any] | None
    ) -> tuple[str | Failure, Stall | None]:
        """Send it, again and again while the tables that it locks are in use."""
        executing, doing = self._executing, file.doing(statement)
        is_adoptable = what is not None and what.form in ADOPTABLE
        is_online = what is not None and what.form in ONLINE
        cancelled_at = 2 if is_adoptable else 1
        # What is left of a unique index that the data refuse must be dropped at once: writers fail until then.
        is_left = self._database.online_builds == "leave" and what is not None and not what.unique
        patience = Patience(
            executing, self._database, file.name, _locks(what), executing.wait_ms(self._budget_ms(file))
        )
        try:
            patience.look()
            while True:
                if evictions := patience.evictions():
                    executing.send(
                        ";\n".join(["BEGIN", *evictions, "ROLLBACK"]), doing, wants_cancel=executing.is_to_end
                    )
                    executing.roll_back()
                with executing.watched(doing, self._budget_ms(file)) as watch:
                    answer = executing.send(
                        statement.text,
                        doing,
                        wants_cancel=lambda: executing.wants_end() >= cancelled_at,
                        wants_leave=lambda: is_adoptable and (executing.is_to_end() or (is_left and watch.is_building)),
                    )
                stall = executing.supervisor.stall(watch)
                if not isinstance(answer, Failure) or not _is_busy(answer, stall) or (is_online and not is_adoptable):
                    return answer, stall
                if what is not None and is_adoptable:  # it and the application waited for each other
                    self.drop(effects.settle(executing.connection, what, statement.text, before).left)
                patience.learn(watch.awaited)
                patience.wait(answer)
        except (TableInUse, ConnectionBroken, KeyboardInterrupt):
            if not executing.connection.closed:
                self._end(file, statement, "interrupted")
            raise

    # What came of it.

    def _error(
        self,
        file: File,
        statement: Statement,
        what: Outside | None,
        failure: Failure,
        stall: Stall | None,
        elapsed_ns: int,
    ) -> StatementFailed | StallBudgetExceeded:
        is_limit = self._is_servers(what) and elapsed_ns // 1_000_000 >= self._server_ms(file)
        if failure.sqlstate == sqlstate.CANCELLED and (stall is not None or is_limit):
            waited = (stall.waited_ms, stall.waiters) if stall else (0, 0)
            return StallBudgetExceeded(
                place_at(file.name, file.content.text, statement.start), file.version, *waited,
                self._budget_ms(file), elapsed_ns // 1_000_000, self._recipe(file.content, statement.index),
            )  # fmt: skip
        return failed_at(file.content, failure, Chunk(statement.text, statement.start), failure.position or 0)

    def _verdict(
        self, what: Outside | None, statement: Statement, before: Mapping[str, Any] | None, message: str
    ) -> Verdict:
        if what is None:
            # One statement of one transaction of its own: what the server refuses has not happened.
            return Verdict(Effect.RUN_AGAIN, message)
        verdict = effects.settle(self._executing.connection, what, statement.text, before)
        if verdict.effect is Effect.UNKNOWN:
            # The server answered, and nothing was lost on the way: what it refused has not happened.
            return Verdict(Effect.RUN_AGAIN, message)
        return verdict

    def _settle(
        self,
        file: File,
        statement: Statement,
        what: Outside | None,
        verdict: Verdict,
        failure: Failure | None,
        error: FileError,
        elapsed_ns: int,
    ) -> None:
        """Clean up after a statement that the server refused, and record how it ended."""
        executing = self._executing
        try:
            self.drop(verdict.left)
            self.finalize(verdict)
        except WaitingCanCure:
            executing.stop_if_asked()  # the intent stays open: the next run cleans up
            raise
        if verdict.effect is Effect.TOOK_EFFECT or verdict.detach is not None:
            log.info(
                'statement took effect version=%s statement=%d seen="%s"',
                file.version,
                statement.index + 1,
                verdict.says,
            )
            self._done(file, statement)
            return
        if failure is not None and executing.is_cancelled(failure) and verdict.effect is Effect.RUN_AGAIN:
            self._end(file, statement, "interrupted")
            executing.stop()
        number, row = statement.index + 1, executing.records.failed_row(file, statement.index, error, elapsed_ns)
        end = executing.records.end_intent(file.version, number, "failed", message_of(error))
        is_known = verdict.effect is Effect.RUN_AGAIN
        executing.transaction("recording the failure", [row, *([end] if is_known else [])], (_AS_BEFORE,))
        if failure is not None and executing.is_cancelled(failure):
            executing.stop_if_asked()
        if (
            failure is not None
            and what is not None
            and failure.sqlstate == "23505"
            and isinstance(error, StatementFailed)
        ):
            raise _with_duplicates(error, what, statement) from None
        raise error

    def _done(self, file: File, statement: Statement) -> None:
        number = statement.index + 1
        records = self._executing.records
        end = records.end_intent(file.version, number, "done")
        self._executing.transaction("recording the end", [records.row(file, number), end], (_AS_BEFORE,))

    def _end(self, file: File, statement: Statement, outcome: str) -> None:
        """Record that the statement of an intent did not run."""
        end = self._executing.records.end_intent(file.version, statement.index + 1, outcome)
        self._executing.transaction("recording the interrupt", [end], (_AS_BEFORE,))


def _locks(what: Outside | None) -> tuple[Lock, ...]:
    """Return what is known to be locked so that readers wait."""
    if what is None or not what.table.name or what.form not in (Form.VACUUM_FULL, Form.CLUSTER):
        return ()
    return (Lock(what.table, Mode.ACCESS_EXCLUSIVE, Reach.PARTITIONS),)


def _is_busy(failure: Failure, stall: Stall | None) -> bool:
    if failure.sqlstate in sqlstate.BUSY:
        return True
    return failure.sqlstate == sqlstate.CANCELLED and stall is not None and stall.was_waiting


def _with_duplicates(error: StatementFailed, what: Outside, statement: Statement) -> StatementFailed:
    listed = carcasses.duplicates_sql(what, statement.text)
    more = f" What was built of the index is dropped. These are the duplicates:\n    {listed}"
    advice = error.advice + more
    return StatementFailed(
        error.place, error.version, error.sqlstate, error.message, error.statement, advice, error.status
    )
