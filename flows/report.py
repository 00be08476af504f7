"""
The run report: what an operator reads on the run page, as Markdown.

Values in, text out; knows nothing of Prefect.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.stages.apply import ApplyReport
from pgrollout.stages.backup import BackupReport
from pgrollout.stages.build import BuildReport
from pgrollout.stages.drift import DriftReport
from pgrollout.stages.drift_text import as_markdown
from pgrollout.stages.stage import Outcome, Report
from pgrollout.stages.validate import ValidateReport
from pgrollout.stages.verify import VerifyReport

ReportT = TypeVar("ReportT", bound=Report)

STAGES = ("build", "validate", "hash", "backup", "apply", "verify")
FAILED, NOT_REACHED = "failed", "not reached"


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How one stage ended."""

    name: str
    outcome: str
    """As the stage's report says; ``failed`` if it raised, ``not reached`` if another did before."""
    summary: str
    duration_ms: int = 0

    @property
    def took(self) -> str:
        """Its duration for people."""
        return seconds(self.duration_ms) if self.outcome != NOT_REACHED else ""


@dataclass
class RunReport:
    """What is known of a run so far."""

    database: str
    run_id: str
    dry_run: bool = False
    reason: str = ""
    page: str = ""
    """Address of the run's page; empty where nobody serves one."""
    ends: list[StageEnd] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    error: str = ""
    exit_code: ExitCode = ExitCode.DONE
    """Of the stage that failed."""
    planned: tuple[str, ...] = STAGES
    """The stages of the flow, in order."""

    @property
    def is_complete(self) -> bool:
        """Whether every stage ended well."""
        return [end.name for end in self.ends] == list(self.planned) and not self.error

    def ended(self, name: str, report: Report) -> None:
        """Keep the report of a stage that ended well."""
        self.ends.append(StageEnd(name, str(report.outcome), report.summary, report.duration_ms))
        self.reports[name] = report

    def failed(self, name: str, error: str, duration_ms: int, exit_code: ExitCode = ExitCode.FAILED) -> None:
        """Keep the error of the stage at which the run ends."""
        first, *more = error.splitlines() or [""]
        # "The directory is refused:" says little without the line after it.
        summary = f"{first} {more[0].strip()}" if first.endswith(":") and more else first
        self.ends.append(StageEnd(name, FAILED, summary, duration_ms))
        self.error, self.exit_code = error, exit_code

    def refused(self, error: PgrolloutError) -> None:
        """Keep that what the last stage has found ends the run."""
        last = self.ends.pop()
        self.ends.append(StageEnd(last.name, FAILED, last.summary, last.duration_ms))
        self.error, self.exit_code = str(error), error.code

    def stages(self) -> list[StageEnd]:
        """Return all that were planned, those not reached among them."""
        reached = {end.name for end in self.ends}
        return [*self.ends, *(StageEnd(name, NOT_REACHED, "") for name in self.planned if name not in reached)]

    @property
    def headline(self) -> str:
        """The run in one line."""
        done = self.reports.get("drift")
        if self.error and done is None:
            return f"failed at {self.ends[-1].name}"
        done = done or self.reports.get("apply")
        return done.summary if done else "nothing done yet"

    def to_json(self, code: ExitCode) -> str:
        """Return the run for a program."""
        body = {
            "database": self.database,
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "exit_code": int(code),
            "page": self.page or None,
            "error": self.error or None,
            "stages": [asdict(end) for end in self.stages()],
            "reports": {name: report.model_dump(mode="json") for name, report in self.reports.items()},
        }
        return json.dumps(body, indent=2, ensure_ascii=False)

    def report_of(self, name: str, kind: type[ReportT]) -> ReportT | None:
        """Return the report of a stage, if it got so far."""
        found = self.reports.get(name)
        return found if isinstance(found, kind) else None


def run_report(report: RunReport) -> str:
    """Return the report of a run as Markdown, with a diagram of its stages."""
    return "\n".join(_lines(report))


def seconds(duration_ms: int) -> str:
    """Return a duration for people."""
    return f"{duration_ms} ms" if duration_ms < 1000 else f"{duration_ms / 1000:.1f} s"


