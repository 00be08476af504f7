"""
SQLSTATE: what an error of the server means for the run, in one table.

Source: PostgreSQL manual, "PostgreSQL Error Codes"; the exit codes are the contract of ``errors.ExitCode``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pgrollout.errors import ConnectionBroken, ExitCode, ServerRefused

FENCED = "PR001"
"""Our own: the lease was taken over."""
UNLOCKED = "PR002"
"""Our own: the session no longer holds Atlas's lock."""
BLOCKED = "PR003"
"""Our own: somebody is in the way of the locks that a statement needs."""
GROWN = "PR004"
"""Our own: a table is not as small as it was when it was looked at."""
BUSY = frozenset({BLOCKED, "55P03", "40P01", "40001"})
"""What a transaction answers that was in somebody's way: nothing of it is kept, it may be tried again."""
PENDING_TRIGGERS = "55006"
"""A table is in use by the very session, such as by a deferred trigger that has still to run."""
NEW_ENUM_VALUE = "55P04"
"""An enum value is used in the transaction that adds it."""
CANCELLED = "57014"
"""A statement that somebody, or a timeout, cancelled."""
COMMITS_ITSELF = "2D000"
"""What a procedure or DO block answers that wants to end the transaction."""
NOT_IN_A_TRANSACTION = frozenset({"25001", COMMITS_ITSELF})
"""What a statement answers that cannot run in a transaction, or ends it; nothing has happened then."""
TRANSACTION_TIMEOUT = "25P04"
"""Last word of a backend that was in its transaction for too long."""

LOST = ("08", "57P01", "57P02", "57P03", "57P04", "57P05")
"""SQLSTATEs, and a class, after which there is no connection any more."""
_WAIT = (*LOST, "53300", "25P03", *BUSY, FENCED)
"""SQLSTATEs, and whole classes, that waiting can cure."""

_ADVICE = {
    "25001": (
        "This statement cannot run in a transaction. Put it into a file of its own that starts with "
        "`-- atlas:txmode none` and an empty line."
    ),
    "25P03": "This process did not go on in time, so the server ended its transaction. Run it again.",
    "25P04": (
        "transaction_timeout ended the transaction: raise it for the role that migrates, or run_deadline_ms; "
        "or split the migration."
    ),
    "25006": "The server, or the transaction, is read-only: is this a standby? Name the primary.",
    "2D000": (
        "A procedure that commits cannot run in a transaction. Put the CALL into a file of its own that starts with "
        "`-- atlas:txmode none` and an empty line."
    ),
    "42501": "The role lacks a right: grant it, or name the owner with `role` in pgrollout.toml.",
    "53100": "The server's disk is full, and nothing of this transaction was kept: make room, then run it again.",
    "53200": "The server is out of (lock) memory: split the migration, or raise max_locks_per_transaction.",
    "55P04": "A new enum value can be used only after the transaction that adds it: put its use into the next file.",
    "57014": (
        "Somebody, or a timeout, cancelled the statement. "
        "`SET statement_timeout = 0;` before it lifts the limit of the role."
    ),
    "23505": "The data has duplicates. Find and settle them first, then run this again.",
    "23514": "Rows break the constraint. Find and settle them first, or add it NOT VALID.",
    "23502": "Rows have NULL there. Fill them first.",
    "23503": "Rows refer to rows that are not there. Find and settle them first, or add it NOT VALID.",
    FENCED: "Another run has taken over this database. This one has changed nothing since.",
    UNLOCKED: (
        "A migration has released it: remove pg_advisory_unlock of that key, or pg_advisory_unlock_all, there. "
        "Or a pooler in between pools transactions, whatever `pooler` says: give the URL of the server itself."
    ),
}


def exit_code(sqlstate: str) -> ExitCode:
    """Return what the run's exit code is when the server answers with this SQLSTATE."""
    return ExitCode.WAIT if sqlstate.startswith(_WAIT) else ExitCode.FAILED


def advice(sqlstate: str) -> str:
    """Return what to do about it: of the error itself where there is some, else the general way out."""
    default = "Run it again." if exit_code(sqlstate) is ExitCode.WAIT else "Correct the migration, and run it again."
    return _ADVICE.get(sqlstate, default)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """
    Turn what the driver raises in the block into an error of ours.

    Raises:
        ConnectionBroken: The connection was lost.
        ServerRefused: The server answered a question with an error.
    """
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate
        if state is None and not isinstance(error, psycopg.OperationalError):
            raise  # a mistake of this program
        if state is None or state.startswith(LOST):
            raise ConnectionBroken(doing, str(error).strip()) from error
        message = error.diag.message_primary or str(error).strip()
        raise ServerRefused(doing, state, message, advice(state), int(exit_code(state))) from error
