"""
The engine: takes one Job from its manifest to its outcome.

Creates the Job or adopts the one that is there, watches it, follows its pods' logs, tells how it ended, and cleans up. The
state is always read as a whole; a watch only says when to look. So a watch that breaks costs seconds, never an event.
What is waited for has a limit: a Job that cannot start is deleted, or it would start later, with nobody looking.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pgrollout import delivery
from pgrollout.delivery import Notice, Outcome
from pgrollout.errors import ClusterUnreachable, ExitCode, JobFailed
from pgrollout.kubernetes.cluster import TROUBLE, Answer, Cluster
from pgrollout.kubernetes.ending import End, Ended, State, Waiting, has_started, state_of
from pgrollout.kubernetes.log import Cursor
from pgrollout.kubernetes.manifest import CONTAINER, DIGEST, Manifest

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often to look while nothing is heard."""
REST_SECONDS = 10.0
"""How long the rest of a log is waited for, once its container has ended."""
CONFIGURATION_SECONDS, IMAGE_SECONDS, NO_POD_SECONDS = 30.0, 60.0, 60.0
"""How long a missing Secret, an image, a pod at all may be missing; all, too, at most ``pending_seconds``."""
STOP_SECONDS = 15.0
"""How much longer than its grace period the pod of a deleted Job may take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the engine waits."""

    deadline_seconds: int = 3600
    """As the Job's own ``activeDeadlineSeconds``."""
    pending_seconds: int = 300
    """For a node, and for the container to start."""

    def of(self, waiting: Waiting) -> float:
        """Return how long a state of waiting may last, in seconds."""
        if waiting.is_hopeless:
            return 0
        ours = {End.CONFIGURATION: CONFIGURATION_SECONDS, End.IMAGE: IMAGE_SECONDS, End.NO_POD: NO_POD_SECONDS}
        if waiting.end is None:
            return self.deadline_seconds
        return min(ours.get(waiting.end, self.pending_seconds), self.pending_seconds)


def run(
    manifest: Manifest,
    namespace: str,
    limits: Limits,
    tell: Callable[[str], None],
    interrupted: Callable[[], int] = lambda: 0,
) -> Outcome:
    """
    Run a Job to its end and return its outcome; an interrupt deletes it, and the outcome is what the stage said then.

    Args:
        manifest: The Job, as ``manifest.job`` makes it.
        namespace: Where.
        limits: How long to wait for what.
        tell: Called with each line of the stage's log, as it is written.
        interrupted: How many interrupts came. The first has the Job deleted, the second does not wait for its end.

    Raises:
        JobFailed: It ended, and the stage itself could say nothing.
        ClusterRefused: Kubernetes does not let us.
        ClusterUnreachable: The API server was gone for longer than the Job may take.
    """
    return asyncio.run(_run(manifest, namespace, limits, tell, interrupted))


async def _run(
    manifest: Manifest,
    namespace: str,
    limits: Limits,
    tell: Callable[[str], None],
    interrupted: Callable[[], int],
) -> Outcome:
    cluster = Cluster(namespace, give_up_seconds=limits.deadline_seconds + 60)
    watched = _Watched(cluster, manifest, limits, tell)
    hearing = asyncio.create_task(_heard(interrupted, watched.stop))
    try:
        return await watched.run()
    finally:
        hearing.cancel()
        await cluster.close()
        # The client closes TLS connections behind the scenes; Python complains of those that the loop's end cuts off.
        await asyncio.sleep(0.1)


async def _heard(interrupted: Callable[[], int], stop: Callable[[int], None]) -> None:
    """Pass interrupts on. A signal's handler runs in this thread, and yet cannot wake the loop."""
    while True:
        stop(interrupted())
        await asyncio.sleep(0.2)


@dataclass
class _Reader:
    """Reads one pod's log, as far as it got."""

    cursor: Cursor = field(default_factory=Cursor)
    task: "asyncio.Task[None] | None" = None
    parts: list[str] = field(default_factory=list)
    """Lines of the outcome."""


