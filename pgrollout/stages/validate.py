"""
Stage validate: split, parse, lint, replay on a shadow database, plan.

The findings are about what is pending; applied files are history. Everything that is wrong is reported, not just the first;
``run`` then raises, so that the flow stops.
"""

import time
from collections.abc import Collection, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from pgrollout.content import Content, read_content
from pgrollout.crossing import check_cuts
from pgrollout.errors import (
    ExitCode,
    PgrolloutError,
    ReplayFailed,
    StateCrosses,
    UnreadableFile,
    ValidationFailed,
)
from pgrollout.history import ExecOrder, Pending
from pgrollout.lint import Finding, finding_of, finding_of_cut, lint
from pgrollout.plan import Plan
from pgrollout.postgres.connection import connect
from pgrollout.postgres.replay import Cut, Replayed
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import State, read_checked, read_session
from pgrollout.postgres.template import replayed_shadow
from pgrollout.progress import reporting
from pgrollout.stages.deciding import Choice, decide, plan_of, resumed_by
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed
from pgrollout.stages.stage import Outcome, Report, Request, logged


class ValidateRequest(Request):
    """What to validate."""

    to_version: str | None = Field(None, description="Last version that would be applied, inclusive.")
    baseline: str | None = Field(None, description="Version that an existing database already has.")
    allow_dirty: bool = Field(False, description="The database may have tables and no history.")
    offline: bool = Field(False, description="Leave the database alone: no plan, and all files are linted.")
    atlas_strict: bool = Field(False, description="Refuse what the Atlas CLI itself would refuse or misread.")


class FoundIssue(BaseModel):
    """Something that a rule, or a reader, has to say about a place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(description="The rule; empty where there is none.")
    severity: str = Field(description="error, warning or info.")
    file: str
    line: int
    column: int
    message: str
    remedy: str
    source: str = Field(description="Where to read more.")
    excerpt: str = Field(description="The line, and a caret.")

    def __str__(self) -> str:
        code = f" {self.code}" if self.code else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}{code}: {self.message} {self.remedy}".rstrip()


class ValidateReport(Report):
    """What was found."""

    release: str = Field(description="Digest of the release.")
    files: int = Field(description="Files of the directory.")
    statements: int = Field(description="Statements of all files.")
    findings: tuple[FoundIssue, ...] = ()
    waived: tuple[str, ...] = Field((), description="Findings that a file accepts, each with its reason.")
    not_analysed: tuple[str, ...] = Field((), description="What nobody could look at, and why.")
    replayed: bool = Field(description="Whether the whole directory ran on a shadow database.")
    plan: Plan | None = Field(None, description="What a run would do; None offline.")
    plan_digest: str | None = None
    exit_code: int = Field(0, description="What `run` ends with.")

    @property
    def errors(self) -> tuple[FoundIssue, ...]:
        """The findings that refuse the directory."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def run(request: ValidateRequest) -> ValidateReport:
    """
    Validate, and raise when something is refused.

    Raises:
        ValidationFailed: With every finding of severity error.
        PgrolloutError: The directory, its sum file or the history do not let us begin.
    """
    report = examine(request)
    if report.exit_code:
        raise ValidationFailed(tuple(str(finding) for finding in report.errors), report.exit_code)
    return report


@logged
def examine(request: ValidateRequest) -> ValidateReport:
    """Validate, and report everything that was found, also when it refuses the directory."""
    started = time.monotonic()
    reviewed = read_reviewed(request.database, request.release)
    contents, findings, exit_code = _read(reviewed)
    waived: list[str] = []
    not_analysed: list[str] = []
    replayed, plan = False, None
    if not findings:
        todo, version = None, None
        if not request.offline:
            todo, state, version = _pending(request, reviewed)
        new = {content.migration.name for content in contents} if todo is None else {m.name for m in todo.migrations}
        uncut, uncut_code = _segments(contents, new, todo)
        if todo is not None and not uncut:
            plan = plan_of(request.database, reviewed, state, todo)
        linted = lint(contents, new=new)
        findings += [*uncut, *(_issue(finding) for finding in (*linted.findings, *linted.unused_waivers))]
        waived += [
            f"{waiver.finding.code} {waiver.place}: {waiver.reason or 'no reason given'}" for waiver in linted.waived
        ]
        not_analysed += [str(item) for item in linted.not_analysed]
        if any(finding.severity == "error" for finding in findings):
            syntax = any(finding.code == "SP101" for finding in findings if finding.severity == "error")
            exit_code = ExitCode.FAILED if syntax else uncut_code or ExitCode.REFUSED
        else:
            try:
                result = _replay(request, contents, reviewed, version, not_analysed)
                replayed = result is not None and result.is_complete
                findings += _cuts(contents, new, result.cuts if result else ())
            except ReplayFailed as error:
                findings.append(_replay_issue(error))
                exit_code = ExitCode.FAILED
            except StateCrosses as error:
                findings.append(_unnamed(error))
                exit_code = ExitCode.REFUSED
    if request.atlas_strict and exit_code is ExitCode.DONE:
        strict = [finding for finding in findings if finding.code in _ATLAS_WOULD_REFUSE]
        if strict:
            findings = [f.model_copy(update={"severity": "error"}) if f in strict else f for f in findings]
            exit_code = ExitCode.REFUSED
    return ValidateReport(
        outcome=Outcome.DONE,
        summary=_summary(findings, len(contents), replayed),
        duration_ms=round((time.monotonic() - started) * 1000),
        release=reviewed.release.digest,
        files=len(reviewed.migrations),
        statements=sum(len(content.statements) for content in contents),
        findings=tuple(sorted(findings, key=lambda finding: (finding.file, finding.line, finding.column))),
        waived=tuple(waived),
        not_analysed=tuple(not_analysed),
        replayed=replayed,
        plan=plan,
        plan_digest=plan.digest if plan else None,
        exit_code=exit_code,
    )


