"""
Catalogs: a schema as a value, one object per thing that a schema consists of.

An object has an identity and properties; properties that say what goes without saying are left out. What kinds there
are, and how they are read, is in ``kinds``; nothing here reads a database.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Value: TypeAlias = str | int | bool | tuple[str, ...]
"""Of a property. A tuple is a list; whether its order counts is for the property to say."""

MIGRATING_ROLE = "the migrating role"
"""Stands in owners and grants for the role that the migrations run as, whatever its name is."""

HIDDEN = "not visible to this role"
"""Stands for what the server does not let us see; it is neither equal to anything nor different."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
# What quote_ident quotes although it is all lower case, in PostgreSQL 18.
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
            all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both
            case cast char character check coalesce collate collation column concurrently constraint create cross
            current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
            decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
            freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
            interval into is isnull join json json_array json_arrayagg json_exists json_object json_objectagg
            json_query json_scalar json_serialize json_table json_value lateral leading least left like limit
            localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif
            numeric offset on only or order out outer overlaps overlay placing position precision primary real
            references returning right row select session_user setof similar smallint some substring symmetric
            system_user table tablesample then time timestamp to trailing treat trim true union unique user using
            values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists
            xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
        """,
    )
)


class Identity(NamedTuple):
    """What an object is known by: its kind and its name, never an OID."""

    kind: str
    """As SQL calls it: ``TABLE``, ``COLUMN``, ``TEXT SEARCH PARSER``."""
    schema: str = ""
    """Its schema; empty for what is in none."""
    relation: str = ""
    """The table, view, type or domain that it is part of; empty for what stands alone."""
    name: str = ""
    """Its own name, unquoted."""
    detail: str = ""
    """What tells objects of one name apart, as SQL writes it: ``(integer, text)``."""

    def __str__(self) -> str:
        """Return it as people write it: ``COLUMN shop.orders."Total"``."""
        if self.detail and not self.name:
            return f"{self.kind} {self.detail}"
        parts = [quoted(part) for part in (self.schema, self.relation) if part]
        if self.name:
            parts.append(self.name if self.kind == "OPERATOR" else quoted(self.name))
        return f"{self.kind} {'.'.join(parts)}{self.detail}"


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a schema."""

    identity: Identity
    properties: Mapping[str, Value]
    """By name, in the order of its kind; without those that go without saying."""
    part_of: tuple[Identity, ...] = ()
    """Objects that it comes and goes with: the table of a column, the parent's index of a partition's."""
    number: tuple[int, int] = field(default=(0, 0), compare=False)
    """The server's own number: OID, and the column's number or 0. Tells an object that was renamed."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """A schema at one moment."""

    server_version: int
    """The server's ``server_version_num``: 180006."""
    objects: Mapping[Identity, Object]
    """By identity, in the order in which a person would read them."""
    database: str = field(default="", compare=False)
    """Names the database among all: numbers mean something only within one. Empty where that is not known."""

    @property
    def major(self) -> int:
        """The server's major version: 18."""
        return self.server_version // 10000


def quoted(name: str) -> str:
    """Return a name as ``quote_ident`` of PostgreSQL 18 does, whatever server it comes from."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'
