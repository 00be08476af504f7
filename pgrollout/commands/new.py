"""``pgrollout new``: add a migration to the directory."""

import json
from datetime import UTC, datetime

import click

from pgrollout.commands.options import answer, database_options, dry_run_option, example, format_option
from pgrollout.directory import new_migration
from pgrollout.settings import Database


@click.command(name="new", epilog=example("pgrollout new add_orders_customer_fk"))
@database_options
@dry_run_option
@format_option
@click.argument("name", default="")
def command(database: Database, name: str, dry_run: bool, output: str) -> None:
    """Add an empty migration, <UTC time>_NAME.sql, and write atlas.sum anew; the directory must match it before."""
    file = new_migration(database.migrations_path, name, datetime.now(UTC), dry_run=dry_run)
    answer(json.dumps({"file": str(file), "dry_run": dry_run}, ensure_ascii=False) if output == "json" else str(file))
