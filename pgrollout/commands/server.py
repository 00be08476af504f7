"""``pgrollout server``: keep the embedded PostgreSQL running."""

import json

import click

from pgrollout.commands.options import answer, database_options, example, format_option
from pgrollout.errors import ConfigurationError
from pgrollout.interrupts import until_interrupted
from pgrollout.postgres import embedded
from pgrollout.settings import Database, target


@click.command(name="server", epilog=example('pgrollout server & psql "$(pgrollout server --print-url)"'))
@database_options
@click.option("--print-url", is_flag=True, help="Print the URL of the running server's database, and end.")
@format_option
def command(database: Database, print_url: bool, output: str) -> None:
    """
    Keep the embedded PostgreSQL running until Ctrl-C.

    Commands that need it start it themselves and stop it after. `status` and `plan` do not: they look, and start nothing.
    """
    where = target(database)
    if where.kind != "embedded":
        raise ConfigurationError("pgrollout server", f"the database is given by {where.source}.", "It runs elsewhere.")
    with embedded.server(database.root, start=not print_url) as server:
        url = server.database(database.name)
        answer(json.dumps({"url": url, "version": server.version}) if output == "json" else url)
        if not print_url:
            click.echo("Running; Ctrl-C stops it.", err=True)
            until_interrupted()
