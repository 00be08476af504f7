"""SP103: a command of psql, which no server understands. Found where the file is read."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="SP103",
    severity=Severity.ERROR,
    effect="This is a command of psql; no server understands it.",
    remedy="Remove it, or write it in SQL.",
    source="https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-META-COMMANDS",
    can_be_waived=False,
)
