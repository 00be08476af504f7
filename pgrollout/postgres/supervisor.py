"""
The supervisor: on a connection of its own, sees to it that nobody waits too long for what the run executes.

Four duties of one thread: a heartbeat for the lease; the watchdog, which cancels the run's statement, never anybody else's,
when somebody has waited behind it for most of the stall budget, or when it and somebody else wait for each other, of which
the server would soon choose a victim; progress of what takes long; and a look whether the executing backend still is at what
it was asked, for a connection may be lost without either end being told. Whether a cancelled statement is tried again is for
the writer to say, who also learns what it was seen to wait for.

Waiting counts for readers, writers and whoever locks rows; other DDL and vacuum are not protected.
Source: PostgreSQL manual, "pg_locks" (``waitstart``), "Session Information Functions" (``pg_blocking_pids``).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import psycopg

from pgrollout.postgres import awaited, lease
from pgrollout.postgres.awaited import Awaited
from pgrollout.postgres.connection import Connection, as_login
from pgrollout.progress import Reporter

log = logging.getLogger(__name__)

POLL_SECONDS = 0.03
"""How often is looked who waits."""
WORK_SHARE = 0.6
"""Share of the budget after which the statement is cancelled; the rest is reserve for the cancel and the rollback."""
END_SHARE, HEED_SECONDS = 0.9, 0.1
"""Share after which the backend is ended if it has not heeded the cancel for so long: a DO block may catch it."""
PROGRESS_SECONDS = 1.0
"""How often is looked how far a statement is."""
HEARTBEATS = 6
"""Heartbeats in the time after which a lease counts as dead."""

# Cancelled in the same query that sees who waits: what has ended meanwhile is not hit. A leader's own workers are not others.
_WATCH = """
WITH waiting AS MATERIALIZED (
    SELECT w.pid, w.mode, w.locktype, EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - w.waitstart) * 1000 AS waited_ms
    FROM pg_catalog.pg_locks w WHERE NOT w.granted
), crossing AS MATERIALIZED (
    SELECT w.pid, w.waited_ms FROM waiting o
    CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(o.pid)) b (pid)
    JOIN waiting w ON w.pid = b.pid
    WHERE o.pid = %(pid)s AND %(pid)s = ANY (pg_catalog.pg_blocking_pids(w.pid))
), late AS MATERIALIZED (
    SELECT w.pid, w.waited_ms FROM waiting w
    WHERE w.pid <> %(pid)s AND w.waited_ms > %(limit)s
      AND (w.mode IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') OR w.locktype IN ('transactionid', 'tuple'))
), behind AS MATERIALIZED (
    SELECT w.* FROM late w
    LEFT JOIN pg_catalog.pg_stat_get_activity(w.pid) a ON true
    WHERE %(pid)s = ANY (pg_catalog.pg_blocking_pids(w.pid)) AND a.leader_pid IS DISTINCT FROM %(pid)s
    UNION
    SELECT c.* FROM crossing c
)
SELECT coalesce(max(b.waited_ms), 0)::bigint, count(*),
    EXISTS (SELECT FROM waiting o WHERE o.pid = %(pid)s),
    (SELECT pg_catalog.pg_cancel_backend(a.pid) FROM pg_catalog.pg_stat_get_activity(%(pid)s) a
     WHERE EXISTS (SELECT FROM behind) AND a.backend_start = %(start)s::timestamptz)
FROM behind b
"""
_END = """
SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_get_activity(%(pid)s) a
WHERE a.backend_start = %(start)s::timestamptz
"""
_BACKEND = """
SELECT a.state_change::text, a.state LIKE 'idle%%' FROM pg_catalog.pg_stat_get_activity(%(pid)s) a
WHERE a.backend_start = %(start)s::timestamptz
"""
_PROGRESS = """
SELECT p.command, p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total, p.current_locker_pid
FROM pg_catalog.pg_stat_progress_create_index p WHERE p.pid = %(pid)s
"""
_WAITS_FOR_STANDBY = "SELECT FROM pg_catalog.pg_stat_get_activity(%(pid)s) WHERE wait_event = 'SyncRep'"
_BLOCKERS = """
SELECT a.pid, a.application_name, a.state, EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::float8
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(%(pid)s)) b (pid) JOIN pg_catalog.pg_stat_activity a USING (pid)
"""


@dataclass(frozen=True, slots=True)
class Stall:
    """The watchdog cancelled the statement, because somebody waited."""

    waited_ms: int
    """How long the longest one had waited."""
    waiters: int
    """How many had waited so long."""
    was_waiting: bool
    """Whether our backend was itself waiting for a lock: then it has done no harm, and may try again."""


@dataclass
class Watch:
    """What is executed now."""

    budget_ms: int
    doing: str
    since: float = field(default_factory=time.monotonic)
    stall: Stall | None = None
    """Why it was cancelled, if it was."""
    is_building: bool = False
    """Whether it was seen to build an index."""
    cancelled_at: float | None = None
    awaited: set[Awaited] = field(default_factory=set)
    """What our backend was seen to wait for."""


@dataclass(frozen=True, slots=True)
class _Idle:
    """The executing backend was seen to have nothing to do."""

    changed: str
    """Since when, by the server's clock; empty if it was not."""
    first_seen: float
    last_seen: float


