"""
Lock modes: how strongly a table is locked, and which other relations a lock on one brings with it.

PostgreSQL's eight modes, with what conflicts with what. Values only; which statement takes which lock is told by
``command_locks``, which of them others hold is asked by ``postgres.guard``.

Source: PostgreSQL manual, "Table-Level Locks"; ``storage/lockdefs.h``.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pgrollout.nodes import Name


class Mode(IntEnum):
    """A mode of a table lock, by PostgreSQL's own number: a greater one conflicts with more."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """As SQL has it: ``ACCESS EXCLUSIVE``."""
        return self.name.replace("_", " ")

    @property
    def in_pg_locks(self) -> str:
        """As ``pg_locks`` has it: ``AccessExclusiveLock``."""
        return self.name.replace("_", " ").title().replace(" ", "") + "Lock"

    @property
    def conflicts_with(self) -> tuple["Mode", ...]:
        """The modes that nobody else may hold meanwhile."""
        return tuple(Mode(number) for number in _CONFLICTS[self])


_CONFLICTS = {
    Mode.ACCESS_SHARE: (8,),
    Mode.ROW_SHARE: (7, 8),
    Mode.ROW_EXCLUSIVE: (5, 6, 7, 8),
    Mode.SHARE_UPDATE_EXCLUSIVE: (4, 5, 6, 7, 8),
    Mode.SHARE: (3, 4, 6, 7, 8),
    Mode.SHARE_ROW_EXCLUSIVE: (3, 4, 5, 6, 7, 8),
    Mode.EXCLUSIVE: (2, 3, 4, 5, 6, 7, 8),
    Mode.ACCESS_EXCLUSIVE: (1, 2, 3, 4, 5, 6, 7, 8),
}


class Reach(StrEnum):
    """Which relations are locked, as seen from the one that a statement names; the server alone knows them."""

    ALONE = "alone"
    """The relation itself; for an index, its table."""
    TREE = "tree"
    """The relation and all its partitions or children."""
    PARTITIONS = "partitions"
    """The relation and, if it is partitioned, its partitions; not the children that inherit from it."""
    DEFAULT = "default"
    """Its default partition, if it has one."""
    PARENT = "parent"
    """The partitioned table that it is a partition of, and that one's default partition."""
    REFERENCED = "referenced"
    """The tables that its foreign keys point to."""
    REFERENCING = "referencing"
    """The tables whose foreign keys point to it."""
    EMPTIED = "emptied"
    """Those, and the tables that point to them, and so on: what TRUNCATE … CASCADE empties."""
    DEPENDENT = "dependent"
    """What depends on it: what goes with it when it is dropped, foreign keys of both directions included."""
    COLUMN = "column"
    """What depends on its column ``part``."""
    CONSTRAINT = "constraint"
    """What depends on its constraint ``part``, and the table that it points to."""
    TYPE = "type"
    """What depends on the type of that name: tables with such columns, typed tables."""
    SCHEMA = "schema"
    """All there is in the schema of that name."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on existing relations, as far as a statement's text tells."""

    relation: Name
    """The table, index, view … as the statement names it; for ``Reach.TYPE`` and ``Reach.SCHEMA`` a type, a schema."""
    mode: Mode
    """The mode it is locked in."""
    reach: Reach = Reach.TREE
    """Which relations that means."""
    part: str = ""
    """The column or constraint, where ``reach`` asks for one."""
    path: tuple[str, ...] | None = None
    """The search path that the file has set for a name without schema; None where it has set none."""
