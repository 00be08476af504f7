"""
SARIF: findings in the form that code scanning reads, version 2.1.0.

Findings in, text out; knows nothing of where they come from, or of who uploads them. Source: OASIS, "Static Analysis Results
Interchange Format (SARIF) Version 2.1.0".
"""

import json
from collections.abc import Sequence
from typing import Protocol

from pgrollout import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
UNNAMED = "unreadable"
"""Rule of what no rule has found: a file that cannot be read, or does not run."""


class Issue(Protocol):
    """What somebody found at a place."""

    @property
    def code(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def source(self) -> str: ...


def as_sarif(issues: Sequence[Issue], folder: str) -> str:
    """
    Return the findings as SARIF.

    Args:
        issues: The findings.
        folder: Where their files are, as seen from the repository's root; empty if they are there.
    """
    rules = {_rule(issue): _described(issue) for issue in issues}
    run = {
        "tool": {"driver": {"name": "pgrollout", "version": __version__, "rules": list(rules.values())}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(issue, folder) for issue in issues],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(issue: Issue) -> str:
    return issue.code or UNNAMED


def _described(issue: Issue) -> dict[str, object]:
    help_uri = {"helpUri": issue.source} if issue.source else {}
    return {"id": _rule(issue), "shortDescription": {"text": issue.message}, **help_uri}


def _result(issue: Issue, folder: str) -> dict[str, object]:
    uri = "/".join(part for part in (folder.strip("/"), issue.file) if part)
    region = {"startLine": max(issue.line, 1), "startColumn": max(issue.column, 1)}
    return {
        "ruleId": _rule(issue),
        "level": LEVELS[issue.severity],
        "message": {"text": f"{issue.message} {issue.remedy}".strip()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
    }
