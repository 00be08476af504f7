"""Submit, with a worker: runs start in an empty folder, and end with their code whatever happens to the Prefect server."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.test_workflows import WORKFLOWS, Job, job_in, steps
from tests.flows.conftest import PrefectServer, started, upgraded
from tests.project import AT_THE_GATE, GATE, Project, backend_in, eventually, is_gone, lock_holder, observed
from tests.servers import Database

__all__ = ["upgraded"]


@pytest.fixture
def prefect(tmp_path_factory: pytest.TempPathFactory, upgraded: Path) -> Iterator[PrefectServer]:
    """A Prefect server of this test's own, for it to kill."""
    with started(tmp_path_factory.mktemp("prefect"), upgraded) as prefect:
        yield prefect


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose second migration waits at a gate."""
    project = Project(tmp_path / "project", database)
    project.root.mkdir()
    project.write(
        {"1_a.sql": "-- a\nCREATE TABLE a (id int);\n", "2_b.sql": f"-- b\n{AT_THE_GATE};\nCREATE TABLE b ();\n"}
    )
    (project.root / "pgrollout.toml").write_text('[database.reader]\n[database.reader.shadow]\nserver = "none"\n')
    return project


@pytest.fixture
def worker(prefect: PrefectServer, project: Project, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in an empty folder; the deployments of the project are registered."""
    empty, temporary = tmp_path / "empty", tmp_path / "tmp"
    empty.mkdir()
    temporary.mkdir()
    environment = os.environ | {
        "PREFECT_API_URL": prefect.url,
        "PGROLLOUT_CONFIG": str(project.root / "pgrollout.toml"),
        "PGROLLOUT_URL": project.database.url,
        "PGROLLOUT_LEASE_TIMEOUT_MS": "2000",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
        "TMPDIR": str(temporary),
    }
    subprocess.run(
        [sys.executable, "-m", "flows.register"], env=environment, cwd=empty, check=True, capture_output=True
    )
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "migrations", "--type", "process"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=empty, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
    assert list(empty.iterdir()) == []


