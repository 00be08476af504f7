"""SP108: Atlas would cut the file into other statements than the server does. Found where the file is read."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="SP108",
    severity=Severity.ERROR,
    effect="Atlas would split this file differently from the server.",
    remedy="Rewrite the statement so that both agree: no E'\\'' (write ''), no comment in a comment, BEGIN without "
    "TRANSACTION.",
    source="https://www.postgresql.org/docs/current/sql-syntax-lexical.html",
    can_be_waived=False,
)
