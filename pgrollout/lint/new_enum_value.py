"""TX301: a new enum value that is used in the transaction that adds it. Found where the directory is replayed."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="TX301",
    severity=Severity.WARNING,
    effect=(
        "A later statement of this file uses the new value, which cannot be done in the same transaction (55P04): the shadow's "
        "server asked for a cut after this one. The Atlas CLI would refuse the file; pgrollout cuts it there if the "
        "database's own server asks for it too, and what comes before is committed first."
    ),
    remedy="Put what uses the value into the next file.",
    source="https://www.postgresql.org/docs/current/sql-altertype.html#SQL-ALTERTYPE-NOTES",
    can_be_waived=False,
)
