"""PG101: an index that is built while the writers of an existing table wait."""

from collections.abc import Iterator

from pgrollout.lint.facts import Facts
from pgrollout.lint.rule import Command, Fact, Hit, Rule, Severity
from pgrollout.nodes import CreateIndex

PARTITIONED_EFFECT = (
    "CREATE INDEX on a partitioned table takes a SHARE lock on it and on every partition at once: "
    "writes wait until all builds end."
)
PARTITIONED_REMEDY = (
    "A partitioned table has no CONCURRENTLY: create the index ON ONLY the parent, build one per partition with "
    "CREATE INDEX CONCURRENTLY, and attach each with ALTER INDEX … ATTACH PARTITION."
)


def findings(command: Command, facts: Facts) -> Iterator[Hit]:
    """Yield a hit for an index on a table that exists already. ON ONLY a partitioned parent there is nothing to build."""
    match command.node:
        case CreateIndex(table=table, concurrently=False, only=only) if not facts.creates(table):
            if not facts.is_partitioned(table):
                yield Hit(str(table))
            elif not only:
                yield Hit(str(table), PARTITIONED_EFFECT, PARTITIONED_REMEDY)


RULE = Rule(
    code="PG101",
    severity=Severity.WARNING,
    needs=(Fact.FILE,),
    effect="CREATE INDEX takes a SHARE lock: writes to the table wait until the build ends.",
    remedy="Use CREATE INDEX CONCURRENTLY; if Atlas is to run it too, in a file that starts with `-- atlas:txmode none` and "
    "an empty line.",
    source="https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    findings=findings,
)
