"""
Flow check-drift: tell what somebody has changed in one database past the migrations.

It fails when something has drifted, each time that it looks: Prefect shows that, and the alert names the objects. Nothing
is changed; the check is a row in the database's own ledger.
"""

import os
import sys

import click
from prefect import flow, runtime
from pydantic import BaseModel, ConfigDict, Field

from flows import foreground
from flows.ending import tells_exit_code
from flows.failure import tell_operator
from flows.pipeline import artifact_key, page, publish_table, reported, run_id
from flows.report import RunReport
from pgrollout import cli, settings
from pgrollout.commands.options import database_options, example, format_option
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.settings import Database
from pgrollout.stages.drift import DriftReport, DriftRequest
from pgrollout.stages.drift_text import as_text, rows
from tasks.check_drift import check_drift as look


class CheckDriftRequest(BaseModel):
    """Which database, and how closely. Everything may be left as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field("", description="Its table in pgrollout.toml; may be left empty if there is only one.")
    no_directory: bool = Field(False, description="Compare with the last run only: no shadow, no directory.")
    reason: str = Field("", description="Why, for the report.")


DEFAULT = CheckDriftRequest()


def run_name() -> str:
    """Return the flow run's name: ``check-drift-reader``, also where the only database was not named."""
    request = CheckDriftRequest.model_validate(runtime.flow_run.parameters.get("request", DEFAULT))
    try:
        return f"check-drift-{settings.load(request.database or None).name}"
    except PgrolloutError:
        # The flow itself says what is wrong; a run whose name cannot be made would be pending for ever.
        return f"check-drift-{request.database or 'unknown'}"


@flow(
    name="check-drift",
    flow_run_name=run_name,
    on_failure=[tell_operator],
    on_crashed=[tell_operator],
    persist_result=False,
)
@tells_exit_code
def check_drift(request: CheckDriftRequest = DEFAULT) -> str:
    """Compare one live database with what its last run left, and with what the directory makes; fail when it has drifted."""
    database = settings.load(request.database or None)
    report = RunReport(database.name, run_id(), reason=request.reason, page=page(), planned=("drift",))
    with reported(report, "drift-report") as stage:
        asked = DriftRequest(database=database, run_id=report.run_id, no_directory=request.no_directory)
        found = stage(look, asked)
        # Also when nothing has drifted: what Prefect shows of the key is the latest.
        publish_table(f"drift-{artifact_key(database.name)}", rows(found), f"{database.name}: {found.summary}")
        if found.drift:
            error = found.error()
            report.refused(error)
            raise error
    return found.summary


def run(request: CheckDriftRequest) -> tuple[ExitCode, RunReport | None]:
    """Run the flow in this process, and return the exit code of the contract; errors are told on stderr."""
    return foreground.run(lambda: check_drift(request), settings.load(request.database or None))


@click.command(name="check-drift", epilog=example("pgrollout check-drift --database reader"))
@database_options
@click.option("--no-directory", is_flag=True, help="Compare with the last run only: no shadow, no directory.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the report.")
@format_option
def command(database: Database, no_directory: bool, reason: str, output: str) -> int:
    """
    Run stage drift as a Prefect flow, with an alert and a table of what has drifted.

    Ends with 3 when something has. Without PREFECT_API_URL a server lives as long as the run.
    """
    # The flow's parameters name a database and never say where it is: stages find that as every process does.
    os.environ.update(foreground.as_environment(database))
    code, report = run(CheckDriftRequest(database=database.name, no_directory=no_directory, reason=reason))
    if report is not None:
        click.echo(report.to_json(code) if output == "json" else _answer(report))
    return code


def _answer(report: RunReport) -> str:
    found = report.report_of("drift", DriftReport)
    lines = [*as_text(found), f"{found.summary}."] if found else []
    return "\n".join([*lines, *([f"Run page: {report.page}"] if report.page else [])])


def main() -> None:
    """Be ``pgrollout check-drift``; the process ends with the exit code of the contract."""
    sys.exit(cli.run(["check-drift", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
