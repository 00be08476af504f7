"""The run report as Markdown: what an operator reads, without Prefect."""

import json

import pytest

from flows.report import STAGES, RunReport, run_report, seconds
from pgrollout.errors import ExitCode
from pgrollout.stages.apply import AppliedFile, ApplyReport
from pgrollout.stages.backup import BackupReport
from pgrollout.stages.stage import Outcome, Report
from pgrollout.stages.validate import FoundIssue, ValidateReport

RELEASE = "sha256:" + "5" * 64


def validated(*findings: FoundIssue) -> ValidateReport:
    """What validate reports of a directory with two files."""
    return ValidateReport(
        summary="2 files",
        release=RELEASE,
        files=2,
        statements=2,
        replayed=True,
        findings=findings,
        plan_digest="sha256:4",
    )


def applied(*names: str) -> ApplyReport:
    """What apply reports."""
    files = tuple(AppliedFile(name=name, version=name[0], statements=1, duration_ms=1500) for name in names)
    return ApplyReport(
        summary=f"{len(names)} migrations applied",
        run_id="r",
        release=RELEASE,
        plan=None,
        before=None,
        after="2",
        applied=files,
    )


def report(*reports: tuple[str, Report]) -> RunReport:
    """A run in which these stages ended well."""
    run = RunReport("shop", "20261124T010203Z-abc", reason="a | b")
    for name, each in reports:
        run.ended(name, each)
    return run


def whole() -> RunReport:
    """A run of all stages."""
    done = Report(summary="fine", duration_ms=12)
    taken = BackupReport(summary="taken", run_id="r", policy="dump", path="/backups/1")
    special = {"validate": validated(), "backup": taken, "apply": applied("1_a.sql", "2_b.sql")}
    return report(*((name, special.get(name, done)) for name in STAGES))


def test_report_of_a_whole_run() -> None:
    """Title, diagram, one row a stage, versions, where things are, and the migrations."""
    text = run_report(whole())

    assert text.startswith("# `shop`: 2 migrations applied\n")
    assert "build --> validate --> hash --> backup --> apply --> verify" in text
    assert text.count("| done |") == 6
    assert "Version before: `none`, after: `2`." in text
    assert "| `1_a.sql` | 1 | 1.5\N{NO-BREAK SPACE}s |" in text
    assert "`pgrollout restore /backups/1`" in text
    assert "| reason | a \\| b |" in text


def test_report_of_a_failed_run() -> None:
    """The error stands first, with what to do; stages that were not reached say so, and look so in the diagram."""
    run = report(("build", Report(summary="built")))
    run.failed("validate", "The directory is refused:\n    1_a.sql:1:1: error: no\nChange it.", 900, ExitCode.REFUSED)

    text = run_report(run)

    assert text.startswith("# `shop`: failed at validate\n\n```text\nThe directory is refused:\n")
    assert "A rule, a plan or a release says no." in text
    assert "| validate | failed | 900\N{NO-BREAK SPACE}ms | The directory is refused: 1_a.sql:1:1: error: no |" in text
    assert text.count("| not\N{NO-BREAK SPACE}reached |") == 4
    assert "style validate fill:#fadcd9" in text
    assert "stroke-dasharray" in text


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_says_how_to_go_on(code: ExitCode) -> None:
    """Whatever a stage ends with, the report can be made."""
    run = report()
    run.failed("build", "No.", 1, code)

    assert "What was committed before stays" in run_report(run)


def test_fence_holds_any_error() -> None:
    """An error that quotes Markdown stays inside its block."""
    run = report()
    run.failed("build", "see\n```\n# not a title\n```", 1)

    assert "\n````text\nsee\n```\n# not a title\n```\n````\n" in run_report(run)


def test_nothing_to_do_and_skipped_are_told_apart() -> None:
    """Outcomes are words in the table and colours in the diagram."""
    text = run_report(
        report(
            ("backup", Report(outcome=Outcome.SKIPPED, summary="skipped")),
            ("apply", Report(outcome=Outcome.NOTHING_TO_DO, summary="nothing")),
        )
    )

    assert "| backup | skipped |" in text
    assert "| apply | nothing\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}do |" in text
    colours = {line.split()[2] for line in text.splitlines() if line.startswith("    style")}
    assert len(colours) == 3


def test_dry_run_says_so() -> None:
    """The title of a dry run cannot be mistaken, and the files are those that would be applied."""
    run = whole()
    run.dry_run = True
    run.reports["apply"] = applied().model_copy(update={"would_apply": ("1_a.sql",), "summary": "1 migration"})

    text = run_report(run)

    assert text.startswith("# `shop`: 1 migration (dry run)")
    assert "## Migrations that would be applied\n\n- `1_a.sql`" in text


def test_findings_are_listed() -> None:
    """What validate found is there to be read, in one line each."""
    finding = FoundIssue(
        code="PG101", severity="warning", file="1_a.sql", line=1, column=1, message="writes\nwait", remedy="Use |",
        source="", excerpt="",
    )  # fmt: skip

    text = run_report(report(("validate", validated(finding))))

    assert "- 1_a.sql:1:1: warning PG101: writes wait Use \\|" in text


def test_json_for_programs() -> None:
    """The same, with the exit code, for a program."""
    body = json.loads(whole().to_json(ExitCode.DONE))

    assert body["exit_code"] == 0
    assert [stage["name"] for stage in body["stages"]] == list(STAGES)
    assert body["reports"]["apply"]["after"] == "2"


def test_complete_means_all_six_ended_well() -> None:
    """Only then may trouble of Prefect be a mere warning."""
    five, six = report(("build", Report(summary="built"))), whole()
    broken = whole()
    broken.ends.pop()
    broken.failed("verify", "differs", 1)

    assert [run.is_complete for run in (five, six, broken)] == [False, True, False]


@pytest.mark.parametrize(("duration_ms", "text"), [(0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (61_500, "61.5 s")])
def test_durations(duration_ms: int, text: str) -> None:
    """Milliseconds below a second, then seconds."""
    assert seconds(duration_ms).replace("\N{NO-BREAK SPACE}", " ") == text
