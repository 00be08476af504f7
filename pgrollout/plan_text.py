"""
Plans as text: for a terminal, and as Markdown for a pull request or a run page.
"""

from collections.abc import Iterator
from html import escape

from pgrollout.plan import Plan, PlannedFile

LINES_PER_STATEMENT = 12
"""A statement is cut to so many lines when it is shown; its digest in the plan covers all of it."""


def as_text(plan: Plan) -> str:
    """Return the plan for a terminal."""
    return "\n".join(_text_lines(plan))


def as_markdown(plan: Plan) -> str:
    """Return the plan in GitHub's Markdown."""
    return "\n".join(_markdown_lines(plan))


def _heading(plan: Plan) -> str:
    if not plan.files:
        return "nothing to do: no migration is pending"
    files = f"{len(plan.files)} migration{'s' if len(plan.files) != 1 else ''}"
    return f"{files}, {plan.statement_count} statement{'s' if plan.statement_count != 1 else ''}"


def _text_lines(plan: Plan) -> Iterator[str]:
    yield f"Plan for {plan.database}: {_heading(plan)}"
    yield f"Current version: {plan.current or 'none'}"
    if plan.baseline:
        yield f"Baseline:        {plan.baseline} is recorded as applied, without being run"
    if plan.files:
        yield f"Backup before:   {plan.backup}"
        yield f"Stall budget:    {plan.stall_budget_ms} ms"
    yield f"Release:         {plan.release}"
    yield f"Digest:          {plan.digest}"
    for file in plan.files:
        yield ""
        yield f"{file.name}{_marks(file)}"
        for segment in file.segments:
            yield f"  {segment.kind}: {segment.reason}"
            for statement in segment.statements:
                first, *rest = _cut(statement.text)
                yield f"    line {statement.line:<4} {first}"
                yield from (f"              {line}" for line in rest)


def _markdown_lines(plan: Plan) -> Iterator[str]:
    yield f"### Migration plan for `{plan.database}`: {_heading(plan)}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| current version | `{plan.current or 'none'}` |"
    if plan.baseline:
        yield f"| baseline | `{plan.baseline}`, recorded as applied without being run |"
    if plan.files:
        yield f"| backup before | {plan.backup} |"
        yield f"| stall budget | {plan.stall_budget_ms} ms |"
    yield f"| release | `{plan.release}` |"
    yield f"| plan | `{plan.digest}` |"
    for file in plan.files:
        yield ""
        yield f"<details><summary><code>{escape(file.name, quote=False)}</code>{_marks(file)}</summary>"
        yield ""
        for segment in file.segments:
            yield f"*{segment.kind}*: {escape(segment.reason, quote=False)}"
            yield ""
            text = "\n\n".join("\n".join(_cut(statement.text)) for statement in segment.statements)
            # A fence longer than any in the text cannot be closed by it.
            fence = "`" * max(3, *(len(run) + 1 for run in _backticks(text)), 3)
            yield f"{fence}sql"
            yield text
            yield fence
            yield ""
        yield "</details>"


def _marks(file: PlannedFile) -> str:
    marks = []
    if file.out_of_order:
        marks.append("out of order")
    if file.resumes_after:
        marks.append(f"continues after statement {file.resumes_after}")
    if file.stall_budget_ms is not None:
        marks.append(f"asks for a stall budget of {file.stall_budget_ms} ms")
    return f"  ({'; '.join(marks)})" if marks else ""


def _cut(text: str) -> list[str]:
    lines = text.splitlines() or [""]
    if len(lines) <= LINES_PER_STATEMENT:
        return lines
    return [*lines[: LINES_PER_STATEMENT - 1], f"-- … {len(lines) - LINES_PER_STATEMENT + 1} more lines"]


def _backticks(text: str) -> Iterator[str]:
    run = ""
    for character in text:
        if character == "`":
            run += character
        elif run:
            yield run
            run = ""
    yield run
