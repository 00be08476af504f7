"""
Awaited: what a backend of ours is seen to wait for, which the text of its statement did not tell.

No guard stands before what only running it shows: the locks of DO blocks, functions and VACUUM FULL, modes weaker than SHARE
that nobody else waits for, and rows. What is awaited there is learned while it waits: a lock on a relation, as if it had been
foreseen, or the transaction that has changed or locked a row. Who waits for them, and how, is for ``patience`` to say.

Source: PostgreSQL manual, "pg_locks".
"""

from collections.abc import Collection
from dataclasses import dataclass

from pgrollout.lock_mode import Lock, Mode, Reach
from pgrollout.nodes import Name
from pgrollout.postgres.connection import Connection, as_login
from pgrollout.postgres.guard import Blocker


@dataclass(frozen=True, slots=True)
class Awaited:
    """What is waited for: a lock, or the end of a transaction."""

    lock: Lock | None
    """On a relation; None for a row."""
    transaction: int | None = None
    """The transaction id of whoever has the row; None for a relation."""
    row_of: str = ""
    """Quoted name of the row's table; empty where only the key is known."""


_WAITS = "SELECT 1 FROM pg_catalog.pg_stat_get_activity(%(pid)s) a WHERE a.wait_event_type = 'Lock'"
# Several who want one row queue up: the first waits for the transaction, the others for the first.
_LOOK = """
WITH RECURSIVE own AS MATERIALIZED (
    SELECT * FROM pg_catalog.pg_locks
), wait AS (
    SELECT w.* FROM own w WHERE w.pid = %(pid)s AND NOT w.granted
    UNION
    SELECT n.* FROM wait w
    JOIN own h ON w.locktype = 'tuple' AND h.locktype = 'tuple' AND h.granted
        AND (h.database, h.relation, h.page, h.tuple) = (w.database, w.relation, w.page, w.tuple)
    JOIN own n ON n.pid = h.pid AND NOT n.granted
)
SELECT w.locktype, n.nspname, c.relname, pg_catalog.format('%%I.%%I', n.nspname, c.relname),
    pg_catalog.array_position(%(modes)s::text[], w.mode), w.transactionid::text::bigint
FROM wait w
LEFT JOIN own t ON w.locktype = 'transactionid' AND t.pid = w.pid AND t.locktype = 'tuple' AND t.granted
LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(w.relation, t.relation)
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE w.locktype = 'transactionid' OR w.locktype = 'relation' AND n.nspname IS NOT NULL
"""
_HOLDERS = """
SELECT h.pid, a.application_name, coalesce(a.usename, p.owner)::text, a.state,
    (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::bigint,
    h.transactionid::text::bigint, h.virtualtransaction, p.gid, current_user::text
FROM pg_catalog.pg_locks h
LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)
LEFT JOIN pg_catalog.pg_prepared_xacts p ON h.pid IS NULL AND p.transaction = h.transactionid
WHERE h.locktype = 'transactionid' AND h.granted AND h.transactionid::text::bigint = ANY (%s)
"""


def look(connection: Connection, pid: int) -> set[Awaited]:
    """
    Return what a backend waits for just now.

    Args:
        connection: The supervising connection.
        pid: The backend's.
    """
    values = {"pid": pid, "modes": [mode.in_pg_locks for mode in Mode]}
    rows = as_login(connection, _LOOK, values) if as_login(connection, _WAITS, values) else ()
    return {
        Awaited(Lock(Name(schema, relation), Mode(mode), Reach.ALONE))
        if kind == "relation"
        else Awaited(None, transaction, shown if relation else "")
        for kind, schema, relation, shown, mode, transaction in rows
    }


def row_holders(connection: Connection, found: Collection[Awaited]) -> tuple[Blocker, ...]:
    """Return which of the transactions that have rows that were waited for are still open."""
    tables = {each.transaction: each.row_of for each in found if each.transaction is not None}
    if not tables:
        return ()
    rows = connection.execute(_HOLDERS, [list(tables)]).fetchall()
    return tuple(
        Blocker(
            pid, application or "", user or "", state, age, Mode.ROW_EXCLUSIVE,
            f"a row of {tables[transaction]}" if tables[transaction] else "a row", 0, virtual, False, False, gid, False, role,
        )
        for pid, application, user, state, age, transaction, virtual, gid, role in rows
    )  # fmt: skip
