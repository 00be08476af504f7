"""SP106: a file without a statement."""

from pgrollout.content import Content
from pgrollout.lint.rule import Hit, Rule, Severity
from pgrollout.splitter import is_blank


def emptiness(content: Content) -> Hit | None:
    """Return a hit if the file has nothing to run."""
    return Hit("") if all(is_blank(statement.text) for statement in content.statements) else None


RULE = Rule(
    code="SP106",
    severity=Severity.WARNING,
    effect="There is no statement in this file; it would be recorded as applied all the same.",
    remedy="Delete it, or write what is meant.",
    source="https://www.postgresql.org/docs/current/sql-syntax-lexical.html",
    can_be_waived=False,
)
