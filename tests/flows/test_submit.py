"""Submit: what is started, what is told while it runs elsewhere, and with which code it ends."""

import io
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from flows.ending import PREFIX, exit_code, failed
from flows.migrate import MigrateRequest, run
from flows.register import Wanted, register
from flows.submit import Question, command
from pgrollout import progress
from pgrollout.errors import ConfigurationError, ExitCode, NotInSumFile, PgrolloutError, ServerUnavailable
from tests.flows.conftest import PrefectServer
from tests.flows.test_failure import newest_run
from tests.project import Project, eventually

POOL = "submitted"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Leave the log, which a command sets up for its process, as it was."""
    logger = logging.getLogger("pgrollout")
    before = (logger.handlers[:], logger.propagate, logger.level, progress.display)
    yield
    logger.handlers[:], logger.propagate, logger.level, progress.display = before


@pytest.fixture
def registered(prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployments of a database; no worker will ever run them."""
    for variable in ("GITHUB_SHA", "GITHUB_RUN_ATTEMPT", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(variable, raising=False)
    register(Wanted(pool=POOL, drift_cron=""), ("away",), 30)


def submit(*arguments: str) -> ExitCode:
    """Run the command in this process, and return its exit code."""
    return ExitCode(command.main(["--database", "away", "--log-format", "text", *arguments], standalone_mode=False))


def runs(client: SyncPrefectClient, but: set[UUID]) -> list[FlowRun]:
    """Return the runs that are there beside those."""
    return [each for each in client.read_flow_runs() if each.id not in but]


def interrupt_main() -> None:
    """Press Ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextmanager
def worker(work: Callable[[SyncPrefectClient, FlowRun], None]) -> Iterator[None]:
    """Do with the next run that somebody asks for what a worker would, in a thread."""
    with get_client(sync_client=True) as client:
        before = {each.id for each in client.read_flow_runs()}
    problems: list[BaseException] = []

    def take(url: str | None) -> None:
        try:
            with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as own:
                work(own, eventually(lambda: runs(own, before), "a run")[0])
        except BaseException as error:
            problems.append(error)
            interrupt_main()  # else the command waits for an end that nobody brings about

    thread = threading.Thread(target=take, args=(PREFECT_API_URL.value(),))
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if problems:
        raise problems[0]


def to(client: SyncPrefectClient, flow_run: FlowRun, state: State[Any]) -> None:
    """Bring a run into a state."""
    client.set_flow_run_state(flow_run.id, state, force=True)


def write(flow_run: FlowRun, lines: dict[str, float]) -> None:
    """Write lines into a run's log; each has a time, in seconds from now."""
    from prefect.utilities.asyncutils import run_coro_as_sync

    now = datetime.now(UTC)
    logs = [
        LogCreate(
            name="prefect.flow_runs" if text.startswith("Finished") else "pgrollout.flow",
            level=logging.INFO,
            message=text,
            timestamp=now + timedelta(seconds=at),
            flow_run_id=flow_run.id,
        )
        for text, at in lines.items()
    ]

    async def create() -> None:
        async with get_client() as client:
            for start in range(0, len(logs), 200):
                await client.create_logs(logs[start : start + 200])

    run_coro_as_sync(create())


def ends(state: State[Any]) -> Callable[[SyncPrefectClient, FlowRun], None]:
    """Return the work of a run that ends at once."""

    def work(client: SyncPrefectClient, flow_run: FlowRun) -> None:
        write(flow_run, {"Finished in state": 0})
        to(client, flow_run, state)

    return work


# How a run ends.


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (Completed(), ExitCode.DONE),
        *((Failed(message=f"{PREFIX}PgrolloutError: no\nExit code {int(code)}."), code) for code in list(ExitCode)[1:]),
        (Failed(message="Flow run encountered an exception: KeyError: 'x'"), ExitCode.FAILED),
        (Failed(message="a text that ends so\nExit code 9."), ExitCode.FAILED),
        (Failed(name="TimedOut", message="Flow run exceeded timeout"), ExitCode.WAIT),
        (Crashed(message="Flow run process exited"), ExitCode.WAIT),
        (Cancelled(), ExitCode.WAIT),
    ],
    ids=lambda value: value.name if isinstance(value, State) else str(int(value)),
)
def test_every_end_has_its_code(state: State[Any], code: ExitCode) -> None:
    """What a script is to do next follows from the state alone; what the ledger lets go on is worth another try."""
    assert exit_code(state) is code


@pytest.mark.parametrize("error", [PgrolloutError("no"), NotInSumFile("1_a.sql"), ConfigurationError("a", "b")])
def test_code_survives_the_state(error: PgrolloutError) -> None:
    """The state of a run that an error has ended has that error's code, whatever the error says."""
    assert exit_code(failed(error)) is error.code


def test_flow_leaves_its_code(project: Project, prefect_server: PrefectServer) -> None:
    """A flow that a stage refuses ends with a state that says so to another process, and raises the error in this one."""
    project.write({"3_drop.sql": "-- Gone.\nDROP TABLE books;\n"})

    assert run(MigrateRequest())[0] is ExitCode.REFUSED

    state = newest_run().state
    assert state is not None
    assert exit_code(state) is ExitCode.REFUSED


# What is asked.


