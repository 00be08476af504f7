"""MF103: a column is added that must have a value, and nothing gives it one."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import AddColumn, AlterTable


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each NOT NULL column without a default that is added to an existing table."""
    match command.node:
        case AlterTable(table, actions, is_foreign=False) if facts.may_have_rows(table):
            for action in actions:
                match action:
                    case AddColumn(column, if_not_exists) if facts.demands_value(column):
                        if not (if_not_exists and facts.column(table, column.name)):
                            yield Hit(f"{table}.{column.name}")


RULE = Rule(
    code="MF103",
    severity=Severity.ERROR,
    needs=(Fact.FILE, Fact.DIRECTORY),
    effect="ADD COLUMN … NOT NULL without a default fails if the table has a row, and INSERTs of the running application "
    "fail afterwards.",
    remedy="Give it a constant DEFAULT, which is instant; or add it nullable, fill it in batches, and set NOT NULL later.",
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-COLUMN",
    findings=findings,
)
