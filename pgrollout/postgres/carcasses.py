"""
Carcasses: gets rid of what an interrupted statement outside a transaction has left, without making anybody wait for long.

An invalid index is dropped, a half detached partition is detached for good. First the way that lets others work and
waits for those who were there before; then the plain one again and again, each time for a short while. Which index, and
which partition, is decided before: see ``effects``. What is still in use at the end is left for the next run, and who uses
it is named; of a unique index that could not be built, the query that shows why is given.

Source: PostgreSQL manual, "DROP INDEX", "ALTER TABLE … DETACH PARTITION … FINALIZE".
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pgrollout.errors import ConnectionBroken, DetachNotFinished, IndexNotDropped, ServerRefused
from pgrollout.index_text import read_index
from pgrollout.outside import Outside
from pgrollout.postgres import sqlstate
from pgrollout.postgres.connection import WAKE_SECONDS, Connection
from pgrollout.postgres.execute import ConnectionLost, Failure, send
from pgrollout.quoting import bare, literal

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
_IN_USE = frozenset({sqlstate.CANCELLED, "55P03", "40P01"})
"""What a try answers that took longer than it may."""


def drop_indexes(
    connection: Connection,
    names: Sequence[str],
    *,
    deadline_ms: int,
    wait_ms: int,
    wants_end: Callable[[], bool] = lambda: False,
) -> None:
    """
    Drop indexes that are invalid; those that are gone, or valid meanwhile, are left alone.

    Args:
        connection: The executing connection, in autocommit mode, idle.
        names: Their quoted names, as ``Verdict.left`` has them.
        deadline_ms: How long to try, all in all.
        wait_ms: How long anybody may wait behind a try of the plain form.
        wants_end: Whether somebody wants an end; asked while waiting.

    Raises:
        IndexNotDropped: Somebody used it all that time.
        ServerRefused: The server refuses for another reason.
        ConnectionBroken: The connection was lost.
        KeyboardInterrupt: Somebody wants an end.
    """
    deadline = time.monotonic() + deadline_ms / 1000
    for index in names:
        _drop(connection, index, deadline, deadline_ms, wait_ms, wants_end)


def finalize(
    connection: Connection,
    parent: str,
    partition: str,
    *,
    deadline_ms: int,
    wait_ms: int,
    wants_end: Callable[[], bool] = lambda: False,
) -> None:
    """
    Finish the detaching of a partition, unless that is done.

    Args:
        connection: The executing connection, in autocommit mode, idle.
        parent: Quoted name, as ``Verdict.detach`` has it.
        partition: The same of the partition.
        deadline_ms: How long to try, all in all.
        wait_ms: How long anybody may wait behind a try: it locks the partition, then waits for old snapshots.
        wants_end: Whether somebody wants an end; asked while waiting.

    Raises:
        DetachNotFinished: Somebody used it, or kept an old snapshot, all that time.
        ServerRefused: The server refuses for another reason.
        ConnectionBroken: The connection was lost.
        KeyboardInterrupt: Somebody wants an end.
    """
    deadline = time.monotonic() + deadline_ms / 1000
    statement = f"ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE"
    for pause in _pauses():
        if not _is_true(connection, _IS_PENDING, [partition, parent]):
            return
        if _try(connection, statement, wait_ms, wants_end):
            log.info("detaching of a partition finished parent=%s partition=%s", bare(parent), bare(partition))
            return
        if time.monotonic() + pause > deadline:
            raise DetachNotFinished(partition, parent, deadline_ms, _holders(connection, [partition, parent]))
        _pause(pause, wants_end)


def duplicates_sql(what: Outside, text: str) -> str:
    """
    Return the query that lists what stands in the way of a unique index, the keys that several rows have.

    Args:
        what: A build.
        text: Its statement.

    Returns:
        The query; empty where the index is not a unique one.
    """
    if not what.unique:
        return ""
    index = read_index(text)
    conditions = [f"({index.predicate})"] if index.predicate else []
    if index.nulls_distinct:
        conditions += [f"{key} IS NOT NULL" for key in index.keys]
    return (
        f"SELECT {', '.join(index.keys)}, count(*) FROM {index.table}"
        + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        + f" GROUP BY {', '.join(str(number) for number in range(1, len(index.keys) + 1))}"
        + " HAVING count(*) > 1 ORDER BY count(*) DESC"
    )


def _drop(
    connection: Connection, index: str, deadline: float, deadline_ms: int, wait_ms: int, wants_end: Callable[[], bool]
) -> None:
    if not _is_true(connection, _IS_INVALID, [index]):
        return
    # It waits for whoever uses the table now, which half of the time is enough for or will not do at all; what comes
    # after it needs only a moment without them.
    half_ms = max(1, int((deadline - time.monotonic()) * 1000 / 2))
    if _try(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {index}", half_ms, wants_end):
        log.info("invalid index dropped index=%s", bare(index))
        return
    for pause in _pauses():
        if not _is_true(connection, _IS_INVALID, [index]):
            return
        if _try(connection, f"DROP INDEX IF EXISTS {index}", wait_ms, wants_end):
            log.info("invalid index dropped, not concurrently index=%s", bare(index))
            return
        if time.monotonic() + pause > deadline:
            raise IndexNotDropped(index, deadline_ms, _holders(connection, [index]))
        _pause(pause, wants_end)


def _try(connection: Connection, statement: str, timeout_ms: int, wants_end: Callable[[], bool]) -> bool:
    """Run a statement; tell whether it ended well, or took longer than it may."""
    with sqlstate.explained("cleaning up"), _timeout(connection, timeout_ms):
        try:
            answer = send(connection, statement, wants_cancel=wants_end)
        except ConnectionLost as error:
            raise ConnectionBroken("cleaning up", str(error)) from error
    if wants_end():
        raise KeyboardInterrupt
    if not isinstance(answer, Failure):
        return True
    if answer.sqlstate in _IN_USE:
        return False
    state = answer.sqlstate
    raise ServerRefused("cleaning up", state, answer.message, sqlstate.advice(state), int(sqlstate.exit_code(state)))


@contextmanager
def _timeout(connection: Connection, timeout_ms: int) -> Iterator[None]:
    """Bound each statement of the block, all its waits together."""
    ((statement_timeout, lock_timeout),) = connection.execute(
        "SELECT pg_catalog.current_setting('statement_timeout'), pg_catalog.current_setting('lock_timeout')"
    ).fetchall()
    connection.execute(_set(str(timeout_ms), "0"))
    yield
    connection.execute(_set(statement_timeout, lock_timeout))


def _set(statement_timeout: str, lock_timeout: str) -> bytes:
    return (
        f"SELECT pg_catalog.set_config('statement_timeout', {literal(statement_timeout)}, false), "
        f"pg_catalog.set_config('lock_timeout', {literal(lock_timeout)}, false)"
    ).encode()


def _pauses() -> Iterator[float]:
    """Yield ever longer pauses, without end; not the same for two who began together."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause * random.uniform(0.5, 1)  # noqa: S311  # no secret
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _pause(seconds: float, wants_end: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if wants_end():
            raise KeyboardInterrupt
        time.sleep(min(left, WAKE_SECONDS))


_IS_INVALID = """
SELECT NOT indisvalid FROM pg_catalog.pg_index WHERE indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)
"""
_IS_PENDING = """
SELECT inhdetachpending FROM pg_catalog.pg_inherits WHERE inhrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)
AND inhparent OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)
"""
# Whoever holds a lock on the relations, on the tables of indexes, or else the oldest snapshot.
_HOLDERS = """
WITH named (oid) AS (SELECT to_regclass(n)::oid FROM unnest(CAST(%s AS text[])) n),
relations (oid) AS (SELECT oid FROM named UNION SELECT indrelid FROM pg_index JOIN named ON oid = indexrelid),
holding (pid, virtualtransaction) AS (
    SELECT DISTINCT pid, virtualtransaction FROM pg_locks JOIN relations r ON relation = r.oid
    WHERE granted AND pid IS DISTINCT FROM pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT h.pid, a.usename, a.application_name, a.state, (
    SELECT x.gid FROM pg_prepared_xacts x JOIN pg_locks l ON l.transactionid = x.transaction
    WHERE h.pid IS NULL AND l.pid IS NULL AND l.virtualtransaction = h.virtualtransaction)
FROM holding h LEFT JOIN pg_stat_activity a USING (pid)
UNION ALL
SELECT pid, usename, application_name, state, NULL FROM (
    SELECT * FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
    AND datname = current_database() ORDER BY xact_start LIMIT 1) oldest
WHERE NOT EXISTS (SELECT FROM holding)
"""


def _is_true(connection: Connection, query: str, values: Sequence[str]) -> bool:
    with sqlstate.explained("cleaning up"):
        row = connection.execute(query.encode(), values).fetchone()
    return bool(row and row[0])


def _holders(connection: Connection, relations: list[str]) -> str:
    """Say who is waited for, as far as it can be seen."""
    with sqlstate.explained("looking for who is in the way"), connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        rows = connection.execute(_HOLDERS.encode(), [relations]).fetchall()
    shown = [
        f"prepared transaction {literal(gid)}"
        if pid is None
        else f"pid {pid} ({user}, {application or 'no application name'}, {state or 'state not to be seen'})"
        for pid, user, application, state, gid in rows
    ]
    return f"in use by {', '.join(shown)}" if shown else "nobody is to be seen who uses it now"
