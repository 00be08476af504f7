"""
Flow migrate: take one database to the directory's newest version, through all six stages.

Prefect's state of a run is a report, never the truth: the database's own history is. A server that dies in mid-run does not
stop the migration, and a rerun finds nothing to do.
"""

import os
import sys
from typing import Any

import click
from prefect import flow, runtime
from pydantic import BaseModel, ConfigDict, Field

from flows import foreground
from flows.ending import tells_exit_code
from flows.failure import tell_operator
from flows.pipeline import page, publish_plan, reported, run_id
from flows.report import RunReport
from pgrollout import cli, settings
from pgrollout.commands.options import database_options, dry_run_option, example, format_option, release_option
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.settings import Database
from pgrollout.stages.apply import ApplyRequest, TakenBackup
from pgrollout.stages.backup import BackupRequest
from pgrollout.stages.build import BuildRequest
from pgrollout.stages.hash import HashRequest
from pgrollout.stages.validate import ValidateRequest
from pgrollout.stages.verify import VerifyRequest
from tasks.apply import apply
from tasks.backup import backup
from tasks.build import build
from tasks.hash import hash
from tasks.launcher import using
from tasks.validate import validate
from tasks.verify import verify


class MigrateRequest(BaseModel):
    """Which database, how far, and why. Everything may be left as it is."""

    # What an operator reads in the browser's form. Texts rather than optional ones: those need a click to be filled in.
    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field("", description="Its table in pgrollout.toml; may be left empty if there is only one.")
    to_version: str = Field("", description="Last version to apply, inclusive; empty is all.")
    release: str = Field("", description="Digest of the reviewed release; any other directory is refused.")
    image: str = Field("", description="Image with the migrations, for the stages' pods; empty is the runner's own.")
    baseline: str = Field("", description="First run on an existing database: the version it already has.")
    allow_dirty: bool = Field(
        False, description="First run on a database that has tables: run every file on top of them."
    )
    dry_run: bool = Field(False, description="Say what would be done, and change nothing.")
    reason: str = Field("", description="Why, for the ledger and the report.")


DEFAULT = MigrateRequest()


def run_name() -> str:
    """Return the flow run's name: ``migrate-reader``, also where the only database was not named."""
    request = MigrateRequest.model_validate(runtime.flow_run.parameters.get("request", DEFAULT))
    try:
        return f"migrate-{settings.load(request.database or None).name}"
    except PgrolloutError:
        # The flow itself says what is wrong; a run whose name cannot be made would be pending for ever.
        return f"migrate-{request.database or 'unknown'}"


@flow(
    name="migrate",
    flow_run_name=run_name,
    on_failure=[tell_operator],
    on_crashed=[tell_operator],
    persist_result=False,
)
@tells_exit_code
def migrate(request: MigrateRequest = DEFAULT) -> str:
    """Take one database to the newest version: build, validate, hash, backup, apply, verify."""
    database = settings.load(request.database or None)
    report = RunReport(database.name, run_id(), request.dry_run, request.reason, page=page())
    common: dict[str, Any] = {"database": database, "run_id": report.run_id, "dry_run": request.dry_run}
    chosen: dict[str, Any] = {
        "to_version": request.to_version or None,
        "baseline": request.baseline or None,
        "allow_dirty": request.allow_dirty,
    }
    with using(request.image), reported(report) as stage:
        built = stage(build, BuildRequest(**common, release=request.release or None))
        common["release"] = built.release
        checked = stage(validate, ValidateRequest(**common, **chosen))
        publish_plan(checked.plan)
        stage(hash, HashRequest(**common))
        pending = len(checked.plan.files) if checked.plan else 0
        dumped = stage(backup, BackupRequest(**common, pending=pending))
        approved: dict[str, Any] = {"plan": checked.plan_digest, "backup": TakenBackup.of(dumped)}
        started: dict[str, Any] = {"source": f"flow-run {runtime.flow_run.id}", "reason": request.reason}
        applied = stage(apply, ApplyRequest(**common, **chosen, **approved, **started))
        stage(verify, VerifyRequest(**common, allow_pending=request.dry_run or bool(request.to_version)))
    return applied.summary


def run(request: MigrateRequest) -> tuple[ExitCode, RunReport | None]:
    """Run the flow in this process, and return the exit code of the contract; errors are told on stderr."""
    return foreground.run(lambda: migrate(request), settings.load(request.database or None))


@click.command(name="migrate", epilog=example("pgrollout migrate --database reader --dry-run"))
@database_options
@click.option("--to-version", metavar="VERSION", default="", help="Last version to apply, inclusive.")
@click.option(
    "--baseline", metavar="VERSION", default="", help="Version that an existing database already has; not run."
)
@click.option("--allow-dirty", is_flag=True, help="Run on a database that has tables and no history.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the ledger and the report.")
@release_option
@dry_run_option
@format_option
def command(
    database: Database,
    to_version: str,
    baseline: str,
    allow_dirty: bool,
    reason: str,
    release: str | None,
    dry_run: bool,
    output: str,
) -> int:
    """
    Run all six stages as a Prefect flow.

    Without PREFECT_API_URL a server lives as long as the run; its history stays in .pgrollout/prefect.
    """
    if baseline and allow_dirty:
        raise click.UsageError("baseline and allow-dirty are mutually exclusive")
    # The flow's parameters name a database and never say where it is: stages find that as every process does.
    os.environ.update(foreground.as_environment(database))
    request = MigrateRequest(
        database=database.name,
        to_version=to_version,
        release=release or "",
        baseline=baseline,
        allow_dirty=allow_dirty,
        dry_run=dry_run,
        reason=reason,
    )
    code, report = run(request)
    if report is not None:
        click.echo(report.to_json(code) if output == "json" else _answer(report))
    return code


def _answer(report: RunReport) -> str:
    lines = [f"{end.name:<9} {end.outcome:<14} {end.took:>8}  {end.summary}".rstrip() for end in report.stages()]
    return "\n".join([*lines, *([f"Run page: {report.page}"] if report.page else [])])


def main() -> None:
    """Be ``pgrollout migrate``; the process ends with the exit code of the contract."""
    sys.exit(cli.run(["migrate", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
