"""``pgrollout new``: add a migration to the directory."""

from datetime import UTC, datetime

import click

from pgrollout.commands.options import answer, database_options, example
from pgrollout.directory import new_migration
from pgrollout.settings import Database


@click.command(name="new", epilog=example("pgrollout new add_orders_customer_fk"))
@database_options
@click.argument("name", default="")
def command(database: Database, name: str) -> None:
    """Add an empty migration, <UTC time>_NAME.sql, and write atlas.sum anew; the directory must match it before."""
    answer(str(new_migration(database.migrations_path, name, datetime.now(UTC))))
