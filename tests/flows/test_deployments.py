"""Deployments: what prefect.yaml registers can be started, and schedules are kept."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowRunFilter
from prefect.client.schemas.responses import DeploymentResponse
from prefect.flows import load_flow_from_entrypoint

from pgrollout import settings
from tests.flows.conftest import PrefectServer
from tests.project import eventually

ROOT = Path(__file__).parent.parent.parent
PREFECT_FILE = ROOT / "deployments" / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(PREFECT_FILE.read_text())["deployments"]

every_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


@every_deployment
def test_entrypoint_loads(deployment: dict[str, Any]) -> None:
    """An entry point is a module's flow, found from any folder, and its parameters are ones that the flow takes."""
    assert ":" not in deployment["entrypoint"]

    found: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])

    model = inspect.signature(found.fn).parameters["request"].annotation
    request = model.model_validate(found.validate_parameters(deployment["parameters"])["request"])
    assert request.database in settings.database_names({}, ROOT)


def prefect(server: PrefectServer, *arguments: str) -> None:
    """Run Prefect's command line from a folder that is not the project's."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env=os.environ | {"PREFECT_API_URL": server.url},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def deployed(name: str) -> DeploymentResponse:
    """Return the registered deployment of that name; there is exactly one."""
    wanted = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
    with get_client(sync_client=True) as client:
        (found,) = client.read_deployments(deployment_filter=wanted)
    return found


def test_deploy_all_registers_everything(prefect_server: PrefectServer) -> None:
    """The commands that the file names work."""
    prefect(prefect_server, "work-pool", "create", "migrations", "--type", "process", "--overwrite")

    prefect(prefect_server, "deploy", "--all", "--prefect-file", str(PREFECT_FILE))

    for deployment in DEPLOYMENTS:
        found = deployed(deployment["name"])
        assert (found.entrypoint, found.parameters) == (deployment["entrypoint"], deployment["parameters"])
        assert found.work_pool_name == "migrations"


def test_schedule_makes_runs(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """A deployment with a cron schedule gets scheduled runs, with its own parameters."""
    night = {
        "name": "nightly",
        "entrypoint": "flows.migrate.migrate",
        "work_pool": {"name": "nights"},
        "schedules": [{"cron": "17 3 * * *", "slug": "night", "parameters": {"request": {"dry_run": True}}}],
    }
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"name": "n", "pull": [], "deployments": [night]}))
    prefect(prefect_server, "work-pool", "create", "nights", "--type", "process", "--overwrite")

    prefect(prefect_server, "deploy", "--all", "--prefect-file", str(tmp_path / "prefect.yaml"))

    of_it = FlowRunFilter.model_validate({"deployment_id": {"any_": [deployed("nightly").id]}})
    with get_client(sync_client=True) as client:
        runs = eventually(lambda: client.read_flow_runs(flow_run_filter=of_it), "a scheduled run")
    assert all(run.state is not None and run.state.is_scheduled() for run in runs)
    assert runs[0].parameters == {"request": {"dry_run": True}}
