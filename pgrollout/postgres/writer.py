"""
The writer: runs the segments of one migration, each together with its rows.

A segment and what vouches for it, the revision row and the step row, commit together or not at all. What cannot run in
a transaction is bracketed by an intent instead. Which files run, in which order, is decided before; see ``stages.apply``.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from psycopg.pq import TransactionStatus

from pgrollout.atlas_splitter import partial_hashes
from pgrollout.content import Content
from pgrollout.errors import (
    ConnectionBroken,
    ExitCode,
    InvalidIndexLeft,
    RecordsRefused,
    StatementFailed,
    UnreadableFile,
)
from pgrollout.history import Revision, RevisionType
from pgrollout.place import place_at
from pgrollout.postgres import ledger, online_build, revisions, sqlstate
from pgrollout.postgres.chunk import Chunk, chunks, statement_failed
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.execute import ConnectionLost, CopyFromClient, Failure, send
from pgrollout.postgres.ledger import Ledger, Run
from pgrollout.postgres.revisions import RevisionsTable
from pgrollout.postgres.state import Session
from pgrollout.quoting import name
from pgrollout.secrets import mask_statement
from pgrollout.segments import Kind, Segment, is_read_only, rolls_back, segments, sets_session
from pgrollout.statement import Statement

log = logging.getLogger(__name__)

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# Operators with their schema, here and in all records: a file's search_path may hold others.
_ELAPSED_NS = (
    "(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.now()) "
    "OPERATOR(pg_catalog.*) 1000000000)::bigint"
)
# DISCARD ALL without its last part, which would drop the run lock; unlike it, allowed in a transaction.
_FRESH_SESSION = (
    "CLOSE ALL",
    "RESET SESSION AUTHORIZATION",
    "RESET ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
)


class Writer:
    """Writes to one database, for one run, on the executing connection."""

    def __init__(
        self,
        connection: Connection,
        session: Session,
        table: RevisionsTable,
        before: Ledger,
        run: Run,
        wants_end: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Prepare to write; nothing is sent yet.

        Args:
            connection: The executing connection, which holds Atlas's lock.
            session: Its backend.
            table: Where the history is.
            before: What the ledger said before.
            run: The run.
            wants_end: Whether somebody wants an end; asked at every safe point, and while a statement runs.
        """
        self._connection = connection
        self._session = session
        self._table = table
        self._schema = before.schema
        self._run = run
        self._backend = (session.backend_pid, session.backend_start)
        # Sent in the transaction that writes the first row: a first file that fails leaves neither table nor ledger.
        self._preparation = (
            revisions.create_sql(table) + "".join(ledger.upgrades(before)) + ledger.start_run_sql(before, run)
        )
        self._is_fresh = True
        self._wants_end = wants_end
        self._hashes: Sequence[str] = ()

    @property
    def has_started(self) -> bool:
        """Whether the run is in the ledger."""
        return not self._preparation

    def start(self, extra: Sequence[str] = ()) -> None:
        """
        Take the lease and record the run in a transaction of its own, unless that is done; write ``extra`` with it.

        Raises:
            RecordsRefused: The server refuses; nothing was written.
            ConnectionBroken: The connection was lost.
        """
        self._transaction("starting the run", extra)

    def end(self, outcome: str, error: str | None = None, extra: Sequence[str] = ()) -> None:
        """Record how the run ended, if it ever started, and ``extra`` with it."""
        if self.has_started:
            end = ledger.end_run_sql(self._schema, self._run, outcome, error)
            self._transaction("ending the run", [*extra, end])

    def abandon(self) -> None:
        """Leave a transaction that an error or an interrupt has left open; what it did is undone."""
        if self._connection.info.transaction_status != TransactionStatus.IDLE:
            self._roll_back()

    def baseline(self, version: str, description: str, extra: Sequence[str] = ()) -> None:
        """Record the version that the database already has, and ``extra`` with it; nothing is run."""
        row = revisions.write_sql(
            self._table,
            version=version,
            description=description,
            type=RevisionType.BASELINE,
            applied=0,
            total=0,
            hash="",
        )
        self.start([row, *extra])

    def apply(self, content: Content, hash: str, resumes: Revision | None, extra: Sequence[str] = ()) -> None:
        """
        Run what is left of a migration.

        Args:
            content: What it says.
            hash: Its entry of the sum file, without ``h1:``.
            resumes: Its partial row, if it has one.
            extra: SQL to be committed with the first row.

        Raises:
            StatementFailed: The server refused a statement; what committed before is in the history.
            RecordsRefused: The server refused to keep the rows.
            ConnectionBroken: The connection was lost.
            KeyboardInterrupt: Somebody wants an end, and there was a safe point.
        """
        start = resumes.applied if resumes else 0
        todo = segments(content, start)
        if content.transactional or not content.statements:
            self._wrapped(content, hash, resumes, start, extra)
            self._stop_if_asked()
            return
        self._hashes = partial_hashes(content.statements)
        self.clean_session()
        self._set_again(content, start)
        self._transaction("recording the start", [self._row(content, hash, resumes, start), *extra])
        self._stop_if_asked()
        for segment in todo:
            if segment.kind is Kind.BLOCK:
                self._block(content, hash, resumes, segment)
            else:
                self._statement(content, hash, resumes, content.statements[segment.first])
            self._stop_if_asked()
        if not todo:
            self._transaction("recording the end", [self._row(content, hash, resumes, len(content.statements))])

    # One transaction for the file.

    def _wrapped(self, content: Content, hash: str, resumes: Revision | None, start: int, extra: Sequence[str]) -> None:
        migration = content.migration
        clean = [] if self._is_fresh else list(_FRESH_SESSION) + self._set_role()
        self._is_fresh = False
        prefix = self._opening([*clean, self._fence()])
        step = ledger.step_sql(
            self._schema, self._run, version=migration.version, position=start and start + 1, kind=Kind.TRANSACTION,
            statement="", hash=hash, backend=self._backend,
        )  # fmt: skip
        records = [*self._as_owner(), self._row(content, hash, resumes, len(content.statements)), step, *extra]
        suffix = "\n;\n" + ";\n".join(records) + ";\nCOMMIT"
        pieces = list(chunks(content, start))
        for number, piece in enumerate(pieces):
            is_first, is_last = number == 0, number == len(pieces) - 1
            before, after = (prefix if is_first else ""), (suffix if is_last else "")
            tag = self._send(before + piece.text + after, f"applying {migration.name}", can_be_cancelled=True)
            if isinstance(tag, Failure):
                self._roll_back()
                self._stop_if_cancelled(tag)
                raise self._error(content, tag, before, piece)
            if not is_last and self._wants_end():
                self._roll_back()
                raise KeyboardInterrupt
            if is_last:
                self._check_committed(tag, f"committing {migration.name}")
        self._preparation = ""

    # Statement by statement.

    def _statement(self, content: Content, hash: str, resumes: Revision | None, statement: Statement) -> None:
        number = statement.index + 1
        row, step = self._row(content, hash, resumes, number), self._step(content, statement, "statement")
        prefix = self._opening([])
        suffix = "\n;\n" + ";\n".join([*self._as_owner(), self._fence(), row, step, "COMMIT"])
        started = time.monotonic_ns()
        answer = self._send(prefix + statement.text + suffix, self._doing(content, statement), can_be_cancelled=True)
        if not isinstance(answer, Failure):
            return
        self._roll_back()
        self._stop_if_cancelled(answer)
        if answer.sqlstate in sqlstate.NOT_IN_A_TRANSACTION:
            self._stop_if_asked()  # the cancel came when this answer was on its way
            self._alone(content, hash, resumes, statement, commits=answer.sqlstate == sqlstate.COMMITS_ITSELF)
            return
        error = self._error(content, answer, prefix, Chunk(statement.text, statement.start))
        self._record_failure(content, hash, resumes, statement.index, error, time.monotonic_ns() - started)
        raise error

    def _alone(
        self, content: Content, hash: str, resumes: Revision | None, statement: Statement, *, commits: bool
    ) -> None:
        """Run a statement that cannot run in a transaction; one that ``commits`` may stop with a part of it done."""
        version, number = content.migration.version, statement.index + 1
        self._check_build(content, statement)
        intent = self._step(content, statement, "alone", is_intent=True)
        self._transaction("recording an intent", [intent])
        if self._wants_end():
            self._end_interrupted(version, number)
        log.info("statement runs outside a transaction version=%s statement=%d", version, number)
        started = time.monotonic_ns()
        answer = self._send(statement.text, self._doing(content, statement), can_be_cancelled=True)
        elapsed = time.monotonic_ns() - started
        if isinstance(answer, Failure):
            if self._was_cancelled(answer) and not commits:
                self._end_interrupted(version, number)
            error = self._error(content, answer, "", Chunk(statement.text, statement.start))
            self._end_failed(content, hash, resumes, statement, error, elapsed, leave_open=commits)
            self._stop_if_cancelled(answer)
            raise error
        try:
            self._check_build(content, statement)
        except InvalidIndexLeft as invalid:
            self._end_failed(content, hash, resumes, statement, invalid, elapsed)
            raise
        end = ledger.end_intent_sql(self._schema, self._run, version, number, "done")
        self._transaction("recording the end", [self._row(content, hash, resumes, number), end])

    def _check_build(self, content: Content, statement: Statement) -> None:
        """
        Raise InvalidIndexLeft if an index that the statement builds is there, and invalid.

        Before the statement, for IF NOT EXISTS would be content with it; after it, for somebody else may have been quicker.
        """
        if online_build.is_build(statement.text):
            invalid = online_build.left_behind(self._connection, statement.text)
            if invalid is not None:
                raise InvalidIndexLeft(place_at(content.migration.name, content.text, statement.start), invalid)

    def _end_failed(
        self,
        content: Content,
        hash: str,
        resumes: Revision | None,
        statement: Statement,
        error: "_Error",
        elapsed_ns: int,
        *,
        leave_open: bool = False,
    ) -> None:
        """Record the failure, and with it the intent's end, unless nobody can tell how much of the statement took effect."""
        version, number, message = content.migration.version, statement.index + 1, _message(error)
        end = ledger.end_intent_sql(self._schema, self._run, version, number, "failed", message)
        self._record_failure(content, hash, resumes, statement.index, error, elapsed_ns, [] if leave_open else [end])

    def _block(self, content: Content, hash: str, resumes: Revision | None, segment: Segment) -> None:
        begin, end = content.statements[segment.first], content.statements[segment.last]
        records = [self._row(content, hash, resumes, segment.last + 1), self._step(content, begin, "block")]
        # Nothing to vouch for: the block does nothing, or nothing of it is kept, so it may as well run twice.
        is_without_effect = rolls_back(end) or is_read_only(begin)
        opening = f"{begin.text}\n;\n"
        body = Chunk(content.text[begin.end : end.start], begin.end)
        vouching = [*self._as_owner(), self._fence(), *records]
        closing = "" if is_without_effect else "\n;\n" + ";\n".join(vouching) + ";\n"
        started = time.monotonic_ns()
        text = opening + body.text + (closing or "\n;\n") + end.text
        answer = self._send(text, self._doing(content, begin), can_be_cancelled=True)
        if isinstance(answer, Failure):
            self._roll_back()
            self._stop_if_cancelled(answer)
            error = self._error(content, answer, opening, body)
            self._record_failure(content, hash, resumes, segment.first, error, time.monotonic_ns() - started)
            raise error
        if is_without_effect:
            self._transaction("recording a block without effect", records)
        else:
            self._check_committed(answer, self._doing(content, begin))

    def _record_failure(
        self,
        content: Content,
        hash: str,
        resumes: Revision | None,
        done: int,
        error: "_Error",
        elapsed_ns: int,
        extra: Sequence[str] = (),
    ) -> None:
        failed = error.statement if isinstance(error, StatementFailed) else content.statements[done].text
        statement, message = mask_statement(failed), _message(error)
        row = self._row(content, hash, resumes, done, error=message, error_stmt=statement, elapsed=str(elapsed_ns))
        self._transaction("recording the failure", [row, *extra])

    # Rows.

    def _row(
        self,
        content: Content,
        hash: str,
        resumes: Revision | None,
        done: int,
        *,
        error: str = "",
        error_stmt: str = "",
        elapsed: str | None = None,
    ) -> str:
        migration, total = content.migration, len(content.statements)
        is_end = done == total and not error
        return revisions.write_sql(
            self._table,
            version=migration.version,
            description=migration.description,
            type=resumes.type if resumes else RevisionType.EXECUTE,
            applied=done,
            total=total,
            hash=hash,
            execution_time=elapsed or (_ELAPSED_NS if is_end else "execution_time"),
            error=error,
            error_stmt=error_stmt,
            partial_hashes=None if is_end or done == 0 else self._hashes[:done],
        )

    def _step(self, content: Content, statement: Statement, kind: str, is_intent: bool = False) -> str:
        return ledger.step_sql(
            self._schema, self._run, version=content.migration.version, position=statement.index + 1, kind=kind,
            statement=mask_statement(statement.text), hash=hashlib.sha256(statement.text.encode()).hexdigest(),
            backend=self._backend, is_intent=is_intent,
        )  # fmt: skip

    def _set_role(self) -> list[str]:
        return [f"SET ROLE {name(self._session.role)}"] if self._session.role else []

    def _as_owner(self) -> list[str]:
        """Let the run's role write the rows that follow; what the file has set comes back after the commit."""
        role = f"SET LOCAL ROLE {name(self._session.role)}" if self._session.role else "SET LOCAL ROLE NONE"
        return ["SET LOCAL SESSION AUTHORIZATION DEFAULT", role]

    def _fence(self) -> str:
        """Stands where the role is ours: the file's may not see the ledger."""
        return ledger.fence_sql(self._schema, self._run.token)

    # Sending.

    def _opening(self, first: Sequence[str]) -> str:
        return _BEGIN + ";\n" + self._preparation + "".join(f"{command};\n" for command in first)

    def clean_session(self) -> None:
        """Undo what the last file left set in the session."""
        if not self._is_fresh:
            answer = self._send(";\n".join([*_FRESH_SESSION, *self._set_role()]), "cleaning the session")
            if isinstance(answer, Failure):
                raise self._refused("cleaning the session", answer)
        self._is_fresh = False

    def _set_again(self, content: Content, start: int) -> None:
        """Set what the statements that an earlier run has done had set for those that are left."""
        again = [statement.text for statement in content.statements[:start] if sets_session(statement)]
        if again:
            answer = self._send("\n;\n".join(again), f"repeating the settings of {content.migration.name}")
            if isinstance(answer, Failure):
                raise self._refused(f"repeating the settings of {content.migration.name}", answer)

    def _transaction(self, doing: str, records: Sequence[str]) -> None:
        """Write records in a transaction of their own."""
        text = self._opening([*self._as_owner(), self._fence(), *records]) + "COMMIT"
        answer = self._send(text, doing)
        if isinstance(answer, Failure):
            self._roll_back()
            raise self._refused(doing, answer)
        self._check_committed(answer, doing)
        self._preparation = ""

    def _send(self, text: str, doing: str, *, can_be_cancelled: bool = False) -> str | Failure:
        """Send a text; records, which are short, are not cancelled."""
        try:
            if can_be_cancelled:
                return send(self._connection, text, wants_end=self._wants_end)
            return send(self._connection, text)
        except ConnectionLost as error:
            if error.sqlstate in sqlstate.ENDED_BY_TIMEOUT:
                advice = sqlstate.advice(error.sqlstate)
                raise RecordsRefused(doing, error.sqlstate, str(error), advice, ExitCode.FAILED) from error
            raise ConnectionBroken(doing, str(error)) from error
        except CopyFromClient as error:
            raise RecordsRefused(
                doing,
                "0A000",
                "COPY from the client: nobody is there to feed it",
                "Use INSERT, or COPY a file.",
                1,
            ) from error

    def _check_committed(self, tag: str, doing: str) -> None:
        """A COMMIT in a failed transaction answers ROLLBACK, and no error: the last defence should one get so far."""
        if tag != "COMMIT":
            raise RecordsRefused(doing, "25P02", f"the server answered {tag}", "Run it again.", ExitCode.FAILED)

    def _was_cancelled(self, failure: Failure) -> bool:
        return self._wants_end() and failure.sqlstate == sqlstate.CANCELLED

    def _end_interrupted(self, version: str, number: int) -> NoReturn:
        """Record that the statement of an intent did not run, and stop."""
        end = ledger.end_intent_sql(self._schema, self._run, version, number, "interrupted")
        self._transaction("recording the interrupt", [end])
        raise KeyboardInterrupt

    def _stop_if_cancelled(self, failure: Failure) -> None:
        if self._was_cancelled(failure):
            raise KeyboardInterrupt

    def _stop_if_asked(self) -> None:
        if self._wants_end():
            raise KeyboardInterrupt

    def _roll_back(self) -> None:
        self._send("ROLLBACK", "rolling back")

    def _doing(self, content: Content, statement: Statement) -> str:
        return f"statement {statement.index + 1} of {content.migration.name}"

    # Errors.

    def _error(self, content: Content, failure: Failure, before: str, piece: Chunk) -> StatementFailed | RecordsRefused:
        """Tell whose fault it is: what stands before the file's text, the text, or our rows after it."""
        theirs = statement_failed(content, failure, before, piece)
        return theirs or self._refused(f"preparing, recording or committing {content.migration.name}", failure)

    def _refused(self, doing: str, failure: Failure) -> RecordsRefused:
        advice = sqlstate.advice(failure.sqlstate)
        if failure.sqlstate == "42501":
            role = self._session.role or self._connection.info.user
            schemas = "".join(
                f"\n    GRANT USAGE, CREATE ON SCHEMA {name(schema)} TO {name(role)};"
                for schema, exists in (
                    (self._table.schema, self._table.schema_exists),
                    (self._schema, self.has_started),
                )
                if exists
            )
            advice = (
                "The role may not make or write what the history needs. Grant it:\n"
                f"    GRANT CREATE ON DATABASE {name(self._connection.info.dbname)} TO {name(role)};{schemas}"
            )
        return RecordsRefused(
            doing, failure.sqlstate, failure.message, advice, int(sqlstate.exit_code(failure.sqlstate))
        )


_Error = StatementFailed | RecordsRefused | UnreadableFile | InvalidIndexLeft


def _message(error: _Error) -> str:
    """What the row says of an error: the server's words where it said any."""
    return error.message if isinstance(error, StatementFailed | RecordsRefused) else str(error)
