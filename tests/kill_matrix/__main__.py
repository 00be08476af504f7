"""
The matrix as a command: ``python -m tests.kill_matrix``; ``--help`` tells how to run a part of it.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from tests.kill_matrix.case import Result, Way
from tests.kill_matrix.choosing import pairwise
from tests.kill_matrix.report import report
from tests.kill_matrix.running import VERSIONS, matrix
from tests.kill_matrix.scenarios import SCENARIOS

PROGRESS_EVERY = 50


def main() -> int:
    """Run what was asked for; 1 if a case failed."""
    options = _options()
    os.environ.setdefault("PGROLLOUT_REQUIRE", ",".join(f"postgres{version}" for version in options.server))
    started = time.monotonic()
    with matrix(options.workers) as (made, pool):
        scenarios = [scenario for scenario in SCENARIOS if scenario.name in options.scenario]
        made.look(pool, scenarios, options.server)
        for failure in made.failures:
            print(failure, flush=True)
        cases = pairwise(made.cases()) if options.quick else made.cases()
        cases = [case for case in cases if case.way in options.way and options.at in str(case.boundary)]
        cases = cases[:: options.every]
        order = {case: number for number, case in enumerate(cases)}
        print(f"{len(cases)} cases, {time.monotonic() - started:.0f} s", flush=True)
        results: list[Result] = []
        for result in made.run(pool, cases):
            results.append(result)
            _tell(result, len(results), len(cases), started, verbose=options.verbose)
    minutes = (time.monotonic() - started) / 60
    results.sort(key=lambda result: order[result.case])
    failed = sum(bool(result.problems) for result in results)
    print(f"{len(results)} cases, {failed} failed, {minutes:.1f} minutes")
    if options.report:
        options.report.write_text(report(results, minutes, options.workers, options.every))
    return 1 if failed or made.failures else 0


def _tell(result: Result, number: int, total: int, started: float, *, verbose: bool) -> None:
    if result.problems:
        print(f"FAILED {result}", flush=True)
    elif verbose:
        print(f"{result.seconds:.1f} s  {result.case}", flush=True)
    if number % PROGRESS_EVERY == 0:
        print(f"{number} of {total} cases, {time.monotonic() - started:.0f} s", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kill_matrix", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--scenario", action="append", choices=names, help="only this class; may be repeated")
    parser.add_argument(
        "--server", action="append", type=int, choices=VERSIONS, help="only this version; may be repeated"
    )
    parser.add_argument("--way", action="append", type=Way, choices=list(Way), help="only this way; may be repeated")
    parser.add_argument("--at", default="", metavar="TEXT", help="only boundaries that have this in their names")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth case")
    parser.add_argument("--quick", action="store_true", help="only the cases that show every pair, as make test does")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where to write the table of results")
    parser.add_argument("--verbose", action="store_true", help="name the cases that are right, too")
    options = parser.parse_args()
    options.scenario = options.scenario or names
    options.server = options.server or list(VERSIONS)
    options.way = options.way or list(Way)
    return options


if __name__ == "__main__":
    sys.exit(main())