_ATLAS_WOULD_REFUSE = frozenset({"SP103", "PG103", "TX201", "TX301"})
"""Rules about what runs here and not with the Atlas CLI."""


def _read(reviewed: Reviewed) -> tuple[list[Content], list[FoundIssue], ExitCode]:
    """Read every file; the errors of all of them become findings, and the first one's exit code the stage's."""
    contents, findings = [], []
    exit_code = ExitCode.DONE
    for migration in reviewed.migrations:
        try:
            contents.append(read_content(migration))
        except PgrolloutError as error:
            finding = finding_of(error)
            if finding is None and not hasattr(error, "place"):
                raise
            findings.append(_issue(finding) if finding else _unnamed(error))
            exit_code = exit_code or error.code
    return contents, findings, exit_code


def _segments(
    contents: Sequence[Content], new: Collection[str], todo: Pending | None
) -> tuple[list[FoundIssue], ExitCode]:
    """Cut the files that are new as apply would, and return what is in the way, with the first one's exit code."""
    findings: list[FoundIssue] = []
    exit_code = ExitCode.DONE
    for content in contents:
        if content.migration.name not in new:
            continue
        resumes = resumed_by(todo, content.migration.version) if todo else None
        try:
            check_cuts(content, resumes.applied if resumes else 0)
        except (UnreadableFile, StateCrosses) as error:
            findings.append(_unnamed(error))
            exit_code = exit_code or error.code
    return findings, exit_code


def _cuts(contents: Sequence[Content], new: Collection[str], cuts: Sequence[Cut]) -> Iterator[FoundIssue]:
    """Yield a finding for each place where the shadow's server asked for a cut of a new file."""
    files = {content.migration.name: content for content in contents}
    for cut in cuts:
        if cut.file in new:
            yield _issue(finding_of_cut(files[cut.file], cut.statement))


def _pending(request: ValidateRequest, reviewed: Reviewed) -> tuple[Pending, State, int]:
    database = request.database
    choice = Choice(
        ExecOrder(database.exec_order), request.baseline, request.to_version, allow_dirty=request.allow_dirty
    )
    run_id = request.run_id or new_run_id()
    with (
        explained("reading the history"),
        connect(database, application_name=f"pgrollout/{run_id}/validate") as connection,
    ):
        read_session(connection, database)
        state = read_checked(connection, database, choice.needs_clean)
        todo = decide(reviewed, state, choice)
        version = connection.info.server_version
    return todo, state, version


def _replay(
    request: ValidateRequest,
    contents: Sequence[Content],
    reviewed: Reviewed,
    target_version: int | None,
    not_analysed: list[str],
) -> Replayed | None:
    newest = max((i for i, c in enumerate(contents) if c.migration.name in reviewed.checkpoints), default=0)
    with (
        reporting("replaying the directory on the shadow"),
        replayed_shadow(request.database, contents[newest:], target_version=target_version) as made,
    ):
        if made is None:
            not_analysed.append('replay: the configuration says shadow.server = "none"')
            return None
        result = made.replayed
    if result.not_analysed is not None:
        not_analysed.append(f"replay: the shadow's server cannot run {result.not_analysed}")
    return result


def _issue(finding: Finding) -> FoundIssue:
    return FoundIssue(
        code=finding.code,
        severity=str(finding.severity),
        file=finding.place.file,
        line=finding.place.line,
        column=finding.place.column,
        message=finding.message,
        remedy=finding.remedy,
        source=finding.source,
        excerpt=finding.place.excerpt(),
    )


def _unnamed(error: PgrolloutError) -> FoundIssue:
    place = getattr(error, "place")  # noqa: B009  only some errors have one
    return FoundIssue(
        code="", severity="error", file=place.file, line=place.line, column=place.column,
        message=getattr(error, "problem", str(error)), remedy=getattr(error, "advice", ""), source="",
        excerpt=place.excerpt(),
    )  # fmt: skip


def _replay_issue(error: ReplayFailed) -> FoundIssue:
    place = error.place
    return FoundIssue(
        code="", severity="error", file=place.file if place else "", line=place.line if place else 0,
        column=place.column if place else 0, message=f"fails on an empty shadow database: {error.problem}",
        remedy=error.advice, source="", excerpt=place.excerpt() if place else "",
    )  # fmt: skip


def _summary(findings: Sequence[FoundIssue], files: int, replayed: bool) -> str:
    counts = {severity: sum(f.severity == severity for f in findings) for severity in ("error", "warning", "info")}
    found = ", ".join(f"{count} {severity}{'s' if count != 1 else ''}" for severity, count in counts.items() if count)
    counted = "1 file" if files == 1 else f"{files} files"
    return f"{counted}, {found or 'no findings'}, {'replayed' if replayed else 'not replayed'} on the shadow"
