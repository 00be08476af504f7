"""The engine: from a Job to its outcome, whatever the API server and the cluster do meanwhile."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgrollout import delivery, interrupts
from pgrollout.delivery import Outcome
from pgrollout.errors import ClusterRefused, ClusterUnreachable, ExitCode, JobFailed
from pgrollout.kubernetes import cluster, engine
from pgrollout.kubernetes.engine import Limits
from pgrollout.kubernetes.manifest import StageJob, job
from tests.pgrollout.kubernetes.api_server import ApiServer, Fault, Script, api_server, write_kubeconfig

TEMPLATE = {"spec": {"terminationGracePeriodSeconds": 2, "containers": [{"name": "stage", "image": "app:1"}]}}
ASKED = StageJob("apply", "reader", "20261130T100000Z-3fa9c1", 1, "{}")
DONE = Outcome(0, "2 migrations applied", report='{"summary": "2 migrations applied"}')
LOG = [f"line {number}" for number in range(9)]
POD = "apply-1"
Serve = Callable[[Script], ApiServer]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """What starts an API server with a script, and has the engine find it."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr(cluster, "FIRST_PAUSE_SECONDS", 0.05)
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(api_server(script, tmp_path / "kubeconfig"))


def run(said: list[str] | None = None, limits: Limits | None = None, asked: StageJob = ASKED) -> Outcome:
    """Run the Job; ``said`` gets its log."""
    with interrupts.held_back() as interrupted:
        return engine.run(
            job(asked, TEMPLATE), "shop", limits or Limits(), (said if said is not None else []).append, interrupted
        )


async def works(api: ApiServer, made: dict[str, Any]) -> None:
    """A stage that writes a log and is done."""
    api.pod(made, POD, {}, {"waiting": {"reason": "ContainerCreating"}})
    api.pod(made, POD, {}, {"running": {}})
    api.say(POD, *LOG)
    api.end(made, POD, DONE)
    api.condition(made, "SuccessCriteriaMet")
    api.condition(made, "Complete")


def test_report_and_log_come_back(serve: Serve) -> None:
    """Every line once and in order; the lines of the outcome are not for people."""
    serve(works)
    said: list[str] = []

    assert run(said) == DONE
    assert said == LOG


def test_a_failing_stage_says_so_itself(serve: Serve) -> None:
    """Its exit code and its sentence are the outcome, as soon as its container has ended."""
    refused = Outcome(3, "refused by a rule", "PlanChanged")

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, {"running": {}})
        api.end(made, POD, refused)

    serve(script)
    assert run() == refused


FAULTS = {
    "500 on create": [Fault("POST", "jobs", 500)],
    "429 on create": [Fault("POST", "jobs", 429)],
    "answer of create lost": [Fault("POST", "jobs", is_done=True)],
    "create cut": [Fault("POST", "jobs")],
    "Job not told": [Fault("GET", ASKED.name, 500), Fault("GET", ASKED.name), Fault("GET", ASKED.name, 503)],
    "pods not told": [Fault("GET", "pods", 500), Fault("GET", "pods")],
    "watch cut": [Fault("GET", "pods", after_lines=1), Fault("GET", "pods", after_lines=0)],
    "log cut": [Fault("GET", "log", after_lines=4), Fault("GET", "log", after_lines=7), Fault("GET", "log", 500)],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_trouble_of_the_api_server_is_lived_through(serve: Serve, faults: list[Fault]) -> None:
    """One Job is made, its outcome is told, and each line of its log once."""
    api = serve(works)
    api.faults.extend(replace(fault) for fault in faults)
    said: list[str] = []

    assert run(said) == DONE
    assert said == LOG
    assert api.created == [ASKED.name]
    assert not [fault for fault in api.faults if fault.method == "POST" or fault.ending == "log"]


def test_a_server_that_stays_away_is_told(serve: Serve) -> None:
    """As long as a Job may take it is tried; then waiting can cure it, and the error says what goes on meanwhile."""
    api = serve(works)
    api.faults.extend(Fault("POST", "jobs") for _ in range(1000))

    with pytest.raises(ClusterUnreachable, match="create jobs did not succeed"):
        run(limits=Limits(deadline_seconds=-59))


def test_a_replaced_token_is_read(serve: Serve, tmp_path: Path) -> None:
    """401 is not the end: the token of the next connection may be right."""
    api = serve(works)
    api.token = "second"
    port = int((tmp_path / "kubeconfig").read_text().partition("127.0.0.1:")[2].partition('"')[0])
    timer = threading.Timer(0.3, write_kubeconfig, (tmp_path / "kubeconfig", port, "second"))
    timer.start()

    assert run() == DONE
    assert {"first", "second"} == set(api.tokens)


def test_what_is_forbidden_is_named(serve: Serve) -> None:
    """403 ends at once, with the rights that are needed."""
    api = serve(works)
    api.faults.append(Fault("POST", "jobs", 403))

    with pytest.raises(ClusterRefused, match=r"namespace shop: create jobs is refused: 403 .* rbac.create"):
        run()


def there(api: ApiServer, asked: StageJob, *conditions: str) -> None:
    """Have a Job of that name be there."""
    made = job(asked, TEMPLATE)
    api.jobs[asked.name] = made
    for condition in conditions:
        api.condition(made, condition)


def test_a_job_that_runs_is_adopted(serve: Serve) -> None:
    """What was asked before, by a process that has died, is followed to its end, and not made again."""
    api = serve(works)
    there(api, ASKED)
    made = api.jobs[ASKED.name]
    api.pod(made, POD, {}, {"running": {}})
    api.say(POD, *LOG)
    api.end(made, POD, DONE)
    said: list[str] = []

    assert run(said) == DONE
    assert (said, api.created) == (LOG, [])


def test_a_job_that_failed_is_made_anew(serve: Serve) -> None:
    """It is an earlier attempt's, of the same number."""
    api = serve(works)
    there(api, ASKED, "Failed")

    assert run() == DONE
    assert (api.deleted, api.created) == ([ASKED.name], [ASKED.name])


def test_a_job_that_was_asked_something_else_is_left_alone(serve: Serve) -> None:
    """While it runs; waiting can cure it."""
    api = serve(works)
    there(api, replace(ASKED, request='{"dry_run": true}'))

    with pytest.raises(JobFailed, match="asked something else") as caught:
        run()
    assert caught.value.code is ExitCode.WAIT
    assert api.deleted == []


def test_a_pod_that_was_evicted_is_replaced(serve: Serve) -> None:
    """Its own end is not the stage's: the second pod goes on, and both logs are told."""

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, {"running": {}})
        api.say(POD, "first")
        disrupted = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}
        api.pod(made, POD, disrupted, {"terminated": {"exitCode": 75, "reason": "Error"}})
        api.pod(made, "apply-2", {}, {"running": {}})
        api.say("apply-2", "second")
        api.end(made, "apply-2", DONE)

    serve(script)
    said: list[str] = []

    assert run(said) == DONE
    assert sorted(said) == ["first", "second"]  # here both are there at once


