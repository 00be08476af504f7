"""How a rule's test looks at SQL: files in order, of which the last one is new."""

from pgrollout.content import read_content
from pgrollout.lint import LintReport, lint
from pgrollout.migration import Migration


def lint_files(*texts: str) -> LintReport:
    """Lint files ``1_a.sql``, ``2_a.sql``, …; only the last one is reported on."""
    names = [f"{number}_a.sql" for number in range(1, len(texts) + 1)]
    contents = [read_content(Migration(name, text.encode())) for name, text in zip(names, texts, strict=True)]
    return lint(contents, new={names[-1]})


def hits(*texts: str) -> list[tuple[str, str]]:
    """Return the findings of the last file as pairs of code and subject."""
    return [(finding.code, finding.subject) for finding in lint_files(*texts).findings]
