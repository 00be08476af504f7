"""PG102: an index that is dropped while everybody who uses its table waits."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import DropIndex

PARTITIONED_REMEDY = (
    "The index of a partitioned table cannot be dropped CONCURRENTLY: drop it when the table is quiet, "
    "in a file of its own."
)


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each index that this file did not create."""
    match command.node:
        case DropIndex(indexes=indexes, concurrently=False):
            for index in indexes:
                if not facts.creates_index(index):
                    yield Hit(str(index), remedy=PARTITIONED_REMEDY if facts.is_partitioned_index(index) else "")


RULE = Rule(
    code="PG102",
    severity=Severity.WARNING,
    needs=(Fact.FILE,),
    effect=(
        "DROP INDEX takes an ACCESS EXCLUSIVE lock on the table: it is brief, but while it waits for a long query, "
        "every later query waits behind it."
    ),
    remedy="Use DROP INDEX CONCURRENTLY, one index a statement; if Atlas is to run it too, in a file that starts with "
    "`-- atlas:txmode none` and an empty line.",
    source="https://www.postgresql.org/docs/current/sql-dropindex.html",
    findings=findings,
)
