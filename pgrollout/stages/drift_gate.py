"""
The drift gate: which drift a run would step on, decided before its first statement.

A file touches what it names, whether it changes that or only reads it, and what belongs to it: a table with its columns,
indexes, constraints and triggers, the functions of those, the views over it. What no parser reads, DO, CALL, the bodies of
functions, touches every object whose name is a word in it. Rather one refusal too many than one too few.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from pgrollout import parser
from pgrollout.catalog.difference import Difference, ObjectDifference
from pgrollout.catalog.difference_text import DRIFT, line
from pgrollout.catalog.ignored import sift
from pgrollout.catalog.kind import SHARED
from pgrollout.catalog.model import Catalog, Identity, Object
from pgrollout.content import Content
from pgrollout.mentions import in_text
from pgrollout.nodes import Name
from pgrollout.settings import DriftIgnore
from pgrollout.stages.last_run import is_mended, is_partition_that_came_or_went

Key: TypeAlias = tuple[str, str]
"""Schema and name of something that stands alone; two of different kinds may share one."""

_HAVE_CODE = ("FUNCTION", "PROCEDURE", "AGGREGATE")
"""Kinds in whose text names may stand without a schema."""
_LEAD_ON = ("VIEW", "MATERIALIZED VIEW", "TRIGGER", "RULE")
"""Kinds that use what they name whenever they, or their table, are used."""
_NO_DEFINITION = frozenset(property.name for property in SHARED)


def in_the_way(
    found: Difference, live: Catalog, contents: Iterable[Content], ignores: Sequence[DriftIgnore], today: date
) -> tuple[str, ...]:
    """
    Return the drift that pending files touch, a line each with the first file that does.

    Args:
        found: What differs from what the last run left.
        live: The live schema.
        contents: The pending files, in order.
        ignores: What somebody accepted.
        today: The day on which that must hold.
    """
    left = [one for one in sift(found, ignores, today).left.objects if not is_mended(one)]
    named = touched(left, live, contents)
    return tuple(f"{line(one, DRIFT)} [{named[one.identity]}]" for one in left if one.identity in named)


def touched(drifted: Sequence[ObjectDifference], live: Catalog, contents: Iterable[Content]) -> dict[Identity, str]:
    """Return which of the drifted objects pending files touch, each with the name of the first file that does."""
    if not drifted:
        return {}
    known = _Known.of([*live.objects.values(), *(one.before for one in drifted if one.before)])
    surroundings = [(one, _surroundings(one, known)) for one in drifted]
    named: dict[Identity, str] = {}
    for content in contents:
        keys = _touched(content, known)
        for one, around in surroundings:
            if one.identity not in named and (around & keys or _is_always_touched(one, content)):
                named[one.identity] = content.migration.name
    return named


@dataclass(frozen=True)
class _Known:
    """The objects that a name can mean."""

    objects: Mapping[Key, list[Object]]
    """What stands alone, and the parts of it, by its schema and name."""
    schemas_of: Mapping[str, set[str]]
    """Where there is something of that name."""

    @classmethod
    def of(cls, objects: Iterable[Object]) -> "_Known":
        found: dict[Key, list[Object]] = {}
        schemas: dict[str, set[str]] = {}
        for it in objects:
            key = _key(it.identity)
            found.setdefault(key, []).append(it)
            schemas.setdefault(key[1], set()).add(key[0])
        return cls(found, schemas)

    def meant(self, name: Name) -> Iterator[Key]:
        """Yield what a name can mean: without a schema something in any."""
        if not name.name:
            yield from (key for key in self.objects if key[0] == name.schema)
            return
        schemas = self.schemas_of.get(name.name, ())
        yield from ((schema, name.name) for schema in schemas if name.schema in ("", schema))
        if ("", name.schema) in self.objects:
            yield "", name.schema


def _key(identity: Identity) -> Key:
    """Return the key of an object, or of what it is part of; a schema is an object in none."""
    if identity.kind == "SCHEMA":
        return "", identity.schema or identity.name
    return identity.schema, identity.relation or identity.name


def _touched(content: Content, known: _Known) -> set[Key]:
    touched: set[Key] = set()
    new = {key for statement in content.statements for name in _names(statement.text) for key in known.meant(name)}
    while new:
        touched |= new
        new = {
            key
            for it in (it for key in new for it in known.objects.get(key, ()))
            if it.identity.kind in _LEAD_ON
            for key in _mentioned(it, known)
        } - touched
    return touched


def _names(text: str) -> frozenset[Name]:
    try:
        return parser.names_in(text)
    except (parser.SyntaxProblem, parser.CannotAnalyse):
        return in_text(text)


def _surroundings(one: ObjectDifference, known: _Known) -> set[Key]:
    """Return what an object is, is part of, and names in its definition."""
    around: set[Key] = set()
    if is_partition_that_came_or_went(one):
        # As jobs make and drop them: no obstacle for a file about the parent.
        return {_key(one.identity)}
    for it in (one.before, one.after):
        if it is not None:
            around.add(_key(it.identity))
            around.update(_wholes(it, known))
            around.update(_mentioned(it, known))
    return around


def _wholes(it: Object, known: _Known) -> Iterator[Key]:
    """Yield what an object is part of: its table, and the tables that this is a partition of."""
    for of in it.part_of:
        yield _key(of)
        for whole in known.objects.get(_key(of), ()):
            if whole.identity == of:
                yield from _wholes(whole, known)


def _mentioned(it: Object, known: _Known) -> Iterator[Key]:
    """Yield what an object's definition names; the server writes schemas out, but for what is in code."""
    has_code = it.identity.kind in _HAVE_CODE
    for property, value in it.properties.items():
        if property in _NO_DEFINITION or not isinstance(value, str | tuple):
            continue
        for name in in_text(value if isinstance(value, str) else "\n".join(value)):
            if name.schema or has_code:
                # Its schema alone is no object that it uses.
                yield from (key for key in known.meant(name) if key[1] == name.name)


def _is_always_touched(one: ObjectDifference, content: Content) -> bool:
    """Whether an object has a say in whatever a file does."""
    if one.identity.kind == "EVENT TRIGGER":
        return bool(content.statements)
    makes = any(statement.keywords[:1] == ("CREATE",) for statement in content.statements)
    return one.identity.kind == "DEFAULT PRIVILEGES" and makes
