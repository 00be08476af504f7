"""DS102: a table is dropped, and its rows with it."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import DropTable


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each table that this file did not create."""
    match command.node:
        case DropTable(tables):
            for table in tables:
                if not facts.surely_creates(table):
                    yield Hit(str(table))


RULE = Rule(
    code="DS102",
    severity=Severity.ERROR,
    needs=(Fact.FILE,),
    effect="DROP TABLE deletes the rows for good, and the running application's queries fail at once.",
    remedy="Take it in releases: first stop using the table, then drop what refers to it, then drop it with a backup at "
    "hand, and say so with `-- atlas:nolint DS102` and the reason.",
    source="https://www.postgresql.org/docs/current/sql-droptable.html",
    findings=findings,
)
