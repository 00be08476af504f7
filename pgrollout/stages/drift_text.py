"""
The report of stage drift for reading: as lines of text, as Markdown, as the rows of a table.
"""

import json
from collections.abc import Iterator

from pgrollout.stages.drift import Drifted, DriftReport, minute

_LONGEST_CELL = 120


def as_text(report: DriftReport) -> Iterator[str]:
    """Yield a line for everything that was found, without the summary."""
    for one in report.drift:
        yield f"drift: {one.said}; {one.since_shown}"
    for each in report.ignored:
        yield f"accepted until {each.until}: {each.said} ({each.reason})"
    for note in report.notes:
        yield f"note: {note}"


def as_markdown(report: DriftReport) -> str:
    """Return the report as Markdown, for a page or a pull request."""
    lines = [f"# `{report.database}`: {report.summary}"]
    if report.drift:
        header = list(rows(report)[0])
        lines += ["", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
        lines += [f"| {' | '.join(_cell(cell) for cell in row.values())} |" for row in rows(report)]
        lines += [
            "",
            "Write a migration that makes it so, undo the change, or accept it until a day: "
            f"`[[database.{report.database}.drift_ignore]]` in `pgrollout.toml`.",
        ]
    if report.ignored:
        lines += ["", "## Accepted", "", "| object | until | reason |", "|---|---|---|"]
        lines += [f"| {_cell(each.said)} | {each.until} | {_cell(each.reason)} |" for each in report.ignored]
    if report.notes:
        lines += ["", "## Notes", "", *(f"- {_cell(note)}" for note in report.notes)]
    lines += [
        "",
        "## What was compared",
        "",
        "| | |",
        "|---|---|",
        f"| live | {report.objects} objects, `{report.fingerprint}` |",
    ]
    if report.last_run:
        at = minute(report.last_run.taken_at)
        lines.append(f"| last run | `{report.last_run.run}`, {at}, `{report.last_run.fingerprint}` |")
    lines.append(f"| compared with | {', '.join(report.compared_with) or 'nothing'} |")
    lines.append(f"| recorded in the ledger | {'yes' if report.recorded else 'no'} |")
    return "\n".join(lines)


def rows(report: DriftReport) -> list[dict[str, str]]:
    """Return a row for each property that has drifted, and for each object that came, went or was renamed."""
    return [row for one in report.drift for row in _rows(one)]


def _rows(one: Drifted) -> Iterator[dict[str, str]]:
    of = ", ".join(one.compared_with)
    if one.change != "changed":
        said = f"renamed to {one.renamed_to}" if one.renamed_to else one.said.partition(": ")[2]
        yield _row(
            one, said, "there" if one.change == "removed" else "–", "gone" if one.change == "removed" else "there", of
        )
    for each in one.properties:
        yield _row(one, each.property, each.expected, each.live, of)


def _row(one: Drifted, what: str, expected: str, live: str, of: str) -> dict[str, str]:
    return {
        "object": one.object,
        "property": what,
        "since": minute(one.since) if one.since else "this check",
        "seen otherwise": minute(one.good) if one.good else "–",
        "before": _short(expected),
        "live": _short(live),
        "differs from": of,
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_CELL else line[:_LONGEST_CELL] + " …"


def _cell(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("|", "\\|").replace("\\n", "<br>")
