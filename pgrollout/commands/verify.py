"""``pgrollout verify``: compare the live database with what the directory makes."""

import click

from pgrollout.commands.options import (
    answer,
    database_options,
    example,
    format_option,
    release_option,
    sentence,
    setting_options,
)
from pgrollout.settings import Database
from pgrollout.stages import verify


@click.command(name="verify", epilog=example("pgrollout verify --database reader"))
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
@click.option("--allow-pending", is_flag=True, help="Do not call pending migrations an incomplete history.")
@release_option
@format_option
def command(database: Database, allow_pending: bool, release: str | None, output: str) -> int:
    """
    Compare the live database with what the directory makes on a shadow database.

    Also: the history is complete, no index is invalid, no constraint is NOT VALID unless the SQL says so. Ends with 1
    when something differs, object by object. Reads only.
    """
    request = verify.VerifyRequest(database=database, release=release, allow_pending=allow_pending)
    report = verify.examine(request)
    if output == "json":
        answer(report.model_dump_json(indent=2))
    else:
        for difference in report.differences:
            answer(f"differs: {difference}")
        for note in report.notes:
            answer(f"note: {note}")
        answer(f"{sentence(report.summary)}.")
    return 1 if report.differences else 0