@contextmanager
def submitted(project: Project, prefect: PrefectServer, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Submit a run of the project in a process of its own."""
    command = ("submit", "--database", "reader", "--log-format", "text", *arguments)
    with observed(project.start(*command, PREFECT_API_URL=prefect.url)) as process:
        yield process


def told_until(process: "subprocess.Popen[str]", phrase: str) -> str:
    """Read what a process tells on stderr, until it has told this."""
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if phrase in line:
            return told
    pytest.fail(f"{phrase!r} was not told:\n{told}")


def at_the_gate(project: Project) -> int:
    """Wait until the migration waits, and return its backend's pid."""
    return backend_in(project.database, "pg_try_advisory_xact_lock_shared")


def test_server_restarted_while_followed(
    project: Project, prefect: PrefectServer, worker: "subprocess.Popen[bytes]"
) -> None:
    """The follower says once that the server is away and once that it is back, and tells every line once."""
    with lock_holder(project.database, GATE) as gate, submitted(project, prefect, "--commit", "c0ffee") as process:
        at_the_gate(project)
        # What the run's process has not sent by then is lost, to everybody.
        before = told_until(process, "stage ended stage=backup")
        prefect.kill()
        before += told_until(process, "does not answer")
        prefect.start_again()
        gate.execute("SELECT pg_advisory_unlock_all()")
        out, err = process.communicate(timeout=120)

    told = before + err
    assert process.returncode == 0, told
    assert out.splitlines()[1] == "Completed: reader: 2 migrations applied"
    assert told.count("prefect does not answer") == told.count("prefect answers again") == 1
    for stage in ("build", "validate", "hash", "backup", "apply", "verify"):
        assert told.count(f"stage ended stage={stage} ") == 1, told
    assert project.versions() == ["1", "2"]


def test_run_that_is_cancelled_or_killed_goes_on(
    project: Project, prefect: PrefectServer, worker: "subprocess.Popen[bytes]"
) -> None:
    """Cancelled and crashed is 75, and another attempt finishes the work."""
    with lock_holder(project.database, GATE) as gate:
        with submitted(project, prefect, "--commit", "c0ffee") as process:
            backend = at_the_gate(project)
            assert process.stdout is not None
            run_id = process.stdout.readline().strip().rpartition("/")[2]
            cancel = [sys.executable, "-m", "prefect", "flow-run", "cancel", run_id]
            subprocess.run(cancel, env=os.environ | {"PREFECT_API_URL": prefect.url}, check=True, capture_output=True)
            _, err = process.communicate(timeout=120)
        assert process.returncode == 75, err
        assert "Error: Cancelled: " in err
        eventually(lambda: is_gone(project.database, backend), "the end of the backend")

        with submitted(project, prefect, "--commit", "c0ffee", "--attempt", "2") as process:
            at_the_gate(project)
            (flow,) = flows_of(worker.pid)
            os.kill(flow, signal.SIGKILL)
            _, err = process.communicate(timeout=120)
        assert process.returncode == 75, err
        assert "Error: Crashed: " in err
        gate.execute("SELECT pg_advisory_unlock_all()")

    with submitted(project, prefect, "--commit", "c0ffee", "--attempt", "3") as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert project.versions() == ["1", "2"]


def flows_of(worker: int) -> list[int]:
    """Return the pids of a worker's flow runs."""
    from flows.ui import children

    return children(worker)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of the workflow that is started by hand."""
    return job_in(tmp_path, WORKFLOWS["manual"], GITHUB_RUN_ID="12", GITHUB_RUN_ATTEMPT="1", GITHUB_ACTOR="somebody")


def step(name: str) -> dict[str, Any]:
    """Return the step of a workflow that migrates."""
    return next(each for each in steps(WORKFLOWS[name]) if each.get("name") == "Migrate")


def test_workflows_start_runs(
    project: Project, prefect: PrefectServer, worker: "subprocess.Popen[bytes]", job: Job
) -> None:
    """The job that is started by hand only looks unless it is told otherwise; the one of a push migrates, once."""
    job.env |= WORKFLOWS["push"]["env"] | {"GITHUB_SHA": "c0ffee"}
    nothing = dict.fromkeys(("PREFECT_UI_URL", "PREFECT_API_AUTH_STRING", "PGROLLOUT_IMAGE", "PGROLLOUT_RELEASE"), "")
    event = {**nothing, "PREFECT_API_URL": prefect.url, "DATABASE": "reader", "TO_VERSION": "1", "REASON": "$(touch x)"}

    looked = job.run(step("manual"), **event, DRY_RUN="true")

    assert looked.returncode == 0, looked.stderr
    assert looked.stdout.splitlines()[1].startswith("Completed: reader: dry run: 1 migration would")
    assert not project.exists("a")
    assert not (job.workspace / "x").exists()

    assert job.run(step("manual"), **event, DRY_RUN="false").returncode == 0
    assert project.versions() == ["1"]
    assert job.outputs["outcome"] == "Completed"
    assert job.outputs["link"].startswith(prefect.url.removesuffix("/api"))
    assert "| apply | done |" in (job.home / "summary").read_text()

    # This worker runs the stages in its own process, so it takes no image.
    pushed = {**step("push"), "run": step("push")["run"].replace('--image "$IMAGE@$DIGEST"', "")}
    assert job.run(pushed, **event).returncode == 0
    assert project.versions() == ["1", "2"]
    again = job.run(pushed, **event)
    assert again.returncode == 0
    assert "run is there already" in again.stderr


def test_server_with_a_password(tmp_path: Path, upgraded: Path, project: Project) -> None:
    """Without the password, or with a wrong one, the answer is 2 and names the variable."""
    protected = {"PREFECT_SERVER_API_AUTH_STRING": "admin:right", "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "1"}
    with ExitStack() as stack:
        prefect = stack.enter_context(started(tmp_path, upgraded, **protected))

        def run(*command: str, password: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [sys.executable, "-m", *command],
                env=os.environ
                | {
                    "PREFECT_API_URL": prefect.url,
                    "PREFECT_API_AUTH_STRING": password,
                    "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
                },
                cwd=project.root,
                capture_output=True,
                text=True,
                check=False,
            )

        for wrong in ("", "admin:wrong"):
            refused = run("flows.submit", password=wrong)
            assert refused.returncode == 2
            assert "it refuses us (401). Set PREFECT_API_AUTH_STRING" in refused.stderr

        assert run("flows.register", password="admin:right").returncode == 0
        waited = run("flows.submit", "--timeout-seconds", "1", password="admin:right")
        assert waited.returncode == 75
        assert "no worker that is online" in waited.stderr
        assert "right" not in waited.stdout + waited.stderr
