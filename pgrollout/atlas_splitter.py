r"""
Atlas's splitter: cuts a file into the statements that the Atlas CLI would run, its oddities included.

What is run and counted, and what the hashes of a partly applied file are taken over, is this splitter's result, so it
must agree to the byte. Where the server would see other statements (``splitter``), ``content`` refuses the file.

Source: Atlas, ``sql/migrate/lex.go``, with the options of its PostgreSQL driver.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from pgrollout.splitter import AT_MOST, AT_MOST_INSIDE, Positions, keywords
from pgrollout.statement import Statement

DEFAULT = ";"
SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""White space as Go has it: without the separators U+001C to U+001F that Python counts."""
ASCII_SPACE = re.compile(r"[\t-\r ]*+")
DIRECTIVE = re.compile(r"([ -~]*)atlas:(\w+)(?: +(.+))?", re.ASCII)
COMMAND = "delimiter"
BEGIN = re.compile(r"BEGIN([\t\n\f\r ]+)(ATOMIC[\t\n\f\r ]+)?", re.IGNORECASE | re.ASCII)
ANY_BEGIN = re.compile(r"BEGIN[\t\n\f\r ]", re.IGNORECASE | re.ASCII)
MIXED_END = re.compile(r"END", re.IGNORECASE | re.ASCII)
END = re.compile(r"[\t\n\f\r ]*END[\t\n\f\r ]*", re.IGNORECASE | re.ASCII)
DOLLAR = re.compile(r"\$(?:[A-Za-zÈ-ÿ_][A-Za-z0-9_È-ÿ]*)?\$")
DEEPEST = 50
"""BEGINs inside each other that are looked into from the outside; more are worked off from the last one back."""

QUOTES = (r"'[^']*+'", r'"[^"]*+"', r"`[^`]*+`")
# No group is repeated possessively, nor without end: see splitter. A last line of many "--" is not read for each of them.
COMMENTS = (r"--[^\n]{0,200}+\n", rf"/\*[^*]*+(?:\*(?!/)[^*]*+){AT_MOST_INSIDE}\*/")
LONE = (r"-(?!-)", r"/(?!\*)", r"\$(?!\$|[A-Za-zÈ-ÿ_][A-Za-z0-9_È-ÿ]*+\$)")


@dataclass(frozen=True, slots=True)
class AtlasSplit:
    """A file, split by Atlas's rules."""

    statements: tuple[Statement, ...]
    """What Atlas would run, in order; statements without anything in them are run, too."""
    custom_delimiter: bool
    """Whether the file chose a delimiter of its own."""


class AtlasSplitError(ValueError):
    """Atlas cannot split the file."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(offset, what)
        self.offset, self.what = offset, what
        self.custom_delimiter = False

    def __str__(self) -> str:
        return self.what


def split(text: str) -> AtlasSplit:
    """
    Split a file into the statements that Atlas would run.

    Raises:
        AtlasSplitError: Atlas refuses the file.
    """
    scanner = _Scanner(text)
    try:
        try:
            return _split(text, scanner)
        except _TooDeep:
            scanner.settle_blocks()
            return _split(text, scanner)
    except AtlasSplitError as error:
        error.custom_delimiter = scanner.chose_delimiter
        raise


def partial_hashes(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return for each statement the SHA-256 over the texts up to its end, in base64, without ``h1:``."""
    running = sha256()
    hashes = []
    for statement in statements:
        running.update(statement.text.encode())
        hashes.append(b64encode(running.digest()).decode())
    return tuple(hashes)


@lru_cache(maxsize=32)
def _plain(delimiter: str, *, inside: bool, with_begin: bool) -> re.Pattern[str]:
    """
    Return what matches text without a decision in it: not always all of it.

    Args:
        delimiter: The delimiter.
        inside: Whether parentheses are open: delimiters do not count then.
        with_begin: Whether a BEGIN with white space behind it needs a decision.
    """
    first = "" if inside else delimiter[0]
    stop = re.escape("'\"`()$-/" + first) + ("bB" if with_begin else "")
    atoms = [rf"[^{stop}]++"]
    if first and first not in "'\"`()" and delimiter != DEFAULT:
        # The delimiter comes before comments and dollar signs, but after quotes and parentheses.
        atoms += QUOTES
        alone = rf"[{re.escape(first)}]" if first not in "-/$" and not (with_begin and first in "bB") else ""
        later = [*COMMENTS, *LONE, *([alone] if alone else [])]
        atoms.append(rf"(?!{re.escape(delimiter)})(?:{'|'.join(later)})")
    else:
        atoms += [*QUOTES, *COMMENTS, *LONE]
    if with_begin:
        atoms.append(r"[bB](?![eE][gG][iI][nN][\t\n\f\r ])")
    if delimiter == DEFAULT:
        within = "|".join(";" if atom is atoms[0] else atom for atom in atoms)
        bulk = rf"[^{stop};]++" if inside else atoms[0]
        within = f"{bulk}|{within}"
        atoms.append(rf"\((?:{within}|\((?:{within}){AT_MOST_INSIDE}\)){AT_MOST_INSIDE}\)")
    return re.compile("(?:" + "|".join(atoms) + ")" + AT_MOST, re.DOTALL)


