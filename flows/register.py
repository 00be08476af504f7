"""
Registration: makes known on a Prefect server what can be started there; ``python -m flows.register``.

A work pool, and for each database of the configuration a deployment of each flow. As often as one likes: what is there is
changed where it differs, and keeps its id. What others have made stays, and so does what is an operator's to switch: a
deployment that is paused, a schedule that is off. ``deployments/prefect.yaml`` says the same for ``prefect deploy``.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.workers.base import BaseWorker

from flows.alerts import register_alerts
from flows.api import answered, client
from flows.check_drift import check_drift
from flows.migrate import migrate
from pgrollout import __version__, cli, settings
from pgrollout.commands.logs import set_up_logging
from pgrollout.errors import ConfigurationError, ExitCode, PgrolloutError

log = logging.getLogger("pgrollout.register")

POOL = "migrations"
DRIFT_CRON = "17 3 * * *"
NIGHTLY = "nightly"
"""Slug of the one schedule that is ours."""
ENVIRONMENT = {"PREFECT_LOGGING_EXTRA_LOGGERS": "pgrollout"}
"""What a run's process must know before it imports Prefect, or the stages' log lines are not on its page."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be registered, beside the databases."""

    pool: str = POOL
    pool_type: str = "process"
    base_job_template: Mapping[str, Any] | None = None
    """Of a pool whose worker makes something for each run; None is the type's own."""
    drift_cron: str = DRIFT_CRON
    """When drift is looked for, in UTC; empty is never."""
    drift_is_active: bool = True
    """Whether a schedule that is made now is switched on."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment."""

    flow: Flow[..., Any]
    name: str
    database: str
    description: str
    cron: str = ""

    @property
    def entrypoint(self) -> str:
        """The flow as a module has it: found from any folder, and no path leads elsewhere."""
        return f"{self.flow.__module__}.{self.flow.fn.__name__}"

    @property
    def content(self) -> dict[str, Any]:
        """What the server keeps of it, but for its work pool and its schedule."""
        return {
            "version": __version__,
            "description": self.description,
            "tags": [f"database:{self.database}"],
            "parameters": {"request": {"database": self.database}},
            "parameter_openapi_schema": self.flow.parameters.model_dump(exclude_unset=True),
            "enforce_parameter_schema": True,
            "entrypoint": self.entrypoint,
            # The code is where the worker is: nothing is pulled, and a run starts in an empty folder.
            "pull_steps": [],
            # A courtesy queue; what keeps two runs apart is the lock in the database.
            "concurrency_limit": 1,
            "concurrency_options": ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        }


def wanted(environ: Mapping[str, str] = os.environ) -> Wanted:
    """
    Return what the environment says.

    Raises:
        ConfigurationError: A template that cannot be read, or a schedule that is none.
    """
    cron = environ.get("PGROLLOUT_DRIFT_CRON", DRIFT_CRON).strip()
    if cron:
        try:
            CronSchedule(cron=cron)
        except ValueError as error:
            raise ConfigurationError(
                "PGROLLOUT_DRIFT_CRON", f"{cron!r} is no schedule.", "Write it as 17 3 * * *; empty is never."
            ) from error
    path = environ.get("PGROLLOUT_BASE_JOB_TEMPLATE")
    return Wanted(
        pool=environ.get("PGROLLOUT_WORK_POOL") or POOL,
        pool_type=environ.get("PGROLLOUT_WORK_POOL_TYPE") or "process",
        base_job_template=_template(Path(path)) if path else None,
        drift_cron=cron,
        drift_is_active=environ.get("PGROLLOUT_DRIFT_ACTIVE", "1") != "0",
    )


def deployments(database: str, drift_cron: str) -> Iterator[Deployment]:
    """Yield the deployments of one database."""
    newest = f"Take the database `{database}` to the newest version of its migration directory."
    yield Deployment(migrate, database, database, newest)
    drift = f"Tell what somebody has changed in the database `{database}` past its migrations."
    yield Deployment(check_drift, f"{database}-drift", database, drift, drift_cron)


def register(wants: Wanted, databases: tuple[str, ...], timeout_seconds: float) -> dict[str, UUID]:
    """
    Register everything, once the server answers; return the deployments' ids by their full names.

    Raises:
        ServerUnavailable: The server does not answer in that time.
        ConfigurationError: It refuses us or what we want, or the pool is of another type.
    """
    with client() as server:

        def registered() -> dict[str, UUID]:
            _make_pool(server, wants)
            return {
                f"{each.flow.name}/{each.name}": _make_deployment(server, each, wants)
                for database in databases
                for each in deployments(database, wants.drift_cron)
            }

        # Begun anew where a busy server drops a call: what is done by then is found.
        return answered(registered, timeout_seconds)


