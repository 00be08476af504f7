"""RB204: a waiver that waives nothing."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="RB204",
    severity=Severity.INFO,
    effect="This waiver waives nothing.",
    remedy="Delete it: it would hide the next finding of that kind.",
    source="https://atlasgo.io/versioned/lint",
    can_be_waived=False,
)
