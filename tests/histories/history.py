"""
History: what happens to a database, step by step. Values only.

A step says what is tried, not what comes of it: to edit the file that failed, if one did; to kill a run at its third segment,
if it comes so far. So every list of steps is a history, and one with a step less is one, too.
"""

from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Any

from tests.histories.files import Piece
from tests.kill_matrix.case import Boundary, Phase, Way
from tests.kill_matrix.proxy import Side


class Change(StrEnum):
    """How the part of a file is edited that has not run."""

    REPLACE = "replace a statement"
    INSERT = "insert a statement"
    CUT = "leave out a statement and all after it"
    MEND = "replace what fails"
    UNWRAP = "run each statement by itself"


@dataclass(frozen=True)
class Add:
    """Somebody adds a migration."""

    pieces: tuple[Piece, ...]
    txmode_none: bool = False


@dataclass(frozen=True)
class Remove:
    """Somebody removes the last migration, if it has not run."""


@dataclass(frozen=True)
class Edit:
    """Somebody edits what has not run of the migration that is next."""

    change: Change
    which: int = 0
    """Of the parts that are left, counted round and round."""
    piece: Piece = Piece.ROW


@dataclass(frozen=True)
class Tamper:
    """Somebody edits what has run, is refused, and takes it back."""

    which: int = 0
    """Of the parts that have run, counted back from the last one."""


@dataclass(frozen=True)
class Apply:
    """A run, to its end."""

    amount: int | None = None
    """How many files at most."""
    is_busy: bool = False
    """Whether the application has tables and rows in use meanwhile, in a transaction that it leaves open."""


@dataclass(frozen=True)
class Die:
    """A run that dies."""

    at: Boundary
    way: Way
    has_rival: bool = False
    """Whether another run waits meanwhile, and goes on then."""


@dataclass(frozen=True)
class Freeze:
    """A run that is frozen; another one takes over."""

    at: Boundary
    wakes_early: bool = False
    """Whether it wakes while the other one is at work, not when that has ended."""
    is_only_slow: bool = False
    """Whether it is alive, and a message of it on its way; the other one has too little patience, and takes over all the same."""


@dataclass(frozen=True)
class Together:
    """Runs that start at the same time."""

    runs: int = 2
    are_hasty: bool = False
    """Whether they have so little patience with each other that they take over from those who are alive."""


Step = Add | Remove | Edit | Tamper | Apply | Die | Freeze | Together


@dataclass(frozen=True)
class History:
    """All of it."""

    steps: tuple[Step, ...]
    is_empty: bool = False
    """Whether the database is empty before, and not even the first migration has run."""

    def __str__(self) -> str:
        steps = "".join(f"    {written(step)},\n" for step in self.steps)
        return f"History((\n{steps}), is_empty={self.is_empty})"


def written(value: Any) -> str:
    """Return a value as Python writes it, without what is as usual."""
    match value:
        case Enum():
            return f"{type(value).__name__}.{value.name}"
        case tuple():
            return "(" + "".join(f"{written(each)}, " for each in value) + ")"
        case Add() | Remove() | Edit() | Tamper() | Apply() | Die() | Freeze() | Together() | Boundary():
            given = [(each.name, getattr(value, each.name), each.default) for each in fields(value)]
            said = ", ".join(f"{name}={written(found)}" for name, found, usual in given if found != usual)
            return f"{type(value).__name__}({said})"
        case _:
            return repr(value)


def read(text: str) -> History:
    """Return the history that was written as its ``str``."""
    names = {
        each.__name__: each
        for each in (
            History, Add, Remove, Edit, Tamper, Apply, Die, Freeze, Together, Change, Piece, Boundary, Phase, Way, Side,
        )
    }  # fmt: skip
    found = eval(text, {"__builtins__": {}}, names)  # noqa: S307 - a person's own
    assert isinstance(found, History)
    return found
