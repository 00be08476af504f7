"""Flow migrate: the stages in order, what the run page shows, and how its process ends."""

import inspect
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import TaskRun

from flows import foreground
from flows.migrate import DEFAULT, MigrateRequest, migrate, run
from flows.pipeline import artifact_key
from flows.report import STAGES, RunReport
from pgrollout import settings
from pgrollout.errors import ExitCode, LockNotAcquired, PlanChanged
from pgrollout.postgres.atlas_lock import LOCK_KEY
from pgrollout.stages.apply import ApplyRequest
from tasks.apply import apply
from tests.flows.conftest import PrefectServer, started
from tests.project import AT_THE_GATE, GATE, Project, backend_in, eventually, is_gone, lock_holder, observed

"""A statement that waits until the test lets it go."""


def outcomes(report: RunReport | None) -> dict[str, str]:
    """Return how each stage ended."""
    assert report is not None
    return {end.name: end.outcome for end in report.stages()}


def artifacts(key: str) -> list[str]:
    """Return the Markdown of all artifacts of that key, oldest first."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return [str(artifact.data) for artifact in sorted(found, key=lambda each: str(each.created))]


def test_stages_run_in_order(project: Project, prefect_server: PrefectServer) -> None:
    """All six stages run, the files are applied, and ledger and reports know of one another."""
    code, report = run(MigrateRequest(reason="a new shop"))

    assert code is ExitCode.DONE
    assert outcomes(report) == dict.fromkeys(STAGES, "done")
    assert project.versions() == ["1", "2"]
    (source, reason, backups), *_ = project.database.execute(
        "SELECT source, reason, (SELECT count(*) FROM pgrollout.backup) FROM pgrollout.run"
    )
    assert source.startswith("flow-run ")
    assert (reason, backups) == ("a new shop", 1)


def test_second_run_has_nothing_to_do(project: Project, prefect_server: PrefectServer) -> None:
    """With nothing pending backup and apply say so, and verify looks all the same."""
    run(DEFAULT)

    code, report = run(DEFAULT)

    assert code is ExitCode.DONE
    assert outcomes(report) == {
        "build": "nothing to do",
        "validate": "done",
        "hash": "done",
        "backup": "nothing to do",
        "apply": "nothing to do",
        "verify": "done",
    }


def test_run_page_has_report_and_plan(project: Project, prefect_server: PrefectServer) -> None:
    """The report has a diagram, the stages and the migrations; the plan is an artifact of its own."""
    (project.root / "pgrollout.toml").write_text("[database.With_Report]\n")

    run(DEFAULT)

    (report,), (plan,) = artifacts("run-report-with-report"), artifacts("plan-with-report")
    assert report.startswith("# `With_Report`: 2 migrations applied")
    assert "```mermaid" in report
    assert "| `2_books.sql` | 1 |" in report
    assert "CREATE TABLE books" in plan


def test_run_page_shows_a_line_of_stages(project: Project, prefect_server: PrefectServer) -> None:
    """Each task waits for the one before it and no other, and is named after stage and database."""
    (project.root / "pgrollout.toml").write_text("[database.in_line]\n")

    run(DEFAULT)

    with get_client(sync_client=True) as client:
        found = eventually(lambda: _tasks(client.read_task_runs(), "in_line"), "six tasks")
    before = {
        task.name: {each.id for inputs in task.task_inputs.values() for each in inputs if hasattr(each, "id")}
        for task in found
    }
    ids = {task.name: task.id for task in found}
    names = [f"{stage} in_line" for stage in STAGES]
    assert before == {name: {ids[each] for each in names[:n][-1:]} for n, name in enumerate(names)}


def _tasks(found: list[TaskRun], database: str) -> list[TaskRun]:
    tasks = [task for task in found if task.name.endswith(f" {database}") and task.state and task.state.is_final()]
    return tasks if len(tasks) == len(STAGES) else []


def test_dry_run_changes_nothing(project: Project, prefect_server: PrefectServer) -> None:
    """A dry run goes through all stages and leaves database and backups alone."""
    code, report = run(MigrateRequest(dry_run=True))

    assert code is ExitCode.DONE
    assert set(outcomes(report).values()) == {"done"}
    assert not project.exists("authors")
    assert not project.exists("pgrollout.")
    assert not (project.root / ".pgrollout" / "backups").exists()


def test_target_version_and_release(project: Project, prefect_server: PrefectServer) -> None:
    """The flow stops at the version asked for, of the release asked for; verify takes the rest as pending."""
    code, report = run(MigrateRequest(to_version="1"))
    assert code is ExitCode.DONE
    assert project.versions() == ["1"]
    assert report is not None

    assert run(MigrateRequest(release="sha256:0"))[0] is ExitCode.REFUSED
    assert project.versions() == ["1"]

    digest = report.reports["apply"].model_dump()["release"]
    assert run(MigrateRequest(release=digest))[0] is ExitCode.DONE
    assert project.versions() == ["1", "2"]


def test_existing_database_needs_a_word(project: Project, prefect_server: PrefectServer) -> None:
    """A database with tables is refused until a baseline, or allow-dirty, says what to make of it."""
    project.database.execute("CREATE TABLE authors (id int PRIMARY KEY)")

    assert run(DEFAULT)[0] is ExitCode.FAILED
    assert run(MigrateRequest(baseline="1"))[0] is ExitCode.DONE
    assert project.versions() == ["1", "2"]


# What goes wrong.


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a webhook gets; the project's configuration names its variable."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setenv("SHOP_ALERTS", f"http://127.0.0.1:{server.server_port}/hook")
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def test_failure_is_reported_and_told(
    project: Project,
    prefect_server: PrefectServer,
    alerts: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A failing statement ends with its exit code; report, alert and terminal name database, stage and error, once."""
    project.write({"3_fail.sql": "-- No.\nSELECT 1 / 0;\n"})

    code, report = run(DEFAULT)

    assert code is ExitCode.FAILED
    assert outcomes(report) == {
        "build": "done",
        "validate": "done",
        "hash": "done",
        "backup": "done",
        "apply": "failed",
        "verify": "not reached",
    }
    assert project.versions() == ["1", "2"]
    (alert,) = alerts
    assert alert["text"].startswith("migrate of database shop: Failed at stage apply\nStatementFailed: 3_fail.sql:2:")
    assert f"{prefect_server.url.removesuffix('/api')}/runs/flow-run/" in alert["text"]
    newest = artifacts("run-report-shop")[-1]
    assert "# `shop`: failed at apply" in newest
    assert "division by zero" in newest
    told = capsys.readouterr().err
    assert told.count("division by zero") == 1
    assert "Traceback" not in told