_Found = tuple[int, int, str, tuple[str, ...]]
"""A statement's start and end, the delimiter from now on, the comments in front."""


class _Scanner:
    """One file being split; what a BEGIN without END costs is paid once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.has_begin = ANY_BEGIN.search(text) is not None
        self.last_end = max(text.rfind(word) for word in ("END", "end")) if self.has_begin else -1
        for match in MIXED_END.finditer(text, self.last_end + 1) if self.has_begin else ():
            self.last_end = match.start()
        self.chose_delimiter = False
        self.depth = 0
        self.bodies: dict[tuple[int, bool], int] = {}
        self.ends: dict[tuple[int, str, bool], int] = {}
        self.none_after: dict[str, int] = {}

    def open(self, position: int) -> tuple[int, str]:
        """Return where statements begin and the delimiter, which a directive on the first line may set."""
        match = DIRECTIVE.match(self.text, position) if self.text.startswith("-- ", position) else None
        if match is None or match[1] != "-- " or match[2] != "delimiter":
            return position, DEFAULT
        self.chose_delimiter |= self.depth == 0
        delimiter = _unescaped(match[3] or "", position)
        line_end = self.text.find("\n", position)
        if line_end < 0:
            raise AtlasSplitError(position, f'no input found after delimiter "{match[3]}"')
        return line_end + 1, delimiter

    def statement(self, position: int, delimiter: str) -> _Found | None:
        """
        Find the statement at or after ``position``: its start, end, the delimiter from now on, its comments.

        None at the end of the file.
        """
        text, end = self.text, len(self.text)
        comments: list[str] = []
        position = _skip_space(text, position)
        # At the start: DELIMITER commands and comments, which are no part of the statement.
        while True:
            if position == end:
                return None
            character = text[position]
            if character in "dD" and _is_word(text, position):
                if not text.startswith(" ", position + len(COMMAND)):
                    break
                position, delimiter = self._command(position)
                comments.clear()
            elif text.startswith(delimiter, position) and character not in "'\"`()":
                return position, position + len(delimiter), delimiter, tuple(comments)
            elif text.startswith("--", position) and (line_end := self._find("\n", position)) >= 0:
                comments.append(text[position : line_end + 1])
                position = line_end + 1
                if text.startswith("\n", position):
                    comments.clear()
            elif text.startswith("/*", position) and (closed := self._find("*/", position + 2)) >= 0:
                comments.append(text[position : closed + 2])
                position = closed + 2
                if text.startswith("\n\n", position):
                    comments.clear()
            else:
                break
            position = _skip_space(text, position)
        return position, self._statement_end(position, delimiter), delimiter, tuple(comments)

    def _statement_end(self, start: int, delimiter: str) -> int:
        text, end = self.text, len(self.text)
        with_begin = self.has_begin and delimiter == DEFAULT
        outside = _plain(delimiter, inside=False, with_begin=with_begin)
        inside = _plain(delimiter, inside=True, with_begin=with_begin)
        position = start
        if text[start] in "dD" and _is_word(text, start):
            position += len(COMMAND)
        depth = opened = 0
        while True:
            position = (inside if depth else outside).match(text, position).end()  # type: ignore[union-attr]
            if position == end:
                if depth:
                    raise AtlasSplitError(opened, "unclosed '('")
                return end
            character = text[position]
            if character == "(":
                if depth == 0:
                    opened = position
                depth += 1
                position += 1
            elif character == ")":
                if depth == 0:
                    raise AtlasSplitError(position, "unexpected ')'")
                depth -= 1
                position += 1
            elif character in "'\"`":
                after = text.find(character, position + 1)
                if after < 0:
                    raise AtlasSplitError(
                        position, "unclosed quote " + ("'\\''" if character == "'" else f"'{character}'")
                    )
                position = after + 1
            elif depth == 0 and text.startswith(delimiter, position):
                return position + len(delimiter)
            elif character == "$" and (tag := DOLLAR.match(text, position)):
                after = text.find(tag[0], tag.end())
                position = end if after < 0 else after + len(tag[0])
            elif text.startswith(("--", "/*"), position):
                mark = "\n" if character == "-" else "*/"
                after = self._find(mark, position + 2)
                # Without its end it is no comment, and what follows is read as any other text.
                position = position + 2 if after < 0 else after + len(mark)
            elif with_begin and character in "bB" and (block := self._block(start, position)) is not None:
                return block
            else:
                position += 1

    def _find(self, mark: str, position: int) -> int:
        """Return where a comment's end stands next; -1 if it never does, which is looked for once."""
        if position >= self.none_after.get(mark, len(self.text)):
            return -1
        found = self.text.find(mark, position)
        if found < 0:
            self.none_after[mark] = position
        return found

    def _block(self, start: int, position: int) -> int | None:
        """Return the end of the ``BEGIN … END`` at ``position``; None if it is plain text."""
        match = BEGIN.match(self.text, position)
        if match is None:
            return None
        if match[2]:
            end = self._body_end(match.end(), atomic=True)
        elif position == start or self.text[position - 1] in "\t\n\f\r ":
            end = self._body_end(match.end(1), atomic=False)
        else:
            return None
        return end if end >= 0 else None

    def settle_blocks(self) -> None:
        """Find the ends of all bodies, the last first, so that each finds those inside it already known."""
        self.depth = 0
        for match in reversed(list(BEGIN.finditer(self.text))):
            self._body_end(match.end() if match[2] else match.end(1), atomic=match[2] is not None)

    def _body_end(self, body: int, *, atomic: bool) -> int:
        """Return the end of a body that begins at ``body``; -1 if it has none."""
        if body > self.last_end:
            return -1
        known = self.bodies.get((body, atomic))
        if known is not None:
            return known
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise _TooDeep(body)
            first, delimiter = self.open(body)
            end = self._chain_end(first, delimiter, atomic=atomic)
            if first != body and end >= 0:
                end = self._miscounted(body, first, end)
        except (_TooDeep, _NoAnswer):
            raise
        except AtlasSplitError:
            end = -1
        finally:
            self.depth -= 1
        self.bodies[body, atomic] = end
        return end

    def _chain_end(self, position: int, delimiter: str, *, atomic: bool) -> int:
        """Return the end of the first statement from ``position`` on that is an END; -1 if there is none."""
        passed = []
        while (end := self.ends.get((position, delimiter, atomic))) is None:
            passed.append((position, delimiter, atomic))
            found = self._known_statement(position, delimiter)
            if found is None:
                end = -1
                break
            start, position, delimiter, _ = found
            piece = self.text[start:position]
            if delimiter != DEFAULT:
                piece = piece.removesuffix(delimiter)
            piece = piece.strip(SPACES)
            match = END.match(piece)
            if match and (atomic or piece[match.end() :] in ("", DEFAULT)):
                end = position
                break
        for key in passed:
            self.ends[key] = end
        return end

    def _known_statement(self, position: int, delimiter: str) -> _Found | None:
        """Find a statement of a body; what cannot be split ends the body without an END."""
        try:
            return self.statement(position, delimiter)
        except (_TooDeep, _NoAnswer):
            raise
        except AtlasSplitError:
            return None

    def _miscounted(self, body: int, first: int, end: int) -> int:
        """Return the end that Atlas takes: it forgets to count the line of a delimiter directive inside a body."""
        counted = len(self.text[first:end].encode())
        try:
            return body + len(self.text[body:end].encode()[:counted].decode())
        except UnicodeDecodeError as error:
            raise _NoAnswer(body, "delimiter directive inside BEGIN") from error

    def _command(self, position: int) -> tuple[int, str]:
        line_end = self.text.find("\n", position)
        after = len(self.text) if line_end < 0 else line_end + 1
        delimiter = self.text[position + len(COMMAND) : after].strip(SPACES)
        if delimiter == "'":
            raise _NoAnswer(position, "slice bounds out of range [1:0]")
        if delimiter.startswith("'") and delimiter.endswith("'"):
            delimiter = delimiter[1:-1].replace("''", "'")
        self.chose_delimiter |= self.depth == 0
        return after, _unescaped(delimiter, position)


