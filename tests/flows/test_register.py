"""Registration: what a server knows afterwards, how often one may, and what is left alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.register import DRIFT_CRON, Wanted, deployments, register, wanted
from pgrollout.errors import ConfigurationError, ExitCode, ServerUnavailable
from tests.flows.conftest import PrefectServer
from tests.flows.test_deployments import DEPLOYMENTS

SECONDS = 30.0


def deployment(name: str) -> DeploymentResponse:
    """Return what the server has of it."""
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(name)


def tagged(database: str) -> list[str]:
    """Return the names of the deployments of a database."""
    chosen = DeploymentFilter(tags=DeploymentFilterTags(all_=[f"database:{database}"]))
    with get_client(sync_client=True) as client:
        return sorted(each.name for each in client.read_deployments(deployment_filter=chosen))


def test_every_database_gets_its_deployments(prefect_server: PrefectServer) -> None:
    """Both flows of each database can be started, by an entry point that is found anywhere, one run after the other."""
    made = register(Wanted(pool="fleet"), ("orders", "stock"), SECONDS)

    assert sorted(made) == [
        "check-drift/orders-drift", "check-drift/stock-drift", "migrate/orders", "migrate/stock",
    ]  # fmt: skip
    for name, deployment_id in made.items():
        found = deployment(name)
        assert found.id == deployment_id
        assert load_flow_from_entrypoint(str(found.entrypoint)).name == name.partition("/")[0]
        assert found.work_pool_name == "fleet"
        assert found.pull_steps == []
        assert found.global_concurrency_limit is not None
        assert found.global_concurrency_limit.limit == 1
    assert [each.schedule for each in deployment("check-drift/stock-drift").schedules] == [
        CronSchedule(cron=DRIFT_CRON, timezone="UTC")
    ]


def test_again_is_the_same(prefect_server: PrefectServer) -> None:
    """A second registration keeps every id and doubles nothing; what differs by then is changed, and taken away."""
    first = register(Wanted(pool="twice"), ("twice",), SECONDS)
    (before,) = deployment("check-drift/twice-drift").schedules

    assert register(Wanted(pool="twice", drift_cron="5 4 * * *"), ("twice",), SECONDS) == first

    (after,) = deployment("check-drift/twice-drift").schedules
    assert (after.id, after.schedule) == (before.id, CronSchedule(cron="5 4 * * *", timezone="UTC"))
    assert tagged("twice") == ["twice", "twice-drift"]

    register(Wanted(pool="twice", drift_cron=""), ("twice",), SECONDS)
    assert deployment("check-drift/twice-drift").schedules == []


def test_what_is_an_operators_stays(prefect_server: PrefectServer) -> None:
    """A schedule of their own, one that they have switched off, a pause and a variable of a worker's survive."""
    made = register(Wanted(pool="theirs"), ("theirs",), SECONDS)
    own = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 0 1 1 *", timezone="UTC"), active=False)
    with get_client(sync_client=True) as client:
        drift = made["check-drift/theirs-drift"]
        (ours,) = deployment("check-drift/theirs-drift").schedules
        client.update_deployment_schedule(drift, ours.id, active=False)
        client.create_deployment_schedules(drift, [own])
        client.update_deployment(drift, DeploymentUpdate(paused=True, job_variables={"env": {"TZ": "UTC"}}))

    register(Wanted(pool="theirs", drift_cron="5 4 * * *"), ("theirs",), SECONDS)

    found = deployment("check-drift/theirs-drift")
    assert {(str(each.schedule.cron), each.active) for each in found.schedules if hasattr(each.schedule, "cron")} == {
        ("5 4 * * *", False),
        ("0 0 1 1 *", False),
    }
    assert found.paused
    assert found.job_variables["env"] == {"TZ": "UTC", "PREFECT_LOGGING_EXTRA_LOGGERS": "pgrollout"}


def test_pool_takes_its_template(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """A template that is named becomes the pool's, and a newer one after it; a pool of another type is refused."""
    path = tmp_path / "template.json"
    for image in ("one", "two"):
        template: dict[str, Any] = {
            "job_configuration": {"image": "{{ image }}"},
            "variables": {"properties": {"image": {"default": image}}},
        }
        path.write_text(json.dumps(template))
        environment = {
            "PGROLLOUT_WORK_POOL": "pods", "PGROLLOUT_WORK_POOL_TYPE": "kubernetes", "PGROLLOUT_BASE_JOB_TEMPLATE": str(path),
        }  # fmt: skip

        register(wanted(environment), (), SECONDS)

        with get_client(sync_client=True) as client:
            pool = client.read_work_pool("pods")
        assert (pool.type, pool.base_job_template) == ("kubernetes", template)

    with pytest.raises(ConfigurationError, match="Work pool pods: it is there, and of type kubernetes, not process"):
        register(Wanted(pool="pods"), (), SECONDS)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PGROLLOUT_DRIFT_CRON", "nightly", "'nightly' is no schedule. Write it as 17 3"),
        ("PGROLLOUT_BASE_JOB_TEMPLATE", "/nowhere", "/nowhere: cannot be used: No such file"),
        ("PGROLLOUT_BASE_JOB_TEMPLATE", __file__, "cannot be used: is no JSON"),
    ],
)
def test_what_cannot_be_is_refused(variable: str, value: str, said: str) -> None:
    """A wrong setting is named before a server is asked."""
    with pytest.raises(ConfigurationError, match=said) as refused:
        wanted({variable: value})

    assert refused.value.code is ExitCode.USAGE


def test_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is waited for as long as is asked; without an address there is none to wait for."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(ServerUnavailable) as waited:
        register(Wanted(), (), 0.1)
    with (
        temporary_settings({PREFECT_API_URL: None}),
        pytest.raises(ConfigurationError, match="PREFECT_API_URL: is not"),
    ):
        register(Wanted(), (), 0.1)

    assert waited.value.code is ExitCode.WAIT


def test_prefect_yaml_says_the_same() -> None:
    """Whoever deploys with Prefect's own command gets what registration makes."""
    shown = {each["name"]: each for each in DEPLOYMENTS}

    for each in deployments("reader", DRIFT_CRON):
        found = shown.pop(each.name)
        assert (found["entrypoint"], found["description"]) == (each.entrypoint, each.description)
        assert (found["tags"], found["parameters"]) == (each.content["tags"], each.content["parameters"])
        assert found["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
        assert [schedule["cron"] for schedule in found.get("schedules", [])] == ([each.cron] if each.cron else [])
    assert not shown
