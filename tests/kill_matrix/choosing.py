"""
Choosing: the few cases of the quick form, such that every two things that can meet do meet in one of them.

The things are class of statement, message, place in it, way to die, and server. A message that every class sends, for it has
nothing to do with statements, need not meet each class. Deterministic: the same matrix, the same cases.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

from tests.kill_matrix.case import Case

Pair = tuple[str, str]


def pairwise(cases: Sequence[Case]) -> list[Case]:
    """Return cases, each time the one that shows most pairs not shown before, until all are shown."""
    common = common_messages(cases)
    shown: set[Pair] = set()
    chosen: list[Case] = []
    # What a case would add only shrinks, so an old figure is an upper bound: look again at the best one only.
    heap = [(-len(set(pairs(case, common))), index) for index, case in enumerate(cases)]
    heapq.heapify(heap)
    while heap:
        _, index = heapq.heappop(heap)
        new = set(pairs(cases[index], common)) - shown
        if not new:
            continue
        if heap and len(new) < -heap[0][0]:
            heapq.heappush(heap, (-len(new), index))
            continue
        chosen.append(cases[index])
        shown |= new
    return chosen


def common_messages(cases: Sequence[Case]) -> frozenset[str]:
    """Return the messages that every class sends."""
    sent: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        sent[case.scenario].add(_message(case))
    return frozenset.intersection(*map(frozenset, sent.values())) if len(sent) > 1 else frozenset()


def _message(case: Case) -> str:
    return f"message {case.boundary.side} {case.boundary.label}"


def pairs(case: Case, common: Collection[str]) -> Iterator[Pair]:
    """Yield what meets in a case."""
    at = case.boundary
    things = (
        f"class {case.scenario}",
        _message(case),
        f"place {at.phase}",
        f"way {case.way}",
        f"server {case.version}",
    )
    yield from (pair for pair in combinations(things, 2) if pair[1] not in common or not pair[0].startswith("class "))
    if at.held_by:
        yield f"class {case.scenario}", f"held by {at.held_by}"
