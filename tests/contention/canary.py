"""
Canaries: tiny statements of an application, every 10 ms, whose latency shows who has to wait.

A reader reads one row of a table, a writer updates a row of its own; each has a connection and a thread. What they measure
is the client's time, with all the noise of the machine in it: figures to print, never to assert. Why they waited is the
sampler's business.
"""

import time
from typing import Literal

import psycopg
from psycopg import sql

from tests.contention.repeating import Repeating
from tests.servers import Database

STATEMENTS = {
    "reader": sql.SQL("SELECT touched FROM {} WHERE id = 1"),
    "writer": sql.SQL("UPDATE {} SET touched = touched + 1 WHERE id = 2"),
}


class Canary(Repeating):
    """One reader or writer of one table, with the columns ``id`` and ``touched``."""

    def __init__(self, database: Database, table: str, kind: Literal["reader", "writer"]) -> None:
        self.table, self.kind = table, kind
        self.worst_ms = 0.0
        """Longest time that one of its statements took."""
        self.failed: str | None = None
        """What the server said to the statement that failed; it ended the canary."""
        self._statement = STATEMENTS[kind].format(sql.Identifier(table))
        connection = database.connect(application_name=f"app/{kind} of {table}", prepare_threshold=None)
        connection.execute(self._statement)
        super().__init__(connection, f"{kind} of {table}")

    def once(self) -> bool:
        """Run its statement, and see how long that takes."""
        started = time.perf_counter()
        try:
            self._connection.execute(self._statement)
        except psycopg.Error as error:
            self.failed = f"{self.kind} of {self.table}: {error.sqlstate} {error}"
            return False
        finally:
            self.worst_ms = max(self.worst_ms, (time.perf_counter() - started) * 1000)
        return True
