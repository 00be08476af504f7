"""SP105: bytes that are not text, or line ends that turn a directive off. Found where the file is read."""

from pgrollout.lint.rule import Rule, Severity

RULE = Rule(
    code="SP105",
    severity=Severity.ERROR,
    effect="NUL bytes, invalid UTF-8 and byte order marks are read differently by different tools.",
    remedy="Save the file as plain UTF-8 with LF line ends.",
    source="https://www.postgresql.org/docs/current/multibyte.html",
    can_be_waived=False,
)
