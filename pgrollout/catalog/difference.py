"""
Differences: two catalogs, object by object and property by property.

What follows from another difference is not said again: the columns of a table that is missing, the change that ALTER
TABLE passed on to partitions, the texts that name something renamed. What two major versions of the server word in their
own way is listed as not comparable, never called equal or different.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache

from pgrollout.catalog.fingerprint import canonical, comparable
from pgrollout.catalog.kind import Across, Form, Kind, Property, columns
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.model import HIDDEN, Catalog, Identity, Object, Value, quoted
from pgrollout.catalog.rows import ordered

_HAVE_DATA = frozenset({"SCHEMA", "TABLE", "COLUMN", "SEQUENCE", "MATERIALIZED VIEW", "FOREIGN TABLE"})
"""Kinds of which one that went and one that came are not known to be the same, however alike they are."""
_MAINTAIN_SINCE = 17


class Change(Enum):
    """What happened to an object on the way from one catalog to the other."""

    REMOVED = "removed"
    ADDED = "added"
    CHANGED = "changed"
    RENAMED = "renamed"
    """It has another name, and perhaps other properties too."""


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property in which an object differs."""

    name: str
    """The property's, as in the kind."""
    before: Value | None
    """None: what goes without saying."""
    after: Value | None
    form: Form = Form.VALUE

    @property
    def gone(self) -> tuple[str, ...]:
        """Members of a list that are only in the first."""
        return tuple(member for member in _members(self.before) if member not in _members(self.after))

    @property
    def come(self) -> tuple[str, ...]:
        """Members of a list that are only in the second."""
        return tuple(member for member in _members(self.after) if member not in _members(self.before))


@dataclass(frozen=True, slots=True)
class ObjectDifference:
    """One object that is not the same in both catalogs."""

    identity: Identity
    """Its identity in the first catalog; in the second if only that has it."""
    change: Change
    properties: tuple[PropertyChange, ...] = ()
    before: Object | None = None
    """In the first catalog."""
    after: Object | None = None
    """In the second."""
    also: int = 0
    """How many partitions or children have the same change."""

    @property
    def renamed_to(self) -> Identity | None:
        """Its identity in the second catalog, where that is another."""
        return self.after.identity if self.change is Change.RENAMED and self.after else None


@dataclass(frozen=True, slots=True)
class NotComparable:
    """A property that two versions of the server word in their own way, or that this role may not see."""

    identity: Identity
    property: str


@dataclass(frozen=True, slots=True)
class Difference:
    """All that two catalogs differ in."""

    objects: tuple[ObjectDifference, ...]
    """In the order in which a person would read them."""
    not_comparable: tuple[NotComparable, ...] = ()
    compared: int = 0
    """How many objects there are in one or both."""
    catalogs: tuple[Catalog, Catalog] | None = field(default=None, repr=False, compare=False)
    """The two themselves: the SQL of a table is made of its parts."""

    def __bool__(self) -> bool:
        """Whether there is a difference."""
        return bool(self.objects)


def difference(before: Catalog, after: Catalog) -> Difference:
    """Return what differs between two catalogs."""
    return _Comparing(before, after).result()


