"""``pgrollout restore``: bring a backup back."""

from pathlib import Path

import click

from pgrollout.commands.options import answer, database_options, dry_run_option, example, format_option, sentence
from pgrollout.errors import ConfigurationError
from pgrollout.settings import Database, target
from pgrollout.stages import restore


@click.command(
    name="restore",
    epilog=example("createdb reader_restored && pgrollout restore BACKUP --url postgresql:///reader_restored"),
)
@database_options
@click.option("--into", metavar="NAME", help="On the embedded server: the database to restore into, made if missing.")
@click.option("--no-owner", is_flag=True, help="Leave out owners and grants: everything belongs to who restores.")
@dry_run_option
@format_option
@click.argument("path", metavar="BACKUP", type=click.Path(path_type=Path, file_okay=False))
def command(database: Database, into: str | None, no_owner: bool, dry_run: bool, output: str, path: Path) -> None:
    """
    Bring BACKUP, a folder that `pgrollout backup` made, back into an empty database.

    Every file is compared with the manifest first. All of it is restored, or nothing.
    """
    if into is not None:
        where = target(database)
        if where.kind != "embedded":
            advice = "Make a new database there, and name it in --url."
            raise ConfigurationError("--into", f"the database is given by {where.source}.", advice)
        database = database.model_copy(update={"name": into})
    report = restore.run(restore.RestoreRequest(database=database, path=path, no_owner=no_owner, dry_run=dry_run))
    answer(report.model_dump_json(indent=2) if output == "json" else sentence(report.summary))
