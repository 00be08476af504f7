"""
The sampler: who waits because of a migration, and for how long, by the server's own clock.

Every 10 ms it looks for sessions that wait to read, to write or to lock rows while ``pg_blocking_pids`` names a backend of
the migration for them. Other waits, of DDL, of vacuum, of the migration itself, are not within the stall budget. A wait is
counted from its start, which the server keeps; the last sample in which it is seen is its length, or a little less.
"""

from dataclasses import dataclass

from tests.contention.repeating import Repeating
from tests.servers import Database

WAITING = """
WITH waiting AS MATERIALIZED (
    SELECT pid, locktype, relation, mode, waitstart, clock_timestamp() AS now, pg_blocking_pids(pid) AS blockers
    FROM pg_locks
    WHERE NOT granted AND waitstart IS NOT NULL
)
SELECT waiting.pid, own.application_name, own.application_name LIKE 'pgrollout/%' AS is_ours,
    coalesce(waiting.relation::regclass::text, waiting.locktype), waiting.mode, waiting.waitstart::text,
    extract(epoch FROM waiting.now - waiting.waitstart)::float8 * 1000,
    waiting.locktype IN ('transactionid', 'tuple')
        OR waiting.mode IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') AS is_protected,
    (SELECT min(other.application_name) FROM pg_stat_activity AS other
     WHERE other.pid = ANY (waiting.blockers) AND other.application_name LIKE 'pgrollout/%') AS blocker
FROM waiting JOIN pg_stat_activity AS own USING (pid)
WHERE own.datname = current_database()
"""


@dataclass(frozen=True, slots=True, order=True)
class Wait:
    """Somebody who waited because of the migration."""

    waited_ms: float
    who: str = ""
    for_what: str = ""
    mode: str = ""
    blocker: str = ""

    def __str__(self) -> str:
        return f"{self.who} waited {self.waited_ms:.0f} ms for {self.mode} on {self.for_what}, behind {self.blocker}"


class Sampler(Repeating):
    """Looks again and again, on a connection and in a thread of its own."""

    def __init__(self, database: Database) -> None:
        self.samples = 0
        self.worst = Wait(0.0)
        """The longest wait of anyone that the budget protects."""
        self._queued: set[tuple[int, str]] = set()
        super().__init__(database.connect(application_name="sampler"), "sampler")

    @property
    def queued(self) -> int:
        """How often the migration was seen to wait for a lock."""
        return len(self._queued)

    def stop(self) -> None:
        """Look a last time, and end."""
        self._ended.set()
        self._thread.join()
        self.once()
        super().stop()

    def once(self) -> bool:
        """Look who waits."""
        for pid, who, is_ours, what, mode, since, waited_ms, is_protected, blocker in self._connection.execute(WAITING):
            if is_ours:
                self._queued.add((pid, since))
            elif is_protected and blocker:
                self.worst = max(self.worst, Wait(waited_ms, who, what, mode, blocker))
        self.samples += 1
        return True