def test_policy_is_an_exit_code(project: Project, prefect_server: PrefectServer) -> None:
    """A rule that refuses ends the process with 3, an edited file with 4."""
    project.write({"3_drop.sql": "-- Gone.\nDROP TABLE books;\n"})
    assert run(DEFAULT)[0] is ExitCode.REFUSED

    (project.migrations / "3_drop.sql").write_text("-- Edited.\nSELECT 1;\n")
    assert run(DEFAULT)[0] is ExitCode.MISMATCH


def attempts(task_run_id: UUID | None) -> int:
    """Return how often a task was tried, once Prefect's server knows its end."""
    with get_client(sync_client=True) as client:

        def ended() -> TaskRun | None:
            found = client.read_task_runs()
            known = next((each for each in found if each.id == task_run_id), None)
            return known if known is not None and known.state and known.state.is_final() else None

        return int(eventually(ended, "the end of the task run").run_count)


@pytest.mark.parametrize(
    ("asked", "error", "tries"), [({}, LockNotAcquired, 4), ({"plan": "sha256:0"}, PlanChanged, 1)], ids=["75", "3"]
)
def test_only_waiting_is_retried(
    project: Project, prefect_server: PrefectServer, asked: dict[str, Any], error: type[Exception], tries: int
) -> None:
    """A lock that is held is tried for again, another plan is refused at once."""
    from prefect import flow

    hurried = apply.with_options(retry_delay_seconds=0.01, retry_jitter_factor=0)
    request = ApplyRequest(database=project.settings(wait_for_run_ms=0), **asked)

    @flow
    def only_apply() -> UUID | None:
        state = hurried(request, return_state=True)
        with pytest.raises(error):
            state.result()
        return state.state_details.task_run_id

    if error is LockNotAcquired:
        with lock_holder(project.database, LOCK_KEY):
            task_run_id = only_apply()
    else:
        task_run_id = only_apply()

    assert attempts(task_run_id) == tries


