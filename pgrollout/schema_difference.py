"""
Schema differences: two schemas, each a mapping from an object's name to its SQL, compared object by object.

Where the SQL comes from is left to others. A password in it is compared, and never shown.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pgrollout.secrets import mask_statement

Kind = Literal["missing", "unexpected", "different"]
_SAID = {
    "missing": "missing; the directory makes it",
    "unexpected": "not made by the directory",
    "different": "not as the directory makes it",
}
_SHOWN_LINES = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One object in which the live schema is not what the directory makes."""

    object: str
    """Kind and name: ``TABLE public.orders``."""
    kind: Kind
    """Missing in the live schema, unexpected there, or different."""
    expected: str
    """Its SQL as the directory makes it; empty if unexpected."""
    actual: str
    """Its SQL in the live schema; empty if missing."""
    tolerated: str = ""
    """Why this is reported and no failure; empty if it is one."""

    def diff(self) -> str:
        """Return a unified diff from what is expected to what is there, masked, without the lines that are equal."""
        expected, actual = (mask_statement(sql).splitlines() for sql in (self.expected, self.actual))
        lines = difflib.unified_diff(expected, actual, "directory", "live", lineterm="", n=0)
        return "\n".join(lines)

    def __str__(self) -> str:
        line = f"{self.object}: {_SAID[self.kind]}"
        if self.kind == "different":
            changed = [part for part in self.diff().splitlines() if part[:1] in "+-" and part[:3] not in ("---", "+++")]
            shown = "; ".join(" ".join(part.split()) for part in changed[:_SHOWN_LINES])
            more = f"; … {len(changed) - _SHOWN_LINES} more" if len(changed) > _SHOWN_LINES else ""
            line += f" ({shown}{more})" if changed else " (in what is masked as a password)"
        return f"{line} [{self.tolerated}]" if self.tolerated else line


def differences(expected: Mapping[str, str], actual: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return every object in which the live schema (``actual``) is not what is expected, by name."""
    found = []
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual:
            found.append(Difference(name, "missing", expected[name], ""))
        elif name not in expected:
            found.append(Difference(name, "unexpected", "", actual[name]))
        elif expected[name] != actual[name]:
            found.append(Difference(name, "different", expected[name], actual[name]))
    return tuple(found)
