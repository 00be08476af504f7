"""
Single changes of the large schema, each with what the difference must say, and nothing else.

Each runs in a transaction that is rolled back. What is compared is the schema before, as the expected one, with the
schema after: what a mutation adds is ``unexpected``, what it drops is ``missing``.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """A change of one property of one object, or one object more, less, or under another name."""

    sql: str
    expected: frozenset[tuple[str, str]]
    """Object and property, or object and ``missing``, ``unexpected`` or ``renamed``."""
    since: int = 15
    """First major version that can run it."""
    extension: str | None = None
    """Runs only where this extension is available."""

    @property
    def objects(self) -> frozenset[str]:
        """The objects of which something is expected."""
        return frozenset(identity for identity, _ in self.expected)


def _mutations(text: str) -> tuple[Mutation, ...]:
    found = []
    heading: tuple[frozenset[tuple[str, str]], int, str | None] = (frozenset(), 15, None)
    for line in text.splitlines():
        if match := re.fullmatch(r"-- (.+?)(?: \(since (\d+)\))?(?: \(with (\w+)\))?", line):
            said = () if match[1] == "nothing" else match[1].split(" | ")
            pairs = frozenset((identity, what) for identity, _, what in (one.rpartition(": ") for one in said))
            heading = (pairs, int(match[2] or 15), match[3])
        elif line and not line.startswith("--"):
            found.append(Mutation(line, *heading))
    return tuple(found)


MUTATIONS = _mutations((Path(__file__).parent / "mutations.sql").read_text())