def _make_pool(server: SyncPrefectClient, wants: Wanted) -> None:
    try:
        there = server.read_work_pool(wants.pool)
    except ObjectNotFound:
        template = wants.base_job_template or _template_of(wants.pool_type)
        server.create_work_pool(WorkPoolCreate(name=wants.pool, type=wants.pool_type, base_job_template=dict(template)))
        return
    if there.type != wants.pool_type:
        raise ConfigurationError(
            f"Work pool {wants.pool}",
            f"it is there, and of type {there.type}, not {wants.pool_type}.",
            "Name another one in PGROLLOUT_WORK_POOL, or delete it: prefect work-pool delete " + wants.pool,
        )
    if wants.base_job_template is not None and there.base_job_template != wants.base_job_template:
        server.update_work_pool(wants.pool, WorkPoolUpdate(base_job_template=dict(wants.base_job_template)))


def _make_deployment(server: SyncPrefectClient, deployment: Deployment, wants: Wanted) -> UUID:
    schedule = CronSchedule(cron=deployment.cron, timezone="UTC") if deployment.cron else None
    new = DeploymentScheduleCreate(schedule=schedule, active=wants.drift_is_active, slug=NIGHTLY) if schedule else None
    try:
        there = server.read_deployment_by_name(f"{deployment.flow.name}/{deployment.name}")
    except ObjectNotFound:
        return server.create_deployment(
            flow_id=server.create_flow(deployment.flow),
            name=deployment.name,
            work_pool_name=wants.pool,
            job_variables={"env": ENVIRONMENT},
            schedules=[new] if new else [],
            **deployment.content,
        )
    if there.work_pool_name not in (None, wants.pool):
        # Another project's database of the same name, on the same server, would look like this.
        log.warning(
            "deployment moved name=%s from_pool=%s to_pool=%s", deployment.name, there.work_pool_name, wants.pool
        )
    variables = {**there.job_variables, "env": {**there.job_variables.get("env", {}), **ENVIRONMENT}}
    # Without its schedules: Prefect would replace them all.
    server.update_deployment(
        there.id, DeploymentUpdate(work_pool_name=wants.pool, job_variables=variables, **deployment.content)
    )
    _make_schedule(server, there, schedule, new)
    return there.id


def _make_schedule(
    server: SyncPrefectClient,
    deployment: DeploymentResponse,
    schedule: CronSchedule | None,
    new: DeploymentScheduleCreate | None,
) -> None:
    """Add, change or remove the one schedule that is ours; whether it is switched on is the operator's."""
    ours = [each for each in deployment.schedules if each.slug == NIGHTLY]
    if new is None:
        for each in ours:
            server.delete_deployment_schedule(deployment.id, each.id)
    elif not ours:
        server.create_deployment_schedules(deployment.id, [new])
    elif ours[0].schedule != schedule:
        server.update_deployment_schedule(deployment.id, ours[0].id, schedule=schedule)


def _template(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else f"is no JSON: {error}"
        raise ConfigurationError(f"PGROLLOUT_BASE_JOB_TEMPLATE, {path}", f"cannot be used: {problem}.") from error
    if not isinstance(found, dict) or not {"job_configuration", "variables"} <= found.keys():
        raise ConfigurationError(
            f"PGROLLOUT_BASE_JOB_TEMPLATE, {path}",
            "is no base job template.",
            "It has job_configuration and variables, as `prefect work-pool get-default-base-job-template` shows.",
        )
    return found


def _template_of(pool_type: str) -> Mapping[str, Any]:
    worker = BaseWorker.get_worker_class_from_type(pool_type)
    if worker is None:
        raise ConfigurationError(
            "PGROLLOUT_WORK_POOL_TYPE", f"nobody here knows {pool_type}.", "It is process, or kubernetes."
        )
    return worker.get_default_base_job_template()


@click.command(name="python -m flows.register")
@click.option(
    "--timeout-seconds",
    metavar="S",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="How long to wait for the server.",
)
def command(timeout_seconds: int) -> None:
    """Register the work pool, the deployments and the alerts on the Prefect server that PREFECT_API_URL names."""
    databases = settings.database_names()
    for name, deployment_id in register(wanted(), databases, timeout_seconds).items():
        click.echo(f"{deployment_id}  {name}")
    # Also where nobody is to be told: those that were registered before go then.
    for alert in answered(lambda: register_alerts(databases), timeout_seconds):
        click.echo(f"alert  {alert}")


def main() -> None:
    """Run the registration; the process ends with the exit code of the contract."""
    set_up_logging(None, verbose=False)
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except PgrolloutError as error:
        cli.tell(error)
        sys.exit(error.code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Run it again: what is registered already stays as it is.", err=True)
        sys.exit(ExitCode.WAIT)


if __name__ == "__main__":
    main()
