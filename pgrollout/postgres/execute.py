"""
Execute: one text of SQL commands as one simple query, one round trip.

The one place that sends SQL of a migration. psycopg's ``execute`` loses how many commands ended well; libpq's
``send_query`` has it, and the position of an error. Rows are thrown away as they come. Knows nothing of migrations,
histories or retries.

Source: PostgreSQL manual, "Multiple Statements in a Simple Query"; libpq, ``PQsendQuery``, ``PQsetSingleRowMode``.
"""

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import generators, waiting
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from pgrollout.postgres.connection import WAKE_SECONDS, Connection, until_given_up

CANCEL_SECONDS = 5.0
"""How long the server may take to accept that a query is to be cancelled."""
UNANSWERED_SECONDS = 15.0
"""How long it may take to end it then: what does not is stuck, and the next run sees to its end."""

_FINISHED = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY)
_COPY_FROM_CLIENT = (ExecStatus.COPY_IN, ExecStatus.COPY_BOTH)
_LAST_WORDS = ("FATAL", "PANIC")
"""Severities after which a backend is gone."""
_NEEDED = ((b"client_encoding", b"UTF8"), (b"standard_conforming_strings", b"on"))
"""Settings that say how the server reads a text, all of it before it runs any of it: those that we write it for."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The server refused one of the commands; those before it ended well, those after it did not start."""

    sqlstate: str
    """Five characters; empty if the server gave none."""
    message: str
    """Severity-free message, with detail and hint."""
    finished: int
    """Commands of the text that ended well before."""
    position: int | None
    """Offset in the text of the character that the error points at, from 0."""


class ConnectionLost(Exception):
    """The connection ended while a query was under way: whether it took effect is for the server to say."""

    def __init__(self, reason: str, sqlstate: str = "") -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate
        """What the server gave as its last word; empty if it said nothing."""


class StatementLeft(Exception):
    """The server goes on with a statement, and nobody waits for its answer any more; the text says how far that is."""


class CopyFromClient(Exception):
    """A COPY from the client stands in the text; nobody is there to feed it."""


def send(
    connection: Connection,
    text: str,
    *,
    wants_cancel: Callable[[], bool] = lambda: False,
    wants_leave: Callable[[], bool] = lambda: False,
) -> str | Failure:
    """
    Send the text as one simple query, and return the last command's tag, or the failure.

    Args:
        connection: An open connection in autocommit mode.
        text: One or several commands.
        wants_cancel: Asked again and again; once it says yes, the server is asked to cancel, and its answer awaited.
        wants_leave: The same; once it says yes, the connection is closed, and the server left to go on.

    Raises:
        ConnectionLost: The server went away before it answered, or did not answer a cancel.
        StatementLeft: It was left to itself.
        CopyFromClient: A command wants to copy from the client; the connection is closed.
        KeyboardInterrupt: Somebody does not wait for the answer; the connection is closed.
    """
    pgconn = connection.pgconn
    try:
        _set_what_is_needed(connection)
        pgconn.send_query(text.encode("utf-8"))
        pgconn.set_single_row_mode()
        answering = _waking(until_given_up(connection, _answer(pgconn)), connection, wants_cancel, wants_leave)
        finished, last = waiting.wait(answering, pgconn.socket, interval=WAKE_SECONDS)
    except psycopg.OperationalError as error:
        raise ConnectionLost(str(error).strip()) from error
    except KeyboardInterrupt:
        connection.close()
        raise
    if last is None:
        raise ConnectionLost("the server sent no answer")
    if last.status in _FINISHED:
        return (last.command_status or b"").decode()
    if last.status in _COPY_FROM_CLIENT:
        connection.close()
        raise CopyFromClient
    failure = _failure(last, finished, text, pgconn)
    if _field(last, DiagnosticField.SEVERITY_NONLOCALIZED) in _LAST_WORDS:
        connection.close()
        raise ConnectionLost(failure.message, failure.sqlstate)
    return failure


def _set_what_is_needed(connection: Connection) -> None:
    """Undo what an earlier text, the role or the database has set, also inside a transaction that goes on."""
    if connection.info.transaction_status == TransactionStatus.INERROR:
        return
    for setting, value in _NEEDED:
        if connection.pgconn.parameter_status(setting) != value:
            connection.execute(b"SET " + setting + b" = '" + value + b"'")


_Answer = tuple[int, PGresult | None]
"""How many commands ended well, and the last result: of a command that did, of the failure, or of a COPY."""
_Waiting = Generator[waiting.Wait, waiting.Ready | int, _Answer]


def _answer(pgconn: PGconn) -> _Waiting:
    finished = 0
    last: PGresult | None = None
    yield from generators.send(pgconn)
    while True:
        try:
            result = yield from generators.fetch(pgconn)
        except psycopg.DatabaseError:
            if last is not None and last.status == ExecStatus.FATAL_ERROR:
                return finished, last  # the backend's last word, then nothing any more
            raise
        if result is None:
            return finished, last
        match ExecStatus(result.status):
            case ExecStatus.COMMAND_OK | ExecStatus.TUPLES_OK | ExecStatus.EMPTY_QUERY:
                finished, last = finished + 1, result
            case ExecStatus.SINGLE_TUPLE:
                pass
            case ExecStatus.COPY_OUT:
                while (got := pgconn.get_copy_data(1)[0]) >= 0:
                    if got == 0:
                        yield waiting.WAIT_R
                        pgconn.consume_input()
            case ExecStatus.COPY_IN | ExecStatus.COPY_BOTH:
                return finished, result
            case _:
                last = result


def _waking(
    answering: _Waiting, connection: Connection, wants_cancel: Callable[[], bool], wants_leave: Callable[[], bool]
) -> _Waiting:
    """Look now and then what is wanted; wait for the answer to a cancel, so that it is known what took effect."""
    gives_up: float | None = None
    try:
        wait = next(answering)
        while True:
            ready = yield wait
            if not ready and gives_up is None and wants_cancel():
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=CANCEL_SECONDS)
                gives_up = time.monotonic() + UNANSWERED_SECONDS
            elif not ready and wants_leave():
                connection.close()
                raise StatementLeft
            elif not ready and gives_up is not None and time.monotonic() >= gives_up:
                connection.close()
                raise ConnectionLost("the server did not answer that it is to cancel the statement")
            wait = answering.send(ready)
    except StopIteration as ended:
        answer: _Answer = ended.value
        return answer


def _failure(result: PGresult, finished: int, text: str, pgconn: PGconn) -> Failure:
    detail, hint = _field(result, DiagnosticField.MESSAGE_DETAIL), _field(result, DiagnosticField.MESSAGE_HINT)
    message = _field(result, DiagnosticField.MESSAGE_PRIMARY)
    message = message or (result.error_message or b"").decode("utf-8", "replace").strip()
    if detail:
        message += f"\n    {detail}"
    if hint:
        message += f"\n    Hint: {hint}"
    position = _field(result, DiagnosticField.STATEMENT_POSITION)
    offset = int(position) - 1 if position else None
    if offset is not None and pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
        # It does not know what a character is, and counts bytes.
        offset = len(text.encode()[:offset].decode("utf-8", "replace"))
    return Failure(_field(result, DiagnosticField.SQLSTATE), message, finished, offset)


def _field(result: PGresult, which: DiagnosticField) -> str:
    value = result.error_field(which)
    return value.decode("utf-8", "replace") if value else ""
