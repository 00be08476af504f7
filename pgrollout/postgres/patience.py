"""
Patience: waits for those who are in the way of a segment or a statement, outside the lock queue, until a deadline.

Knows the locks that the text tells, and learns others from what our backend was seen to wait for: the next try looks for
those as well, makes autovacuum give way on them, and names who has them. When to try again is its business; how, the
caller's.
"""

import random
import time
from collections.abc import Collection, Sequence

from pgrollout.errors import TableInUse
from pgrollout.lock_mode import Lock
from pgrollout.postgres import awaited, guard
from pgrollout.postgres.awaited import Awaited
from pgrollout.postgres.execute import Failure
from pgrollout.postgres.executing import Executing
from pgrollout.postgres.guard import Blocker
from pgrollout.postgres.sqlstate import BLOCKED
from pgrollout.settings import Database

PAUSE_SECONDS = (0.05, 1.0)
"""Shortest and longest pause between two tries."""


class Patience:
    """Waits again and again, for one segment or statement."""

    def __init__(
        self, executing: Executing, database: Database, file: str, locks: Sequence[Lock], wait_ms: int
    ) -> None:
        """
        Prepare; the time until the deadline begins with the first wait.

        Args:
            executing: The executing connection.
            database: Its deadlines.
            file: The migration's name, for people.
            locks: Those that the text tells.
            wait_ms: How long a try may wait for a lock.
        """
        self.has_looked_twice = False
        """Whether who is in the way, and whose age cannot be seen, was found to be young."""
        self._executing = executing
        self._database = database
        self._file = file
        self._locks = list(locks)
        self._rows: tuple[Awaited, ...] = ()
        self._wait_ms = wait_ms
        self._since: float | None = None
        self._tries = 0
        self._evicts = False
        self._said = ""

    @property
    def young_ms(self) -> int:
        """How old a transaction may be that is waited for in the queue: where they never stop coming, as old as we may wait."""
        is_steady = self._since is not None and time.monotonic() - self._since >= guard.STEADY_SECONDS
        return max(guard.YOUNG_MS, self._wait_ms) if is_steady else guard.YOUNG_MS

    @property
    def takes_all_at_once(self) -> bool:
        """
        Whether all locks of the segment are to be taken with its first: every other try, once one was in vain.

        Others may want the tables in another order than the file does, over and over; then locks one by one never succeed.
        """
        return self._tries % 2 == 1

    def evictions(self) -> list[str]:
        """Return what makes autovacuum give way, at the start of a transaction: it blocks nobody else."""
        if not self._evicts:
            return []
        evicted = guard.bounded(guard.evict_sql(self._locks), self._executing.eviction_ms)
        return ["SET LOCAL lock_timeout = 0", *evicted, f"SET LOCAL lock_timeout = {self._wait_ms}"]

    def learn(self, seen: Collection[Awaited]) -> tuple[Lock, ...]:
        """Take note of what was waited for without a guard; return the locks among it that were not known."""
        self._rows = tuple(each for each in seen if each.lock is None)
        new = tuple(each.lock for each in seen if each.lock is not None and each.lock not in self._locks)
        self._locks += new
        return new

    def look(self) -> None:
        """Wait before the first try; errors as for ``wait``."""
        if self._locks:
            self._wait_until_clear()
            self._go_on()

    def wait(self, failure: Failure) -> None:
        """
        Return when it may be tried again.

        Raises:
            TableInUse: Somebody was in the way until the deadline.
            KeyboardInterrupt, ConnectionBroken: As ``Executing.stop``.
        """
        self._tries += 1
        self._said = self._said or (
            guard.in_the_way(failure.message) if failure.sqlstate == BLOCKED else failure.message
        )
        self._wait_until_clear()
        self._go_on()
        shortest, longest = PAUSE_SECONDS
        time.sleep(random.uniform(shortest, min(longest, shortest * 2 ** min(self._tries, 10))))  # noqa: S311  jitter
        self._executing.stop_if_asked()

    def _go_on(self) -> None:
        self._executing.stop_if_asked()
        if time.monotonic() >= self._deadline():
            raise TableInUse(self._file, round((time.monotonic() - self._begun()) * 1000), self._tries, self._said)

    def _begun(self) -> float:
        if self._since is None:
            self._since = time.monotonic()
        return self._since

    def _deadline(self) -> float:
        return self._begun() + self._database.table_lock_deadline_ms / 1000

    def _wait_until_clear(self) -> None:
        connection = self._executing.supervisor.connection
        guard.wait_until_clear(
            connection,
            self._locks,
            self._deadline(),
            self._report,
            self._executing.is_to_end,
            wait_ms=self._wait_ms,
            besides=lambda: awaited.row_holders(connection, self._rows),
        )
        self.has_looked_twice = True
        self._evicts = any(each.gives_way for each in guard.blockers(connection, self._locks))

    def _report(self, found: Sequence[Blocker]) -> None:
        self._said = "; ".join(str(each) for each in found)
        self._executing.say(f"waiting for the tables of {self._file}: {self._said}")