def _unbroken(text: str) -> str:
    """A text that a narrow column does not break."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _lines(report: RunReport) -> Iterator[str]:
    drifted = report.report_of("drift", DriftReport)
    if drifted is not None:
        yield as_markdown(drifted)
        yield f"| check | `{report.run_id}` |"
        if report.reason:
            yield f"| reason | {_cell(report.reason)} |"
        return
    stages = report.stages()
    title = f"# `{report.database}`: {report.headline}"
    yield title + (" (dry run)" if report.dry_run and "dry run" not in report.headline else "")
    yield ""
    if report.error:
        fence = "```"
        while fence in report.error:
            fence += "`"
        yield from (f"{fence}text", report.error, fence, "")
        yield f"{_HOW_TO_GO_ON[report.exit_code]} What was committed before stays, and is in the history."
        yield ""
    yield from _diagram(stages)
    yield ""
    yield "| stage | outcome | took | |"
    yield "|---|---|---:|---|"
    for end in stages:
        yield f"| {end.name} | {_unbroken(end.outcome)} | {_unbroken(end.took)} | {_cell(end.summary)} |"
    yield from _versions(report)
    yield from _findings(report)
    yield from _notes(report)
    yield from _places(report)
    yield from _migrations(report)


_COLOURS = {
    str(Outcome.DONE): "fill:#d9f2e3,stroke:#2f9e63,color:#10301f",
    str(Outcome.NOTHING_TO_DO): "fill:#e3ecf7,stroke:#4a78ad,color:#16283d",
    str(Outcome.SKIPPED): "fill:#eeeeee,stroke:#888888,color:#333333",
    FAILED: "fill:#fadcd9,stroke:#c43a2f,color:#4a120d",
    NOT_REACHED: "fill:#ffffff,stroke:#bbbbbb,color:#888888,stroke-dasharray: 4 3",
}


def _diagram(stages: Sequence[StageEnd]) -> Iterator[str]:
    yield "```mermaid"
    yield "flowchart LR"
    for end in stages:
        yield f'    {end.name}["{end.name}<br/>{end.took}"]'
    yield "    " + " --> ".join(end.name for end in stages)
    for end in stages:
        yield f"    style {end.name} {_COLOURS.get(end.outcome, _COLOURS[NOT_REACHED])}"
    yield "```"


def _versions(report: RunReport) -> Iterator[str]:
    applied = report.report_of("apply", ApplyReport)
    if applied is not None:
        yield from ("", f"Version before: `{applied.before or 'none'}`, after: `{applied.after or 'none'}`.")


def _migrations(report: RunReport) -> Iterator[str]:
    applied = report.report_of("apply", ApplyReport)
    if applied is None:
        return
    if applied.applied:
        yield from ("", "## Migrations applied", "", "| migration | statements | took |", "|---|---:|---:|")
        for file in applied.applied:
            yield f"| `{file.name}` | {file.statements} | {_unbroken(seconds(file.duration_ms))} |"
    if applied.would_apply:
        yield from ("", "## Migrations that would be applied", "")
        yield from (f"- `{name}`" for name in applied.would_apply)


def _findings(report: RunReport) -> Iterator[str]:
    checked = report.report_of("validate", ValidateReport)
    if checked is None or not (checked.findings or checked.waived or checked.not_analysed):
        return
    yield from ("", "## Findings", "")
    yield from (f"- {_cell(str(finding))}" for finding in checked.findings)
    yield from (f"- waived: {_cell(waived)}" for waived in checked.waived)
    yield from (f"- {'' if 'not analysed' in item else 'not analysed: '}{_cell(item)}" for item in checked.not_analysed)


def _notes(report: RunReport) -> Iterator[str]:
    verified = report.report_of("verify", VerifyReport)
    if verified is not None and verified.notes:
        yield from ("", "## Notes of verify", "")
        yield from (f"- {_cell(note)}" for note in verified.notes)


def _places(report: RunReport) -> Iterator[str]:
    yield from ("", "## Where things are", "", "| | |", "|---|---|", f"| run | `{report.run_id}` |")
    if report.reason:
        yield f"| reason | {_cell(report.reason)} |"
    built, dumped = report.report_of("build", BuildReport), report.report_of("backup", BackupReport)
    checked = report.report_of("validate", ValidateReport)
    if built is not None:
        yield f"| release | `{built.release}`, {built.files} files, `{built.path}` |"
    if checked is not None and checked.plan_digest:
        yield f"| plan | `{checked.plan_digest}` |"
    if dumped is not None and dumped.path:
        yield f"| backup | `{dumped.path}`; bring it back with `pgrollout restore {dumped.path}` |"


_HOW_TO_GO_ON = {
    ExitCode.DONE: "",
    ExitCode.FAILED: "Somebody has to look: mend what the error names, then start the flow again.",
    ExitCode.USAGE: "Correct what the error names, in the directory or the configuration, then start the flow again.",
    ExitCode.REFUSED: "A rule, a plan or a release says no. Change the migration, or have it approved, then start again.",
    ExitCode.MISMATCH: "Files, sum file and history do not agree. Restore what was applied; do not edit the history to fit.",
    ExitCode.WAIT: "Waiting can cure it: start the flow again later, with the same parameters.",
}


def _cell(text: str) -> str:
    """A text in one line of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
