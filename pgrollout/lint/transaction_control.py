"""TX101: a file that runs in our transaction ends that transaction itself. Found where the file is read."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="TX101",
    severity=Severity.ERROR,
    effect="It would end the transaction that this file runs in, and a later failure would leave half of it.",
    remedy="Remove it: the file is one transaction already. Where a file must commit in between, start it with "
    "`-- atlas:txmode none` and an empty line.",
    source="https://www.postgresql.org/docs/current/sql-commit.html",
    can_be_waived=False,
)
