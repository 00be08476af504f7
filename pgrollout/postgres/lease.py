"""
The lease: who may write to a database, under which token, and whether they still live.

One row of the ledger. The token is its primary key, so that taking it over waits for every transaction that has passed
the fence, and the other way round. A heartbeat by the server's clock tells a run that works from one that died; a lease
given back has the heartbeat ``-infinity``. What a dead run may have left running is ``takeover``'s to end.

Source: PostgreSQL manual, "Row-Level Locks": ``FOR KEY SHARE`` conflicts with an UPDATE of a key column only.
"""

from dataclasses import dataclass

import psycopg

from pgrollout.postgres.connection import Connection
from pgrollout.quoting import literal, name

AGE_MS = (
    "CASE WHEN pg_catalog.isfinite(heartbeat) "
    "THEN (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - heartbeat) * 1000)::float8 END"
)
"""SQL for the age of the last heartbeat; NULL if the lease was given back."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as it stands."""

    token: int
    """The newest token."""
    run: str
    """The run that took it."""
    holder: str
    """Who that is, for people: user, host, process, since when."""
    age_ms: float | None
    """How old its last heartbeat is, by the server's clock; None if it was given back."""

    def is_alive(self, timeout_ms: int) -> bool:
        """Whether its run counts as working."""
        return self.age_ms is not None and self.age_ms < timeout_ms

    def __str__(self) -> str:
        return f"run {self.run} of {self.holder}"


def read(connection: Connection, schema: str) -> Lease | None:
    """
    Return the lease; None where nobody has ever written.

    Args:
        connection: Any connection to the database.
        schema: The ledger's schema, which exists.
    """
    row = connection.execute(f"SELECT token, run, holder, {AGE_MS} FROM {name(schema, 'lease')}").fetchone()
    return Lease(*row) if row else None


def take(connection: Connection, schema: str, before: Lease, run: str, holder: str) -> int | None:
    """
    Take the lease over from a run that is dead, or gave it back; return the new token, or None if somebody was quicker.

    None also while a transaction that has passed the fence is still open: end it, then ask again.
    """
    # One statement, and no transaction of several: who dies or is frozen in it keeps nobody else from taking it.
    taken = (
        f"UPDATE {name(schema, 'lease')} SET token = token + 1, run = {literal(run)}, holder = {literal(holder)}, "
        f"heartbeat = pg_catalog.clock_timestamp() WHERE token = {before.token} RETURNING token"
    )
    try:
        row = connection.execute(taken.encode()).fetchone()
    except psycopg.errors.LockNotAvailable:
        return None
    return int(row[0]) if row else None


def beat(connection: Connection, schema: str, token: int) -> bool:
    """Give a sign of life; False if the token is not the newest any more, or was given back."""
    sign = (
        f"UPDATE {name(schema, 'lease')} SET heartbeat = pg_catalog.clock_timestamp() "
        f"WHERE token = {token} AND pg_catalog.isfinite(heartbeat)"
    )
    try:
        return connection.execute(sign.encode()).rowcount == 1
    except psycopg.errors.LockNotAvailable:
        return True  # somebody is at that row: the next one tells


def give_back_sql(schema: str, token: int) -> str:
    """
    Return the SQL that gives the lease back, so that the next run need not wait for it to grow old.

    A run whose end could not be recorded keeps it: the next one sees that it was lost, and records that.
    """
    return (
        f"UPDATE {name(schema, 'lease')} l SET heartbeat = '-infinity' "
        f"WHERE token OPERATOR(pg_catalog.=) {token} AND pg_catalog.isfinite(heartbeat) AND NOT EXISTS "
        f"(SELECT FROM {name(schema, 'run')} r WHERE r.id OPERATOR(pg_catalog.=) l.run AND r.ended_at IS NULL)"
    )
