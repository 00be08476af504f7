"""``pgrollout resolve``: say whether a statement took effect whose end nobody saw."""

import json

import click

from pgrollout.commands.options import answer, database_options, dry_run_option, example, format_option
from pgrollout.settings import Database
from pgrollout.stages.by_hand import resolve


@click.command(
    name="resolve",
    epilog=example("pgrollout resolve 20260314091500 2 --as done --reason 'the partition is detached, see \\d+ items'"),
)
@database_options
@click.option("--as", "verdict", type=click.Choice(["done", "run-again"]), required=True, help="What is the case.")
@click.option("--reason", metavar="TEXT", required=True, help="How you know, for the ledger.")
@dry_run_option
@format_option
@click.argument("version")
@click.argument("statement", type=click.IntRange(min=1))
def command(
    database: Database, verdict: str, reason: str, dry_run: bool, output: str, version: str, statement: int
) -> None:
    """
    Say whether a statement took effect whose end nobody saw.

    A run that died in a statement outside a transaction cannot know. `done` records it, `run-again` lets the next run
    execute it again. STATEMENT counts from 1.
    """
    if not reason.strip():
        raise click.UsageError("--reason is empty: say how you know.")
    intent = resolve(database, version, statement, took_effect=verdict == "done", reason=reason, dry_run=dry_run)
    if output == "json":
        body = {"version": version, "statement": statement, "resolved": verdict, "text": intent.statement}
        answer(json.dumps({**body, "dry_run": dry_run}, ensure_ascii=False))
    elif dry_run:
        answer(f"Would record statement {statement} of version {version} as {verdict}.")
    else:
        answer(f"Statement {statement} of version {version} is recorded as {verdict}. Run `pgrollout apply` to go on.")
