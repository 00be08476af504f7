"""
Execute: one text of SQL commands as one simple query, one round trip.

The one place that sends SQL of a migration. psycopg's ``execute`` loses how many commands ended well; libpq's
``send_query`` has it, and the position of an error. Knows nothing of migrations, histories or retries.

Source: PostgreSQL manual, "Multiple Statements in a Simple Query"; libpq, ``PQsendQuery``.
"""

import inspect
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import generators, waiting
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from pgrollout.postgres.connection import Connection
from pgrollout.postgres.sqlstate import LOST

_FINISHED = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY)
WAKE_SECONDS = 0.1
"""How often a wait looks for Ctrl-C."""
CANCEL_SECONDS = 5.0
"""How long the server may take to accept that a query is to be cancelled."""
_COPY = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


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


class CopyFromClient(Exception):
    """A COPY from the client stands in the text; nobody is there to feed it."""


class Cancelled(KeyboardInterrupt):
    """Somebody wants an end; the server was asked to cancel the query, and has answered."""

    def __init__(self, answer: str | Failure) -> None:
        super().__init__()
        self.answer = answer


def send(connection: Connection, text: str) -> str | Failure:
    """
    Send the text as one simple query, and return the last command's tag, or the failure.

    Args:
        connection: An open connection in autocommit mode.
        text: One or several commands; what a COPY of them sends to the client is thrown away.

    Raises:
        ConnectionLost: The server went away before it answered.
        CopyFromClient: A command wants to copy from the client; the connection is closed.
        Cancelled: KeyboardInterrupt came; the server has been asked to cancel, and has answered.
    """
    pgconn = connection.pgconn
    try:
        _speak_utf8(connection)
        pgconn.send_query(text.encode("utf-8"))
        results, is_cancelled = _answers(connection)
    except psycopg.OperationalError as error:
        raise ConnectionLost(str(error).strip()) from error
    answer = _judged(connection, results)
    if is_cancelled:
        raise Cancelled(answer)
    return answer


def _speak_utf8(connection: Connection) -> None:
    """Undo a SET client_encoding of an earlier text: the server reads the whole of this one before it runs any of it."""
    is_failed = connection.info.transaction_status == TransactionStatus.INERROR
    if not is_failed and connection.pgconn.parameter_status(b"client_encoding") != b"UTF8":
        connection.execute("SET client_encoding = 'UTF8'")


def _answers(connection: Connection) -> tuple[list[PGresult], bool]:
    """Wait for all results; when interrupted, cancel and go on waiting, so that it is known what took effect."""
    fetching = _fetch(connection.pgconn)
    try:
        return waiting.wait(fetching, connection.pgconn.socket, interval=WAKE_SECONDS), False
    except KeyboardInterrupt:
        if inspect.getgeneratorstate(fetching) == inspect.GEN_CLOSED:
            connection.close()  # it came while results were taken in: nobody knows which
            raise
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    return waiting.wait(fetching, connection.pgconn.socket, interval=WAKE_SECONDS), True


def _fetch(pgconn: PGconn) -> Generator[waiting.Wait, waiting.Ready | int, list[PGresult]]:
    results: list[PGresult] = yield from generators.execute(pgconn)
    while results and results[-1].status == ExecStatus.COPY_OUT:
        results.pop()
        while (got := pgconn.get_copy_data(1)[0]) >= 0:
            if got == 0:
                yield waiting.WAIT_R
                pgconn.consume_input()
        results += yield from generators.fetch_many(pgconn)
    return results


def _judged(connection: Connection, results: Sequence[PGresult]) -> str | Failure:
    finished = 0
    for result in results:
        status = ExecStatus(result.status)
        if status in _FINISHED:
            finished += 1
        elif status in _COPY:
            connection.close()
            raise CopyFromClient
        else:
            failure = _failure(result, finished)
            # A FATAL error is the backend's last word.
            if failure.sqlstate.startswith(LOST):
                connection.close()
                raise ConnectionLost(failure.message)
            return failure
    if not results:
        raise ConnectionLost("the server sent no answer")
    return (results[-1].command_status or b"").decode()


def _failure(result: PGresult, finished: int) -> Failure:
    def field(which: DiagnosticField) -> str:
        value = result.error_field(which)
        return value.decode("utf-8", "replace") if value else ""

    detail, hint = field(DiagnosticField.MESSAGE_DETAIL), field(DiagnosticField.MESSAGE_HINT)
    message = field(DiagnosticField.MESSAGE_PRIMARY) or (result.error_message or b"").decode("utf-8", "replace").strip()
    if detail:
        message += f"\n    {detail}"
    if hint:
        message += f"\n    Hint: {hint}"
    position = field(DiagnosticField.STATEMENT_POSITION)
    return Failure(field(DiagnosticField.SQLSTATE), message, finished, int(position) - 1 if position else None)
