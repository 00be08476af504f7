"""What is deployed for Prometheus and Grafana: its rules do what they say, and ask for what the endpoint has."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgrollout.commands.exposition import NAMES
from tests.documents import Document
from tests.servers import missing

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deployments" / "alerts"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "prometheus-rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions(panel: dict[str, Any]) -> Iterator[str]:
    """Yield what a panel asks Prometheus."""
    return (target["expr"] for target in panel["targets"])


def metrics(text: str) -> set[str]:
    """Return the metrics that an expression asks for."""
    return set(re.findall(r"\bpgrollout_\w+", text))


def promtool(*arguments: str) -> None:
    """Run Prometheus' own tool where it is installed."""
    program = shutil.which("promtool")
    if program is None:
        missing("promtool", "promtool is not installed (it comes with Prometheus)")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_do_what_they_say() -> None:
    """Each alert comes when it should, and not before; promtool plays the metrics."""
    promtool("check", "rules", "prometheus-rules.yaml")
    promtool("test", "rules", "prometheus-rules.test.yaml")


def test_every_rule_is_tested_and_described() -> None:
    """Each alert is played to promtool, and in the document with the same severity."""
    played = (FOLDER / "prometheus-rules.test.yaml").read_text()
    rows = Document(ROOT / "docs" / "alerts.md").tables("rule", "severity", "what to do")

    for rule in RULES:
        assert rule["alert"] in played
        assert {"summary", "description"} == set(rule["annotations"])
    assert [row[:2] for row in rows] == [[f"`{rule['alert']}`", rule["labels"]["severity"]] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """A metric that nobody serves would be an alert that never comes."""
    assert metrics(rule["expr"])
    assert metrics(rule["expr"]) <= NAMES


def test_dashboard_shows_every_metric() -> None:
    """Each has a panel, and none asks for another."""
    shown = {name for panel in PANELS for expression in expressions(panel) for name in metrics(expression)}

    assert shown == NAMES


def test_dashboard_can_be_loaded() -> None:
    """What Grafana needs: panels that do not overlap, each with a name of its own and the chosen source; variables for both."""
    taken: set[tuple[int, int]] = set()

    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "database"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        covers = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not covers & taken, panel["title"]
        taken |= covers
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert "$database" in target["expr"] or metrics(target["expr"]) == {"pgrollout_build_info"}


def test_expressions_are_promql(tmp_path: Path) -> None:
    """Prometheus reads what every panel asks, as the rule that records it."""
    asked = [expression for panel in PANELS for expression in expressions(panel)]
    chosen = [each.replace("$database", ".*").replace("$__interval", "5m") for each in asked]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(chosen)]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    promtool("check", "rules", "--lint=none", str(path))