class _TooDeep(AtlasSplitError):
    """Too many BEGINs are open to look into them from the outside."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset, "nested BEGIN")


class _NoAnswer(AtlasSplitError):
    """Atlas crashes, or goes on in the middle of a character."""


def _skip_space(text: str, position: int) -> int:
    while True:
        position = ASCII_SPACE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
        if position == len(text) or text[position] < "\x80" or text[position] not in SPACES:
            return position
        position += 1


def _is_word(text: str, position: int) -> bool:
    """Whether the word DELIMITER stands here, and something behind it."""
    after = position + len(COMMAND)
    return text[position:after].lower() == COMMAND and after < len(text)


def _unescaped(delimiter: str, position: int) -> str:
    if not delimiter:
        raise AtlasSplitError(position, "empty delimiter")
    return delimiter.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")


def _split(text: str, scanner: _Scanner) -> AtlasSplit:
    position, delimiter = scanner.open(0)
    positions = Positions(text)
    statements: list[Statement] = []
    while True:
        found = scanner.statement(position, delimiter)
        if found is None:
            return AtlasSplit(tuple(statements), scanner.chose_delimiter)
        start, position, delimiter, comments = found
        piece = text[start:position]
        if delimiter != DEFAULT:
            piece = piece.removesuffix(delimiter)
        trimmed = piece.strip(SPACES)
        if len(trimmed) != len(piece):
            start += len(piece) - len(piece.lstrip(SPACES)) if trimmed else 0
        positions.move_to(start)
        statements.append(
            Statement(
                len(statements),
                trimmed,
                start,
                start + len(trimmed),
                positions.byte,
                positions.line,
                start - positions.line_start + 1,
                comments,
                keywords(trimmed),
            )
        )
