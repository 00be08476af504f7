"""
Scope: what of a database is looked at, by the settings ``schemas`` and ``exclude``.

Patterns are Atlas's: ``schema``, ``schema.object``, with ``*``, ``?`` and ``[…]``. Atlas's own table and our ledger are
always left out.

Source: Atlas, "exclude" patterns; Go, ``path.Match``.
"""

import fnmatch
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pgrollout.errors import ConfigurationError

REVISIONS_TABLE = "atlas_schema_revisions"
"""Atlas's history table."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a database is compared."""

    schemas: tuple[str, ...] = ("*",)
    """Patterns of schemas."""
    exclude: tuple[str, ...] = ()
    """Patterns of what is left out: ``schema``, ``schema.object``; of things without schema (extensions) their name."""
    ledger_schema: str = "pgrollout"
    revisions_schema: str = REVISIONS_TABLE
    """Schema of the revisions table, which is left out; where it is a schema of its own, with it."""

    def __post_init__(self) -> None:
        """Refuse what Atlas knows and we do not, rather than let it have no effect."""
        for pattern in (*self.schemas, *self.exclude):
            if "[type=" in pattern or len(_parts(pattern)) > 2:
                raise ConfigurationError(
                    "exclude", f"{pattern!r} is neither a schema nor schema.object.", "Leave out whole objects."
                )

    @property
    def whole(self) -> bool:
        """Whether all schemas are looked at, and so what is in none."""
        return "*" in self.schemas

    def idle(self, schemas: Collection[str]) -> list[str]:
        """Return the patterns of schemas that match none of these: misspelt ones, perhaps."""
        return [
            pattern for pattern in self.schemas if pattern != "*" and not any(_matches(s, [pattern]) for s in schemas)
        ]

    def has_schema(self, schema: str) -> bool:
        """Whether a schema is compared."""
        ours = schema == self.ledger_schema or (schema == self.revisions_schema == REVISIONS_TABLE)
        return not ours and _matches(schema, self.schemas) and not _matches(schema, self._excluded(1))

    def has(self, schema: str, name: str) -> bool:
        """Whether an object of a schema is compared."""
        # In any schema: another directory of the same database has its own.
        if name in (REVISIONS_TABLE, f"{REVISIONS_TABLE}_pkey"):
            return False
        return self.has_schema(schema) and not any(
            _matches(schema, [first]) and _matches(name, [second])
            for first, second in map(_parts, self.exclude_objects)
        )

    def has_global(self, name: str) -> bool:
        """Whether something that is in no schema, like an extension, is compared."""
        return self.whole and not _matches(name, self._excluded(1))

    @property
    def exclude_objects(self) -> list[str]:
        """The patterns of objects in schemas."""
        return self._excluded(2)

    def _excluded(self, parts: int) -> list[str]:
        return [pattern for pattern in self.exclude if len(_parts(pattern)) == parts]


def _matches(name: str, patterns: Collection[str]) -> bool:
    # Go's path.Match, which Atlas uses, writes [^…] where fnmatch has [!…].
    return any(fnmatch.fnmatchcase(name, pattern.replace("[^", "[!")) for pattern in patterns)


def _parts(pattern: str) -> list[str]:
    """Split a pattern at its dots, except those in brackets."""
    return list(_split(pattern))


def _split(pattern: str) -> Iterator[str]:
    part = ""
    in_brackets = False
    for character in pattern:
        in_brackets = character == "[" or (in_brackets and character != "]")
        if character == "." and not in_brackets:
            yield part
            part = ""
        else:
            part += character
    yield part
