"""
Cases: a message of a scenario's run, where it is when the run dies, how it dies, on which server. Values only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.kill_matrix.proxy import Side
from tests.kill_matrix.scenarios import RECORD_HOLDS


class Way(StrEnum):
    """How a run dies."""

    KILL = "SIGKILL"
    FREEZE = "SIGSTOP, takeover, SIGCONT"
    CUT = "connection cut"
    HALF_OPEN = "cut, server not told"
    TERMINATE = "pg_terminate_backend"
    CRASH = "immediate stop"
    TERM = "SIGTERM"


class Phase(StrEnum):
    """Where the message is."""

    BEFORE = "before"
    """The client has sent it; the server does not know of it."""
    DURING = "during"
    """The server is at it, and goes on once the run is dead."""
    ORPHANED = "during, until the next run"
    """The server is at it, and still is when the next run comes."""
    ANSWERED = "answer lost"
    """The server has done it, and the client does not hear of that."""


_OUTLIVED = frozenset({Way.KILL, Way.FREEZE, Way.CUT, Way.HALF_OPEN, Way.TERM})
"""Ways after which the backend may still be at work."""


@dataclass(frozen=True)
class Boundary:
    """A place where a run can die."""

    side: Side
    label: str
    number: int
    """Of the messages with that label, from 1."""
    phase: Phase
    held_by: str = ""
    """In what of the server's work, where something can hold it there."""

    def __str__(self) -> str:
        where = f"{'watch: ' if self.side is Side.WATCH else ''}{self.label} {self.number}"
        return f"{where}, {self.phase}" + (f" ({self.held_by})" if self.held_by else "")

    @property
    def ways(self) -> Iterator[Way]:
        """Yield the ways to die that differ there."""
        for way in Way:
            outlives = way in _OUTLIVED and not (way is Way.TERM and self.held_by in RECORD_HOLDS)
            if self.phase is not Phase.ORPHANED or outlives:
                yield way


@dataclass(frozen=True)
class Case:
    """What is done."""

    scenario: str
    boundary: Boundary
    way: Way
    version: int
    """Major version of the server."""

    def __str__(self) -> str:
        return f"{self.scenario} | {self.boundary} | {self.way} | PostgreSQL {self.version}"


@dataclass(frozen=True)
class Result:
    """What became of it."""

    case: Case
    problems: tuple[str, ...]
    """Empty if all is well."""
    story: tuple[str, ...]
    """What happened, for who has to find out why."""
    seconds: float

    def __str__(self) -> str:
        return "\n    ".join([str(self.case), *self.problems, "How it went:", *self.story])
