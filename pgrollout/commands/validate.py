"""``pgrollout validate``: split, parse, lint and replay the directory."""

import os
import sys
from pathlib import Path

import click

from pgrollout.annotations import as_annotations
from pgrollout.commands.options import answer, database_options, example, release_option, setting_options
from pgrollout.sarif import as_sarif
from pgrollout.settings import Database
from pgrollout.stages import validate


@click.command(name="validate", epilog=example("pgrollout validate --offline --format json"))
@database_options
@setting_options(
    click.option(
        "--shadow-server",
        type=click.Choice(["embedded", "url", "none"]),
        help="Where the shadow database is made.  [embedded]",
    ),
    click.option("--shadow-url-env", metavar="VARIABLE", help="Variable with the URL of a server that may be filled."),
    keys=("shadow_server", "shadow_url_env"),
)
@click.option("--to-version", metavar="VERSION", help="Last version that would be applied, inclusive.")
@click.option("--baseline", metavar="VERSION", help="Version that an existing database already has.")
@click.option("--allow-dirty", is_flag=True, help="The database may have tables and no history.")
@click.option("--offline", is_flag=True, help="Leave the database alone: no plan, and all files are linted.")
@click.option("--atlas-strict", is_flag=True, help="Refuse what the Atlas CLI itself would refuse.")
@release_option
@click.option(
    "--format", "output", type=click.Choice(["text", "json", "github", "sarif"]), default="text", show_default=True,
    help="The answer's form: github for a job's annotations, sarif for code scanning.",
)  # fmt: skip
def command(
    database: Database,
    to_version: str | None,
    baseline: str | None,
    allow_dirty: bool,
    offline: bool,
    atlas_strict: bool,
    release: str | None,
    output: str,
) -> int:
    """
    Split, parse, lint and replay the directory on a shadow database, and plan.

    Findings are about pending files; applied ones are history. Ends with 3 when a rule refuses, 2 when a file cannot be
    read, 1 when it is no SQL or does not replay.
    """
    report = validate.examine(
        validate.ValidateRequest(
            database=database,
            release=release,
            to_version=to_version,
            baseline=baseline,
            allow_dirty=allow_dirty,
            offline=offline,
            atlas_strict=atlas_strict,
        )
    )
    if output == "json":
        answer(report.model_dump_json(indent=2))
        return report.exit_code
    if output == "sarif":
        answer(as_sarif(report.findings, _folder(database)))
        return report.exit_code
    if output == "github":
        for line in as_annotations(report.findings, _folder(database)):
            answer(line)
        answer(f"{report.summary}.")
        return report.exit_code
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for finding in report.findings:
        severity = (
            click.style(finding.severity, fg=_COLOURS[finding.severity], bold=True) if colour else finding.severity
        )
        code = f" {finding.code}" if finding.code else ""
        answer(f"{finding.file}:{finding.line}:{finding.column}: {severity}{code}: {finding.message}")
        if finding.excerpt:
            answer(finding.excerpt)
        if finding.remedy:
            answer(f"    {finding.remedy}")
    for line in report.waived:
        answer(f"waived: {line}")
    for line in report.not_analysed:
        answer(f"not analysed: {line}")
    answer(f"{report.summary}.")
    if report.plan is not None:
        answer(f"{len(report.plan.files)} pending; plan {report.plan_digest}")
    return report.exit_code


def _folder(database: Database) -> str:
    """Return the migration directory as the repository has it: GitHub says where that is checked out."""
    path = database.migrations_path.resolve()
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}
