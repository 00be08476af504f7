"""TX201: a statement that cannot run in a transaction, in a file that the Atlas CLI would run in one."""

from collections.abc import Iterator

from pgrollout.content import Content
from pgrollout.lint.concurrently_in_transaction import ONLINE
from pgrollout.lint.rule import Hit, Rule, Severity
from pgrollout.segments import outside_of


def findings(content: Content) -> Iterator[tuple[int, Hit]]:
    """Yield a hit for each such statement of a wrapped file that is not about CONCURRENTLY."""
    if not content.transactional:
        return
    for statement in content.statements:
        what = outside_of(content, statement.index)
        if what is not None and what.form not in ONLINE:
            yield statement.index, Hit(" ".join(statement.keywords[: 1 if what.form.startswith("vacuum") else 2]))


RULE = Rule(
    code="TX201",
    severity=Severity.WARNING,
    effect=(
        "The Atlas CLI would run this file in one transaction, where this statement fails (25001). pgrollout runs it by "
        "itself: what stands before it is committed first."
    ),
    remedy="If Atlas is to run it too, add `-- atlas:txmode none` and an empty line at the top of the file.",
    source="https://www.postgresql.org/docs/current/sql-vacuum.html",
    in_file=findings,
)
