"""
Differences for reading: as lines of text, as Markdown, as JSON.

Who stands on either side, the directory and the live database or two runs, is said by whoever compares.
"""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pgrollout.catalog.ddl import Parts
from pgrollout.catalog.ddl.statements import statements_of
from pgrollout.catalog.difference import Change, Difference, ObjectDifference, PropertyChange
from pgrollout.catalog.kind import Form
from pgrollout.catalog.model import Catalog, Object, Value
from pgrollout.secrets import mask_statement

_ONE_LINE = 60
_SHOWN_LINES = 3


@dataclass(frozen=True, slots=True)
class Sides:
    """How the two sides are called, and what a difference is said to be."""

    before: str
    """The first side, in a few words: ``the directory``."""
    after: str
    """The second: ``the live database``."""
    removed: str
    """Said of what only the first has."""
    added: str
    """Said of what only the second has."""
    changed: str
    """Said of what both have, each in its way."""


def sides(before: str, after: str) -> Sides:
    """Return the words for two sides that are neither wrong nor right."""
    return Sides(before, after, f"only in {before}", f"only in {after}", "differs")


VERIFY = Sides(
    "the directory",
    "the live database",
    "missing; the directory makes it",
    "not made by the directory",
    "not as the directory makes it",
)
"""What verify compares: the first side is right."""

DRIFT = Sides("the last run", "the live database", "dropped since", "made since", "changed since")
"""What changed in a database after its last run."""


def line(found: ObjectDifference, words: Sides) -> str:
    """Return a difference in one line: the object, what is wrong, its properties."""
    if found.change is Change.REMOVED:
        said = words.removed
    elif found.change is Change.ADDED:
        said = words.added
    elif found.change is Change.RENAMED:
        said = f"renamed to {found.renamed_to}"
    else:
        said = words.changed
    if found.properties:
        said += f" ({'; '.join(_short(change) for change in found.properties)})"
    if found.also:
        said += f", and so on {found.also} that inherit{'s' if found.also == 1 else ''} it"
    return f"{found.identity}: {said}"


def as_text(found: Difference, words: Sides, *, ddl: bool = False) -> str:
    """
    Return all differences as text, one object each, its properties below.

    Args:
        found: The differences.
        words: How the sides are called.
        ddl: Whether the objects' SQL on both sides is shown where there is some.
    """
    lines: list[str] = []
    parts = _parts(found) if ddl else None
    for one in found.objects:
        lines.append(line(one, words))
        for change in one.properties:
            lines += [f"    {part}" for part in _long(change, words)]
        if parts:
            lines += [f"    {part}" for part in _ddl(one, parts, words)]
    if not found:
        lines.append(_none(found, words))
    lines += [not_comparable(found)] if found.not_comparable else []
    return "\n".join(lines)


def _none(found: Difference, words: Sides) -> str:
    return f"No difference between {words.before} and {words.after}, in {found.compared} objects."


def as_markdown(found: Difference, words: Sides, *, ddl: bool = False) -> str:
    """Return all differences as a Markdown table, and, if asked for, below it a block of SQL for each."""
    if not found:
        lines = [_none(found, words)]
    else:
        before, after = (_cell(side) for side in (words.before, words.after))
        lines = [f"| object | | {before} | {after} |", "|---|---|---|---|"]
    for one in found.objects:
        what = {Change.REMOVED: words.removed, Change.ADDED: words.added, Change.CHANGED: words.changed}.get(
            one.change, f"renamed to {_code(str(one.renamed_to))}"
        )
        if not one.properties:
            lines.append(f"| {_code(str(one.identity))} | {what} | | |")
        for change in one.properties:
            before, after = _both(change)
            lines.append(f"| {_code(str(one.identity))} | {change.name} | {_code(before)} | {_code(after)} |")
    if ddl:
        parts = _parts(found)
        for one in found.objects:
            if shown_ddl := list(_ddl(one, parts, words)):
                fence = _fence(shown_ddl)
                lines += ["", f"**{_code(str(one.identity))}**", "", f"{fence}{_language(one)}", *shown_ddl, fence]
    if found.not_comparable:
        lines += ["", not_comparable(found)]
    return "\n".join(lines)


def as_json(found: Difference, words: Sides) -> dict[str, Any]:
    """Return all differences for a program."""
    parts = _parts(found)
    return {
        "before": words.before,
        "after": words.after,
        "objects_compared": found.compared,
        "differences": [_json(one, parts) for one in found.objects],
        "not_comparable": [{"object": str(one.identity), "property": one.property} for one in found.not_comparable],
    }


def _parts(found: Difference) -> tuple[Parts, Parts]:
    before, after = found.catalogs or (Catalog(0, {}), Catalog(0, {}))
    return Parts(before), Parts(after)


