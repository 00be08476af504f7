"""
Choosing: the few cases of the quick form, such that every two things that can meet do meet in one of them.

The things are class of statement, message, place in it, way to die, and server. Deterministic: the same matrix, the same
cases.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import combinations

from tests.kill_matrix.case import Case

Pair = tuple[str, str]


def pairwise(cases: Sequence[Case]) -> list[Case]:
    """Return cases, each time the one that shows most pairs not shown before, until all are shown."""
    shown: set[Pair] = set()
    chosen: list[Case] = []
    # What a case would add only shrinks, so an old figure is an upper bound: look again at the best one only.
    heap = [(-len(set(pairs(case))), index) for index, case in enumerate(cases)]
    heapq.heapify(heap)
    while heap:
        _, index = heapq.heappop(heap)
        new = set(pairs(cases[index])) - shown
        if not new:
            continue
        if heap and len(new) < -heap[0][0]:
            heapq.heappush(heap, (-len(new), index))
            continue
        chosen.append(cases[index])
        shown |= new
    return chosen


def pairs(case: Case) -> Iterator[Pair]:
    """Yield what meets in a case."""
    at = case.boundary
    things = (
        f"class {case.scenario}",
        f"message {at.side} {at.label}",
        f"place {at.phase}",
        f"way {case.way}",
        f"server {case.version}",
    )
    yield from combinations(things, 2)
    if at.held_by:
        yield f"class {case.scenario}", f"held by {at.held_by}"