@pytest.mark.parametrize(
    ("state", "sentence", "code"),
    [
        ({"waiting": {"reason": "ErrImageNeverPull", "message": "not here"}}, "image cannot be pulled: not here", 2),
        ({"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}, "cannot be pulled: no such tag", 2),
        ({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}, 'secret "x"', 2),
        ({"waiting": {"reason": "ContainerCreating"}}, "does not start", 75),
    ],
)
def test_a_job_that_cannot_start_is_deleted(serve: Serve, state: dict[str, Any], sentence: str, code: int) -> None:
    """Else it would start once somebody mends the cause, with nobody looking."""

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, state)

    api = serve(script)
    with pytest.raises(JobFailed, match=sentence) as caught:
        run(limits=Limits(pending_seconds=1))
    assert (caught.value.code, api.deleted) == (code, [ASKED.name])


def test_a_job_that_somebody_deletes_is_not_made_again(serve: Serve) -> None:
    """That somebody wanted it: it ends with 75, and is not tried again."""

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, {"running": {}})
        api.jobs.clear()
        api.pods.clear()
        api.move()

    api = serve(script)
    with pytest.raises(JobFailed, match="somebody deleted it") as caught:
        run()
    assert (caught.value.code, caught.value.is_wanted, len(api.created)) == (ExitCode.WAIT, True, 1)


def test_an_interrupt_deletes_the_job_and_waits_for_its_word(serve: Serve) -> None:
    """The stage comes to a safe point; what it says of that is the outcome."""
    stopped = Outcome(75, "Interrupted: 1 migrations applied, 1 left.", "Interrupted")

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, {"running": {}})
        os.kill(os.getpid(), signal.SIGINT)
        await api.until(lambda: bool(api.deleted))
        api.end(made, POD, stopped)

    api = serve(script)
    said: list[Outcome] = []
    with pytest.raises(KeyboardInterrupt), interrupts.held_back() as interrupted:  # handed on after the block
        said.append(engine.run(job(ASKED, TEMPLATE), "shop", Limits(), print, interrupted))
    assert (said, api.deleted) == ([stopped], [ASKED.name])


def test_a_log_that_is_lost_leaves_the_error(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The termination message has it; a report is more than it can hold."""

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, {"running": {}})
        api.end(made, POD, Outcome(4, "history differs", "OutOfOrder"), is_told=False)

    monkeypatch.setattr(engine, "REST_SECONDS", 0.2)
    serve(script)
    assert run() == Outcome(4, "history differs", "OutOfOrder")


def test_memory_that_ran_out_is_not_worth_another_try(serve: Serve) -> None:
    """A child was killed for it, and the stage took that for something that waiting cures: it says so, and is not believed."""
    said = Outcome(75, "pg_dump ended with -9.", "WaitingCanCure")

    async def script(api: ApiServer, made: dict[str, Any]) -> None:
        api.pod(made, POD, {}, {"running": {}})
        api.say(POD, *delivery.lines(said))
        message = delivery.notice(said).to_json()
        api.pod(made, POD, {}, {"terminated": {"exitCode": 75, "reason": "OOMKilled", "message": message}})

    serve(script)
    with pytest.raises(JobFailed, match=r"ran out of memory: pg_dump ended with -9. Raise the memory limit") as caught:
        run()
    assert caught.value.code is ExitCode.FAILED
