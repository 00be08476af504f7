"""IX203: an index of a partitioned table that is to be built or dropped CONCURRENTLY, which no server does."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import CreateIndex, DropIndex

DROP_EFFECT = "DROP INDEX CONCURRENTLY of an index on a partitioned table fails on every version (0A000)."
DROP_REMEDY = "Use DROP INDEX when the table is quiet, in a file of its own."


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for each partitioned table, or index of one."""
    match command.node:
        case CreateIndex(table=table, concurrently=True) if facts.is_partitioned(table):
            yield Hit(str(table))
        case DropIndex(indexes=indexes, concurrently=True):
            for index in indexes:
                if facts.is_partitioned_index(index):
                    yield Hit(str(index), DROP_EFFECT, DROP_REMEDY)


RULE = Rule(
    code="IX203",
    severity=Severity.ERROR,
    needs=(Fact.DIRECTORY,),
    effect="CREATE INDEX CONCURRENTLY on a partitioned table fails on every version (0A000).",
    remedy=(
        "Create the index ON ONLY the parent, build one per partition with CREATE INDEX CONCURRENTLY, and attach each with "
        "ALTER INDEX … ATTACH PARTITION."
    ),
    source="https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
    findings=findings,
)
