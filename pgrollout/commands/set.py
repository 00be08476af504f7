"""``pgrollout set``: make a version the current one in the history."""

import json

import click

from pgrollout.commands.options import answer, database_options, dry_run_option, example, format_option
from pgrollout.settings import Database
from pgrollout.stages.by_hand import set_current


@click.command(name="set", epilog=example("pgrollout set 20260314091500 --reason 'applied by hand during the outage'"))
@database_options
@click.option("--reason", metavar="TEXT", default="", help="Why, for the ledger.")
@click.option(
    "--keep-schema",
    is_flag=True,
    help="Keep the schema as it is for what the database has at that version; verify builds upon it.",
)
@dry_run_option
@format_option
@click.argument("version", required=False)
def command(
    database: Database, reason: str, keep_schema: bool, dry_run: bool, output: str, version: str | None
) -> None:
    """
    Make VERSION the current one in the history, without running anything.

    Newer rows are deleted; files up to it without a row are recorded as manually set; a partial row of VERSION counts as done.
    Without VERSION the last file is meant. Output and effect are those of `atlas migrate set`. Where there was no history, the
    schema is kept as with --keep-schema.
    """
    edit = set_current(database, version, reason, keep_schema=keep_schema, dry_run=dry_run)
    added = [(m.version, m.description) for m in edit.added]
    added += [(r.version, r.description) for r in edit.resolved]
    removed = [(r.version, r.description) for r in edit.removed]
    if output == "json":
        body = {
            "current": edit.target,
            "set": [v for v, _ in added],
            "removed": [v for v, _ in removed],
            "dry_run": dry_run,
        }
        answer(json.dumps(body, ensure_ascii=False))
        return
    if edit.is_empty:
        return
    if edit.target is None:
        answer(f"All revisions deleted ({len(removed)} in total):\n")
    else:
        counts = [f"{len(added)} set"] * bool(added) + [f"{len(removed)} removed"] * bool(removed)
        answer(f"Current version is {edit.target} ({', '.join(counts)}):\n")
    marked = sorted([(v, "+", d) for v, d in added] + [(v, "-", d) for v, d in removed])
    for found, sign, description in marked:
        answer(f"  {sign} {found}{f' ({description})' if description else ''}")
    answer("")
