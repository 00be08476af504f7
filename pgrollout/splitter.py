r"""
The server's splitter: cuts a file into the statements that the server would receive, by psql's lexical rules.

It knows quotes, comments, dollar quotes, parentheses and ``BEGIN ATOMIC`` bodies, and nothing of grammar: text that is
not SQL is split too. What Atlas makes of the same file, and so what is run and counted, is ``atlas_splitter``; this
one is its cross-check.

Source: PostgreSQL, ``src/fe_utils/psqlscan.l``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from pgrollout.statement import Statement

# No group is repeated possessively (a plus behind its asterisk): CPython 3.11.0 to 3.11.4, and so Debian 12, match that
# wrongly even where nothing could be taken back, as they go on from where the last, failed round got to (gh-106052).
# One set repeated, [^']*+, is right everywhere. A greedy group without end keeps a way back for every round, hundreds of
# megabytes for a seed file, so groups are repeated AT_MOST so often, and whoever calls them goes on by hand from where
# they stop. Their alternatives begin differently, so that going back finds nothing else.
AT_MOST = "{0,500}"
"""How often a group is repeated: enough to pay for the call, too little to pay for in memory."""
AT_MOST_INSIDE = "{0,60}"
"""The same inside another one: what may have to be given up and read again."""

# Written by what they are not: a set that reaches beyond U+00FF takes milliseconds to compile.
WORD_START = r"[^\x00-@\[-^`{-\x7f]"
"""A letter, an underscore, or whatever is not ASCII."""
WORD_REST = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
"""The same, a digit or a dollar sign."""
LINE_COMMENT = r"--[^\n\r]*+"
BLOCK_COMMENT = rf"/\*[^*/]*+(?:(?:\*(?!/)|/(?!\*))[^*/]*+){AT_MOST_INSIDE}\*/"
"""A comment without another one inside it; those, and long ones, are read by hand."""
STRING_WITH_ESCAPES = rf"[eE]'[^'\\]*+(?:(?:\\.|'')[^'\\]*+){AT_MOST_INSIDE}'(?!')(?![ \t\f\v]*+(?:[\n\r]|--))"
"""With something behind it on its line: after a line break ``E'a'⏎'b'`` may go on, which is read by hand."""

WORD = rf"(?:[eE](?!')|(?![eE]){WORD_START}){WORD_REST}*+"
# A dollar sign inside a word is part of it, so words are taken whole: the $ that remain begin a quote or a parameter.
ATOMS = (
    r"[\x00- !#%&*+,.0-9:<=>?@\[\]^`{|}~\x7f]++",
    r"'[^']*+'",
    r'"[^"]*+"',
    STRING_WITH_ESCAPES,
    LINE_COMMENT,
    r"-(?!-)",
    r"/(?!\*)",
    BLOCK_COMMENT,
)
INSIDE = "|".join((WORD, *ATOMS, ";"))
GROUP = rf"\((?:{INSIDE}|\((?:{INSIDE}){AT_MOST_INSIDE}\)){AT_MOST_INSIDE}\)"
"""Short parentheses, up to two deep, closed: a step for the machine instead of four for us."""

PLAIN = re.compile("(?:" + "|".join((WORD, *ATOMS, GROUP)) + ")" + AT_MOST, re.DOTALL)
"""Text that needs no decision: not always all of it."""
BLOCK_WORD = rf"(?:[bB][eE][gG][iI][nN]|[cC][aA][sS][eE]|[eE][nN][dD])(?!{WORD_REST})"
PLAIN_IN_ROUTINE = re.compile("(?:" + "|".join((rf"(?!{BLOCK_WORD}){WORD}", *ATOMS)) + ")" + AT_MOST, re.DOTALL)
"""The same inside CREATE FUNCTION and CREATE PROCEDURE, where BEGIN, CASE and END count."""
BLOCK_WORDS = re.compile(BLOCK_WORD)
ANY_BEGIN = re.compile("begin", re.IGNORECASE | re.ASCII)
ESCAPE_EDGE = re.compile(r"\\.|''|'", re.DOTALL)
ANY_WORD = re.compile(WORD)
DOLLAR = re.compile(rf"\$(?:{WORD_START}[^\x00-/:-@\[-^`{{-\x7f]*+)?\$")
PARAMETER = re.compile(r"\$[0-9]++")
SPACE = re.compile(r"[ \t\n\r\f\v]*+")
COMMENT_EDGE = re.compile(r"/\*|\*/")
LINE_END = re.compile(r"[\n\r]")

FIRST_WORDS = re.compile(rf"({WORD})" + rf"(?:[ \t\n\r\f\v]*+({WORD})" * 3 + ")?" * 3)
ANY_GROUP = re.compile(GROUP, re.DOTALL)
ENDS_STATEMENT = re.compile(r"\\(?:g|gx|gset|gexec|gdesc|crosstabview|watch)(?![A-Za-z])")
END_OF_DATA = re.compile(r"^\\\.[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PsqlCommand:
    """A command of psql's own, which the server does not know."""

    offset: int
    """Where its backslash stands, in characters."""
    text: str
    r"""The line from the backslash on; of ``\;``, which ends no line, only that."""


