"""``pgrollout backup``: dump the database."""

import click

from pgrollout.commands.options import (
    answer,
    database_options,
    dry_run_option,
    example,
    format_option,
    sentence,
    setting_options,
)
from pgrollout.settings import Database
from pgrollout.stages import backup


@click.command(name="backup", epilog=example("pgrollout backup --database reader --backup-dir /backups"))
@database_options
@setting_options(
    click.option("--backup-dir", metavar="PATH", help="Folder that backups are written to.  [.pgrollout/backups]"),
    click.option("--backup-jobs", type=click.IntRange(min=1), metavar="N", help="Tables dumped at the same time.  [4]"),
    click.option(
        "--backup",
        "backup",
        type=click.Choice(["dump", "schema", "none"]),
        help="Everything, no rows, nothing.  [dump]",
    ),
    keys=("backup_dir", "backup_jobs", "backup"),
)
@dry_run_option
@format_option
def command(database: Database, dry_run: bool, output: str) -> None:
    """
    Dump the database with pg_dump, and check that the dump can be read back.

    The free space is compared with the database's size first. `pgrollout restore` brings a backup back.
    """
    report = backup.run(backup.BackupRequest(database=database, dry_run=dry_run))
    answer(report.model_dump_json(indent=2) if output == "json" else sentence(report.summary))
