"""
What lint reports: findings, those that a file waives, waivers that waive nothing, and what nobody looked at.
"""

from dataclasses import dataclass

from pgrollout.lint.rule import Finding, Severity
from pgrollout.place import Place


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding that a file accepts."""

    finding: Finding
    place: Place
    """Where the waiver stands."""
    reason: str


@dataclass(frozen=True, slots=True)
class NotAnalysed:
    """Something that no rule could look at."""

    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: not analysed: {self.reason}"


@dataclass(frozen=True, slots=True)
class LintReport:
    """What the rules say about the files asked for; each by file, then by place."""

    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    unused_waivers: tuple[Finding, ...]
    """Findings of rule RB204."""
    not_analysed: tuple[NotAnalysed, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which the directory is refused."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)
