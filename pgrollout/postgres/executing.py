"""
The executing connection: everything that a run writes to the database goes through here.

Begins transactions with what guards them, sends texts while the supervisor watches, wraps what may go wrong in sending,
and knows whether the run is in the ledger yet. What is sent, and what a failure means, is the writer's business.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import psycopg
from psycopg.pq import TransactionStatus

from pgrollout.errors import ConnectionBroken, ExitCode, RecordsRefused
from pgrollout.postgres import ledger, revisions, sqlstate
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.execute import ConnectionLost, CopyFromClient, Failure, StatementLeft, send
from pgrollout.postgres.ledger import Ledger
from pgrollout.postgres.records import File, Records
from pgrollout.postgres.supervisor import Supervisor, Watch
from pgrollout.progress import LOG_SECONDS
from pgrollout.quoting import literal, name
from pgrollout.segments import sets_session

log = logging.getLogger(__name__)

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
WAIT_SHARE = 0.25
"""Share of the stall budget that is spent waiting for a lock, while others queue behind us; never more than half of
``deadlock_timeout``, so that the application is no deadlock's victim."""
IDLE_SHARE = 0.5
"""Share of the stall budget after which the server ends a transaction that its client has left open."""
_NO_IDLE_LIMIT = "SET idle_session_timeout = 0"
"""Once there is a lease its heartbeat tells who is alive; the role may have a limit, and waiting is no mistake."""
CHECK_CLIENT_MS = 100
"""How often the server looks whether a client that waits for it is still there."""
_RECORDS_BUDGET_MS = 10_000
"""Records lock nothing but our own tables."""
_RECORDS_GRACE_SECONDS = 3.0
"""Records take no time, but for a COMMIT that waits for a standby; a cancel ends that wait, and it has committed."""
_DEADLINE_GRACE_MS = 5000
"""By how much the server's limit is behind ours, which asks for an orderly end."""
TRANSACTION_TIMEOUT = 170000
"""The first version that has it."""

# DISCARD ALL without its last part, which would drop the run lock; unlike it, allowed in a transaction.
_CLEAN = (
    "CLOSE ALL",
    "RESET SESSION AUTHORIZATION",
    "RESET ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
)
# The server learns within seconds that a client's host is gone. What cannot be in a transaction of ours is written, too.
_OURS = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    "SET default_transaction_read_only = off",
)


