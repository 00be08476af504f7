"""PG103: CONCURRENTLY in a file that the Atlas CLI would run in one transaction."""

from collections.abc import Iterator

from pgrollout.content import Content
from pgrollout.lint.rule import Hit, Rule, Severity
from pgrollout.outside import Form
from pgrollout.segments import made_here, outside_of

ONLINE = frozenset({Form.ONLINE_BUILD, Form.ONLINE_REINDEX, Form.ONLINE_DROP, Form.DETACH})
"""The statements that say CONCURRENTLY."""

PLAIN_EFFECT = (
    "The Atlas CLI would run this file in one transaction, where CONCURRENTLY fails (25001). pgrollout builds the index "
    "in plain form there, for the file makes its table."
)
PLAIN_REMEDY = "Leave CONCURRENTLY out: nobody uses the table yet."


def findings(content: Content) -> Iterator[tuple[int, Hit]]:
    """Yield a hit for each such statement of a wrapped file."""
    if not content.transactional:
        return
    plain = made_here(content)
    for statement in content.statements:
        what = outside_of(content, statement.index)
        if what is not None and what.form in ONLINE:
            subject = str(what.table if what.form is Form.ONLINE_BUILD or not what.name.name else what.name)
            yield (
                statement.index,
                Hit(subject, PLAIN_EFFECT, PLAIN_REMEDY) if statement.index in plain else Hit(subject),
            )


RULE = Rule(
    code="PG103",
    severity=Severity.WARNING,
    effect=(
        "The Atlas CLI would run this file in one transaction, where CONCURRENTLY fails (25001). pgrollout runs the "
        "statement by itself: what stands before it is committed first."
    ),
    remedy="If Atlas is to run it too, add `-- atlas:txmode none` and an empty line at the top of the file.",
    source="https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    in_file=findings,
)
