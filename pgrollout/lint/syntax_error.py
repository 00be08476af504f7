"""SP101: a statement that is not SQL. The parser finds it; an unclosed quote is found where the file is read."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="SP101",
    severity=Severity.ERROR,
    effect="This is not SQL.",
    remedy="Correct the statement; the parser is that of PostgreSQL 18.",
    source="https://www.postgresql.org/docs/current/sql-commands.html",
    can_be_waived=False,
)
