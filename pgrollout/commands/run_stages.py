"""``pgrollout run-stages``: all six stages in this process, one after the other."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import click

from pgrollout import settings
from pgrollout.cli import tell
from pgrollout.commands.options import (
    answer,
    database_options,
    dry_run_option,
    example,
    format_option,
    release_option,
    sentence,
)
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.postgres import embedded
from pgrollout.settings import Database
from pgrollout.stages import apply, backup, build, hash, validate, verify
from pgrollout.stages.reviewed import new_run_id
from pgrollout.stages.stage import Report, Request

RequestT = TypeVar("RequestT", bound=Request)
ReportT = TypeVar("ReportT", bound=Report)


@click.command(name="run-stages", epilog=example("pgrollout run-stages --database reader --dry-run"))
@database_options
@click.option("--to-version", metavar="VERSION", help="Last version to apply, inclusive.")
@click.option("--baseline", metavar="VERSION", help="Version that an existing database already has; not run.")
@click.option("--allow-dirty", is_flag=True, help="Run on a database that has tables and no history.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the ledger.")
@release_option
@dry_run_option
@format_option
def command(
    database: Database,
    to_version: str | None,
    baseline: str | None,
    allow_dirty: bool,
    reason: str,
    release: str | None,
    dry_run: bool,
    output: str,
) -> int:
    """
    Run all six stages in this process, in order: build, validate, hash, backup, apply, verify.

    Does what `pgrollout migrate` does, without Prefect: no run page, and nothing is tried again. Ends with the exit code of
    the first stage that fails; the stages after it do not run.
    """
    if baseline and allow_dirty:
        raise click.UsageError("baseline and allow-dirty are mutually exclusive")
    stages = _Stages(as_text=output == "text")
    common: dict[str, Any] = {"database": database, "run_id": new_run_id(), "dry_run": dry_run}
    chosen: dict[str, Any] = {"to_version": to_version, "baseline": baseline, "allow_dirty": allow_dirty}
    error: PgrolloutError | None = None
    with ExitStack() as stack:
        try:
            if settings.target(database).kind == "embedded":
                # Kept for all stages, rather than started by each.
                stack.enter_context(embedded.server(database.root))
            built = stages.run("build", build.run, build.BuildRequest(**common, release=release))
            common["release"] = built.release
            checked = stages.run("validate", validate.run, validate.ValidateRequest(**common, **chosen))
            stages.run("hash", hash.run, hash.HashRequest(**common))
            pending = len(checked.plan.files) if checked.plan else 0
            dumped = stages.run("backup", backup.run, backup.BackupRequest(**common, pending=pending))
            approved: dict[str, Any] = {"plan": checked.plan_digest, "backup": apply.TakenBackup.of(dumped)}
            stages.run("apply", apply.run, apply.ApplyRequest(**common, **chosen, **approved, reason=reason))
            request = verify.VerifyRequest(**common, allow_pending=dry_run or bool(to_version))
            stages.run("verify", verify.run, request)
        except PgrolloutError as failure:
            error = failure
    code = error.code if error else ExitCode.DONE
    if output == "json":
        answer(stages.as_json(database.name, common["run_id"], dry_run, error, code))
    if error:
        tell(error)
    elif output == "text":
        answer(stages.summary())
    return code


class _Stages:
    """Runs stages, and keeps how each ended."""

    def __init__(self, *, as_text: bool) -> None:
        self._as_text = as_text
        self._ends: list[dict[str, Any]] = []
        self._reports: dict[str, Report] = {}

    def run(self, name: str, stage: Callable[[RequestT], ReportT], request: RequestT) -> ReportT:
        """Run one stage, and tell how it ended; whatever it raises goes on."""
        started = time.monotonic()
        try:
            report = stage(request)
        except PgrolloutError as error:
            self._ended(name, "failed", round((time.monotonic() - started) * 1000), str(error).partition("\n")[0])
            raise
        self._ended(name, str(report.outcome), report.duration_ms, report.summary)
        self._reports[name] = report
        return report

    def _ended(self, name: str, outcome: str, duration_ms: int, summary: str) -> None:
        self._ends.append({"name": name, "outcome": outcome, "summary": summary, "duration_ms": duration_ms})
        if self._as_text:
            took = f"{duration_ms} ms" if duration_ms < 1000 else f"{duration_ms / 1000:.1f} s"
            answer(f"{name:<9} {outcome:<14} {took:>8}  {summary}")

    def summary(self) -> str:
        """Return the run in one line."""
        report = self._reports["apply"]
        assert isinstance(report, apply.ApplyReport)  # noqa: S101  it ran
        return f"{sentence(report.summary)} (current version: {report.after or 'none'})."

    def as_json(self, database: str, run_id: str, dry_run: bool, error: PgrolloutError | None, code: ExitCode) -> str:
        """Return the run for a program, as `pgrollout migrate --format json` has it."""
        body = {
            "database": database,
            "run_id": run_id,
            "dry_run": dry_run,
            "exit_code": int(code),
            "error": str(error) if error else None,
            "stages": self._ends,
            "reports": {name: report.model_dump(mode="json") for name, report in self._reports.items()},
        }
        return json.dumps(body, indent=2, ensure_ascii=False)
