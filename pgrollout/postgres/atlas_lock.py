"""
Atlas's run lock: the advisory lock that keeps two runs of one database apart, Atlas's own among them.

The executing connection holds it, so that it is free exactly when nothing of ours can still be running. Knows nothing of
the ledger; who else may write is the lease's business.

Source: Atlas, ``sql/postgres/driver.go``, ``Lock``; PostgreSQL manual, "Advisory Lock Functions".
"""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.pq import TransactionStatus

from pgrollout.errors import LockNotAcquired
from pgrollout.postgres.connection import Connection

log = logging.getLogger(__name__)


def fnv1_32(data: bytes) -> int:
    """Return the 32-bit FNV-1 hash (not FNV-1a)."""
    value = 0x811C9DC5
    for byte in data:
        value = (value * 0x01000193) % (1 << 32) ^ byte
    return value


LOCK_NAME = "atlas_migrate_execute"
LOCK_KEY = fnv1_32(LOCK_NAME.encode())

_HOLDER = """
SELECT a.pid, a.application_name, a.client_addr::text, a.backend_start
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = %s AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""

REPORT_EVERY_SECONDS = 10.0


def acquire(connection: Connection, *, wait_ms: int) -> None:
    """
    Take Atlas's lock on this connection; the server frees it when the backend ends.

    Args:
        connection: The executing connection, direct, in autocommit mode.
        wait_ms: How long to wait, in milliseconds; 0 tries once.

    Raises:
        LockNotAcquired: Somebody else held it all that time; names the holder.
    """
    # Ask again and again. Blocking in pg_advisory_lock() would hold a snapshot, and a CREATE INDEX CONCURRENTLY
    # in the run we wait for would wait for us.
    started = time.monotonic()
    reported, delay = started, 0.025
    while not _try(connection):
        now = time.monotonic()
        if (now - started) * 1000 >= wait_ms:
            raise LockNotAcquired(round((now - started) * 1000) if wait_ms else 0, holder(connection))
        if now - reported >= REPORT_EVERY_SECONDS or reported == started:
            log.info('waiting for another run waited_ms=%d holder="%s"', (now - started) * 1000, holder(connection))
            reported = now
        left = wait_ms / 1000 - (now - started)
        time.sleep(min(delay + random.uniform(0, delay), max(left, 0.001)))  # noqa: S311  jitter, no secret
        delay = min(delay * 2, 1.0)


@contextmanager
def held(connection: Connection, *, wait_ms: int) -> Iterator[None]:
    """
    Hold Atlas's lock while the block lasts; arguments and errors as for ``acquire``.

    A connection that is idle afterwards gives it back at once: its backend takes a moment to end, and whoever tries
    once would still find the lock taken.
    """
    acquire(connection, wait_ms=wait_ms)
    try:
        yield
    finally:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s::bigint)", [LOCK_KEY])


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that holds the lock."""

    pid: int
    application_name: str
    address: str | None
    since: datetime | None

    def __str__(self) -> str:
        return (
            f"{self.application_name or 'a session without application_name'} (pid {self.pid}, from "
            f"{self.address or 'a local socket'}"
            + (f", since {self.since:%Y-%m-%d %H:%M:%S %Z})" if self.since else ")")
        )


def holders(connection: Connection) -> tuple[Holder, ...]:
    """Return who holds the lock; nobody or one, but for what happens between two looks."""
    return tuple(Holder(*row) for row in connection.execute(_HOLDER, [LOCK_KEY], binary=True).fetchall())


def holder(connection: Connection) -> str:
    """Return who holds the lock, for people: run, pid, host and since when."""
    return "; ".join(map(str, holders(connection))) or "it was freed just now"


def _try(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s::bigint)", [LOCK_KEY]).fetchone()
    return bool(row and row[0])
