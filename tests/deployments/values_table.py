"""
The table of values in the chart's README, made from the comments in values.yaml.

``python -m tests.deployments.values_table`` writes it. A value is what has a comment that starts with ``--``; what is below it
belongs to its default.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent.parent / "deployments" / "chart"
README = CHART / "README.md"
_BEGIN, _END = "<!-- Made from values.yaml: python -m tests.deployments.values_table -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Value:
    """One value of the chart."""

    path: str
    """``database.tls.existingSecret``."""
    meaning: str
    default: Any


def values() -> Iterator[Value]:
    """Yield the values of the chart that have a comment, in the file's order."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    place: list[tuple[int, str]] = []
    meaning = ""
    for line in (CHART / "values.yaml").read_text("utf-8").splitlines():
        if comment := re.match(r" *# -- (.*)", line):
            meaning = comment[1]
        elif key := re.match(r"( *)([A-Za-z]+):", line):
            place = [each for each in place if each[0] < len(key[1])] + [(len(key[1]), key[2])]
            path = [name for _, name in place]
            if meaning:
                yield Value(".".join(path), meaning, _at(defaults, path))
            meaning = ""


def table() -> str:
    """Return the table, in Markdown."""
    rows = (f"| `{each.path}` | {_shown(each.default)} | {_cell(each.meaning)} |\n" for each in values())
    return "| value | default | meaning |\n|---|---|---|\n" + "".join(rows)


def readme() -> str:
    """Return the README with the table as it should be."""
    text = README.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{rest.partition(_END)[2]}"


def _at(defaults: Any, path: list[str]) -> Any:
    for name in path:
        defaults = defaults[name]
    return defaults


def _shown(default: Any) -> str:
    return "–" if default in ("", None) else f"`{_cell(json.dumps(default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    README.write_text(readme(), "utf-8")
