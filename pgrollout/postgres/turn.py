"""
Turns: whose turn it is to write to a database.

A run that finds something to do waits until no other is at work: one with a live lease, or somebody who holds Atlas's lock
without being an orphan of ours. Then it takes the lease, over from a run that died if need be, and ends what that one left
running. All of it on the supervising connection; the executing one takes Atlas's lock afterwards.
"""

import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pgrollout.errors import ConnectionBroken, LockNotAcquired, PoolerInBetween
from pgrollout.postgres import atlas_lock, lease, takeover
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.lease import Lease
from pgrollout.postgres.ledger import Ledger
from pgrollout.postgres.state import Session
from pgrollout.postgres.supervisor import Supervisor, quietly
from pgrollout.postgres.takeover import Orphan
from pgrollout.progress import Reporter
from pgrollout.settings import Database

log = logging.getLogger(__name__)

PAUSE_SECONDS = (0.025, 0.25)
"""Shortest and longest pause between two looks whether another run has ended."""
REPORT_SECONDS = 10.0
LOCK_TIMEOUT_MS = 1000
"""How long the supervising connection waits for a lock, as of a transaction that has passed the fence."""
FIRST = 0
"""Token of a run on a database without a ledger: Atlas's lock alone guards until its first commit makes one."""


class Turn:
    """One run's turn."""

    def __init__(
        self, connection: Connection, database: Database, run: str, started_by: str, deadline: float | None = None
    ) -> None:
        """Prepare to wait on the supervising connection, as long as the settings and the run's deadline let it."""
        self._connection = connection
        self._database = database
        self._run = run
        self._holder = f"{started_by}, process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        self._started = time.monotonic()
        self._deadline = deadline
        self._reported: float | None = None
        self._pause = PAUSE_SECONDS[0]
        self._is_prepared = False
        self._taken_from = ""
        self.is_taken_over = False
        """Whether the lease was taken over from a run that died."""

    @property
    def left_ms(self) -> int:
        """How long another run may still be waited for."""
        ends = self._started + self._database.wait_for_run_ms / 1000
        if self._deadline is not None:
            ends = min(ends, self._deadline)
        return max(0, round((ends - time.monotonic()) * 1000))

    def take(self, ledger: Ledger) -> int | None:
        """
        Take the lease; return its token, ``FIRST`` where there is no ledger to hold one, None to look again what is pending.

        Raises:
            LockNotAcquired: Another run was at work all the time.
            OrphanNotOurs: A dead run has left a backend that this role may not end.
        """
        if not self._is_prepared:
            # A heartbeat must wait for no standby and for nobody's lock, and is written whatever the role's defaults are.
            self._connection.execute(
                "SET default_transaction_read_only = off; SET synchronous_commit = local; SET statement_timeout = 0; "
                f"SET idle_session_timeout = 0; SET lock_timeout = {LOCK_TIMEOUT_MS}"
            )
            self._is_prepared = True
        held = lease.read(self._connection, ledger.schema) if ledger.exists else None
        if other := self._other(held):
            self._wait(other)
            return None
        if held is None:
            return FIRST
        self.is_taken_over = held.age_ms is not None
        if self.is_taken_over:
            log.warning('run taken over from run="%s" silent_ms=%d', held, held.age_ms)
        takeover.terminate(
            self._connection, takeover.orphans(self._connection, ledger.schema, held.token + 1, held.run)
        )
        self._taken_from = held.run
        token = lease.take(self._connection, ledger.schema, held, self._run, self._holder)
        if token is None:
            self._wait("another run was quicker")
        return token

    @contextmanager
    def alive(self, schema: str, token: int, reporter: Reporter) -> Iterator[Supervisor]:
        """Give signs of life while the block lasts, which begins when nothing of an earlier run is left."""
        supervisor = Supervisor(self._connection, schema, self._database.lease_timeout_ms, reporter)
        with supervisor.started(token if token != FIRST else None):
            if token != FIRST:
                is_left = self._database.online_builds == "leave"
                deadline = time.monotonic() if is_left else self._deadline
                takeover.end_all(self._connection, schema, token, self._taken_from, reporter.note, deadline)
            yield supervisor

    def give_back(self, schema: str, token: int) -> None:
        """Give the lease back, if that is not done."""
        if token != FIRST:
            quietly(self._connection, lease.give_back_sql(schema, token))

    def check_two_sessions(self, supervising: Session, executing: Session) -> None:
        """
        Raise an error unless the two connections are two sessions of one server.

        Raises:
            ConnectionBroken: They are to two servers: there was a failover in between.
            PoolerInBetween: They have one backend: somebody gives it to each for a transaction at a time.
        """
        if supervising.server_start != executing.server_start:
            raise ConnectionBroken("opening the executing connection", "it leads to another server than the first one")
        if supervising.backend_pid == executing.backend_pid:
            raise PoolerInBetween(f"database {self._database.name}", pools_transactions=True)

    def _other(self, held: Lease | None) -> str | None:
        """Return who is at work, for people; None if nobody is."""
        if held is not None and held.is_alive(self._database.lease_timeout_ms):
            return str(held)
        holders = atlas_lock.holders(self._connection)
        if not holders:
            return None
        ours: tuple[Orphan, ...] = ()
        if held is None:
            takeover.terminate(self._connection, takeover.silent(self._connection, self._database.lease_timeout_ms))
        else:
            ours = takeover.orphans(self._connection, self._database.ledger_schema, held.token + 1, held.run)
        theirs = [holder for holder in holders if holder.pid not in {orphan.pid for orphan in ours}]
        return "; ".join(map(str, theirs)) or None

    def _wait(self, other: str) -> None:
        now = time.monotonic()
        if not self.left_ms:
            waited_ms = round((now - self._started) * 1000)
            raise LockNotAcquired(waited_ms if self._database.wait_for_run_ms else 0, other)
        if self._reported is None or now - self._reported >= REPORT_SECONDS:
            log.info('waiting for another run waited_ms=%d holder="%s"', (now - self._started) * 1000, other)
            self._reported = now
        time.sleep(min(self._pause + random.uniform(0, self._pause), self.left_ms / 1000))  # noqa: S311  jitter, no secret
        self._pause = min(self._pause * 2, PAUSE_SECONDS[1])
