"""
Following: a flow run that happens elsewhere, its log as it is written, until it ends or nobody waits any longer.

The run does not need its follower. A server that is away is waited for; what is printed and what an end means to a process
is left to the caller.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterTimestamp
from prefect.client.schemas.objects import FlowRun, Log, State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows.api import POLL_SECONDS, is_outage, reason, refusal

log = logging.getLogger("pgrollout.prefect")

LATE_SECONDS = 20.0
"""A run that has not started by then: somebody is told why. A worker looks every ten seconds."""
GONE_SECONDS = 60.0
"""How long a run may not be found: what stands before a server that restarts may answer 404 for it."""
DRAIN_SECONDS = 3.0
"""How long the end of the log is waited for: a process sends what it has every two seconds."""
PAGE = 200
"""Lines for each call, as many as the server gives."""
LATE_LINES = timedelta(seconds=10)
"""How much older than the newest a line may be that comes after it: several processes write, and send when they like."""


class NotFollowed(Exception):
    """The run had not ended when following it ended; says why."""


@dataclass
class RunLog:
    """The log of a run, read piece by piece."""

    client: SyncPrefectClient
    run_id: UUID
    has_end: bool = False
    """Whether the flow itself has told its end, after which it tells nothing."""
    _seen: set[UUID] = field(default_factory=set)
    _newest: datetime | None = None

    def new_lines(self) -> list[Log]:
        """Return the lines that were not there before, in the order of their time."""
        return self._read(self._newest - LATE_LINES if self._newest else None)

    def missed_lines(self) -> list[Log]:
        """Return the lines that came too late for ``new_lines``; reads all of them."""
        return self._read(None)

    def _read(self, since: datetime | None) -> list[Log]:
        chosen = LogFilter(
            flow_run_id=LogFilterFlowRunId(any_=[self.run_id]),
            timestamp=LogFilterTimestamp(after_=since) if since else None,
        )
        by_id = {line.id: line for line in self._pages(chosen) if line.id not in self._seen}
        found = sorted(by_id.values(), key=lambda line: line.timestamp)
        self._seen.update(by_id)
        self.has_end = self.has_end or any(
            line.name == "prefect.flow_runs" and line.message.startswith("Finished in state") for line in found
        )
        self._newest = max([line.timestamp for line in found] + ([self._newest] if self._newest else []), default=None)
        return found

    def _pages(self, chosen: LogFilter) -> Iterator[Log]:
        offset = 0
        while page := self.client.read_logs(chosen, limit=PAGE, offset=offset):
            yield from page
            if len(page) < PAGE:
                return
            # A line that comes in between, and is older, moves the others back: look at some of them twice.
            offset += PAGE // 2


def follow(client: SyncPrefectClient, run: FlowRun, deadline: float) -> State[None]:
    """
    Tell the run's log as it is written, and return the state in which it ends.

    Args:
        client: Does not try again by itself.
        run: The run.
        deadline: When to stop waiting, by the monotonic clock.

    Raises:
        NotFollowed: The run has not ended by then, or there is none any more.
        ConfigurationError: The server refuses us.
    """
    lines, away, late = RunLog(client, run.id), _Away(), False
    began = time.monotonic()
    while True:
        try:
            run = client.read_flow_run(run.id)
            _tell(lines.new_lines())
            away.ended()
            if run.state is not None and run.state.is_final():
                return _drained(lines, run.state)
            if not late and _is_waiting(run) and time.monotonic() - began > LATE_SECONDS:
                log.warning('run not started reason="%s"', _quoted(why_not_started(client, run)))
                late = True
        except (httpx.TransportError, PrefectHTTPStatusError, ObjectNotFound) as error:
            away.happened(error)
        if time.monotonic() >= deadline:
            raise NotFollowed(away.reason or _unfinished(client, run))
        time.sleep(max(0.0, min(POLL_SECONDS, deadline - time.monotonic())))


def why_not_started(client: SyncPrefectClient, run: FlowRun) -> str:
    """Return why nobody runs it: a queue, a pool that is paused, or no worker."""
    if run.state is not None and run.state.name == "AwaitingConcurrencySlot":
        return "another run of this deployment is under way, and this one is queued behind it"
    pool = run.work_pool_name
    if pool is None:
        return "its deployment has no work pool: register it again with `python -m flows.register`"
    try:
        if client.read_work_pool(pool).is_paused:
            return f"work pool {pool} is paused: `prefect work-pool resume {pool}`"
        workers = client.read_workers_for_work_pool(pool)
    except ObjectNotFound:
        return f"there is no work pool {pool} any more: register it again with `python -m flows.register`"
    if not any(worker.status == "ONLINE" for worker in workers):
        return (
            f"work pool {pool} has no worker that is online: look at the runner's Deployment, or start one with "
            f"`prefect worker start --pool {pool}`"
        )
    return f"work pool {pool} has a worker that is online, which has not taken it yet"


class _Away:
    """What is known of a server that does not answer: told once when it begins, once when it ends."""

    def __init__(self) -> None:
        self.reason = ""
        self._since = 0.0

    def happened(self, error: Exception) -> None:
        is_gone = isinstance(error, ObjectNotFound)
        if not is_gone and not is_outage(error):
            raise refusal(error) from error
        if not self.reason:
            self._since = time.monotonic()
            log.warning('prefect does not answer; the run goes on without it reason="%s"', _quoted(reason(error)))
        self.reason = f"the Prefect server does not answer ({reason(error)})"
        if is_gone and time.monotonic() - self._since > GONE_SECONDS:
            raise NotFollowed("the Prefect server does not know the run any more: somebody has deleted it") from error

    def ended(self) -> None:
        if self.reason:
            log.info("prefect answers again away_seconds=%d", time.monotonic() - self._since)
            self.reason = ""


def _unfinished(client: SyncPrefectClient, run: FlowRun) -> str:
    if not _is_waiting(run):
        return f"the run is {run.state.name if run.state else 'unknown'}"
    try:
        return f"nobody has started it: {why_not_started(client, run)}"
    except (httpx.TransportError, PrefectHTTPStatusError) as error:
        return f"nobody has started it, and {reason(error)}"


def _quoted(text: str) -> str:
    return text.replace('"', "'")


def _is_waiting(run: FlowRun) -> bool:
    return run.state is not None and run.state.type is StateType.SCHEDULED


def _drained(lines: RunLog, state: State[None]) -> State[None]:
    """Tell what is left of the log: the run's state has overtaken it."""
    end = time.monotonic() + DRAIN_SECONDS
    _tell(lines.missed_lines())
    while not lines.has_end and time.monotonic() < end:
        time.sleep(POLL_SECONDS / 4)
        _tell(lines.new_lines())
    return state


def _tell(lines: list[Log]) -> None:
    """Give lines of the run to whoever shows this process's own, as if they were written here; tracebacks are on its page."""
    for line in lines:
        text = line.message.partition("\nTraceback (most recent call last)")[0]
        record = logging.LogRecord(line.name, line.level, "", 0, text, None, None)
        record.created = line.timestamp.timestamp()
        logging.getLogger("pgrollout").handle(record)
