"""
Annotations: findings as the commands that a GitHub job prints to have them shown beside the lines of a pull request.

Findings in, lines out. Source: GitHub, "Workflow commands for GitHub Actions", and ``@actions/core``, ``command.ts``, for what
is escaped.
"""

from collections.abc import Iterator, Sequence

from pgrollout.sarif import Issue

LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def as_annotations(issues: Sequence[Issue], folder: str) -> Iterator[str]:
    """
    Yield one line for each finding.

    Args:
        issues: The findings.
        folder: Where their files are, as seen from the repository's root; empty if they are there.
    """
    for issue in issues:
        file = "/".join(part for part in (folder.strip("/"), issue.file) if part)
        title = f",title={_property(issue.code)}" if issue.code else ""
        place = f"file={_property(file)},line={issue.line},col={issue.column}{title}"
        yield f"::{LEVELS[issue.severity]} {place}::{_text(f'{issue.message} {issue.remedy}'.strip())}"


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
