"""The end of a Job: each told from every other, in what a real cluster says of it."""

from typing import Any

import pytest

from pgrollout.kubernetes.ending import End, Ended, Running, Waiting, has_started, state_of

Object = dict[str, Any]


def job(*conditions: tuple[str, str]) -> Object:
    """A Job with conditions, each a type and a reason."""
    return {"status": {"conditions": [{"type": kind, "status": "True", "reason": why} for kind, why in conditions]}}


def pod(state: Object | None = None, *conditions: Object, name: str = "p", made: int = 1) -> Object:
    """A pod, its stage's container in a state."""
    containers = [{"name": "other", "state": {"running": {}}}]
    if state is not None:
        containers.append({"name": "stage", "state": state})
    return {
        "metadata": {"name": name, "creationTimestamp": f"2026-11-30T10:00:0{made}Z"},
        "status": {"conditions": list(conditions), "containerStatuses": containers},
    }


def ended(code: int, reason: str = "Error", message: str = "") -> Object:
    """The state of a container that has ended."""
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


DISRUPTED = {"type": "DisruptionTarget", "status": "True"}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
FAILED = job(("Failed", "PodFailurePolicy"))
LATE = job(("Failed", "DeadlineExceeded"))


@pytest.mark.parametrize(
    ("of", "pods", "state"),
    [
        (job(), [], Waiting(End.NO_POD)),
        (job(("Suspended", "")), [], Waiting(End.NO_POD)),
        (job(), [pod()], Waiting(End.NOT_STARTED)),
        (job(), [pod(None, NO_NODE)], Waiting(End.UNSCHEDULABLE, "0/1 nodes are available")),
        (job(), [pod({"waiting": {"reason": "InvalidImageName"}})], Waiting(End.IMAGE, "", is_hopeless=True)),
        (job(), [pod({"waiting": {"reason": "ErrImagePull", "message": "no"}})], Waiting(End.IMAGE, "no")),
        (
            job(),
            [pod({"waiting": {"reason": "CreateContainerConfigError", "message": "no key"}})],
            Waiting(End.CONFIGURATION, "no key"),
        ),
        (job(), [pod({"waiting": {"reason": "ContainerCreating"}})], Waiting(End.NOT_STARTED)),
        (job(), [pod({"running": {}})], Running("p")),
        # Done, before the Job says so; and when it says only that it will.
        (job(), [pod(ended(0, "Completed", "{}"))], Ended("p", 0, "{}")),
        (job(("SuccessCriteriaMet", "")), [pod(ended(0, "Completed", "{}"))], Ended("p", 0, "{}")),
        *((job(), [pod(ended(code, message="{}"))], Ended("p", code, "{}")) for code in (1, 2, 3, 4)),
        # 75 may be an eviction whose condition is not there yet: the Job's own word is waited for.
        (job(), [pod(ended(75))], Waiting(None)),
        (job(("FailureTarget", "")), [pod(ended(75))], Waiting(None)),
        (FAILED, [pod(ended(75, message="{}"))], Ended("p", 75, "{}")),
        (job(), [pod(ended(75), DISRUPTED)], Waiting(None)),
        (job(), [pod(ended(3), DISRUPTED)], Waiting(None)),
        (job(), [pod(ended(75), DISRUPTED), pod({"running": {}}, name="q", made=2)], Running("q")),
        (FAILED, [pod(ended(137))], Ended("p", 137, "", End.KILLED, "exit code 137")),
        (FAILED, [pod(ended(137, "OOMKilled"))], Ended("p", 137, "", End.OUT_OF_MEMORY)),
        # A child ran out of memory, and the main process took it for something that waiting cures.
        (job(), [pod(ended(75, "OOMKilled", "{}"))], Ended("p", 75, "{}", End.OUT_OF_MEMORY)),
        (job(), [pod(ended(0, "OOMKilled", "{}"))], Ended("p", 0, "{}")),
        (
            FAILED,
            [pod(ended(128, "StartError", "no such file"))],
            Ended("p", 128, "", End.CONFIGURATION, "no such file"),
        ),
        (LATE, [pod(ended(75, message="{}"))], Ended("p", 75, "{}", End.DEADLINE)),
        (LATE, [], Ended(None, end=End.DEADLINE)),
        # The node has gone, and its pod was collected.
        (FAILED, [], Ended(None, end=End.POD_GONE)),
        (FAILED, [pod({"running": {}})], Ended("p", end=End.POD_GONE)),
        (None, [], Ended(None, end=End.DELETED)),
        (None, [pod({"running": {}})], Ended("p", end=End.DELETED)),
        (None, [pod(ended(75, message="{}"))], Ended("p", 75, "{}", End.DELETED)),
        (None, [pod(ended(0, "Completed", "{}"))], Ended("p", 0, "{}")),
        (job(("Complete", "")), [], Ended(None, end=End.NO_WORD)),
    ],
)
def test_each_state_is_told_apart(of: Object | None, pods: list[Object], state: object) -> None:
    """By Job and pods together."""
    assert state_of(of, pods) == state


def test_a_log_is_there_once_the_container_has_started() -> None:
    """Also when it has ended; not while another container runs."""
    assert not has_started(pod())
    assert not has_started(pod({"waiting": {"reason": "ContainerCreating"}}))
    assert has_started(pod({"running": {}}))
    assert has_started(pod(ended(1)))


def test_each_end_says_what_to_do() -> None:
    """A sentence of what happened, and one of advice."""
    for end in End:
        assert end.what[0].islower()
        assert end.advice.endswith(".")
