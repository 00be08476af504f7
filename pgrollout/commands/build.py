"""``pgrollout build``: freeze the directory into a release."""

from pathlib import Path

import click

from pgrollout.commands.options import answer, database_options, dry_run_option, example, format_option, release_option
from pgrollout.settings import Database
from pgrollout.stages import build


@click.command(name="build", epilog=example("pgrollout build --commit HEAD --out dist/release"))
@database_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder for release.json and release.tar.")
@click.option("--commit", metavar="REV", help="Refuse unless the directory is this commit's, unchanged.")
@release_option
@dry_run_option
@format_option
def command(
    database: Database, out: Path | None, commit: str | None, release: str | None, dry_run: bool, output: str
) -> None:
    """
    Freeze the directory into a release: manifest, archive, digest.

    The digest names what was reviewed; every later command takes it with --release and refuses anything else.
    """
    report = build.run(build.BuildRequest(database=database, release=release, dry_run=dry_run, out=out, commit=commit))
    answer(report.model_dump_json(indent=2) if output == "json" else f"{report.release}\n{report.path}")
