"""
What the state of a Job and its pods means: still waiting, running, or ended, and how.

Values in, values out; the objects are as the API server gives them. Exit code and reason count together: a container whose
child ran out of memory says ``OOMKilled`` and whatever code its first process ended with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pgrollout.errors import ExitCode
from pgrollout.kubernetes.manifest import CONTAINER

Object = Mapping[str, Any]


class End(Enum):
    """Ways in which a Job ends without word of the stage itself: exit code, what happened, what to do."""

    OUT_OF_MEMORY = (
        ExitCode.FAILED,
        "its container ran out of memory",
        "Raise the memory limit of the stage's pods (migration.resources of the chart).",
    )
    DEADLINE = (
        ExitCode.WAIT,
        "it was stopped by its deadline",
        "The next run continues from there; raise deadlines.stageSeconds of the chart if the work needs longer.",
    )
    DELETED = (
        ExitCode.WAIT,
        "somebody deleted it",
        "It is not tried again unasked; the next run continues from there.",
    )
    KILLED = (ExitCode.WAIT, "its process was killed", "The next run continues from there.")
    POD_GONE = (
        ExitCode.WAIT,
        "its pod went away, as with its node, and left no word",
        "The next run continues from there.",
    )
    IMAGE = (ExitCode.USAGE, "its image cannot be pulled", "Check image, tag or digest, and imagePullSecrets.")
    CONFIGURATION = (
        ExitCode.USAGE,
        "its container cannot be made",
        "Check that the Secret and the ConfigMap which its environment names are in this namespace, with these keys.",
    )
    UNSCHEDULABLE = (
        ExitCode.WAIT,
        "no node has room for its pod",
        "Lower migration.resources of the chart, add a node, or check nodeSelector, tolerations and volumes.",
    )
    NOT_STARTED = (
        ExitCode.WAIT,
        "its container does not start",
        "A volume, Secret or network of its pod may be missing: look at the events of the pod.",
    )
    NO_POD = (
        ExitCode.WAIT,
        "it gets no pod",
        "A quota, a limit or the pod security of the namespace may refuse it: look at the events of the Job.",
    )
    NO_WORD = (ExitCode.FAILED, "it ended without saying how", "Look at its log.")

    @property
    def code(self) -> ExitCode:
        """The exit code that it amounts to."""
        return self.value[0]

    @property
    def what(self) -> str:
        """What happened, after the Job's name."""
        return self.value[1]

    @property
    def advice(self) -> str:
        """What to do."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Waiting:
    """No container runs yet, or none any more: somebody else has to do something."""

    end: End | None
    """What it amounts to if it stays so; None where the Job controller will say soon."""
    detail: str = ""
    is_hopeless: bool = False
    """Whether it does not get better by itself."""


@dataclass(frozen=True, slots=True)
class Running:
    """The stage's container runs."""

    pod: str


@dataclass(frozen=True, slots=True)
class Ended:
    """It is over."""

    pod: str | None
    """The last pod; None if there was none."""
    exit_code: int | None = None
    message: str = ""
    """The termination message."""
    end: End | None = None
    """How, if not by the stage itself."""
    detail: str = ""


State = Waiting | Running | Ended


def state_of(job: Object | None, pods: Iterable[Object]) -> State:
    """
    Return what a Job's state means.

    Args:
        job: The Job; None once it is not there any more.
        pods: Its pods, also those that are gone, as last seen.
    """
    pod = max(pods, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), default=None)
    failure = _condition(job, "Failed") if job else None
    if pod is not None and (ended := _terminated(pod)) is not None:
        said = _ended(pod, ended)
        if failure and failure.get("reason") == "DeadlineExceeded":
            return Ended(said.pod, said.exit_code, said.message, End.DEADLINE)
        if failure or (job and _condition(job, "Complete")) or (_is_final(said) and not _is_disrupted(pod)):
            return said
        if job is None:
            return Ended(said.pod, said.exit_code, said.message, End.DELETED)
        # Evicted, or killed: the Job controller replaces the pod or fails the Job.
        return Waiting(None)
    if job is None:
        return Ended(_name(pod), end=End.DELETED)
    if failure:
        end = End.DEADLINE if failure.get("reason") == "DeadlineExceeded" else End.POD_GONE
        return Ended(_name(pod), end=end, detail=str(failure.get("message") or ""))
    if _condition(job, "Complete"):
        return Ended(_name(pod), end=End.NO_WORD)
    if pod is None:
        return Waiting(End.NO_POD)
    if "running" in _container(pod).get("state", {}):
        return Running(pod["metadata"]["name"])
    return _waiting(pod)


def has_started(pod: Object) -> bool:
    """Whether the stage's container runs or has run, so that there is a log."""
    state = _container(pod).get("state", {})
    return "running" in state or "terminated" in state


def _is_disrupted(pod: Object) -> bool:
    """Whether the pod was evicted, preempted or lost with its node: the Job controller replaces it."""
    return any(
        each.get("type") == "DisruptionTarget" and each.get("status") == "True"
        for each in pod.get("status", {}).get("conditions") or ()
    )


def _is_final(ended: Ended) -> bool:
    """Whether nothing that the Job controller may do next changes what the stage said."""
    return ended.end is End.OUT_OF_MEMORY or ended.exit_code in (
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.REFUSED,
        ExitCode.MISMATCH,
    )


def _ended(pod: Object, terminated: Object) -> Ended:
    name, code = _name(pod), int(terminated.get("exitCode", -1))
    message = str(terminated.get("message") or "")
    if terminated.get("reason") == "OOMKilled" and code != ExitCode.DONE:
        return Ended(name, code, message, End.OUT_OF_MEMORY)
    if terminated.get("reason") in ("ContainerCannotRun", "StartError"):
        return Ended(name, code, "", End.CONFIGURATION, message)
    if code > 128:
        return Ended(name, code, message, End.KILLED, f"exit code {code}")
    return Ended(name, code, message)


def _waiting(pod: Object) -> Waiting:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Waiting(End.UNSCHEDULABLE, str(condition.get("message") or ""))
    waiting = _container(pod).get("state", {}).get("waiting") or {}
    reason, detail = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in ("InvalidImageName", "ErrImageNeverPull"):
        return Waiting(End.IMAGE, detail, is_hopeless=True)
    if reason in ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"):
        return Waiting(End.IMAGE, detail)
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Waiting(End.CONFIGURATION, detail)
    return Waiting(End.NOT_STARTED, detail or ("" if reason in ("ContainerCreating", "PodInitializing") else reason))


def _terminated(pod: Object) -> Object | None:
    found: Object | None = _container(pod).get("state", {}).get("terminated")
    return found


def _container(pod: Object) -> Object:
    """Return the status of the stage's container."""
    for each in pod.get("status", {}).get("containerStatuses") or ():
        if each.get("name") == CONTAINER:
            found: Object = each
            return found
    return {}


def _condition(job: Object, kind: str) -> Object | None:
    for each in job.get("status", {}).get("conditions") or ():
        if each.get("type") == kind and each.get("status") == "True":
            found: Object = each
            return found
    return None


def _name(pod: Object | None) -> str | None:
    return str(pod["metadata"]["name"]) if pod else None
