"""
Readable tables: who stands in the way when the schema cannot be read.

The server opens a table to write out its indexes, views and constraints, and waits while somebody else has it locked
against everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from pgrollout.errors import TableNotReadable
from pgrollout.postgres.catalog import LOCK_WAIT_MS
from pgrollout.postgres.connection import Connection

_HOLDERS = """
SELECT l.relation::regclass::text, l.pid, a.application_name, a.state, pg_catalog.clock_timestamp() - a.xact_start
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
  AND l.relation >= 16384
ORDER BY 5 DESC NULLS LAST, 1
LIMIT 3
"""


@contextmanager
def tables_readable(connection: Connection) -> Iterator[None]:
    """
    Say which table could not be read in the block, and who has it.

    Raises:
        TableNotReadable: Somebody had it locked all the time that may be waited.
    """
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        holders = ""
        with suppress(psycopg.Error):
            holders = "; ".join(_holder(*row) for row in connection.execute(_HOLDERS).fetchall())
        raise TableNotReadable(LOCK_WAIT_MS, holders or "a session that has ended meanwhile") from error


def _holder(table: str, pid: int | None, application: str | None, state: str | None, age: object) -> str:
    seconds = f", in a transaction for {str(age).partition('.')[0]}" if age is not None else ""
    who = f"pid {pid}" if pid is not None else "a prepared transaction"
    return f"{table} by {who} ({application or 'no application name'}, {state or 'state unknown'}{seconds})"
