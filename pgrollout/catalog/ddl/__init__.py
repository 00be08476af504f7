"""
DDL: an object's SQL, put together from what the server printed of it; the module of a kind names the function for it.

Each function yields statements, first the one that makes the object, then those that change what it was made with. Owner,
grants, comment and labels are the same for all kinds: ``statements.py`` adds them. For reading: it is not run by anything,
and what the catalog has masked or not read, like a password, is not in it. A test runs all of it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from pgrollout.catalog.model import HIDDEN, MIGRATING_ROLE, Catalog, Identity, Object, Value, quoted
from pgrollout.quoting import literal


class Parts:
    """A catalog in which what belongs to an object is found."""

    def __init__(self, catalog: Catalog) -> None:
        self._objects: Mapping[Identity, Object] = catalog.objects
        self._parts: dict[Identity, list[Object]] = {}
        for it in catalog.objects.values():
            for of in it.part_of:
                self._parts.setdefault(of, []).append(it)

    def of(self, it: Object, kind: str) -> list[Object]:
        """Return what of a kind belongs to the object, in the order of the catalog."""
        return [part for part in self._parts.get(it.identity, ()) if part.identity.kind == kind]

    def wholes(self, it: Object) -> Iterator[Object]:
        """Yield what the object belongs to."""
        yield from (self._objects[of] for of in it.part_of if of in self._objects)

    def parents(self, it: Object) -> list[Object]:
        """Return the objects of its own kind that it inherits from."""
        return [of for of in self.wholes(it) if of.identity.kind == it.identity.kind]


class Later(str):
    """A statement that names what may be made after its object: in a script it stands behind all tables."""

    __slots__ = ()


Writer: TypeAlias = Callable[[Object, Parts], Iterator[str]]

_FUNCTION = re.compile(r'((?:"(?:[^"]|"")*"|[^".(]+)(?:\.(?:"(?:[^"]|"")*"|[^".(]+))?)\(')
_SIMPLE = re.compile(r"[A-Za-z0-9_.+-]+")


def name_of(it: Object) -> str:
    """Return its name, quoted, with its schema."""
    return ".".join(quoted(part) for part in (it.identity.schema, it.identity.name) if part)


def relation_of(it: Object) -> str:
    """Return the name of what it is part of, likewise."""
    return f"{quoted(it.identity.schema)}.{quoted(it.identity.relation)}"


def part_address(it: Object, of: str = "") -> str:
    """Return how COMMENT ON names a part of a relation: ``TRIGGER touch ON shop.orders``."""
    return f"{it.identity.kind.split()[-1]} {quoted(it.identity.name)} ON {of}{relation_of(it)}"


def text_of(it: Object, name: str) -> str:
    """Return a property as text; empty without it."""
    return str(it.properties.get(name, ""))


def list_of(it: Object, name: str) -> tuple[str, ...]:
    """Return a property as a list."""
    value: Value = it.properties.get(name, ())
    return value if isinstance(value, tuple) else (str(value),)


def is_its_own(it: Object) -> bool:
    """Whether a table says itself what it inherits too."""
    return it.properties.get("inheritance") == "inherited and its own"


def role_sql(role: str) -> str:
    """Return a role as SQL names it."""
    if role == MIGRATING_ROLE:
        return "CURRENT_USER"
    return role if role == "PUBLIC" else quoted(role)


def function_name(signature: str) -> str:
    """Return the name of ``schema.name(types)`` alone."""
    found = _FUNCTION.match(signature)
    return found[1] if found else signature


def operator_name(signature: str) -> str:
    """Return ``OPERATOR(schema.name)`` of ``schema.name(types)``."""
    return f"OPERATOR({signature[: signature.rfind('(')]})"


def parameters(pairs: Iterable[str], prefix: str = "") -> Iterator[str]:
    """Yield ``name=value`` pairs as storage parameters are written."""
    for pair in pairs:
        key, _, value = pair.partition("=")
        yield f"{prefix}{key}={value if _SIMPLE.fullmatch(value) else literal(value)}"


def options_sql(it: Object, name: str = "options") -> str:
    """Return options of foreign data as SQL, with a space before; empty without any."""
    pairs = [pair.partition("=") for pair in list_of(it, name) if pair != HIDDEN]
    return f" OPTIONS ({', '.join(f'{quoted(key)} {literal(value)}' for key, _, value in pairs)})" if pairs else ""


def settings(it: Object, known: Mapping[str, str]) -> list[str]:
    """Return ``NAME = value`` for the properties that the object has, as definitions of types and operators list them."""
    return [f"{word} = {text_of(it, name)}" for name, word in known.items() if name in it.properties]


def functions(it: Object, known: Mapping[str, str]) -> list[str]:
    """Return the same for functions, without their arguments."""
    return [f"{word} = {function_name(text_of(it, name))}" for name, word in known.items() if name in it.properties]


def switched(it: Object, what: str) -> Iterator[str]:
    """Yield the statement that enables or disables a trigger or a rule otherwise than it is made."""
    how = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}.get(text_of(it, "enabled"))
    if how:
        yield f"ALTER TABLE {relation_of(it)} {how} {what} {quoted(it.identity.name)};"