def ddl_of(it: Object | None, parts: Parts) -> str:
    """Return the object's SQL, secrets masked; empty where there is none."""
    return "\n".join(statements_of(it, parts)) if it else ""


def shown(value: Value | None) -> str:
    """Return a value for people, secrets masked."""
    if value is None:
        return "–"
    if value is True:
        return "yes"
    if value is False:
        return "no"
    return mask_statement(", ".join(value) if isinstance(value, tuple) else str(value))


def _short(change: PropertyChange) -> str:
    if change.form is Form.SET:
        members = [f"+ {shown(member)}" for member in change.come] + [f"- {shown(member)}" for member in change.gone]
        more = len(members) - _SHOWN_LINES
        return f"{change.name}: " + ", ".join(members[:_SHOWN_LINES]) + (f" and {more} more" if more > 0 else "")
    if isinstance(change.before or change.after, bool):
        return f"{change.name}: {shown(change.before or False)} → {shown(change.after or False)}"
    before, after = (" ".join(shown(value).split()) for value in (change.before, change.after))
    if len(before) <= _ONE_LINE and len(after) <= _ONE_LINE:
        return f"{change.name}: {before} → {after}"
    if "–" in (before, after):
        return f"{change.name}: {before[:_ONE_LINE]} → {after[:_ONE_LINE]}"
    # The first place where they differ, with a little before it.
    at = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(at - 20, 0)
    cut = "…" if start else ""
    return f"{change.name}: {cut}{before[start : start + _ONE_LINE]} → {cut}{after[start : start + _ONE_LINE]}"


def _long(change: PropertyChange, words: Sides) -> Iterator[str]:
    """Yield what a line cannot hold: a unified diff of long texts."""
    before, after = shown(change.before), shown(change.after)
    if change.form is not Form.SET and max(len(before), len(after)) > _ONE_LINE and "–" not in (before, after):
        yield f"{change.name}:"
        yield from _diff(before, after, words)


def _ddl(one: ObjectDifference, parts: tuple[Parts, Parts], words: Sides) -> Iterator[str]:
    before, after = ddl_of(one.before, parts[0]), ddl_of(one.after, parts[1])
    if before and after and before != after:
        yield from _diff(before, after, words)
    elif before != after:
        yield from (before or after).splitlines()


def _diff(before: str, after: str, words: Sides) -> Sequence[str]:
    return list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), words.before, words.after, lineterm="", n=1)
    )


def _json(one: ObjectDifference, parts: tuple[Parts, Parts]) -> dict[str, Any]:
    return {
        "kind": one.identity.kind,
        "object": str(one.identity),
        "change": one.change.value,
        "renamed_to": str(one.renamed_to) if one.renamed_to else None,
        "inherited_by": one.also,
        "properties": [
            {"property": change.name, "before": _masked(change.before), "after": _masked(change.after)}
            for change in one.properties
        ],
        "ddl_before": ddl_of(one.before, parts[0]) or None,
        "ddl_after": ddl_of(one.after, parts[1]) or None,
    }


def _masked(value: Value | None) -> Any:
    if isinstance(value, str):
        return mask_statement(value)
    return [mask_statement(member) for member in value] if isinstance(value, tuple) else value


def _both(change: PropertyChange) -> tuple[str, str]:
    if change.form is Form.SET:
        return ", ".join(shown(member) for member in change.gone), ", ".join(shown(member) for member in change.come)
    return shown(change.before), shown(change.after)


def not_comparable(found: Difference) -> str:
    """Return in one line what two versions of the server word in their own way."""
    names = list(dict.fromkeys(f"{one.identity} ({one.property})" for one in found.not_comparable))
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    majors = [catalog.major for catalog in found.catalogs or ()]
    if len(set(majors)) > 1:
        reason = f"between PostgreSQL {majors[0]} and {majors[1]}, which word them in their own way"
    else:
        reason = "as one of the roles may not see them"
    return f"Not comparable {reason}: {', '.join(names[:10])}{more}."


def _language(one: ObjectDifference) -> str:
    return "diff" if one.before and one.after else "sql"


def _fence(lines: Sequence[str]) -> str:
    """Return a fence that is longer than any within, as a function's body may have one."""
    longest = max((len(found[0]) for found in re.finditer(r"`+", "\n".join(lines))), default=0)
    return "`" * max(3, longest + 1)


def _code(text: str) -> str:
    """Return the text as code in a table: a ``|`` is escaped there too, and as many backquotes stand around as it needs."""
    shown_text = _cell(text)
    if not shown_text or shown_text == "–":
        return shown_text
    mark = "`" * (max((len(found[0]) for found in re.finditer(r"`+", shown_text)), default=0) + 1)
    padding = " " if len(mark) > 1 else ""
    return f"{mark}{padding}{shown_text}{padding}{mark}"


def _cell(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("|", "\\|").replace("\\n", "<br>")
