"""The runner: what one left behind the next takes up, and nothing else."""

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import run_flow
from prefect.states import Completed, Pending, Running

from flows.api import client
from flows.pipeline import run_id
from flows.runner import LABEL, NAME, sign, take_up
from tests.flows.conftest import PrefectServer


@flow(name="signed", persist_result=False)
def signed() -> None:
    """Sign, as every run does at its beginning."""
    sign()


def left_behind(runner: str, *, is_over: bool = False) -> FlowRun:
    """A run that was under way when its process ended, or was over by then."""
    with get_client(sync_client=True) as server:
        run = server.create_flow_run(signed)
        server.update_flow_run_labels(run.id, {LABEL: runner})
        states: list[State[None]] = [Pending(), Running(), *([Completed()] if is_over else [])]
        for state in states:
            server.set_flow_run_state(run.id, state)
    return run


def test_the_next_runner_has_the_run_start_again(prefect_server: PrefectServer) -> None:
    """Of its own name, and under way; what is over, and another runner's, stays."""
    mine, over = left_behind("shop/runner"), left_behind("shop/runner", is_over=True)
    others = left_behind("stock/runner")

    with client() as server:
        taken = [run.id for run in take_up(server, "shop/runner")]
        states = {run: server.read_flow_run(run).state for run in (mine.id, over.id, others.id)}

    assert taken == [mine.id]
    assert [state.name if state else None for state in states.values()] == ["AwaitingRetry", "Completed", "Running"]


def test_a_run_is_signed_with_its_runner(prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that the chart sets; where there is none, nothing is asked of the server."""
    monkeypatch.setenv(NAME, "shop/signing")

    signed()

    with get_client(sync_client=True) as server:
        (run,) = [run for run in server.read_flow_runs() if run.labels.get(LABEL) == "shop/signing"]
    assert run.state is not None
    assert run.state.is_completed()


def test_a_run_keeps_its_name_when_it_starts_again(prefect_server: PrefectServer) -> None:
    """Else it would not find the Jobs that its first process has made; another run has another name."""

    @flow(name="named", persist_result=False)
    def named() -> str:
        return run_id()

    with get_client(sync_client=True) as server:
        first, second = (server.create_flow_run(named) for _ in range(2))

    names = [run_flow(named, flow_run=each) for each in (first, first.model_copy(), second)]

    assert names[0] == names[1]
    assert names[0] != names[2]
