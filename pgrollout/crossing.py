"""
Crossing: what statements of a file leave for later ones, and a boundary between them takes away.

SET LOCAL, a lock or a savepoint ends with its transaction; a temporary table or a prepared statement ends with the connection,
and a run that continues after an interruption has another one. Where a file is cut, or continued, and a later statement may
rely on such a thing, the file is refused: on another table, or without its lock, the statement would do harm and say nothing.
What SET and RESET set for the session is not lost: it is set again. Told from the text, so rather refused once too often.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgrollout import splitter
from pgrollout.content import Content
from pgrollout.errors import StateCrosses
from pgrollout.mentions import in_text
from pgrollout.place import place_at
from pgrollout.segments import Segment, segments, sets_session
from pgrollout.statement import Statement

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_TEMPORARY = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\s+(?:RECURSIVE\s+)?"
    rf"(?:TABLE|VIEW|SEQUENCE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:{_NAME}\s*\.\s*)?({_NAME})"
    rf"|\bINTO\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\s+(?:TABLE\s+)?({_NAME})"
    rf"|\b(?:CREATE|INTO)\s[^;(]*?\bpg_temp\s*\.\s*({_NAME})",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"\s*(?:DECLARE|PREPARE|SAVEPOINT)\s*({_NAME})", re.IGNORECASE)
_SET_LOCAL = re.compile(r"\bSET\s+LOCAL\b", re.IGNORECASE)
_LOCK_TABLE = re.compile(r"\bLOCK\s+TABLE\b", re.IGNORECASE)
_SET_CONFIG = re.compile(r"\bset_config\s*\(", re.IGNORECASE)
_SET_CONFIG_FALSE = re.compile(r"\bset_config\s*\([^()]*,\s*(?:false|'f(?:alse)?')\s*\)", re.IGNORECASE)
_TRANSACTION_LOCK = re.compile(r"\bpg_(?:try_)?advisory_xact_lock(?:_shared)?\s*\(", re.IGNORECASE)
_CONNECTION_LOCK = re.compile(r"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(([^()]*)", re.IGNORECASE)
_UNLOCK = re.compile(r"\bpg_advisory_unlock(?:_shared)?\s*\(([^()]*)", re.IGNORECASE)
_RECALLS = re.compile(r"\b(currval|lastval)\s*\(", re.IGNORECASE)
_DRAWS = re.compile(r"\b(?:nextval|setval)\s*\(", re.IGNORECASE)
_TIME = re.compile(
    r"\b(?:(now|transaction_timestamp)\s*\(|(current_timestamp|current_date|current_time|localtimestamp|localtime)\b)",
    re.IGNORECASE,
)
_STRING = re.compile(r"'(?:[^']|'')*'")
_AS_QUERY = re.compile(r"\bAS\s*\(*\s*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE)

_SPLIT = "or put what follows into a file of its own."
_CONTINUED = (
    "What ran stays as it is. Rewrite what is left so that it does not rely on that, or run it by hand and say so with "
    "`pgrollout set`."
)


@dataclass(frozen=True, slots=True)
class _State:
    """Something that a statement leaves for later ones."""

    what: str
    """As a person calls it."""
    advice: str
    name: str = ""
    """What a statement that relies on it says; empty: any statement may rely on it."""
    is_of_connection: bool = False
    """Whether it ends with the connection rather than with the transaction."""
    ended_by: str = ""
    """First word of a statement that ends it, if that says its name, or ALL."""
    key: str | None = None
    """Of an advisory lock: the arguments, as the call that releases it says them again."""


def check_cuts(content: Content, start: int) -> tuple[Segment, ...]:
    """
    Return the segments of a file that is continued at ``start``, once nothing is found to be lost between them or before them.

    Raises:
        UnreadableFile: An explicit transaction is not closed, or closed without having been opened.
        StateCrosses: Names the first such pair, and the way out.
    """
    found = segments(content, start)
    check_crossing(content, found)
    lost_on_resume(content, start)
    return found


def check_crossing(content: Content, found: Sequence[Segment]) -> None:
    """
    Refuse a wrapped file that is cut, or continued, between what a statement leaves and one that may rely on it.

    Args:
        content: The migration.
        found: Its segments that are to be run; what comes before them an earlier run has done.

    Raises:
        StateCrosses: Names the first such pair, and the way out.
    """
    boundaries = [segment.first for segment in found if segment.first > 0]
    if content.transactional and boundaries:
        _check(content, boundaries, found[0].first)


def lost_on_resume(content: Content, start: int) -> None:
    """
    Refuse to continue a file on another connection, where what is left may rely on what the first one had.

    In a file with txmode none that is only what ends with the connection: its transactions end where they ended before.

    Args:
        content: The migration.
        start: Statements that an earlier run has done.

    Raises:
        StateCrosses: Names the first such pair, and the way out.
    """
    if start > 0:
        _check(content, [start], start)


def _check(content: Content, boundaries: Sequence[int], start: int) -> None:
    """Look for what is lost at the boundaries: the indexes of the statements before which the file is cut."""
    for made in content.statements[: boundaries[-1]]:
        boundary = next(boundary for boundary in boundaries if boundary > made.index)
        for state in _states(content, made):
            if not state.is_of_connection and not content.transactional:
                continue
            between = content.statements[made.index + 1 : boundary]
            if any(_ends(words, text, state) for each in between for words, text in _commands(content, each)):
                continue
            if later := next((each for each in content.statements[boundary:] if _relies(each, state)), None):
                raise _crosses(content, made, later, state, start)
    _check_drawn(content, boundaries, start)
    if content.transactional:
        _check_time(content, boundaries, start)


def _check_drawn(content: Content, boundaries: Sequence[int], start: int) -> None:
    """Refuse ``currval`` of what another segment has drawn, unless its own segment draws before it."""
    drawn: Statement | None = None
    for statement in content.statements:
        for words, text in _commands(content, statement):
            recalls = None if _only_defines(words) else _RECALLS.search(text)
            if recalls and drawn and any(drawn.index < boundary <= statement.index for boundary in boundaries):
                what = f"what {recalls[1].lower()}() gives"
                state = _State(what, f"Use INSERT … RETURNING, {_SPLIT}", is_of_connection=True)
                raise _crosses(content, drawn, statement, state, start)
            if words[:1] in (("INSERT",), ("MERGE",), ("COPY",), ("WITH",), ("DO",), ("CALL",)) or (
                not _only_defines(words) and _DRAWS.search(text)
            ):
                drawn = statement


def _check_time(content: Content, boundaries: Sequence[int], start: int) -> None:
    """Refuse rows of two segments that are to have the time of one transaction."""
    first: tuple[Statement, str] | None = None
    for statement in content.statements:
        for words, text in _commands(content, statement):
            if not (time := _writes_time(words, text)):
                continue
            if first is None:
                first = statement, time
            elif any(first[0].index < boundary <= statement.index for boundary in boundaries):
                state = _State(f"the time of {first[1]}", f"Use clock_timestamp() if it may differ, {_SPLIT}")
                raise _crosses(content, first[0], statement, state, start)


def _writes_time(words: tuple[str, ...], text: str) -> str:
    """Return how a statement that writes rows calls the time of its transaction; empty if it does not."""
    makes_table = words[:1] == ("CREATE",) and "TABLE" in words and _AS_QUERY.search(text) is not None
    if not (makes_table or words[:1] in (("INSERT",), ("UPDATE",), ("DELETE",), ("MERGE",), ("WITH",))):
        return ""
    match = _TIME.search(_STRING.sub("''", text))
    return (f"{match[1]}()" if match[1] else match[2]).lower() if match else ""


def _states(content: Content, statement: Statement) -> Iterator[_State]:
    """Yield what the statement leaves for later ones, and may be lost."""
    if sets_session(statement):
        return
    for words, text in _commands(content, statement):
        if not _only_defines(words):
            yield from _states_of(words, text)


def _states_of(words: tuple[str, ...], text: str) -> Iterator[_State]:
    is_code = words[:1] == ("DO",)
    if words[:2] == ("SET", "LOCAL") or (is_code and _SET_LOCAL.search(text)):
        yield _State("what SET LOCAL sets", f"Use SET, which is set again after each cut, {_SPLIT}")
    if words[:2] in (("SET", "TRANSACTION"), ("SET", "CONSTRAINTS")):
        yield _State(f"what SET {words[1]} sets", f"Say it again where it is needed, {_SPLIT}")
    if _SET_CONFIG.search(text):
        lasts = _SET_CONFIG_FALSE.search(text) is not None
        yield _State(
            "what set_config() sets", f"Use SET, which is set again after each cut, {_SPLIT}", is_of_connection=lasts
        )
    if words[:1] == ("LOCK",) or (is_code and _LOCK_TABLE.search(text)):
        yield _State("the lock of LOCK TABLE", f"Lock again where it is needed, {_SPLIT}")
    if _TRANSACTION_LOCK.search(text):
        yield _State("the advisory lock", f"Lock again where it is needed, {_SPLIT}")
    for arguments in _CONNECTION_LOCK.findall(text):
        advice = f"Release it before the cut, {_SPLIT}"
        yield _State("the advisory lock", advice, is_of_connection=True, key=_squeezed(arguments))
    if words[:1] in (("CREATE",), ("SELECT",), ("WITH",), ("DO",)):
        for names in _TEMPORARY.findall(text):
            name = _plain(next(filter(None, names)))
            advice = f"Use an ordinary table and drop it at the end, {_SPLIT}"
            yield _State(f"temporary table {name}", advice, name, is_of_connection=True, ended_by="DROP")
    if (named := _NAMED.match(text)) and words[:2] != ("PREPARE", "TRANSACTION"):
        yield _named_state(words[0], _plain(named[1]))


def _named_state(word: str, name: str) -> _State:
    match word:
        case "DECLARE":
            advice = f"Read it to its end before the cut, {_SPLIT}"
            return _State(f"cursor {name}", advice, name, is_of_connection=True, ended_by="CLOSE")
        case "PREPARE":
            advice = f"Write the statement out where it is run, {_SPLIT}"
            return _State(f"prepared statement {name}", advice, name, is_of_connection=True, ended_by="DEALLOCATE")
        case _:
            return _State(f"savepoint {name}", f"Keep together what belongs to it, {_SPLIT}", name, ended_by="RELEASE")


def _ends(words: tuple[str, ...], text: str, state: _State) -> bool:
    """Whether a command ends the state, so that nothing is lost."""
    if state.key is not None:
        return state.key in [_squeezed(arguments) for arguments in _UNLOCK.findall(text)]
    return words[:1] == (state.ended_by,) and (words[1:2] == ("ALL",) or _mentions(text, state.name))


def _relies(statement: Statement, state: _State) -> bool:
    """Whether a statement may rely on the state; what a procedure does, nobody sees."""
    if splitter.is_blank(statement.text):
        return False
    return not state.name or statement.keywords[:1] == ("CALL",) or _mentions(statement.text, state.name)


def _mentions(text: str, name: str) -> bool:
    return name.lower() in text.lower() and any(
        mentioned.name == name for mentioned in in_text(_without_comments(text))
    )


def _commands(content: Content, statement: Statement) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the first words and the text, without comments, of each command: several with a delimiter of the file's own."""
    commands = splitter.split(statement.text).statements if content.custom_delimiter else (statement,)
    for command in commands:
        yield command.keywords, _without_comments(command.text)


def _without_comments(text: str) -> str:
    if "--" not in text and "/*" not in text:
        return text
    pieces, position = [], 0
    for offset, comment in splitter.comments(text):
        pieces += [text[position:offset], " "]
        position = offset + len(comment)
    return "".join([*pieces, text[position:]])


def _only_defines(words: tuple[str, ...]) -> bool:
    """Whether the text says what will be done later, and nothing of it is done now."""
    return words[:1] == ("COMMENT",) or (
        words[:1] == ("CREATE",) and not {"FUNCTION", "PROCEDURE", "RULE"}.isdisjoint(words)
    )


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _crosses(content: Content, made: Statement, later: Statement, state: _State, start: int) -> StateCrosses:
    place, other = (place_at(content.migration.name, content.text, each.start) for each in (made, later))
    if state.is_of_connection:
        problem = f"{state.what} ends with its connection, and line {other.line} may run on another one."
    else:
        problem = f"{state.what} ends with its transaction, and line {other.line} runs in another one."
    return StateCrosses(place, problem, other, _CONTINUED if made.index < start else state.advice)