def silence(seconds: float) -> Callable[[float], str | None]:
    """Return what gives an answer up, see ``WatchedConnection``, that did not come for so long."""
    return lambda since: (
        f"the server did not answer for {seconds:.0f} s" if time.monotonic() - since >= seconds else None
    )


class Supervisor:
    """The supervising connection and its thread."""

    def __init__(self, connection: Connection, schema: str, lease_timeout_ms: int, reporter: Reporter) -> None:
        """
        Prepare; the thread starts with ``started``.

        Args:
            connection: Its own connection.
            schema: The ledger's schema.
            lease_timeout_ms: When a lease counts as dead, in milliseconds.
            reporter: Who is told of progress.
        """
        self.connection = connection
        """psycopg lets threads take turns on it."""
        self.lost: str | None = None
        """Why the run must end, if it must: the lease is somebody else's, or the connection is gone."""
        self.said = ""
        """What a person who watches was told last of what is executed."""
        self.ended: str = ""
        """Why the executing backend was ended, if it was."""
        self._schema = schema
        self._reporter = reporter
        self._patience_seconds = lease_timeout_ms / 1000
        self._beat_seconds = self._patience_seconds / HEARTBEATS
        self._token: int | None = None
        self._backend: tuple[int, str] = (0, "")
        self._watch: Watch | None = None
        self._lost_at = 0.0
        self._is_gone = False
        self._idle = _Idle("", 0.0, 0.0)
        self._looking = threading.Lock()
        self._ended = threading.Event()

    @contextmanager
    def started(self, token: int | None) -> Iterator["Supervisor"]:
        """
        Give signs of life while the block lasts, and watch what is executed in it.

        Args:
            token: The lease's; None while there is none yet, see ``holds``.
        """
        self._token = token
        self._ended.clear()
        thread = threading.Thread(target=self._run, daemon=True, name="supervisor")
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()

    def watch_over(self, backend: tuple[int, str]) -> None:
        """Say which backend executes, by its pid and start."""
        self._backend = backend

    def say(self, note: str) -> None:
        """Tell a person who watches."""
        self.said = note
        self._reporter.note(note)

    def holds(self, token: int) -> None:
        """Say that the run has the lease now."""
        self._token = token

    @contextmanager
    def watching(self, doing: str, budget_ms: int) -> Iterator[Watch]:
        """Let nobody wait longer than the budget while the block lasts, which executes something."""
        self.said = ""
        watch = self._watch = Watch(budget_ms, doing)
        try:
            yield watch
        finally:
            self._watch = None

    def stall(self, watch: Watch) -> Stall | None:
        """Return why it was cancelled, if it was by us: the server's answer to it may be here before the one to us."""
        with self._looking:
            return watch.stall

    def given_up(self, since: float) -> str | None:
        """
        Return why no answer will come any more to what the executing backend was asked then; None if one may.

        A lost connection need not be noticed: what stands between may have forgotten it, and keep silent.
        """
        if self._is_gone:
            return "the server has ended it, and no word of that came here"
        if self.lost and time.monotonic() - max(since, self._lost_at) >= self._patience_seconds:
            return self.lost
        if since < self._idle.first_seen and self._idle.last_seen - self._idle.first_seen >= self._patience_seconds:
            return "the server is idle, its answer did not come here"
        return None

    def _run(self) -> None:
        next_beat = time.monotonic() + self._beat_seconds
        next_progress = 0.0
        try:
            while not self._ended.wait(POLL_SECONDS):
                now = time.monotonic()
                watch = self._watch
                if watch is not None and now - watch.since >= POLL_SECONDS:
                    self._look(watch)
                    if now - watch.since >= PROGRESS_SECONDS and now >= next_progress:
                        self._tell(watch)
                        next_progress = now + PROGRESS_SECONDS
                if now >= next_beat:
                    if self._token is not None and not lease.beat(self.connection, self._schema, self._token):
                        self._lose("another run has taken over")
                        return
                    self._look_at_backend()
                    next_beat = now + self._beat_seconds
        except psycopg.Error as error:
            self._lose(f"the supervising connection: {str(error).strip()}")

    def _lose(self, reason: str) -> None:
        self._lost_at, self.lost = time.monotonic(), reason

    def _look_at_backend(self) -> None:
        """See whether it is there, and for how long it has had nothing to do."""
        pid, start = self._backend
        if not pid:
            return
        rows = as_login(self.connection, _BACKEND, {"pid": pid, "start": start})
        self._is_gone = not rows
        now = time.monotonic()
        for changed, is_idle in rows:
            if not is_idle:
                self._idle = _Idle("", 0.0, 0.0)
            elif changed == self._idle.changed:
                self._idle = replace(self._idle, last_seen=now)
            else:
                self._idle = _Idle(changed, now, now)

    def _look(self, watch: Watch) -> None:
        pid, start = self._backend
        with self._looking:
            watch.awaited |= awaited.look(self.connection, pid)  # as long as it waits for it
            values = {"pid": pid, "start": start, "limit": watch.budget_ms * WORK_SHARE}
            ((waited_ms, waiters, was_waiting, _),) = as_login(self.connection, _WATCH, values)
            if not waiters:
                return
            now = time.monotonic()
            if watch.stall is not None and watch.cancelled_at is not None:
                if waited_ms >= watch.budget_ms * END_SHARE and now - watch.cancelled_at >= HEED_SECONDS:
                    self.ended = (
                        f"its backend was ended: others had waited {waited_ms} ms, and it did not heed a cancel"
                    )
                    log.warning('backend ended waited_ms=%d doing="%s"', waited_ms, watch.doing)
                    as_login(self.connection, _END, values)
                return
            watch.stall, watch.cancelled_at = Stall(waited_ms, waiters, was_waiting), now
            log.info(
                'statement cancelled waited_ms=%d waiters=%d was_waiting=%s doing="%s"',
                waited_ms, waiters, was_waiting, watch.doing,
            )  # fmt: skip

    def _tell(self, watch: Watch) -> None:
        """Say how far an index is, and who is waited for."""
        pid, _ = self._backend
        builds = as_login(self.connection, _PROGRESS, {"pid": pid})
        notes = []
        if builds:
            watch.is_building = True
            _, phase, blocks, all_blocks, tuples, all_tuples, locker = builds[0]
            done, total = (blocks, all_blocks) if all_blocks else (tuples, all_tuples)
            notes.append(phase + (f" {100 * done // total} %" if total else ""))
            waited_for = [locker] if locker else []
        else:
            waited_for = []
        blockers = as_login(self.connection, _BLOCKERS, {"pid": pid})
        notes += [
            f"waits for pid {blocker} ({application or 'no application_name'}"
            + (f", {state}" if state else "")
            + (f", for {age:.0f} s)" if age is not None else ")")
            for blocker, application, state, age in blockers
        ]
        if as_login(self.connection, _WAITS_FOR_STANDBY, {"pid": pid}):
            notes.append("has committed, and waits for a synchronous standby")
        known = {blocker for blocker, *_ in blockers}
        notes += [f"waits for the transaction of pid {each}" for each in waited_for if each not in known]
        if notes:
            self.say("; ".join(notes))


def quietly(connection: Connection, *texts: str) -> None:
    """Run what may as well fail: the end of a run whose executing connection is gone."""
    with suppress(psycopg.Error):
        connection.execute(";\n".join(texts).encode())