@dataclass(frozen=True, slots=True)
class CopyData:
    """Rows after ``COPY … FROM STDIN``, which are no SQL."""

    offset: int
    """Where they begin, in characters; the statement's own place if none follow."""


@dataclass(frozen=True, slots=True)
class Split:
    """A file, split by the server's rules."""

    statements: tuple[Statement, ...]
    """What the server receives, in order; text without a token is no statement."""
    psql_commands: tuple[PsqlCommand, ...]
    """What only psql would understand."""
    copy_data: tuple[CopyData, ...]
    """What only psql would send as data."""


class Unclosed(ValueError):
    """Something opens and never closes."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(offset, what)
        self.offset, self.what = offset, what

    def __str__(self) -> str:
        return f"unclosed {self.what}"


@dataclass(slots=True)
class Spans:
    """Where the statements stand, without their texts: what comparing two splits needs."""

    statements: list[tuple[int, int]] = field(default_factory=list)
    """First and behind the last character of each."""
    comments: list[tuple[tuple[int, int], ...]] = field(default_factory=list)
    """For each statement the comments between it and the one before."""
    psql_commands: list[PsqlCommand] = field(default_factory=list)
    """As in ``Split``."""
    copy_data: list[CopyData] = field(default_factory=list)
    """As in ``Split``."""


@dataclass(slots=True)
class Positions:
    """Bytes, lines and columns of offsets that only grow, so that a file is read over once."""

    text: str
    """The file."""
    is_ascii: bool = field(init=False)
    """Whether bytes are characters."""
    offset: int = 0
    """Where it is, in characters."""
    byte: int = 0
    """The same in bytes."""
    line: int = 1
    """Its line, from 1."""
    line_start: int = 0
    """Where that line begins, in characters."""

    def __post_init__(self) -> None:
        self.is_ascii = self.text.isascii()

    def move_to(self, offset: int) -> None:
        """Go on to ``offset``, which is not before the last one."""
        text, before = self.text, self.offset
        breaks = text.count("\n", before, offset)
        if breaks:
            self.line += breaks
            self.line_start = text.rfind("\n", before, offset) + 1
        self.byte = offset if self.is_ascii else self.byte + len(text[before:offset].encode())
        self.offset = offset


def split(text: str) -> Split:
    """
    Split a file into the statements that the server would receive.

    Raises:
        Unclosed: A string, quoted name, dollar quote, comment or parenthesis does not close.
    """
    found = spans(text)
    positions = Positions(text)
    statements = []
    for index, (start, end) in enumerate(found.statements):
        positions.move_to(start)
        piece = text[start:end]
        statements.append(
            Statement(
                index,
                piece,
                start,
                end,
                positions.byte,
                positions.line,
                start - positions.line_start + 1,
                tuple(text[first:last] for first, last in found.comments[index]),
                keywords(piece),
            )
        )
    return Split(tuple(statements), tuple(found.psql_commands), tuple(found.copy_data))


def keywords(text: str, most: int = 4) -> tuple[str, ...]:
    """Return the words that a text begins with, in upper case, comments left out: up to ``most``, at most four."""
    if "--" in text or "/*" in text:
        return _words_between_comments(text, most)
    match = FIRST_WORDS.match(text, _after_space(text, 0))
    return _shared(tuple([word.upper() for word in match.groups()[:most] if word is not None])) if match else ()


@lru_cache(maxsize=1024)
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return equal words as the same object: of a million statements most begin alike."""
    return words


