"""
Running: surveys and cases on several workers, each with servers of its own.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.kill_matrix.bench import Bench
from tests.kill_matrix.case import Case, Result
from tests.kill_matrix.dying import Survey, run_case, survey
from tests.kill_matrix.scenarios import SCENARIOS, Scenario

VERSIONS = (15, 16, 18)


@dataclass
class Matrix:
    """Everything there is to do, and who does it."""

    surveys: dict[tuple[str, int], Survey] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """Undisturbed runs that are not as they should be; their scenarios have no cases."""
    _local: threading.local = field(default_factory=threading.local)
    _benches: list[Bench] = field(default_factory=list)

    def look(
        self, pool: ThreadPoolExecutor, scenarios: Iterable[Scenario] = SCENARIOS, versions: Iterable[int] = VERSIONS
    ) -> None:
        """Survey scenarios."""
        under_way = {
            pool.submit(lambda scenario, version: survey(self._bench(), scenario, version), scenario, version): (
                scenario.name,
                version,
            )
            for version in versions
            for scenario in scenarios
        }
        for future in as_completed(under_way):
            try:
                self.surveys[under_way[future]] = future.result()
            except AssertionError as error:
                self.failures.append(str(error))

    def cases(self) -> list[Case]:
        """Return all cases, in an order that is always the same."""
        return [
            Case(scenario, boundary, way, version)
            for (scenario, version), found in sorted(self.surveys.items())
            for boundary in found.boundaries
            for way in boundary.ways
        ]

    def run(self, pool: ThreadPoolExecutor, cases: Iterable[Case]) -> Iterator[Result]:
        """Run cases, and yield what became of them as it becomes known."""
        futures = [pool.submit(self._run, case) for case in cases]
        for future in as_completed(futures):
            yield future.result()

    def _run(self, case: Case) -> Result:
        return run_case(self._bench(), case, self.surveys[case.scenario, case.version])

    def _bench(self) -> Bench:
        if not hasattr(self._local, "bench"):
            self._local.bench = Bench()
            self._benches.append(self._local.bench)
        bench: Bench = self._local.bench
        return bench

    def close(self) -> None:
        """Stop all servers."""
        for bench in self._benches:
            bench.close()


@contextmanager
def matrix(workers: int) -> Iterator[tuple[Matrix, ThreadPoolExecutor]]:
    """Give a matrix and its workers; stop everything with the block."""
    made = Matrix()
    pool = ThreadPoolExecutor(workers)
    try:
        yield made, pool
    finally:
        pool.shutdown(cancel_futures=True)
        made.close()
