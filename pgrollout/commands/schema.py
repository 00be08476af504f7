"""``pgrollout schema``: show a schema, and what two of them differ in."""

import json
import logging
from collections.abc import Callable
from typing import Any

import click

from pgrollout.catalog.difference_text import as_json, as_markdown, as_text, sides
from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.listing import as_sql, selected
from pgrollout.catalog.listing import as_text as listed
from pgrollout.commands.options import answer, database_options, example, setting_options
from pgrollout.postgres.state import shown_version
from pgrollout.settings import Database, masked
from pgrollout.stages import schema
from pgrollout.stages.schema import Source, source_of

_SOURCES = (
    "A schema is named by run:ID (what that run left), run:ID:before, last (what the last run left), live (the "
    "database), database:NAME (another table of pgrollout.toml), a postgresql:// URL, dir:PATH (a migration directory), "
    "dump:PATH (what pg_dump wrote, or a folder of `pgrollout backup`), or by a path alone. What `schema show --format "
    "json` printed to a file is a schema too."
)

_shadow_options = setting_options(
    click.option(
        "--shadow-server",
        type=click.Choice(["embedded", "url", "none"]),
        help="Where directories and dumps are made.  [embedded]",
    ),
    click.option("--shadow-url-env", metavar="VARIABLE", help="Variable with the URL of a server that may be filled."),
    keys=("shadow_server", "shadow_url_env"),
)


def _format_option(*choices: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--format",
        "output",
        type=click.Choice(["text", *choices]),
        default="text",
        show_default=True,
        help="The answer's form.",
    )


@click.group(
    name="schema",
    epilog=f"{_SOURCES}\n\n{example('pgrollout schema diff last live')}",
    # Said here too: click keeps the first option that it makes, and that may be for a context without ours above it.
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Show a schema, or what two schemas differ in: runs, databases, directories, dumps."""


@command.command(name="show", epilog=f"{_SOURCES}\n\n{example('pgrollout schema show --object public.orders')}")
@database_options
@_shadow_options
@click.option("--run", "run_id", metavar="ID", help="What this run left; the beginning of its id is enough.")
@click.option("--moment", type=click.Choice(["before", "after"]), help="Of a run.  [after]")
@click.option("--at", "at", metavar="SCHEMA", help="Which schema.  [live]")
@click.option(
    "--object", "pattern", metavar="PATTERN",
    help="Only objects whose name, schema.name or `KIND schema.name` matches, with *, ? and […], and what is theirs.",
)  # fmt: skip
@_format_option("json", "sql")
def show(
    database: Database, run_id: str | None, moment: str | None, at: str | None, pattern: str | None, output: str
) -> None:
    """
    Show a schema, object by object: the live database's by default.

    Reads only. The SQL is for reading; what can be restored is written by pg_dump.
    """
    if run_id and at:
        raise click.UsageError("run and at are mutually exclusive")
    if moment and not run_id:
        raise click.UsageError("moment is said of a run: add --run ID, or write --at run:ID:before")
    source = Source("run", run_id, "before" if moment == "before" else "after") if run_id else _source(at or "live")
    had = schema.read_schema(database, source)
    if output == "json":
        answer(schema.as_file(had, pattern))
        return
    objects = selected(had.catalog.objects.values(), pattern)
    if output == "sql":
        answer(as_sql(had.catalog, objects))
        return
    count = f"{len(objects)} of {len(had.catalog.objects)} objects" if pattern else f"{len(objects)} objects"
    answer(f"Schema:      {had.label}, PostgreSQL {shown_version(had.catalog.server_version)}, {count}")
    answer(f"Fingerprint: {fingerprint(had.catalog)}")
    if objects:
        answer(f"\n{listed(objects)}")


@command.command(
    name="diff", epilog=f"{_SOURCES}\n\n{example('pgrollout schema diff run:20261123T101530Z-3fa9c1 live')}"
)
@database_options
@_shadow_options
@_format_option("json", "markdown")
@click.option("--ddl", is_flag=True, help="Show the SQL of what differs, too.")
@click.option("--exit-code", "tells", is_flag=True, help="End with 1 when something differs.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
def diff(database: Database, output: str, ddl: bool, tells: bool, a: str, b: str) -> int:
    """
    Show what two schemas differ in: how to come from A to B.

    Reads only. Ends with 0 also when they differ, unless --exit-code is given.
    """
    found = schema.compare(database, _source(a), _source(b))
    words = sides(found.before.label, found.after.label)
    match output:
        case "json":
            answer(json.dumps(as_json(found.difference, words) | {"notes": found.notes}, indent=2, ensure_ascii=False))
        case "markdown":
            answer(as_markdown(found.difference, words, ddl=ddl))
        case _:
            answer(as_text(found.difference, words, ddl=ddl))
    if output != "json":
        for note in found.notes:
            answer(f"note: {note}")
    return 1 if tells and found.difference else 0


def _source(text: str) -> Source:
    source = source_of(text)
    if source.kind == "url" and masked(text) != text:
        logging.getLogger("pgrollout").warning("the password in a URL is visible to every user of this host")
    return source