def test_unreachable_server_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A PREFECT_API_URL that nobody answers ends with 75 and a way out, before anything is done."""
    from prefect import settings as prefect_settings

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with prefect_settings.temporary_settings({prefect_settings.PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        code, report = run(DEFAULT)

    assert (code, report) == (ExitCode.WAIT, None)
    assert "http://127.0.0.1:9/api, which PREFECT_API_URL names, does not answer. Nothing was done." in (
        capsys.readouterr().err
    )


def start(project: Project, api_url: str, **environment: str) -> "subprocess.Popen[str]":
    """Start ``python -m flows.migrate`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.migrate", "--format", "json"],
        cwd=project.root,
        env=os.environ | {"PREFECT_API_URL": api_url} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
def test_server_killed_in_mid_run(
    project: Project, upgraded: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: PrefectServer
) -> None:
    """Prefect's server dies while a migration runs: the stages end, the exit code is theirs, a rerun has nothing to do."""
    project.write({"3_slow.sql": f"-- Slow.\n{AT_THE_GATE};\nCREATE TABLE slow (id int);\n"})
    with (
        started(tmp_path_factory.mktemp("victim"), upgraded) as victim,
        lock_holder(project.database, GATE) as gate,
        observed(start(project, victim.url, PREFECT_CLIENT_MAX_RETRIES="0")) as process,
    ):
        backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        victim.kill()
        gate.execute("SELECT pg_advisory_unlock_all()")
        out, err = process.communicate(timeout=120)

    assert process.returncode == ExitCode.DONE, err
    assert "Warning: every stage ended well, and Prefect's server could not be told" in err
    assert [stage["outcome"] for stage in json.loads(out)["stages"]] == ["done"] * 6
    assert project.versions() == ["1", "2", "3"]
    assert outcomes(run(DEFAULT)[1])["apply"] == "nothing to do"


def test_sigterm_ends_a_run_in_order(project: Project, prefect_server: PrefectServer) -> None:
    """SIGTERM cancels the statement under way and undoes its file; the exit code is 75, and the next run goes on."""
    project.write({"3_slow.sql": f"-- Slow.\nCREATE TABLE slow (id int);\n{AT_THE_GATE};\n"})
    with lock_holder(project.database, GATE), observed(start(project, prefect_server.url)) as process:
        backend = backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT, err
    assert "Traceback" not in err
    assert json.loads(out)["stages"][4]["outcome"] == "failed"
    eventually(lambda: is_gone(project.database, backend), "the end of the backend")
    assert not project.exists("slow")
    assert project.versions() == ["1", "2"]
    assert run(DEFAULT)[0] is ExitCode.DONE
    assert project.exists("slow")


# What Prefect is told about the flow.


def test_form_asks_for_nothing() -> None:
    """The form in the browser requires nothing, and explains every field."""
    schema = migrate.parameters.model_dump()
    request = schema["definitions"]["MigrateRequest"]

    assert not schema.get("required")
    assert set(request["properties"]) == set(MigrateRequest.model_fields)
    assert all(field["description"] for field in request["properties"].values())
    assert not request.get("required")


def test_hooks_have_the_names_that_workers_use() -> None:
    """Hooks take flow, flow_run and state: a worker calls them by these names, after a SIGKILL for one."""
    hooks = [*migrate.on_failure_hooks, *migrate.on_crashed_hooks]

    assert len(hooks) == 2
    for hook in hooks:
        assert list(inspect.signature(hook).parameters) == ["flow", "flow_run", "state"]


@pytest.mark.parametrize(
    ("name", "key"), [("reader", "reader"), ("Orders_EU", "orders-eu"), ("büro", "b-ro"), ("_", "database")]
)
def test_artifact_key(name: str, key: str) -> None:
    """A database's name becomes what Prefect takes as a key."""
    assert artifact_key(name) == key


def test_settings_travel_by_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags reach the stages as variables: settings loaded from those are the same."""
    flags = {"backup": "none", "exclude": ("a", "b"), "wait_for_run_ms": 5, "shadow_roles": ("app",)}
    loaded = settings.load("shop", flags)

    for variable, value in foreground.as_environment(loaded).items():
        monkeypatch.setenv(variable, value)

    assert settings.load("shop") == loaded


def test_console_is_left_as_it_was(project: Project, prefect_server: PrefectServer) -> None:
    """A run that is over leaves the package's log handlers alone."""
    logger = logging.getLogger("pgrollout")
    before = logger.handlers[:], logger.propagate

    run(DEFAULT)

    assert (logger.handlers[:], logger.propagate) == before
