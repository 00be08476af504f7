"""PG306: a foreign key is added, and every row is looked up while the writers of both tables wait."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import AddColumn, AddConstraint, AlterTable, Constraint, ConstraintKind, Name

PARTITIONED_REMEDY = (
    "From PostgreSQL 18 on add it NOT VALID and VALIDATE CONSTRAINT in a later file; older servers refuse NOT VALID on a "
    "partitioned table: there, add it to each partition in that way first."
)
COLUMN_REMEDY = (
    "Add the column without REFERENCES, then the foreign key NOT VALID; in a later file VALIDATE CONSTRAINT, which "
    "blocks nobody."
)


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """
    Yield a hit for each foreign key that is added to an existing table and valid at once.

    One that comes with a new column is only looked up where the column has a default: else all rows have NULL.
    """
    match command.node:
        case AlterTable(table, actions) if not facts.creates(table):
            for action in actions:
                match action:
                    case AddConstraint(
                        Constraint(kind=ConstraintKind.FOREIGN_KEY, not_valid=False, enforced=True) as constraint
                    ):
                        remedy = PARTITIONED_REMEDY if facts.is_partitioned(table) else ""
                        yield Hit(_subject(table, constraint), remedy=remedy)
                    case AddColumn(column) if column.has_default:
                        for constraint in column.constraints:
                            if constraint.kind is ConstraintKind.FOREIGN_KEY and constraint.enforced:
                                yield Hit(f"{table}.{column.name}", remedy=COLUMN_REMEDY)


def _subject(table: Name, constraint: Constraint) -> str:
    return f"{table}.{constraint.name}" if constraint.name else str(table)


RULE = Rule(
    code="PG306",
    severity=Severity.WARNING,
    needs=(Fact.FILE,),
    effect="Adding a foreign key takes a SHARE ROW EXCLUSIVE lock on both tables and looks every row up: "
    "writes to both wait until it ends.",
    remedy="Add it NOT VALID, which is instant and holds for new rows; in a later file VALIDATE CONSTRAINT, which blocks "
    "nobody.",
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    findings=findings,
)
