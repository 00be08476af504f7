"""Flow check-drift: it fails on drift, alerts each time, and the run page has a table and a report."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.check_drift import DEFAULT, CheckDriftRequest, check_drift, run
from flows.report import RunReport
from pgrollout.errors import ExitCode
from tests.flows.conftest import PrefectServer
from tests.project import Project

HINT = "CREATE INDEX by_hand ON authors (id)"


@pytest.fixture
def applied(project: Project) -> Project:
    """A project whose files were applied; its name is the artifacts' key, one of this test's own."""
    project.apply()
    (project.root / "pgrollout.toml").write_text(f"[database.{key(project)}]\n")
    return project


def key(project: Project) -> str:
    """Return a name that no other test uses."""
    return project.database.name.replace("_", "-")


def artifacts(key: str) -> list[str]:
    """Return the content of all artifacts of that key, oldest first."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return [str(artifact.data) for artifact in sorted(found, key=lambda each: str(each.created))]


def test_without_drift(applied: Project, prefect_server: PrefectServer) -> None:
    """The flow ends well; table and report are there all the same, so that what is shown is the latest."""
    code, report = run(CheckDriftRequest(reason="a look"))

    assert code is ExitCode.DONE
    assert isinstance(report, RunReport)
    assert report.is_complete
    (table,), (page,) = artifacts(f"drift-{key(applied)}"), artifacts(f"drift-report-{key(applied)}")
    assert json.loads(table) == []
    assert page.startswith(f"# `{key(applied)}`: no drift: ")
    assert "| reason | a look |" in page


def test_drift_fails_the_flow_and_alerts_each_time(
    applied: Project, prefect_server: PrefectServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, an alert for each run with database and object, and a table with what is there and since when."""
    applied.database.execute(HINT)

    codes = [run(DEFAULT)[0] for _ in range(2)]

    assert codes == [ExitCode.REFUSED, ExitCode.REFUSED]
    # Each record goes through two loggers that are listened to.
    told = list(dict.fromkeys(each.getMessage() for each in caplog.records if each.name == "pgrollout.alert"))
    assert len(told) == 2
    assert f"check-drift of database {key(applied)}: Failed at stage drift" in told[1]
    assert "INDEX public.by_hand: made since" in told[1]
    first, second = (json.loads(each) for each in artifacts(f"drift-{key(applied)}"))
    assert [(row["object"], row["property"]) for row in second] == [("INDEX public.by_hand", "made since")]
    assert first[0]["since"] == "this check"
    assert second[0]["since"].endswith(" UTC")
    page = artifacts(f"drift-report-{key(applied)}")[-1]
    assert page.startswith(f"# `{key(applied)}`: 1 object has drifted")
    assert "1 object has drifted" in capfd.readouterr().err


def test_what_cannot_be_checked_is_no_drift(applied: Project, prefect_server: PrefectServer) -> None:
    """A directory that cannot be used ends the flow with its own code, and the report says so."""
    (applied.migrations / "atlas.sum").unlink()

    code, report = run(DEFAULT)

    assert code is ExitCode.MISMATCH
    assert report is not None
    assert report.headline == "failed at drift"
    assert "no atlas.sum" in artifacts(f"drift-report-{key(applied)}")[0]


def test_parameters_are_a_form() -> None:
    """One model with a default, so that the browser shows a form and requires nothing."""
    (parameter,) = inspect.signature(check_drift.fn).parameters.values()

    assert parameter.default == CheckDriftRequest()
    assert check_drift.name == "check-drift"


def test_module_is_the_command(applied: Project, prefect_home: Path) -> None:
    """``python -m flows.check_drift`` says what has drifted, and ends with 3."""
    applied.database.execute(HINT)

    done = subprocess.run(
        [sys.executable, "-c", "from flows.check_drift import main; main()", "--no-directory"],
        cwd=applied.root,
        env=_environment(prefect_home),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("drift: INDEX public.by_hand: made since; first seen by this check")


def _environment(home: Path) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"} | {"PREFECT_HOME": str(home)}