def is_blank(text: str) -> bool:
    """Whether the server would find nothing to run in a text: only space, comments and semicolons."""
    try:
        found = spans(text)
    except Unclosed:
        return False
    return not (found.statements or found.psql_commands)


def comments(text: str) -> Iterator[tuple[int, str]]:
    """
    Yield every comment of a file outside quotes, with its offset.

    Raises:
        Unclosed: As ``split``.
    """
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        if text.startswith("--", position) or text.startswith("/*", position):
            after = _comment_end(text, position)
            yield position, text[position:after]
        else:
            after = _token_end(text, position, character)
        position = after


def tokens(text: str) -> Iterator[tuple[int, int]]:
    """
    Yield where each token of a text begins and ends, comments left out; of a number, its digits are tokens.

    Raises:
        Unclosed: As ``split``.
    """
    position = _after_gap(text, 0)
    while position < len(text):
        quote, after = text[position], _token_end(text, position, text[position])
        while quote in "'\"" and text.startswith(quote, after):  # doubled, it stands for itself
            after = _token_end(text, after, quote)
        yield position, after
        position = _after_gap(text, after)


def spans(text: str) -> Spans:
    """
    Find the statements of a file, as ``split`` does, without making anything of them.

    Raises:
        Unclosed: As ``split``.
    """
    found = Spans()
    end = len(text)
    position = 0
    above: list[tuple[int, int]] = []
    while True:
        position = _after_space(text, position)
        if position == end:
            return found
        match text[position]:
            case ";":
                above.clear()
                position += 1
            case "-" | "/" if text.startswith(("--", "/*"), position):
                after = _comment_end(text, position)
                above.append((position, after))
                position = after
            case "\\":
                position = _psql_command(text, position, found)
            case _:
                start = position
                stop, position = _statement_end(text, start, found)
                found.statements.append((start, stop))
                found.comments.append(tuple(above))
                above.clear()
                if text[start] in "cC" and keywords(text[start : start + 200])[:1] == ("COPY",):
                    position = _copy_data(text, start, stop, position, found)


def _statement_end(text: str, start: int, found: Spans) -> tuple[int, int]:
    """Return the end of the statement at ``start``, and where to go on."""
    seen = len(found.psql_commands)
    stop, after = _walk(text, start, found, in_routine=False)
    if text[start] in "cC" and ANY_BEGIN.search(text, start, stop) and _is_routine(keywords(text[start:stop])):
        del found.psql_commands[seen:]
        return _walk(text, start, found, in_routine=True)
    return stop, after


def _is_routine(words: tuple[str, ...]) -> bool:
    match words:
        case ("CREATE", "FUNCTION" | "PROCEDURE", *_) | ("CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE"):
            return True
    return False


def _walk(text: str, start: int, found: Spans, *, in_routine: bool) -> tuple[int, int]:
    plain = PLAIN_IN_ROUTINE if in_routine else PLAIN
    position, end = start, len(text)
    depth = opened = blocks = 0
    while True:
        position = plain.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
        if position == end:
            if depth:
                raise Unclosed(opened, "parenthesis")
            return start + len(text[start:].rstrip(" \t\n\r\f\v")), end
        character = text[position]
        if character == ";":
            position += 1
            if depth == 0 and blocks == 0:
                return position, position
        elif character == "(":
            if depth == 0:
                opened = position
            depth += 1
            position += 1
        elif character == ")":
            depth = max(depth - 1, 0)
            position += 1
        elif character == "\\":
            if text.startswith("\\;", position):
                found.psql_commands.append(PsqlCommand(position, "\\;"))
                position += 2
            elif ENDS_STATEMENT.match(text, position):
                return start + len(text[start:position].rstrip(" \t\n\r\f\v")), _psql_command(text, position, found)
            else:
                position = _psql_command(text, position, found)
        elif in_routine and (word := BLOCK_WORDS.match(text, position)):
            if depth == 0:
                match word[0].upper():
                    case "BEGIN":
                        blocks += 1
                    case "CASE" if blocks:
                        blocks += 1
                    case "END" if blocks:
                        blocks -= 1
            position = word.end()
        else:
            position = _token_end(text, position, character)