class Executing:
    """One run's executing connection."""

    def __init__(
        self,
        connection: Connection,
        records: Records,
        before: Ledger,
        supervisor: Supervisor,
        wants_end: Callable[[], int],
        *,
        has_lease: bool,
        lease_timeout_ms: int,
        deadline: float | None = None,
    ) -> None:
        """
        Prepare; nothing is sent yet.

        Args:
            connection: It holds Atlas's lock.
            records: Writes the rows.
            before: What the ledger said before.
            supervisor: Watches over it, and is told when the run has the lease.
            wants_end: How urgently somebody wants an end: 0 nobody does, 1 at the next safe point, 2 at once.
            has_lease: Whether the run holds the lease; else its first transaction takes it, together with the ledger.
            lease_timeout_ms: When a run that gives no sign of life counts as dead, in milliseconds.
            deadline: When the run must have ended, by ``time.monotonic``.
        """
        self.connection = connection
        self.records = records
        self.supervisor = supervisor
        self._wants_end = wants_end
        self._deadline = deadline
        start = (
            ledger.record_run_sql(before.schema, records.run)
            if has_lease
            else ledger.start_run_sql(before, records.run) + _NO_IDLE_LIMIT + ";\n"
        )
        # Sent in the transaction that writes the first row: a first file that fails leaves neither table nor ledger.
        self._preparation = revisions.create_sql(records.table) + "".join(ledger.upgrades(before)) + start
        self._idle_limit = _NO_IDLE_LIMIT if has_lease else f"SET idle_session_timeout = {lease_timeout_ms}"
        self._next_line = 0.0
        self._is_fresh = True
        self._name = connection.info.parameter_status("application_name") or ""
        self._deadlock_timeout_ms = 1000.0
        self._checks_client = True

    def prepare(self) -> None:
        """Ask the server what it can do; once, before anything is sent."""
        row = self.connection.execute(
            "SELECT setting::float8 FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'"
        ).fetchone()
        self._deadlock_timeout_ms = row[0] if row else 1000.0
        self.connection.execute(";\n".join([*_OURS, self._idle_limit]).encode())
        try:
            self.connection.execute(f"SET client_connection_check_interval = {CHECK_CLIENT_MS}".encode())
        except psycopg.Error:
            self._checks_client = False  # not every platform can

    @property
    def eviction_ms(self) -> int:
        """How long a lock is waited for that nobody but autovacuum is in the way of, which yields after ``deadlock_timeout``."""
        return int(3 * self._deadlock_timeout_ms)

    def say(self, doing: str) -> None:
        """Tell what is waited for: a person who watches, and the log."""
        self.supervisor.say(doing)
        now = time.monotonic()
        if now >= self._next_line:
            log.info('waiting reason="%s"', doing.replace('"', "'"))
            self._next_line = now + LOG_SECONDS

    @property
    def has_started(self) -> bool:
        """Whether the run is in the ledger."""
        return not self._preparation

    # What a transaction begins with.

    def wait_ms(self, budget_ms: int) -> int:
        """Return how long a lock may be waited for, in milliseconds."""
        return max(10, int(min(budget_ms * WAIT_SHARE, self._deadlock_timeout_ms / 2)))

    def idle_ms(self, budget_ms: int) -> int:
        """Return after how long the server ends a transaction that its client has left open, in milliseconds."""
        return max(100, int(budget_ms * IDLE_SHARE))

    def idle_limit(self, limit_ms: int) -> str:
        """Return what makes the server end this transaction when no whole message has come for so long."""
        return f"SET LOCAL idle_in_transaction_session_timeout = {limit_ms}"

    def guards(self, budget_ms: int) -> list[str]:
        """
        Return what the server is to see to while a transaction of ours is open, whatever becomes of this process.

        Said again after everything in a file that sets something.
        """
        said = [
            f"SET LOCAL lock_timeout = {self.wait_ms(budget_ms)}",
            self.idle_limit(self.idle_ms(budget_ms)),
        ]
        if self._checks_client:
            said.append(f"SET LOCAL client_connection_check_interval = {CHECK_CLIENT_MS}")
        if self._deadline is not None and self.connection.info.server_version >= TRANSACTION_TIMEOUT:
            left = max(0, round((self._deadline - time.monotonic()) * 1000))
            said.append(f"SET LOCAL transaction_timeout = {left + _DEADLINE_GRACE_MS}")
        return said

    def opening(self, budget_ms: int, *, is_first: bool) -> list[str]:
        """
        Return the commands that a transaction of ours begins with.

        The first of a file cleans the session and meets the fence at once; the run's start is in the first of all.
        """
        if not is_first:
            return [BEGIN, *self.guards(budget_ms)]
        return [BEGIN, *self._cleaning(), *self.guards(budget_ms), *self._start(), self.records.fence()]

    def _start(self) -> list[str]:
        return [self._preparation.rstrip(";\n")] if self._preparation else []

    def is_used(self) -> None:
        """Say that a file may have set something in the session."""
        self._is_fresh = False

    def _cleaning(self) -> list[str]:
        if self._is_fresh:
            return []
        return [*_CLEAN, *_OURS, self._idle_limit, *self._application_name(), *self._set_role()]

    def clean(self) -> None:
        """Clean the session, unless that is done."""
        if commands := self._cleaning():
            answer = self.send(";\n".join(commands), "cleaning the session")
            if isinstance(answer, Failure):
                raise self.refused("cleaning the session", answer)
            self._is_fresh = True

    def set_again(self, file: File, start: int) -> None:
        """Set what the statements before this one, which an earlier run has done, had set for those that are left."""
        again = [statement.text for statement in file.content.statements[:start] if sets_session(statement)]
        if again:
            doing = f"repeating the settings of {file.name}"
            again += self.named_again("\n".join(again))
            answer = self.send("\n;\n".join(again), doing)
            if isinstance(answer, Failure):
                raise self.refused(doing, answer)
            self.is_used()

    def named_again(self, text: str) -> list[str]:
        """Return what undoes an ``application_name`` that a text sets: by ours, the next run knows what it may end."""
        return self._application_name() if "application_name" in text.lower() else []

    def _application_name(self) -> list[str]:
        """A pooler in session mode gives it once, and RESET ALL loses it there."""
        return [f"SET application_name = {literal(self._name)}"] if self._name else []

    def _set_role(self) -> list[str]:
        role = self.records.session.role
        return [f"SET ROLE {name(role)}"] if role else []

    # Sending.

    @contextmanager
    def watched(self, doing: str, budget_ms: int) -> Iterator[Watch]:
        """Let nobody wait longer than the budget while the block lasts."""
        with self.supervisor.watching(doing, budget_ms) as watch:
            yield watch

    def send(
        self,
        text: str,
        doing: str,
        *,
        wants_cancel: Callable[[], bool] = lambda: False,
        wants_leave: Callable[[], bool] = lambda: False,
    ) -> str | Failure:
        """
        Send a text and return the last command's tag, or the failure.

        Args:
            text: One or several commands.
            doing: What it is, for people.
            wants_cancel: Asked again and again; once it says yes, the server is asked to cancel, and its answer awaited.
            wants_leave: The same for leaving it to itself.

        Raises:
            ConnectionBroken: The connection was lost: whether it took effect is for the server to say.
            StatementLeft: It was left to itself, and the connection closed.
            RecordsRefused: It copies from the client.
        """
        try:
            return send(self.connection, text, wants_cancel=wants_cancel, wants_leave=wants_leave)
        except StatementLeft as left:
            raise StatementLeft(f" ({self.supervisor.said})" if self.supervisor.said else "") from left
        except ConnectionLost as error:
            if error.sqlstate == sqlstate.TRANSACTION_TIMEOUT and self._deadline is None:
                # Not ours: it would end the next try as well.
                advice = sqlstate.advice(error.sqlstate)
                raise RecordsRefused(doing, error.sqlstate, str(error), advice, ExitCode.FAILED) from error
            raise ConnectionBroken(doing, self.supervisor.ended or str(error)) from error
        except CopyFromClient as error:
            raise RecordsRefused(
                doing,
                "0A000",
                "COPY from the client: nobody is there to feed it",
                "Use INSERT, or COPY a file.",
                1,
            ) from error

    def transaction(self, doing: str, records: Sequence[str], after: Sequence[str] = ()) -> None:
        """
        Write records in a transaction of their own; ``after`` is set for the session with them.

        Raises:
            RecordsRefused: The server refuses; nothing was written.
            ConnectionBroken: The connection was lost.
            KeyboardInterrupt: Somebody wants an end, and it took too long; nothing was written.
        """
        opening = [
            BEGIN,
            # Who wants an end waits for no standby.
            *(["SET LOCAL synchronous_commit = local"] if self.wants_end() else []),
            *self.guards(_RECORDS_BUDGET_MS),
            *self.records.as_owner(),
            *self._start(),
            self.records.fence(),
        ]
        commands = [*opening, *records, *after, "COMMIT"]
        answer = self.send(";\n".join(commands), doing, wants_cancel=self._takes_too_long())
        if isinstance(answer, Failure):
            self.roll_back()
            if self.is_cancelled(answer):
                self.stop()
            raise self.refused(doing, answer)
        self.committed(answer, doing)

    def _takes_too_long(self) -> Callable[[], bool]:
        """Return what tells whether an end has been wanted for longer than records take."""
        since: list[float] = []

        def is_over() -> bool:
            if self.wants_end():
                since.append(time.monotonic())
            return bool(since) and since[-1] - since[0] >= _RECORDS_GRACE_SECONDS

        return is_over

    def committed(self, tag: str, doing: str) -> None:
        """
        Take note that a transaction of ours has committed.

        A COMMIT in a failed transaction answers ROLLBACK, and no error: the last defence should one get so far.
        """
        if tag != "COMMIT":
            raise RecordsRefused(doing, "25P02", f"the server answered {tag}", "Run it again.", ExitCode.FAILED)
        if self._preparation:
            self._preparation, self._idle_limit = "", _NO_IDLE_LIMIT
            self.supervisor.holds(self.records.run.token)

    def roll_back(self) -> None:
        """Leave the transaction, if there is one."""
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            self.send("ROLLBACK", "rolling back")

    # Stopping.

    def wants_end(self) -> int:
        """How urgently somebody wants an end: 0 nobody does, 1 at the next safe point, 2 at once."""
        is_due = self.supervisor.lost or (self._deadline is not None and time.monotonic() >= self._deadline)
        return max(self._wants_end(), 1 if is_due else 0)

    def is_to_end(self) -> bool:
        """Whether somebody wants an end at all."""
        return self.wants_end() > 0

    def stop_if_asked(self) -> None:
        """Stop at a safe point, if somebody wants an end; raises as ``stop``."""
        if self.is_to_end():
            self.stop()

    def stop(self) -> NoReturn:
        """
        End the run.

        Raises:
            ConnectionBroken: The supervising connection is gone, or the lease is.
            KeyboardInterrupt: Somebody wants an end, or the run's deadline has passed.
        """
        if self.supervisor.lost:
            raise ConnectionBroken("supervising the run", self.supervisor.lost)
        raise KeyboardInterrupt

    def is_cancelled(self, failure: Failure) -> bool:
        """Whether a statement failed because somebody wants an end."""
        return failure.sqlstate == sqlstate.CANCELLED and self.wants_end() > 0

    def refused(self, doing: str, failure: Failure) -> RecordsRefused:
        """Return the error that tells that the server will not keep history or ledger."""
        advice = sqlstate.advice(failure.sqlstate)
        if failure.sqlstate == "42501":
            advice = self._grants()
        code = int(sqlstate.exit_code(failure.sqlstate))
        return RecordsRefused(doing, failure.sqlstate, failure.message, advice, code)

    def _grants(self) -> str:
        role = self.records.session.role or self.connection.info.user
        schemas = "".join(
            f"\n    GRANT USAGE, CREATE ON SCHEMA {name(schema)} TO {name(role)};"
            for schema, exists in (
                (self.records.table.schema, self.records.table.schema_exists),
                (self.records.schema, self.has_started),
            )
            if exists
        )
        return (
            "The role may not make or write what the history needs. Grant it:\n"
            f"    GRANT CREATE ON DATABASE {name(self.connection.info.dbname)} TO {name(role)};{schemas}"
        )
