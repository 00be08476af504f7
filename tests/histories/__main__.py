"""
Histories as a command: ``python -m tests.histories`` makes up one after the other, and tells which came to a bad end.

The same seed makes up the same histories. What is printed of a bad one is also what ``--replay`` takes.
"""

import argparse
import os
import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.histories.generate import histories
from tests.histories.history import History, read
from tests.histories.play import play
from tests.kill_matrix.bench import Bench
from tests.kill_matrix.running import VERSIONS

PROGRESS_EVERY = 20


def main() -> int:
    """Play what was asked for; 1 if a history came to a bad end."""
    options = _options()
    os.environ.setdefault("PGROLLOUT_REQUIRE", f"postgres{options.server}")
    bench = Bench()
    try:
        if options.replay:
            return _tell(options.replay, bench, options.server, verbose=True)
        return _search(options, bench)
    finally:
        bench.close()


def _search(options: argparse.Namespace, bench: Bench) -> int:
    started, played, failed = time.monotonic(), 0, 0

    @seed(options.seed)
    @settings(
        max_examples=options.examples,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(histories(options.length))
    def search(history: History) -> None:
        nonlocal played, failed
        failed += _tell(history, bench, options.server, verbose=options.verbose)
        played += 1
        if played % PROGRESS_EVERY == 0:
            print(f"{played} histories, {failed} with a bad end, {time.monotonic() - started:.0f} s", flush=True)

    search()
    print(f"{played} histories, {failed} with a bad end, {(time.monotonic() - started) / 60:.1f} minutes")
    return 1 if failed else 0


def _tell(history: History, bench: Bench, version: int, *, verbose: bool) -> int:
    started = time.monotonic()
    outcome = play(bench, history, version)
    if outcome.problems or verbose:
        how = "BAD" if outcome.problems else "good"
        print(f"{how}, {time.monotonic() - started:.1f} s: {history}\n    {outcome}", flush=True)
    return 1 if outcome.problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, metavar="N", help="how many histories  [1000]")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed makes up others  [0]")
    parser.add_argument("--length", type=int, default=8, metavar="N", help="at most so many things happen  [8]")
    parser.add_argument("--server", type=int, choices=VERSIONS, default=18, help="which version  [18]")
    parser.add_argument("--replay", type=read, metavar="HISTORY", help="play this one again, as it was printed")
    parser.add_argument(
        "--verbose", action="store_true", help="print the histories with a good end, too, and how they went"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
