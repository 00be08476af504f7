"""``pgrollout hash``: write the sum file anew, or check it."""

import click

from pgrollout import sum_file
from pgrollout.commands.options import answer, database_options, dry_run_option, example, format_option, release_option
from pgrollout.directory import read_directory, write_sum_file
from pgrollout.settings import Database
from pgrollout.stages import hash as stage


@click.command(name="hash", epilog=example("pgrollout hash --check --database reader"))
@database_options
@click.option(
    "--check", is_flag=True, help="Compare directory, sum file and history; write nothing. The stage of the flow."
)
@click.option("--no-history", is_flag=True, help="With --check: leave the database alone.")
@release_option
@dry_run_option
@format_option
def command(database: Database, check: bool, no_history: bool, release: str | None, dry_run: bool, output: str) -> None:
    """
    Write atlas.sum anew from the files, as `atlas migrate hash` does.

    With --check nothing is written: the files are compared with atlas.sum, and with the hash that every applied revision
    recorded. A difference ends with exit code 4.
    """
    if check:
        request = stage.HashRequest(database=database, release=release, with_history=not no_history)
        report = stage.run(request)
        answer(report.model_dump_json(indent=2) if output == "json" else f"{report.summary}.")
        return
    directory = read_directory(database.migrations_path)
    computed = sum_file.sum_of(directory.migrations)
    changed = directory.sum_file is None or computed.text() != directory.sum_file.text()
    if changed and not dry_run:
        write_sum_file(directory.path, computed)
    verb = ("would be written" if dry_run else "written") if changed else "is up to date"
    if output == "json":
        import json

        answer(json.dumps({"sum": f"h1:{computed.directory_hash}", "files": len(computed.entries), "changed": changed}))
    else:
        files = "1 file" if len(computed.entries) == 1 else f"{len(computed.entries)} files"
        answer(f"atlas.sum {verb}: {files}, h1:{computed.directory_hash}")
