"""DS103: a column is dropped, and its values with it."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import AlterTable, DropColumn


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each stored column that this file did not add."""
    match command.node:
        case AlterTable(table, actions) if not facts.surely_creates(table):
            for action in actions:
                if isinstance(action, DropColumn) and not facts.adds(table, action.column):
                    column = facts.column(table, action.column)
                    if column is None or not column.is_virtual:
                        yield Hit(f"{table}.{action.column}")


RULE = Rule(
    code="DS103",
    severity=Severity.ERROR,
    needs=(Fact.FILE, Fact.DIRECTORY),
    effect="DROP COLUMN deletes the values for good, and the running application's queries that name it fail at once.",
    remedy="Take it in releases: first stop using the column, then drop its NOT NULL and constraints, then drop it with a "
    "backup at hand, and say so with `-- atlas:nolint DS103` and the reason.",
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-COLUMN",
    findings=findings,
)
