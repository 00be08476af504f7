"""
Listings: a catalog for reading, as text and as SQL, in the order of a person: schemas, types, functions, tables, the rest.

What belongs to a table stands below it. Secrets in texts are masked.
"""

import fnmatch
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

from pgrollout.catalog.ddl import Later, Parts
from pgrollout.catalog.ddl.statements import statements_of
from pgrollout.catalog.difference_text import shown
from pgrollout.catalog.kind import Form
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.model import Catalog, Identity, Object

_WIDE = 100
_SAYS_ITSELF = ("type", "definition", "values")
"""Properties whose value is shown without their name."""


def selected(objects: Iterable[Object], pattern: str | None) -> list[Object]:
    """
    Return the objects that match, with what belongs to them.

    Args:
        objects: The objects.
        pattern: ``name``, ``schema.name`` or ``schema.table.column``, in any case and with ``*``, ``?``, ``[…]``; the kind
            may stand before it: ``INDEX shop.*``. None matches all.
    """
    found = list(objects)
    if pattern is None:
        return found
    chosen = {it.identity for it in found if _matches(it.identity, pattern)}
    return [it for it in found if it.identity in chosen or not chosen.isdisjoint(it.part_of)]


def _matches(own: Identity, pattern: str) -> bool:
    path = [part for part in (own.schema, own.relation, own.name) if part]
    names = [".".join(path), path[-1] if path else "", f"{'.'.join(path)}{own.detail}", own.detail]
    said = [*names, *(f"{own.kind} {name}" for name in names), str(own)]
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for name in said if name)


def as_text(objects: Collection[Object]) -> str:
    """Return the objects as text: a line each, its properties, and below it what belongs to it."""
    lines: list[str] = []
    whole: Identity | None = None
    for it in objects:
        is_part = whole in it.part_of
        if is_part and it.identity.kind == "COLUMN" and not it.properties:
            continue  # a view's: its output says it
        if not is_part:
            whole = it.identity
            lines += [""] if lines else []
        lines += [("    " if is_part else "") + line for line in _lines(it, within=is_part)]
    return "\n".join(lines)


def _lines(it: Object, *, within: bool) -> Iterator[str]:
    own = it.identity
    name = str(own)
    if within:
        # The table's name stands above.
        name = f"{own.kind} {str(own._replace(schema='', relation=''))[len(own.kind) + 1 :]}"
    said = list(_said(it, within=within))
    short = ", ".join(said)
    if not said:
        yield name
    elif within and "\n" not in short and len(name) + len(short) <= _WIDE:
        yield f"{name}: {short}"
    else:
        yield name
        for each in said:
            yield from (f"    {line}" for line in each.splitlines())


def _said(it: Object, *, within: bool) -> Iterator[str]:
    forms = {property.name: property.form for property in BY_NAME[it.identity.kind].all_properties()}
    for name, value in it.properties.items():
        if forms.get(name) is Form.ORDER or (within and name == "table") or value == "":
            continue  # what is listed stands below, in that order, and the table above
        if value is True:
            yield name
        elif name == "grants" and isinstance(value, tuple):
            yield f"grants: {'; '.join(_by_role(value))}"
        elif name in _SAYS_ITSELF:
            yield shown(value)
        else:
            text = shown(value)
            yield f"{name}:\n{_indented(text)}" if "\n" in text else f"{name}: {text}"


def _by_role(grants: tuple[str, ...]) -> Iterator[str]:
    for role, same in groupby((grant.rpartition(": ") for grant in grants), key=lambda grant: grant[0]):
        yield f"{shown(role)}: {', '.join(privilege for _, _, privilege in same)}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.strip("\n").splitlines())


def as_sql(catalog: Catalog, objects: Collection[Object]) -> str:
    """
    Return the SQL of the objects, secrets masked; a line of comment for those whose SQL nobody can give exactly.

    For reading: in a person's order, which is not always one in which a server takes them, foreign keys and what else
    names other tables at the end.
    """
    parts, there = Parts(catalog), {it.identity for it in objects}
    lines: list[str] = []
    later: list[str] = []
    for it in objects:
        statements = statements_of(it, parts, within=there)
        first = [one for one in statements if not isinstance(one, Later)]
        if first and lines and not (there.intersection(it.part_of) and all("\n" not in one for one in first)):
            lines.append("")
        lines += first
        later += [one for one in statements if isinstance(one, Later)]
    return "\n".join([*lines, *([""] if lines and later else []), *later])
