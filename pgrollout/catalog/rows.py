"""
Rows: from what the queries of the kinds return to objects.

Leaves out what is not in scope and what goes without saying, masks secrets, and finds what each object is part of.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from pgrollout.catalog.kind import GRANTS, Form, Kind, Property, columns
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.model import Identity, Object, Value
from pgrollout.catalog.scope import Scope
from pgrollout.secrets import is_secret_name


def objects_of(
    found: Iterable[tuple[Kind, Iterable[Sequence[Any]]]], major: int, scope: Scope
) -> dict[Identity, Object]:
    """
    Return the objects by identity, in the order in which a person would read them.

    Args:
        found: Each kind with the rows of its query, kinds in their order.
        major: Major version of the server.
        scope: What is kept.
    """
    objects: list[Object] = []
    relations: dict[tuple[str, str], Identity] = {}
    # Each relation is asked for by all that belongs to it.
    is_in_scope = cache(partial(_in_scope, scope))
    for kind, rows in found:
        of_kind = list(_objects(kind, columns(kind, major), rows, is_in_scope, relations))
        objects += of_kind
        if kind.has_parts:
            relations.update(((it.identity.schema, it.identity.name), it.identity) for it in of_kind)
    return ordered(objects)


def ordered(objects: Iterable[Object]) -> dict[Identity, Object]:
    """Return the objects by identity: kinds in their order, the parts of a table after it."""
    return {it.identity: it for it in sorted(objects, key=_place)}


def _place(it: Object) -> tuple[Any, ...]:
    own = it.identity
    if whole := next((of for of in it.part_of if BY_NAME[of.kind].has_parts and of.kind != own.kind), None):
        return (BY_NAME[whole.kind].order, whole.schema, whole.name, BY_NAME[own.kind].order, it.number[1], *own)
    return (BY_NAME[own.kind].order, own.schema, own.name, 0, 0, *own)


def _objects(
    kind: Kind,
    properties: Sequence[Property],
    rows: Iterable[Sequence[Any]],
    is_in_scope: Callable[[str, str, str], bool],
    relations: Mapping[tuple[str, str], Identity],
) -> Iterator[Object]:
    for oid, number, schema, relation, name, detail, part_of, default, *values in rows:
        if not is_in_scope(schema, relation or name, "" if relation or name else detail):
            continue
        said: dict[str, Value] = {}
        for property, value in zip(properties, values, strict=True):
            kept = _granted(value, default) if property is GRANTS else _said(property, value)
            if kept is not None:
                said[property.name] = kept
        of = list(_identities(part_of))
        if not all(is_in_scope(each.schema, each.relation or each.name, each.detail) for each in of):
            continue
        if whole := relations.get((schema, relation)):
            of.insert(0, whole)
        identity = Identity(kind.name, sys.intern(schema), sys.intern(relation), name, detail)
        yield Object(identity, said, tuple(of), (oid, number))


def _in_scope(scope: Scope, schema: str, name: str, detail: str) -> bool:
    if not schema:
        return scope.has_global(name or detail)
    return scope.has(schema, name) if name else scope.has_schema(schema)


def _said(property: Property, value: Any) -> Value | None:
    """Return the value as the model keeps it; None if it goes without saying."""
    if value is None or value == property.implied or (value is False and property.implied is None):
        return None
    if isinstance(value, list):
        members = [_masked(member) if property.secret else member for member in value]
        return tuple(sorted(members) if property.form is Form.SET else members) or None
    return value if isinstance(value, bool | int) else sys.intern(str(value))


def _masked(option: str) -> str:
    key, _, _ = option.partition("=")
    return f"{key}=***" if is_secret_name(key) else option


def _granted(grants: list[str] | None, default: list[str] | None) -> Value | None:
    """Return what was granted beyond what nobody has to say, and what of that was revoked."""
    if grants is None:
        return None
    usual = set(default or ())
    return (*sorted(set(grants) - usual), *sorted(f"revoked from {grant}" for grant in usual - set(grants))) or None


def _identities(found: list[Any] | None) -> Iterator[Identity]:
    if found:
        for parts in found if isinstance(found[0], list) else [found]:
            yield Identity(*parts)
