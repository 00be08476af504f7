"""
Report: the table of results that is kept under ``docs/``.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.kill_matrix.case import Result, Way
from tests.kill_matrix.proxy import Side

_HEAD = """\
# Kill matrix

What `make kill-matrix` found: every message that `pgrollout apply` sends, for every class of statement, killed in every way,
on every server; then run again until it is done. Written by the run, not by hand.

A case is right if the runs that follow end with 0, or with the verdict that stands in the design; schema, data and history
equal those of a run that nobody disturbed; every statement took effect exactly once, as the server's log has it; the
ledger is at its end and agrees with the history; and no lock, backend, invalid index or pending detach is left. `before`: the
message has left the client and has not reached the server. `during`: the server is at it, held by what stands in brackets;
`until the next run`: and still is when the next run comes. `answer lost`: the server has done it, and the client never
hears of that. Messages that only read, in a row, count as one.
"""


def report(results: Sequence[Result], minutes: float, workers: int, every: int) -> str:
    """Return the report as Markdown; ``every`` tells that only each so many of the cases was run."""
    failed = [result for result in results if result.problems]
    versions = sorted({result.case.version for result in results})
    lines = [
        _HEAD,
        f"{len(results)} cases on PostgreSQL {', '.join(map(str, versions))}; {len(failed)} failed; "
        f"{minutes:.0f} minutes with {workers} workers."
        + (f" A sample: one case in {every}, so most cells of the matrix are empty here." if every > 1 else ""),
        "",
        "A cell has the number of cases that are right, and after a slash those that are not.",
    ]
    by_class: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_class[result.case.scenario].append(result)
    for name, found in by_class.items():
        lines += ["", f"## {name[0].upper()}{name[1:]}", "", *_table(found)]
    if failed:
        lines += ["", "## Failures", ""]
        lines += [f"- {result.case}: {result.problems[0].splitlines()[0]}" for result in sorted(failed, key=_order)]
    return "\n".join(lines) + "\n"


def _table(results: Iterable[Result]) -> Iterable[str]:
    rows: dict[tuple[object, ...], dict[Way, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        at = result.case.boundary
        rows[at.side, at.label, at.number, at.phase, at.held_by][result.case.way].append(not result.problems)
    yield "| message | where | " + " | ".join(Way) + " |"
    yield "|---" * (len(Way) + 2) + "|"
    for (side, label, number, phase, held_by), cells in rows.items():
        message = f"{'watch: ' if side is Side.WATCH else ''}{label} {number}"
        where = f"{phase}" + (f" ({held_by})" if held_by else "")
        yield f"| {message} | {where} | " + " | ".join(_cell(cells[way]) for way in Way) + " |"


def _cell(results: Sequence[bool]) -> str:
    right, wrong = results.count(True), results.count(False)
    return (f"{right}" if right else "") + (f" / **{wrong}**" if wrong else "")


def _order(result: Result) -> str:
    return str(result.case)
