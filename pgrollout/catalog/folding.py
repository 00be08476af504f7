"""
Folding: one wording for expressions that mean the same.

A list over ``varchar`` that was dumped and restored once has its cast on each member instead of on the whole array.
The text as the server gave it is kept for showing; this is for comparing.

Source: ``src/backend/utils/adt/ruleutils.c``, ``get_coercion_expr``.
"""

import re

_START = "(ARRAY["
_PRETTY_START = "ARRAY["
_CAST = re.compile(r'\)::((?:"(?:[^"]|"")*"|[\w.$ ]+?)(?:\(\d+(?:,\d+)?\))?)\[\]')
_PRETTY_CAST = re.compile(_CAST.pattern.removeprefix(r"\)"))
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[\[\](),]""")
_INTERNAL = {
    "integer": "int4", "bigint": "int8", "smallint": "int2", "boolean": "bool", "character varying": "varchar",
    "character": "bpchar", "real": "float4", "double precision": "float8", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz", "time without time zone": "time", "time with time zone": "timetz",
    "bit varying": "varbit",
}  # fmt: skip
"""What PostgreSQL calls types that SQL calls otherwise; a column without a name is called after its cast."""
_CAST_NAME = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<cast>::(?P<type>(?:"(?:[^"]|"")*"|[\w$]+)(?:\.(?:"(?:[^"]|"")*"|[\w$]+))?"""
    r"""(?: varying| precision)?(?:\(\d+(?:,\d+)?\))?(?: with(?:out)? time zone)?)) AS (?P<name>"[^"]*"|[\w$]+)"""
)
_CLOSING = {"(": ")", "[": "]"}


def folded(text: str) -> str:
    """
    Return the expression with ``(ARRAY[a, b])::T[]`` written as ``ARRAY[(a)::T, (b)::T]``.

    Where the server leaves out parentheses, as for statistics, ``ARRAY[a, b]::T[]`` as ``ARRAY[a::T, b::T]``. A name that a
    column has from its cast, and that a restore writes out, is left out: ``NULL::integer AS int4``.
    """
    if " AS " in text:
        text = _CAST_NAME.sub(_unnamed, text)
    return _folded(_folded(text, _START, _CAST, "({})::{}"), _PRETTY_START, _PRETTY_CAST, "{}::{}")


def _unnamed(found: re.Match[str]) -> str:
    if found["quoted"] is not None:
        return found[0]
    type = re.sub(r"\(\d+(?:,\d+)?\)", "", found["type"])
    called = _INTERNAL.get(type, type.rpartition(".")[2])
    return found["cast"] if found["name"].strip('"') == called.strip('"') else found[0]


def _folded(text: str, start: str, pattern: re.Pattern[str], form: str) -> str:
    at = text.find(start)
    while at >= 0:
        if _in_quotes(text, at):
            at = text.find(start, at + 1)
            continue
        members, end = _members(text, at + len(start))
        cast = pattern.match(text, end) if members else None
        if cast:
            # A list in a member is folded when its turn comes: it stands further right.
            cast_members = ", ".join(form.format(member, cast[1]) for member in members)
            text = f"{text[:at]}ARRAY[{cast_members}]{text[cast.end() :]}"
        at = text.find(start, at + 1)
    return text


def _in_quotes(text: str, at: int) -> bool:
    return any(found.start() < at < found.end() for found in _TOKEN.finditer(text, 0) if len(found[0]) > 1)


def _members(text: str, start: int) -> tuple[list[str], int]:
    """Return the members of the array whose first begins at ``start``, and where its bracket ends; none if it does not."""
    members: list[str] = []
    open_: list[str] = []
    begin = start
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark in _CLOSING:
            open_.append(_CLOSING[mark])
        elif mark in ("]", ")"):
            if not open_:
                members.append(text[begin : token.start()].strip())
                return (members, token.end()) if mark == "]" and all(members) else ([], start)
            if open_.pop() != mark:
                return [], start
        elif mark == "," and not open_:
            members.append(text[begin : token.start()].strip())
            begin = token.end()
    return [], start
