"""Findings for others: SARIF for code scanning, annotations for a pull request."""

import json
from dataclasses import dataclass

from pgrollout.annotations import as_annotations
from pgrollout.sarif import as_sarif


@dataclass(frozen=True)
class Found:
    """A finding."""

    code: str = "PG101"
    severity: str = "warning"
    file: str = "1_a.sql"
    line: int = 3
    column: int = 5
    message: str = "Writes wait."
    remedy: str = "Use CONCURRENTLY."
    source: str = "https://www.postgresql.org/docs/"


def test_finding_has_rule_level_and_place() -> None:
    """Each finding names its rule, how much it weighs, and its file as seen from the repository's root."""
    (run,) = json.loads(as_sarif([Found(), Found(severity="info", line=9)], "db/migrations"))["runs"]

    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["PG101"]
    first, second = run["results"]
    assert first == {
        "ruleId": "PG101",
        "level": "warning",
        "message": {"text": "Writes wait. Use CONCURRENTLY."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "db/migrations/1_a.sql"},
                    "region": {"startLine": 3, "startColumn": 5},
                }
            }
        ],
    }
    assert second["level"] == "note"


def test_finding_of_no_rule_has_one_all_the_same() -> None:
    """A file that cannot be read is found by none of the rules; code scanning wants an id, and no empty link."""
    (run,) = json.loads(as_sarif([Found(code="", source="", severity="error")], ""))["runs"]

    assert run["tool"]["driver"]["rules"] == [{"id": "unreadable", "shortDescription": {"text": "Writes wait."}}]
    assert run["results"][0]["level"] == "error"
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "1_a.sql"}


def test_nothing_found_is_sarif_too() -> None:
    """Without findings there is a run without results: that is what takes earlier ones away."""
    assert json.loads(as_sarif([], "migrations"))["runs"][0]["results"] == []


def test_annotation_is_one_line() -> None:
    """What would end a command, or begin another one, is escaped."""
    (line,) = as_annotations([Found(file="1_a,b:c.sql", message="100 %\n::set-output::", severity="error")], "db/")

    assert line == (
        "::error file=db/1_a%2Cb%3Ac.sql,line=3,col=5,title=PG101::100 %25%0A::set-output:: Use CONCURRENTLY."
    )


def test_levels_are_githubs() -> None:
    """GitHub knows error, warning and notice."""
    found = [Found(severity=severity, code="") for severity in ("error", "warning", "info")]

    assert [line.split()[0] for line in as_annotations(found, "")] == ["::error", "::warning", "::notice"]
