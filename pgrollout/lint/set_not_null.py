"""PG303: NOT NULL is set on a column, and the server reads the whole table to see whether that is true."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import AlterTable, DropConstraint, SetNotNull


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each SET NOT NULL on an existing table without a valid CHECK that proves it."""
    match command.node:
        case AlterTable(table, actions, is_foreign=False) if facts.may_have_rows(table):
            dropped = [action.name for action in actions if isinstance(action, DropConstraint)]
            known = facts.table(table)
            for action in actions:
                if not isinstance(action, SetNotNull):
                    continue
                if known is not None and known.proves_not_null(action.column, dropped):
                    continue
                column = facts.column(table, action.column)
                if column is None:
                    yield Hit(f"{table}.{action.column}", MAY_SCAN)
                elif not column.not_null:
                    yield Hit(f"{table}.{action.column}")


MAY_SCAN = (
    "SET NOT NULL reads the whole table under an ACCESS EXCLUSIVE lock, unless a valid CHECK proves it already, which no "
    "migration here says: readers and writers may wait until it ends."
)

RULE = Rule(
    code="PG303",
    severity=Severity.WARNING,
    needs=(Fact.FILE, Fact.DIRECTORY, Fact.CATALOG),
    effect="SET NOT NULL reads the whole table under an ACCESS EXCLUSIVE lock: readers and writers wait until it ends.",
    remedy="First ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; in a later file VALIDATE CONSTRAINT, which blocks "
    "nobody; then SET NOT NULL is instant, and the CHECK can go.",
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    findings=findings,
)
