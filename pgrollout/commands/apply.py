"""``pgrollout apply``: run the pending migrations."""

import click

from pgrollout.commands.options import (
    answer,
    database_options,
    dry_run_option,
    example,
    format_option,
    release_option,
    sentence,
    setting_options,
)
from pgrollout.settings import Database
from pgrollout.stages import apply


@click.command(
    name="apply",
    epilog=example("pgrollout apply --url postgresql://deploy@db.example.com/reader --to-version 20260314091500"),
)
@database_options
@setting_options(
    click.option("--exec-order", type=click.Choice(["linear", "linear-skip", "non-linear"]),
                 help="Files older than the newest applied one: refused, left out, or run first.  [linear]"),
    click.option("--wait-for-run-ms", type=click.IntRange(min=0), metavar="MS",
                 help="How long to wait for another run.  [600000]"),
    keys=("exec_order", "wait_for_run_ms"),
)  # fmt: skip
@click.option("--to-version", metavar="VERSION", help="Last version to apply, inclusive.")
@click.option("--baseline", metavar="VERSION", help="Version that an existing database already has; not run.")
@click.option("--allow-dirty", is_flag=True, help="Run on a database that has tables and no history.")
@click.option("--plan", metavar="DIGEST", help="Refuse any other plan than this one, which was approved.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the ledger.")
@release_option
@dry_run_option
@format_option
@click.argument("amount", type=click.IntRange(min=1), required=False)
def command(
    database: Database,
    to_version: str | None,
    baseline: str | None,
    allow_dirty: bool,
    plan: str | None,
    reason: str,
    release: str | None,
    dry_run: bool,
    output: str,
    amount: int | None,
) -> None:
    """
    Run the pending migrations, exactly once.

    AMOUNT runs at most that many files. Each file is one transaction together with its row in atlas_schema_revisions;
    what fails leaves no trace, and the next run continues there.
    """
    if baseline and allow_dirty:
        raise click.UsageError("baseline and allow-dirty are mutually exclusive")
    report = apply.run(
        apply.ApplyRequest(
            database=database,
            release=release,
            dry_run=dry_run,
            to_version=to_version,
            amount=amount,
            baseline=baseline,
            allow_dirty=allow_dirty,
            plan=plan,
            reason=reason,
        )
    )
    if output == "json":
        answer(report.model_dump_json(indent=2))
        return
    for name in report.would_apply:
        answer(f"would apply  {name}")
    for file in report.applied:
        statements = "1 statement" if file.statements == 1 else f"{file.statements} statements"
        answer(f"applied  {file.name}  {statements}  {file.duration_ms} ms")
    answer(f"{sentence(report.summary)} (current version: {report.after or 'none'}).")
