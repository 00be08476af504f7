"""
The demo: the real flow over the example, on the embedded PostgreSQL, and a summary for a person.

``make demo`` runs it. Its only preparation are the two roles that the example expects the server to have.
"""

import os
import sys
from pathlib import Path

import click

from flows import project_root
from flows.migrate import MigrateRequest, run
from flows.report import FAILED, NOT_REACHED, RunReport, seconds
from pgrollout import settings
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.postgres import embedded
from pgrollout.postgres.connection import connect
from pgrollout.stages.apply import ApplyReport
from pgrollout.stages.backup import BackupReport
from pgrollout.stages.build import BuildReport
from pgrollout.stages.stage import Outcome

ROLES = ("reader_app", "reader_readonly")
SHOWN = 6
"""Migrations listed by name; of more, the first and the last."""


def main() -> None:
    """Run the demo; the process ends with the exit code of the flow."""
    sys.exit(demo())


def demo() -> ExitCode:
    """Run the flow over the example on the embedded server, whatever URL the environment names."""
    for variable in (*settings.LIBPQ_TARGETS, "DATABASE_URL", "PGROLLOUT_URL"):
        os.environ.pop(variable, None)
    try:
        database = settings.load("reader")
        with embedded.server(database.root) as server:
            click.echo(f"PostgreSQL {server.version}, embedded; its data are in {server.kept_in}.")
            make_roles()
            code, report = run(MigrateRequest(database="reader", reason="make demo"))
    except PgrolloutError as error:
        click.echo(f"Error: {error}", err=True)
        return error.code
    if report is not None:
        show(report, code)
    return code


def make_roles() -> None:
    """Create the roles that the example's GRANT statements name; migrations make none, roles belong to the server."""
    database = settings.load("reader")
    with connect(database, application_name="pgrollout/demo") as connection:
        have = {role for (role,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            if role not in have:
                connection.execute(f"CREATE ROLE {role} NOLOGIN".encode())


def show(report: RunReport, code: ExitCode) -> None:
    """Print the summary: stages, migrations, where things are, what to try next."""
    click.echo("")
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        _table(report)
    else:
        for end in report.stages():
            click.echo(f"  {end.name:<9} {end.outcome:<14} {end.took:>8}  {end.summary}")
    applied, built = report.reports.get("apply"), report.reports.get("build")
    dumped = report.reports.get("backup")
    click.echo("")
    if isinstance(applied, ApplyReport):
        _migrations(applied)
    if isinstance(dumped, BackupReport) and dumped.path:
        click.echo(f"Backup      {_short(Path(dumped.path))}")
    if isinstance(built, BuildReport):
        click.echo(f"Release     {_short(built.path)}  ({built.release[:19]}…)")
    home = _short(Path(os.environ["PREFECT_HOME"]))
    click.echo(f"History     {report.page or f'{home}; `make ui` shows it in the browser'}")
    if code is ExitCode.DONE:
        click.echo("\nWhat to try next")
        for command, what in _next(applied, dumped):
            click.echo(f"  {command:<28} {what}" if len(command) < 28 else f"  {command}\n{'':<30} {what}")


def _migrations(applied: ApplyReport) -> None:
    if not applied.applied:
        click.echo(f"Migrations  nothing to do: version {applied.after} is the newest, and it is applied.")
        return
    files = [f"{file.name}  {seconds(file.duration_ms)}" for file in applied.applied]
    if len(files) > SHOWN:
        left_out = len(files) - SHOWN + 1
        files = [*files[: SHOWN - 2], f"… {left_out} more …", files[-1]]
    click.echo(f"Migrations  {len(applied.applied)} applied, now at version {applied.after}")
    for line in files:
        click.echo(f"            {line}")


def _next(applied: object, dumped: object) -> list[tuple[str, str]]:
    first = isinstance(applied, ApplyReport) and bool(applied.applied)
    again = [("make demo", "again: there is nothing to do, and it says so")] if first else []
    path = dumped.path if isinstance(dumped, BackupReport) else None
    restore = [(f"pgrollout restore {_short(Path(path))} --into copy", "bring the backup back, beside")] if path else []
    return [
        *again,
        ("make ui", "the run page, and the form that starts a run"),
        (". .venv/bin/activate", "so that `pgrollout` is found, then:"),
        ("pgrollout new add_something", "write a migration into the new file, then pgrollout hash"),
        ("pgrollout validate", "what the linter and the shadow say of it"),
        ("pgrollout apply --dry-run", "what would be applied; without --dry-run it is"),
        *restore,
    ]


def _table(report: RunReport) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {str(Outcome.DONE): "green", FAILED: "red", NOT_REACHED: "dim"}
    table = Table(box=None, header_style="bold")
    for heading in ("Stage", "Outcome", "Took", ""):
        table.add_column(heading, justify="right" if heading == "Took" else "left")
    for end in report.stages():
        colour = colours.get(end.outcome, "cyan")
        table.add_row(end.name, f"[{colour}]{end.outcome}[/]", end.took, end.summary)
    Console().print(table)


def _short(path: Path) -> str:
    """The path as one types it in the project."""
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


if __name__ == "__main__":
    main()
