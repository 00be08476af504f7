"""PG305: a CHECK is added, and every row is checked while everybody waits."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import AddConstraint, AlterTable, Constraint, ConstraintKind


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each CHECK that is added to an existing table and valid at once."""
    match command.node:
        case AlterTable(table, actions, is_foreign=False) if facts.may_have_rows(table):
            for action in actions:
                match action:
                    case AddConstraint(
                        Constraint(kind=ConstraintKind.CHECK, not_valid=False, enforced=True, name=name)
                    ):
                        yield Hit(f"{table}.{name}" if name else str(table))


RULE = Rule(
    code="PG305",
    severity=Severity.WARNING,
    needs=(Fact.FILE, Fact.DIRECTORY),
    effect="Adding a CHECK reads the whole table under an ACCESS EXCLUSIVE lock: readers and writers wait until it ends.",
    remedy="Add it NOT VALID, which is instant and holds for new rows; in a later file VALIDATE CONSTRAINT, which blocks "
    "nobody.",
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    findings=findings,
)