def _token_end(text: str, position: int, character: str) -> int:
    """Return the end of one token at ``position``; a comment is one too."""
    match character:
        case "'" | '"':
            after = text.find(character, position + 1)
            if after < 0:
                raise Unclosed(position, "string" if character == "'" else "quoted name")
            return after + 1
        case "e" | "E" if text.startswith("'", position + 1):
            return _escape_string_end(text, position)
        case "-" | "/" if text.startswith(("--", "/*"), position):
            return _comment_end(text, position)
        case "$":
            if parameter := PARAMETER.match(text, position):
                return parameter.end()
            if tag := DOLLAR.match(text, position):
                after = text.find(tag[0], tag.end())
                if after < 0:
                    raise Unclosed(position, f"dollar quote {tag[0]}")
                return after + len(tag[0])
            return position + 1
        case _:
            match = ANY_WORD.match(text, position)
            return match.end() if match else position + 1


def _comment_end(text: str, position: int) -> int:
    if text.startswith("--", position):
        line_end = LINE_END.search(text, position)
        return line_end.start() if line_end else len(text)
    depth = 0
    for edge in COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise Unclosed(position, "comment")


def _escape_string_end(text: str, position: int) -> int:
    """Return the end of ``E'…'``, and of the strings on the next lines that it goes on with."""
    after = position + 2
    while True:
        for edge in ESCAPE_EDGE.finditer(text, after):
            if edge[0] == "'":
                break
        else:
            raise Unclosed(position, "string")
        end = edge.end()
        quote = _after_gap(text, end, to_line_comments=True)
        if not text.startswith("'", quote) or not LINE_END.search(text, end, quote):
            return end
        after = quote + 1


def _words_between_comments(text: str, most: int) -> tuple[str, ...]:
    words: list[str] = []
    position = 0
    try:
        while len(words) < min(most, 4):
            match = ANY_WORD.match(text, _after_gap(text, position))
            if match is None:
                break
            words.append(match[0].upper())
            position = match.end()
    except Unclosed:
        pass  # a comment is the last thing in it
    return tuple(words)


def _after_space(text: str, position: int) -> int:
    return SPACE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too


def _after_gap(text: str, position: int, *, to_line_comments: bool = False) -> int:
    """Return where the next token begins that is no comment."""
    marks = ("--",) if to_line_comments else ("--", "/*")
    while True:
        position = _after_space(text, position)
        if not text.startswith(marks, position):
            return position
        position = _comment_end(text, position)


def _psql_command(text: str, position: int, found: Spans) -> int:
    line = _rest_of_line(text, position)
    found.psql_commands.append(PsqlCommand(position, line))
    return position + len(line)


def _rest_of_line(text: str, position: int) -> str:
    line_end = LINE_END.search(text, position)
    return text[position : line_end.start() if line_end else len(text)]


def _copy_data(text: str, start: int, stop: int, position: int, found: Spans) -> int:
    """Step over the rows after a COPY statement that asks for them."""
    if not _reads_rows(text, start, stop):
        return position
    first = _after_space(text, position)
    found.copy_data.append(CopyData(first if first < len(text) else start))
    end_of_data = END_OF_DATA.search(text, position)
    return end_of_data.end() if end_of_data else len(text)


def _reads_rows(text: str, position: int, stop: int) -> bool:
    """Whether a COPY statement has FROM STDIN outside parentheses and quotes."""
    depth, after_from = 0, False
    while (position := _after_gap(text, position)) < stop:
        character = text[position]
        if character == "(" and (group := ANY_GROUP.match(text, position)):
            after = group.end()
        elif character == "\\" and not text.startswith("\\;", position):
            after = position + len(_rest_of_line(text, position))
        else:
            depth = max(depth + {"(": 1, ")": -1}.get(character, 0), 0)
            after = _token_end(text, position, character)
        word = text[position:after].upper() if depth == 0 else ""
        if after_from and word in ("STDIN", "PSTDIN"):
            return True
        after_from = word == "FROM"
        position = after
    return False
