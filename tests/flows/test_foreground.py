"""A flow in the foreground: how its process ends when Prefect is in the way, or somebody presses Ctrl-C."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import foreground
from flows.pipeline import LATEST
from flows.report import STAGES, RunReport
from pgrollout.errors import ExitCode
from pgrollout.settings import Database
from pgrollout.stages.stage import Report
from tests.flows.conftest import PrefectServer
from tests.project import AT_THE_GATE, GATE, Project, backend_in, lock_holder, observed

EAGER = "from pgrollout import progress; progress.LOG_SECONDS = 1; from flows.migrate import main; main()"
"""``python -m flows.migrate`` with a line for what takes longer than a second."""
GONE = httpx.ConnectError("All connection attempts failed")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Database]:
    """A database, and a Prefect server, that are never asked for."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield Database(name="shop", root=tmp_path, service="nowhere")


def flow(stages: int, error: str = "", raised: Exception = GONE) -> Callable[[], object]:
    """Return a flow whose first stages end well, the next with the error; then Prefect has its say."""

    def run() -> None:
        report = RunReport("shop", "20261124T010203Z-abc")
        for name in STAGES[:stages]:
            report.ended(name, Report(summary="fine"))
        if error:
            report.failed(STAGES[stages], error, 1, ExitCode.MISMATCH)
        LATEST.append(report)
        raise raised

    return run


def test_stages_that_ended_well_count(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Prefect's server is gone at the end: the run went well, and a warning says what is missing."""
    code, report = foreground.run(flow(6), shop)

    assert code is ExitCode.DONE
    assert report is not None
    assert report.is_complete
    assert capsys.readouterr().err.startswith("Warning: every stage ended well, and Prefect's server could not be told")
    assert not (shop.state_path / "alerts").exists()


def test_failure_that_prefect_cannot_record_is_told(
    shop: Database, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Prefect calls no hook then: the alert is sent all the same, and the exit code is the stage's own."""
    code, _ = foreground.run(flow(4, "atlas.sum: differs"), shop)

    assert code is ExitCode.MISMATCH
    assert (
        "Error: atlas.sum: differs\nAlso, Prefect's server could not be told (ConnectError)" in capsys.readouterr().err
    )
    assert [path.name for path in (shop.state_path / "alerts").iterdir()] == ["20261124T010203Z-abc"]
    assert "run of database shop: failed at apply\natlas.sum: differs\n" in caplog.text


def test_server_that_goes_in_between_is_worth_another_try(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Where Prefect's server keeps a stage from being called, waiting can cure it."""
    code, _ = foreground.run(flow(2), shop)

    assert code is ExitCode.WAIT
    assert "does not answer. The run stopped after stage validate." in capsys.readouterr().err


def test_mistake_of_ours_is_a_failure(shop: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else ends with 1, in one paragraph that names the error."""
    code, _ = foreground.run(flow(2, raised=ValueError("no such thing")), shop)

    assert code is ExitCode.FAILED
    assert capsys.readouterr().err.startswith("Error: ValueError: no such thing")


def log_of_a_run(project: Project, **environment: str) -> list[dict[str, Any]]:
    """Run the flow in a process of its own, off a terminal; return its log."""
    done = subprocess.run(
        [sys.executable, "-c", EAGER],
        cwd=project.root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_log_is_json_to_its_end(project: Project, prefect_home: Path) -> None:
    """Off a terminal every line on stderr is an object, what Prefect says of its server too; its start is no silence."""
    lines = log_of_a_run(project, PREFECT_HOME=str(prefect_home), PREFECT_API_DATABASE_MIGRATE_ON_START="0")

    assert any(line["event"].startswith("Starting temporary server") for line in lines)
    assert lines[-1]["event"].startswith("Stopping temporary server")
    assert "starting Prefect's temporary server" in {line.get("doing") for line in lines}


def test_log_says_who_records_the_run(project: Project, prefect_server: PrefectServer) -> None:
    """Where a server is named, the first line tells which, in the same form."""
    first, *_ = log_of_a_run(project, PREFECT_API_URL=prefect_server.url)

    assert (first["event"], first["server"], first["source"]) == ("run recorded", prefect_server.url, "PREFECT_API_URL")


def test_ctrl_c_spares_the_temporary_server(project: Project, prefect_home: Path) -> None:
    """Ctrl-C reaches every process of the command, and Prefect's server all the same records how the run ended."""
    project.write({"3_slow.sql": f"-- Slow.\nCREATE TABLE slow (id int);\n{AT_THE_GATE};\n"})
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.migrate"],
        cwd=project.root,
        env=os.environ | {"PREFECT_HOME": str(prefect_home), "PREFECT_API_DATABASE_MIGRATE_ON_START": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with lock_holder(project.database, GATE), observed(process):
        backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT, err
    assert "Error: Interrupted: 2 migrations applied, 1 left." in err
    assert "could not be told" not in err
    with sqlite3.connect(prefect_home / "prefect.db") as connection:
        assert connection.execute("SELECT state_type FROM flow_run").fetchall() == [("FAILED",)]
    connection.close()
    assert project.versions() == ["1", "2"]
    assert not project.exists("slow")