def test_same_question_is_the_same_run() -> None:
    """Commit, deployment, attempt and what is asked make the key; the reason does not, and without a commit nothing does."""
    asked = Question("migrate/a", {"database": "a", "reason": "x"}, "c0ffee", "1")

    assert asked.key == Question("migrate/a", {"database": "a", "reason": "y"}, "c0ffee", "1").key
    others = (
        Question("migrate/b", asked.request, "c0ffee", "1"),
        Question("migrate/a", {**asked.request, "dry_run": True}, "c0ffee", "1"),
        Question("migrate/a", {**asked.request, "image": "i@sha256:1"}, "c0ffee", "1"),
        Question("migrate/a", asked.request, "decade", "1"),
        Question("migrate/a", asked.request, "c0ffee", "2"),
    )
    assert len({asked.key, *(each.key for each in others)}) == 6
    unknown = Question("migrate/a", {}, "", "1")
    assert unknown.key != unknown.key


def test_unknown_deployment_names_those_there_are(registered: None) -> None:
    """A name that is not there is refused with 2, and those that are there are listed."""
    with pytest.raises(ConfigurationError, match=r"no deployment migrate/nope\. There are: .*migrate/away") as refused:
        command.main(["--database", "nope"], standalone_mode=False)

    assert refused.value.code is ExitCode.USAGE


def test_parameters_are_checked_before_anything_runs(registered: None) -> None:
    """What the flow does not take is refused with 2, and no run is made."""
    with get_client(sync_client=True) as client:
        before = len(client.read_flow_runs())

        with pytest.raises(
            ConfigurationError, match=r"check-drift/away-drift: its parameters are refused: .*to_version"
        ):
            submit("--deployment", "check-drift/away-drift", "--to-version", "1")

        assert len(client.read_flow_runs()) == before


def test_server_that_is_not_there_is_worth_another_try() -> None:
    """No answer is 75; no address at all is a mistake."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(ServerUnavailable) as away:
        submit("--timeout-seconds", "1")
    with (
        temporary_settings({PREFECT_API_URL: None}),
        pytest.raises(ConfigurationError, match="PREFECT_API_URL: is not set"),
    ):
        submit()

    assert away.value.code is ExitCode.WAIT


# What is told.


def test_log_is_followed_as_it_is_written(registered: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The link comes first; every line of the log comes once, in the order of its time, also one that was sent late."""
    lines = {f"line {number}": number / 1000 for number in range(450)}

    def work(client: SyncPrefectClient, flow_run: FlowRun) -> None:
        to(client, flow_run, Running())
        write(flow_run, lines)
        eventually(lambda: "line 449" in err.getvalue(), "the first lines")
        write(flow_run, {"late\nTraceback (most recent call last):\n  deep": -5, "long ago": -60, "next": 1})
        eventually(lambda: "next" in err.getvalue(), "the next line")
        write(flow_run, {"Finished in state Completed()": 2})
        to(client, flow_run, Completed())

    with redirect_stderr(io.StringIO()) as err, worker(work):
        assert submit("--reason", "a try") is ExitCode.DONE

    first, *rest = err.getvalue().splitlines()
    assert first == 'run always new reason="no commit is named"'
    assert rest[:-2] == [*lines, "late", "next"]
    assert sorted(rest[-2:]) == ["Finished in state Completed()", "long ago"]
    link, end = capsys.readouterr().out.splitlines()
    assert "/runs/flow-run/" in link
    assert end == "Completed: no message"


def test_same_commit_attaches(
    registered: None, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call for a commit follows the run that there is, and ends with its code; another attempt starts anew."""
    outputs, summary = tmp_path / "outputs", tmp_path / "summary"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    asked = ("--commit", "c0ffee", "--format", "json")
    with worker(ends(failed(NotInSumFile("1_a.sql")))):
        assert submit(*asked) is ExitCode.MISMATCH
    first = json.loads(capsys.readouterr().out)

    assert submit(*asked) is ExitCode.MISMATCH

    out, err = capsys.readouterr()
    assert json.loads(out) == {**first, "attached": True}
    assert 'run is there already commit=c0ffee attempt=1 state="Failed" advice="another --attempt starts anew"' in err
    assert first["message"].startswith("NotInSumFile: ")
    assert outputs.read_text().splitlines()[-2:] == ["outcome=Failed", "exit-code=4"]
    assert f"link={first['page']}" in outputs.read_text()
    assert f"**migrate/away**: Failed, exit code 4. [Run page]({first['page']})" in summary.read_text()

    with worker(ends(Completed())):
        assert submit(*asked, "--attempt", "2") is ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["flow_run"] != first["flow_run"]


def test_nobody_starts_it(registered: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a worker the time runs out, and the message says so, and how to cancel the run."""
    assert submit("--timeout-seconds", "1", "--image", "i@sha256:1", "--baseline", "1") is ExitCode.WAIT

    out, err = capsys.readouterr()
    flow_run = UUID(out.strip().rpartition("/")[2])
    assert f"nobody has started it: work pool {POOL} has no worker that is online" in err
    assert f"prefect flow-run cancel {flow_run}" in err
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))[0]
    assert found.parameters == {"request": {"database": "away", "image": "i@sha256:1", "baseline": "1"}}


def test_ctrl_c_leaves_the_run_going(registered: None) -> None:
    """An interrupted command says how to cancel the run, and ends with 75; the run goes on."""

    def interrupt(client: SyncPrefectClient, flow_run: FlowRun) -> None:
        to(client, flow_run, Running())
        write(flow_run, {"under way": 0})
        eventually(lambda: "under way" in err.getvalue(), "that it is followed")
        interrupt_main()

    with redirect_stderr(io.StringIO()) as err, worker(interrupt):
        assert submit() is ExitCode.WAIT

    state = newest_run().state
    assert state is not None
    assert state.is_running()
    assert "interrupted. The run goes on without this command. To end it: prefect flow-run cancel" in err.getvalue()