class _Comparing:
    """One comparison: the pairs of what is the same object, and what is left over on either side."""

    def __init__(self, before: Catalog, after: Catalog) -> None:
        self._before, self._after = before, after
        self._majors = (before.major, after.major)
        self._removed = {key: it for key, it in before.objects.items() if key not in after.objects}
        self._added = {key: it for key, it in after.objects.items() if key not in before.objects}
        self._pairs = [(it, after.objects[key]) for key, it in before.objects.items() if key in after.objects]
        self._names: list[tuple[re.Pattern[str], str]] = []
        self._raw: dict[str, str] = {}
        self._renamed: dict[Identity, Identity] = {}
        self._not_comparable: list[NotComparable] = []

    def result(self) -> Difference:
        self._pair_renamed()
        count = len(self._pairs) + len(self._removed) + len(self._added)
        found = [
            ObjectDifference(key, change, (), before=it if change is Change.REMOVED else None,
                after=it if change is Change.ADDED else None)
            for change, side in ((Change.REMOVED, self._removed), (Change.ADDED, self._added))
            for key, it in side.items()
            if not self._follows(it, side)
        ]  # fmt: skip
        changes = {before.identity: tuple(self._changes(before, after)) for before, after in self._pairs}
        shared: dict[tuple[Identity, str], int] = {}
        for before, _ in self._pairs:
            if BY_NAME[before.identity.kind].folds and changes[before.identity]:
                changes[before.identity] = tuple(self._own(before, changes, shared))
        for before, after in self._pairs:
            own = changes[before.identity]
            is_renamed = self._is_renamed(before.identity, after.identity)
            if own or is_renamed:
                also = max((shared.get((before.identity, change.name), 0) for change in own), default=0)
                change = Change.RENAMED if is_renamed else Change.CHANGED
                found.append(ObjectDifference(before.identity, change, own, before, after, also))
        places = {key: at for at, key in enumerate(ordered([*self._before.objects.values(), *self._added.values()]))}
        found.sort(key=lambda one: places[one.identity])
        return Difference(tuple(found), tuple(self._not_comparable), count, (self._before, self._after))

    # What was renamed.

    def _pair_renamed(self) -> None:
        for before, after in list(self._same_numbers()) + list(self._same_text()):
            if before.identity in self._removed and after.identity in self._added:
                del self._removed[before.identity], self._added[after.identity]
                self._pairs.append((before, after))
                self._renamed[before.identity] = after.identity
        for old, new in self._renamed.items():
            if self._is_renamed(old, new) and old.name != new.name:
                self._names.append((_as_word(quoted(old.name)), quoted(new.name)))
                self._raw[old.name] = new.name
            if self._is_renamed(old, new) and old.schema != new.schema:
                self._names.append((_as_word(quoted(old.schema)), quoted(new.schema)))

    def _same_numbers(self) -> Iterator[tuple[Object, Object]]:
        """Within one database the server's number tells: it is the same object under another name."""
        if not self._before.database or self._before.database != self._after.database:
            return
        numbers = {(it.identity.kind, it.number): it for it in self._added.values()}
        for it in self._removed.values():
            if (found := numbers.get((it.identity.kind, it.number))) is not None:
                yield it, found

    def _same_text(self) -> Iterator[tuple[Object, Object]]:
        """Elsewhere it must be the only one that went and the only one that came with just these properties."""
        sides: list[dict[str, list[Object]]] = []
        for side in (self._removed, self._added):
            texts: dict[str, list[Object]] = {}
            for it in side.values():
                if it.identity.kind not in _HAVE_DATA and it.properties:
                    nameless = replace(it, identity=it.identity._replace(name=""))
                    texts.setdefault(canonical(nameless), []).append(it)
            sides.append(texts)
        for text, gone in sides[0].items():
            come = sides[1].get(text, [])
            if len(gone) == len(come) == 1 and gone[0].identity.name and self._majors[0] == self._majors[1]:
                yield gone[0], come[0]

    def _is_renamed(self, old: Identity, new: Identity) -> bool:
        """Whether the name is another, and not only because its table or schema has another name."""
        if old == new:
            return False
        whole = Identity("", old.schema, "", old.relation)
        for was, is_ in self._renamed.items():
            if was == old:
                continue
            if was.kind == "SCHEMA" and was.schema == old.schema:
                old = old._replace(schema=is_.schema)
            elif old.relation and (was.schema, was.name) == (whole.schema, whole.name) and BY_NAME[was.kind].has_parts:
                old = old._replace(schema=is_.schema, relation=is_.name)
        return old._replace(detail=self._with_new_names(old.detail)) != new

    # What goes without saying, because something else is said.

    def _follows(self, it: Object, side: Mapping[Identity, Object]) -> bool:
        kind = BY_NAME[it.identity.kind]
        if it.identity.schema and Identity("SCHEMA", it.identity.schema) in side and kind.name != "SCHEMA":
            return True
        for whole in it.part_of:
            if whole in side:
                return True
            other = self._before.objects.get(whole), self._after.objects.get(whole)
            if all(other) and _is_followed(BY_NAME[whole.kind], kind.follows):
                values = [found.properties.get(kind.follows) for found in other if found]
                if values[0] != values[1]:
                    return True
        return False

    def _own(
        self,
        it: Object,
        changes: Mapping[Identity, tuple[PropertyChange, ...]],
        shared: dict[tuple[Identity, str], int],
    ) -> Iterator[PropertyChange]:
        """Yield the changes that what it is part of does not have as well."""
        for change in changes[it.identity]:
            of = next((of for of in self._origins(it) if change in changes.get(of, ())), None)
            if of is None:
                yield change
            else:
                shared[of, change.name] = shared.get((of, change.name), 0) + 1

    def _origins(self, it: Object) -> Iterator[Identity]:
        """Yield what it inherits from, the farthest first: changes are said where they were made."""
        for of in it.part_of:
            if of.kind == it.identity.kind and (found := self._before.objects.get(of)) is not None:
                yield from self._origins(found)
                yield of

    # Properties.

    def _changes(self, before: Object, after: Object) -> Iterator[PropertyChange]:
        if before.properties == after.properties and self._majors[0] == self._majors[1]:
            return  # nearly all of a schema: not worth a look at each property
        for property in _properties(before.identity.kind, self._majors):
            one, other = before.properties.get(property.name), after.properties.get(property.name)
            if (one is None and other is None) or (property.if_both and None in (one, other)):
                continue
            if HIDDEN in _members(one) or HIDDEN in _members(other):
                self._not_comparable.append(NotComparable(before.identity, property.name))
                continue
            if self._majors[0] != self._majors[1]:
                if property.across is Across.NEVER:
                    self._not_comparable.append(NotComparable(before.identity, property.name))
                    continue
                if property.privileges:
                    one, other = (_without_maintain(value, self._majors) for value in (one, other))
            if self._is_same(property, one, other):
                continue
            if self._majors[0] != self._majors[1] and property.across is Across.WORDED and None not in (one, other):
                self._not_comparable.append(NotComparable(before.identity, property.name))
                continue
            yield PropertyChange(property.name, one, other, property.form)

    def _is_same(self, property: Property, one: Value | None, other: Value | None) -> bool:
        if property.across is not Across.SAME:
            one, other = (None if value is None else comparable(value) for value in (one, other))
        if one == other:
            return True
        if self._names:
            one = self._in_new_names(one)
            if property.form is Form.SET and isinstance(one, tuple):
                one = tuple(sorted(one))
            if one == other:
                return True
        if property.form is Form.ORDER:
            common = set(_members(one)) & set(_members(other))
            return [m for m in _members(one) if m in common] == [m for m in _members(other) if m in common]
        return False

    def _in_new_names(self, value: Value | None) -> Value | None:
        rename: Callable[[str], str] = self._with_new_names
        if isinstance(value, str):
            return rename(value)
        return tuple(rename(member) for member in value) if isinstance(value, tuple) else value

    def _with_new_names(self, text: str) -> str:
        if text in self._raw:
            return self._raw[text]
        for old, new in self._names:
            text = old.sub(lambda _, new=new: new, text)  # type: ignore[misc]
        return text


def _is_followed(kind: Kind, name: str) -> bool:
    """Whether the kind has that property, and not only as the order of its members."""
    return any(property.name == name and property.form is not Form.ORDER for property in kind.properties)


@cache
def _properties(kind: str, majors: tuple[int, int]) -> tuple[Property, ...]:
    """Return the properties that both versions have; one that they are asked in two ways is one."""
    sides = [{property.name: property for property in columns(BY_NAME[kind], major)} for major in majors]
    return tuple(property for name, property in sides[0].items() if name in sides[1])


def _without_maintain(value: Value | None, majors: tuple[int, int]) -> Value | None:
    if min(majors) >= _MAINTAIN_SINCE or not isinstance(value, tuple):
        return value
    return tuple(member for member in value if ": MAINTAIN" not in member)


def _members(value: Value | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _as_word(name: str) -> re.Pattern[str]:
    if name.startswith('"'):
        return re.compile(re.escape(name))
    return re.compile(rf'(?<![\w$"]){re.escape(name)}(?![\w$"])')
