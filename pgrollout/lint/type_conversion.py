"""
Type changes: which ones make PostgreSQL copy the table.

A change is free if every value stays as it is stored and none has to be checked. The table below is measured on
PostgreSQL 12 to 18, and a test compares it with a server. Knows types only; whether a CHECK makes the server look at
each row, or an index is built again, is left to others.
"""

from enum import IntEnum

from pgrollout.nodes import TypeName


class Conversion(IntEnum):
    """What a type change does to a table; of several in a row, the greatest counts."""

    FREE = 0
    """Nothing but a change in the catalog."""
    BY_TIME_ZONE = 1
    """Free if the session's TimeZone is UTC, else a copy."""
    UNKNOWN = 2
    """Only the catalog knows."""
    REWRITES = 3
    """The table and all its indexes are copied."""


STRINGS = frozenset({"text", "varchar"})
TEMPORAL = frozenset({"interval", "time", "timestamp", "timestamptz", "timetz"})
"""Types whose modifier is a number of fractional digits, at most 6."""
NUMBERS = frozenset({"float4", "float8", "int2", "int4", "int8", "numeric"})
OTHERS = frozenset({"bool", "bpchar", "bytea", "cidr", "date", "inet", "json", "jsonb", "macaddr", "uuid", "varbit"})
OWN_TYPES = STRINGS | TEMPORAL | NUMBERS | OTHERS
"""PostgreSQL's own types that have no conversions among themselves which are free, but for those named below."""
MOST_DIGITS = 6


def conversion(old: TypeName, new: TypeName) -> Conversion:
    """Return what a change of type by the plain cast does."""
    if old == new:
        return Conversion.FREE
    if old.is_array or new.is_array:
        return _arrays(old, new)
    if old.schema or new.schema or not {old.name, new.name} <= OWN_TYPES:
        return Conversion.UNKNOWN
    if new.name == "bpchar" and not new.modifiers:
        return Conversion.UNKNOWN
    if old.name in STRINGS and new.name in STRINGS:
        return _free_if(_is_wider(old, new))
    if old.name in TEMPORAL and old.name == new.name:
        return _free_if(_digits(old) <= _digits(new))
    if {old.name, new.name} == {"timestamp", "timestamptz"}:
        return Conversion.BY_TIME_ZONE if _digits(new) == MOST_DIGITS else Conversion.REWRITES
    match old.name, new.name:
        case "varbit", "varbit":
            return _free_if(_is_wider(old, new))
        case "numeric", "numeric":
            return _free_if(_holds_more_digits(old, new))
        case "cidr", "inet":
            return Conversion.FREE
    return Conversion.REWRITES


def _arrays(old: TypeName, new: TypeName) -> Conversion:
    if not (old.is_array and new.is_array):
        return Conversion.UNKNOWN
    elements = conversion(
        TypeName(old.name, old.modifiers, False, old.schema), TypeName(new.name, new.modifiers, False, new.schema)
    )
    return Conversion.REWRITES if elements is Conversion.REWRITES else Conversion.UNKNOWN


def _free_if(free: bool) -> Conversion:
    return Conversion.FREE if free else Conversion.REWRITES


def _is_wider(old: TypeName, new: TypeName) -> bool:
    return not new.modifiers or (bool(old.modifiers) and old.modifiers[0] <= new.modifiers[0])


def _digits(type_name: TypeName) -> int:
    return type_name.modifiers[0] if type_name.modifiers else MOST_DIGITS


def _holds_more_digits(old: TypeName, new: TypeName) -> bool:
    if not new.modifiers:
        return True
    if not old.modifiers:
        return False
    old_precision, old_scale = (*old.modifiers, 0)[:2]
    new_precision, new_scale = (*new.modifiers, 0)[:2]
    return new_precision >= old_precision and new_scale == old_scale
