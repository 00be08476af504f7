"""
Ignored drift: which differences somebody has accepted until a day, by the entries ``drift_ignore``.

An entry names objects as they are printed, ``INDEX shop.orders_tmp_idx``, with ``*`` and ``?``, and perhaps one property
of them. After its day it no longer counts, and that is said.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from pgrollout.catalog.difference import Change, Difference, ObjectDifference
from pgrollout.settings import DriftIgnore


@dataclass(frozen=True, slots=True)
class Ignored:
    """A difference, or a part of one, that somebody accepted."""

    found: ObjectDifference
    by: DriftIgnore


@dataclass(frozen=True, slots=True)
class Sifted:
    """A difference, and what of it is accepted."""

    left: Difference
    """What nobody accepted."""
    ignored: tuple[Ignored, ...] = ()


def sift(found: Difference, entries: Sequence[DriftIgnore], today: date) -> Sifted:
    """
    Return what is left of a difference without what is accepted.

    The first entry that matches counts. One for a property leaves the object's other properties, and never accepts that
    an object was made, dropped or renamed.
    """
    valid = [entry for entry in entries if not has_expired(entry, today)]
    left: list[ObjectDifference] = []
    ignored: list[Ignored] = []
    for one in found.objects:
        matching = [entry for entry in valid if _matches(entry, one)]
        if whole := next((entry for entry in matching if entry.property is None), None):
            ignored.append(Ignored(one, whole))
            continue
        kept = one.properties
        for entry in matching:
            accepted = tuple(change for change in kept if change.name == entry.property)
            if accepted:
                ignored.append(Ignored(replace(one, change=Change.CHANGED, properties=accepted), entry))
                kept = tuple(change for change in kept if change not in accepted)
        if kept or one.change is not Change.CHANGED:
            left.append(replace(one, properties=kept))
    return Sifted(replace(found, objects=tuple(left)), tuple(ignored))


def has_expired(entry: DriftIgnore, today: date) -> bool:
    """Whether its last day is over."""
    return today > entry.until


def shown(entry: DriftIgnore) -> str:
    """Return an entry for people: ``drift_ignore TABLE shop.* (grants)``."""
    return f"drift_ignore {entry.object}" + (f" ({entry.property})" if entry.property else "")


def _matches(entry: DriftIgnore, one: ObjectDifference) -> bool:
    names = [str(one.identity), *([str(one.renamed_to)] if one.renamed_to else [])]
    # An identity may hold brackets of its own, `f(integer[], text[])`, which a pattern would take for a set.
    return any(name == entry.object or fnmatch.fnmatchcase(name, entry.object) for name in names)
