"""``pgrollout plan``: what a run would do."""

import click

from pgrollout.commands.options import answer, database_options, example, release_option, setting_options
from pgrollout.history import ExecOrder
from pgrollout.plan import Plan
from pgrollout.plan_text import as_markdown, as_text
from pgrollout.settings import Database
from pgrollout.stages.deciding import Choice, plan_of
from pgrollout.stages.overview import overview


@click.command(name="plan", epilog=example("pgrollout plan --format markdown > plan.md"))
@database_options
@setting_options(
    click.option(
        "--exec-order",
        type=click.Choice(["linear", "linear-skip", "non-linear"]),
        help="Files older than the newest applied one: refused, left out, or run first.  [linear]",
    ),
    keys=("exec_order",),
)
@click.option("--to-version", metavar="VERSION", help="Last version to apply, inclusive.")
@click.option("--baseline", metavar="VERSION", help="Version that an existing database already has; not run.")
@click.option("--allow-dirty", is_flag=True, help="Plan for a database that has tables and no history.")
@release_option
@click.option(
    "--format", "output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True,
    help="The answer's form.",
)  # fmt: skip
@click.argument("amount", type=click.IntRange(min=1), required=False)
def command(
    database: Database,
    to_version: str | None,
    baseline: str | None,
    allow_dirty: bool,
    release: str | None,
    output: str,
    amount: int | None,
) -> None:
    """
    Show what a run would do, statement by statement, and the plan's digest.

    Takes no lock, writes nothing, and starts no server. `apply --plan DIGEST` does this plan and no other.
    """
    if baseline and allow_dirty:
        raise click.UsageError("baseline and allow-dirty are mutually exclusive")
    choice = Choice(ExecOrder(database.exec_order), baseline, to_version, amount, allow_dirty)
    found = overview(database, choice, release)
    if found.problem:
        raise found.problem
    plan: Plan = plan_of(database, found.reviewed, found.state, found.todo)
    match output:
        case "json":
            answer(plan.model_dump_json(indent=2).removesuffix("\n}") + f',\n  "digest": "{plan.digest}"\n}}')
        case "markdown":
            answer(as_markdown(plan))
        case _:
            answer(as_text(plan))
