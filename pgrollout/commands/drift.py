"""``pgrollout drift``: tell what somebody has changed in the live schema."""

import click

from pgrollout.commands.options import (
    answer,
    database_options,
    dry_run_option,
    example,
    release_option,
    sentence,
    setting_options,
)
from pgrollout.errors import ExitCode
from pgrollout.settings import Database
from pgrollout.stages import drift
from pgrollout.stages.drift_text import as_markdown, as_text


@click.command(name="drift", epilog=example("pgrollout drift --database reader --no-directory"))
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
@click.option("--no-directory", is_flag=True, help="Compare with the last run only: no shadow, no directory.")
@release_option
@dry_run_option
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="The answer's form.",
)
def command(database: Database, no_directory: bool, release: str | None, dry_run: bool, output: str) -> int:
    """
    Compare the live schema with what the last run left, and with what the directory makes.

    Ends with 3 when somebody has changed it since, object by object and since which check. Writes nothing but the check
    itself, into the ledger; not even that with --dry-run.
    """
    request = drift.DriftRequest(database=database, release=release, no_directory=no_directory, dry_run=dry_run)
    report = drift.examine(request)
    if output == "json":
        answer(report.model_dump_json(indent=2))
    elif output == "markdown":
        answer(as_markdown(report))
    else:
        for each in as_text(report):
            answer(each)
        answer(f"{sentence(report.summary)}.")
    return ExitCode.REFUSED if report.drift else ExitCode.DONE
