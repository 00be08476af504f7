"""PG301: a column's type is changed in a way that copies the table, or may."""

from collections.abc import Iterator
from itertools import pairwise

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.lint.type_conversion import Conversion, conversion
from pgrollout.nodes import AlterTable, ChangeType, TypeName


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each type change of an existing table that is not known to be free."""
    match command.node:
        case AlterTable(table, actions, is_foreign=False) if facts.may_have_rows(table):
            for action in actions:
                if isinstance(action, ChangeType):
                    column = facts.column(table, action.column)
                    if effect := _effect(column.type if column else None, action):
                        yield Hit(f"{table}.{action.column}", effect)


def _effect(old: TypeName | None, change: ChangeType) -> str:
    change_of = f"The change from {old} to {change.type}" if old else f"The change to {change.type}"
    match _conversion(old, change):
        case Conversion.FREE:
            return ""
        case Conversion.REWRITES:
            return f"{change_of} {COPIES}"
        case Conversion.BY_TIME_ZONE:
            return f"{change_of} is free if the session's TimeZone is UTC; otherwise it {COPIES}"
        case Conversion.UNKNOWN:
            why = "its values may have to be converted" if old else "no migration says which type it has now"
            return f"{change_of} may copy the table ({why}): {MEANWHILE}"


def _conversion(old: TypeName | None, change: ChangeType) -> Conversion:
    if change.casts is None:
        return Conversion.REWRITES
    if old is None:
        return Conversion.UNKNOWN
    return max(conversion(*step) for step in pairwise((old, *change.casts, change.type)))


MEANWHILE = "nobody can read or write the table meanwhile (ACCESS EXCLUSIVE)."
COPIES = f"copies the table and all its indexes: {MEANWHILE}"

RULE = Rule(
    code="PG301",
    severity=Severity.WARNING,
    needs=(Fact.FILE, Fact.DIRECTORY, Fact.CATALOG),
    effect=f"ALTER COLUMN … TYPE {COPIES}",
    remedy="Add a column of the new type, keep both in step with a trigger, fill it in batches, then switch over; or do "
    "it while nobody uses the table.",
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    findings=findings,
)
