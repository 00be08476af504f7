"""SP104: COPY with its data in the file, which only psql can send. Found where the file is read."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="SP104",
    severity=Severity.ERROR,
    effect="COPY … FROM STDIN with data after it works in psql only.",
    remedy="Write the rows as INSERT.",
    source="https://www.postgresql.org/docs/current/sql-copy.html",
    can_be_waived=False,
)