class _Watched:
    """One Job, watched."""

    def __init__(self, cluster: Cluster, manifest: Manifest, limits: Limits, tell: Callable[[str], None]) -> None:
        self._cluster, self._manifest, self._limits, self._tell = cluster, manifest, limits, tell
        self._name = str(manifest["metadata"]["name"])
        self._pods: dict[str, dict[str, Any]] = {}
        """By uid, also those that are gone: the last that was seen of them may be how they ended."""
        self._changed = asyncio.Event()
        self._interrupts = 0
        self._readers: dict[str, _Reader] = {}

    async def run(self) -> Outcome:
        await self._create_or_adopt()
        watch = asyncio.create_task(self._watch())
        try:
            ended = await self._until_ended()
            return await self._outcome(ended)
        finally:
            tasks = [watch, *(reader.task for reader in self._readers.values() if reader.task)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self, interrupts: int) -> None:
        """Note how many interrupts came."""
        if interrupts > self._interrupts:
            self._interrupts = interrupts
            self._changed.set()

    async def _create_or_adopt(self) -> None:
        """Create the Job; one that is there is adopted if it was asked the same and did not fail."""
        while await self._cluster.create_job(self._manifest) is None:
            there = await self._cluster.job(self._name)
            if there is None:
                continue  # deleted just now
            conditions = {
                each["type"] for each in there.get("status", {}).get("conditions") or () if each["status"] == "True"
            }
            is_same = (there["metadata"].get("annotations") or {}).get(DIGEST) == self._manifest["metadata"][
                "annotations"
            ][DIGEST]
            if is_same and "Failed" not in conditions and "deletionTimestamp" not in there["metadata"]:
                log.info("job adopted job=%s", self._name)
                return
            if not conditions & {"Failed", "Complete"} and "deletionTimestamp" not in there["metadata"]:
                raise JobFailed(
                    self._name,
                    self._cluster.namespace,
                    "another one of this name runs, and was asked something else",
                    "Wait for its end, or delete it.",
                    ExitCode.WAIT,
                )
            await self._delete()
        log.info("job created job=%s", self._name)

    async def _delete(self) -> None:
        await self._cluster.delete_job(self._name)
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end and await self._cluster.job(self._name) is not None:
            await asyncio.sleep(0.2)

    async def _until_ended(self) -> Ended:
        """Look whenever something has changed, until the Job has ended or may not be waited for any longer."""
        began, waiting, since, told = time.monotonic(), None, 0.0, ""
        while not self._interrupts:
            state = await self._look()
            now = time.monotonic()
            if isinstance(state, Ended):
                return state
            end = state.end if isinstance(state, Waiting) else None
            if not isinstance(state, Waiting):
                waiting = None
            elif waiting is None or waiting.end is not state.end:
                waiting, since = state, now
            elif now - since >= self._limits.of(state):
                await self._cluster.delete_job(self._name)
                return Ended(None, end=state.end or End.POD_GONE, detail=state.detail)
            told = self._told(state, told)
            if now - began > self._limits.deadline_seconds + 60:
                # The Job controller should have ended it by now.
                await self._cluster.delete_job(self._name)
                return Ended(None, end=end or End.DEADLINE)
            await self._pause(LOOK_SECONDS if waiting is None else 1.0)
        return await self._stopped()

    def _told(self, state: State, told: str) -> str:
        """Log what the Job waits for, once."""
        text = f"{state.end.what}: {state.detail}" if isinstance(state, Waiting) and state.end and state.detail else ""
        if text and text != told:
            log.info('job waiting job=%s reason="%s"', self._name, text.replace('"', "'"))
        return text or told

    async def _pause(self, seconds: float) -> None:
        """Return when something has changed, or the time is over."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()

    async def _look(self) -> State:
        job = await self._cluster.job(self._name)
        listed, _ = await self._cluster.pods(self._name)
        self._keep(listed)
        return state_of(job, self._pods.values())

    def _keep(self, pods: list[dict[str, Any]]) -> None:
        for pod in pods:
            self._pods[pod["metadata"]["uid"]] = pod
            if has_started(pod):
                self._follow(pod["metadata"]["name"])

    async def _stopped(self) -> Ended:
        """Delete the Job: its pod gets SIGTERM, comes to a safe point, and says how it ended."""
        log.warning("job stopped job=%s", self._name)
        await self._cluster.delete_job(self._name)
        grace = float(self._manifest["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30))
        end = time.monotonic() + grace + STOP_SECONDS
        while time.monotonic() < end and self._interrupts < 2:
            listed, _ = await self._cluster.pods(self._name)
            self._keep(listed)
            state = state_of(None, self._pods.values())
            if not listed or (isinstance(state, Ended) and state.message):
                break
            await self._pause(1.0)
        state = state_of(None, self._pods.values())
        return state if isinstance(state, Ended) else Ended(None, end=End.DELETED)

    async def _watch(self) -> None:
        """Say when a pod has changed; begin anew whenever the watch ends."""
        while True:
            with suppress(Answer, ClusterUnreachable, *TROUBLE):
                listed, version = await self._cluster.pods(self._name)
                self._keep(listed)
                async for pod in self._cluster.watch_pods(self._name, version):
                    self._keep([pod])
                    self._changed.set()
            self._changed.set()
            await asyncio.sleep(1)

    def _follow(self, pod: str) -> None:
        if pod not in self._readers:
            reader = self._readers[pod] = _Reader()
            reader.task = asyncio.create_task(self._read(pod, reader))

    async def _read(self, pod: str, reader: _Reader) -> None:
        """Read a pod's log to its end, from where it was left whenever the connection is lost."""
        while True:
            is_whole = False
            try:
                await self._read_once(pod, reader, follow=True)
                is_whole = True
            except Answer as answer:
                if answer.status == 404:
                    return
            except TROUBLE:
                pass
            # The API server ends the stream at the container's end, and when it ends itself.
            if is_whole and self._has_ended(pod):
                return
            await asyncio.sleep(0.5)

    async def _read_once(self, pod: str, reader: _Reader, *, follow: bool) -> None:
        reader.cursor.restart()
        async for line in self._cluster.follow_log(pod, CONTAINER, reader.cursor.since, follow=follow):
            text = reader.cursor.read(line)
            if text is None:
                continue
            if delivery.is_part(text):
                reader.parts.append(text)
            else:
                self._tell(text)

    def _has_ended(self, pod: str) -> bool:
        found = next((each for each in self._pods.values() if each["metadata"]["name"] == pod), None)
        return found is None or "terminated" in str(found.get("status", {}).get("containerStatuses"))

    async def _outcome(self, ended: Ended) -> Outcome:
        """Return what the stage said; raise what else happened."""
        notice = delivery.read_notice(ended.message)
        outcome = await self._from_log(ended.pod, notice) if ended.pod and notice else None
        if outcome is None and notice and notice.error:
            outcome = Outcome(notice.exit_code, notice.summary, notice.error)
        if notice is None or ended.end is End.OUT_OF_MEMORY or (ended.end is End.DELETED and not self._interrupts):
            raise self._failed(ended, outcome.summary if outcome else "")
        if outcome is None:
            # It is done, but what it did is needed by the stages after it: the same stage again finds it done.
            raise JobFailed(
                self._name,
                self._cluster.namespace,
                "it is done, and its report is lost with its log",
                "The next try finds what is done.",
                ExitCode.WAIT,
            )
        if ended.end is End.DEADLINE and outcome.error:
            return replace(outcome, summary=f"{outcome.summary} {self._failed(ended)}")
        return outcome

    async def _from_log(self, pod: str, notice: Notice) -> Outcome | None:
        """Return the outcome that the log has; what is not there yet is waited for a little, and read again."""
        self._follow(pod)
        reader = self._readers[pod]
        end = time.monotonic() + REST_SECONDS
        while (found := delivery.read_outcome(reader.parts, notice.sha256)) is None and time.monotonic() < end:
            if reader.task is None or reader.task.done():
                with suppress(Answer, *TROUBLE):
                    await self._read_once(pod, reader, follow=False)
                if delivery.read_outcome(reader.parts, notice.sha256) is None:
                    await asyncio.sleep(1)
            else:
                await asyncio.wait([reader.task], timeout=0.2)
        # What people are told, also of a pod before this one, may still be on its way.
        reading = [each.task for each in self._readers.values() if each.task is not None]
        await asyncio.wait(reading, timeout=2)
        return found

    def _failed(self, ended: Ended, said: str = "") -> JobFailed:
        end = ended.end or End.NO_WORD
        code = end.code
        if end is End.NO_WORD and ended.exit_code:
            code = ExitCode(ended.exit_code) if ended.exit_code in set(ExitCode) else ExitCode.FAILED
        detail = ": ".join(part.rstrip(".") for part in (end.what, ended.detail, said) if part)
        return JobFailed(self._name, self._cluster.namespace, detail, end.advice, code, is_wanted=end is End.DELETED)
