"""
``python -m tests.contention``: every scenario with pgrollout, then with psql, and a table of what others had to endure.

Ends with 1 if a promise was not kept. ``--write`` puts the table into a document, below its line ``<!-- figures -->``.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.contention.scenarios import SCENARIOS, Scenario
from tests.contention.scene import BUDGET_MS, Outcome, Scene, Tool
from tests.servers import Server, Servers, fresh_database

MARK = "<!-- figures -->\n"
HEADER = (
    "| scenario | ends with | seconds | queued | longest wait seen | worst reader | worst writer "
    "| psql: longest wait seen | worst reader | worst writer |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def play(scenario: Scenario, server: Server, tool: Tool) -> tuple[Outcome | None, list[str]]:
    """Play a scenario on a database of its own; return what came of it, and what was not as it should be."""
    with fresh_database(server) as database, tempfile.TemporaryDirectory(prefix="pgr-test-") as folder:
        scene = Scene(database, Path(folder), tool)
        try:
            scenario.play(scene)
        except (AssertionError, pytest.fail.Exception) as error:
            return None, [str(error)]
        outcome = scene.outcome()
        return outcome, scenario.broken(outcome, scene.budget_ms)


def cells(outcome: Outcome | None) -> list[str]:
    """Return the three figures of a run, in milliseconds, with what failed."""
    if outcome is None:
        return ["–", "–", "–"]
    failed = " and failures" if outcome.failures else ""
    return [f"{outcome.worst.waited_ms:.0f}{failed}", f"{outcome.reader_ms:.0f}", f"{outcome.writer_ms:.0f}"]


def row(scenario: Scenario, ours: Outcome | None, psql: Outcome | None) -> str:
    """Return a row of the table."""
    own = [str(ours.code), f"{ours.seconds:.1f}", str(ours.queued)] if ours else ["–", "–", "–"]
    return "| " + " | ".join([scenario.story, *own, *cells(ours), *cells(psql)]) + " |"


def main() -> None:
    """Play the scenarios that are named, or all."""
    names = [scenario.play.__name__ for scenario in SCENARIOS]
    arguments = argparse.ArgumentParser(prog="python -m tests.contention", description=__doc__)
    arguments.add_argument("name", nargs="*", choices=[*names, []], metavar="NAME", help=f"which: {', '.join(names)}")
    arguments.add_argument("--server", type=int, default=18, choices=(15, 16, 18), help="version of PostgreSQL")
    arguments.add_argument("--write", type=Path, help="document that gets the table")
    chosen = arguments.parse_args()
    servers = Servers()
    lines, promises = [HEADER], 0
    print(HEADER)
    try:
        server = servers.get(chosen.server)
        for scenario in SCENARIOS:
            if chosen.name and scenario.play.__name__ not in chosen.name:
                continue
            ours, broken = play(scenario, server, Tool.PGROLLOUT)
            psql, seen = play(scenario, server, Tool.PSQL)
            lines.append(row(scenario, ours, psql))
            print(lines[-1], flush=True)
            for each in broken:
                print(f"  BROKEN: {each}", file=sys.stderr, flush=True)
            if broken and ours:
                print("  " + ours.said.strip().replace("\n", "\n  ")[-2000:], file=sys.stderr, flush=True)
            promises += bool(broken)
            if scenario.psql_stalls and not seen:
                print("  psql made nobody wait: this scenario shows nothing", file=sys.stderr, flush=True)
    finally:
        servers.close()
    said = (
        f"PostgreSQL {chosen.server}, {os.cpu_count()} cores, budget {BUDGET_MS} ms; all figures but seconds and queued "
        f"in milliseconds.\n\n" + "\n".join(lines)
    )
    if chosen.write:
        before = chosen.write.read_text().partition(MARK)[0]
        chosen.write.write_text(f"{before}{MARK}\n{said}\n")
    sys.exit(f"{promises} scenarios are not as they should be" if promises else 0)


if __name__ == "__main__":
    main()
