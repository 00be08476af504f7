"""
Measuring: a command as a whole process, and two of them in turn.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One process that ended well."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end, and return what the operating system says of it."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{output.read().decode()[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@dataclass(frozen=True, slots=True)
class Paired:
    """Runs of ours, each with the baseline's run just before it."""

    ours: tuple[Run, ...]
    baseline: tuple[Run, ...]

    @property
    def ratios(self) -> list[float]:
        """Wall time of ours over that of the baseline, pair by pair."""
        return [ours.wall_s / base.wall_s for ours, base in zip(self.ours, self.baseline, strict=True)]

    def row(self, name: str) -> str:
        """Return a row of the table."""
        ratios, walls = self.ratios, [run.wall_s for run in self.ours]
        more = statistics.median(walls) - statistics.median(run.wall_s for run in self.baseline)
        cells = (
            f"{min(ratios):.2f} / {statistics.median(ratios):.2f} / {max(ratios):.2f}",
            f"{statistics.median(walls):.3f}",
            f"{more:+.3f}",
            f"{statistics.median(run.cpu_s for run in self.ours):.2f}",
            f"{max(run.peak_mib for run in self.ours):.0f}",
        )
        return f"| {name} | " + " | ".join(cells) + " |"


HEADER = (
    "| | ratio min / median / max | median s | more than baseline s | CPU s | peak MiB |\n|---|---|---|---|---|---|"
)


def in_turn(baseline: Callable[[], Run], ours: Callable[[], Run], times: int) -> Paired:
    """Run the two in turn, the baseline first each time."""
    pairs = [(baseline(), ours()) for _ in range(times)]
    return Paired(tuple(pair[1] for pair in pairs), tuple(pair[0] for pair in pairs))
