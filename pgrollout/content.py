r"""
Content: what a migration says, checked before anything is done with it.

Decodes a file, reads its directives and splits it as Atlas would, and refuses what could not be run as it was meant:
text that is no text, what only psql understands, transaction control in a file that is one transaction, and whatever
Atlas and the server would read differently. Whether a statement is wise is left to ``lint``.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from pgrollout import atlas_splitter, directives, splitter
from pgrollout.atlas_splitter import AtlasSplit, AtlasSplitError
from pgrollout.directives import DirectiveError, FileDirectives, Written
from pgrollout.errors import PgrolloutError, SplitDiffers, TransactionControl, UnknownDirective, UnreadableFile
from pgrollout.migration import Migration
from pgrollout.place import Place, place_at
from pgrollout.splitter import CopyData, PsqlCommand, Spans, Unclosed
from pgrollout.statement import Statement, begins_transaction, ends_transaction

CONTROL_WORDS = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "DISCARD"})
UNLOCK = re.compile(r'\b(pg_advisory_unlock_all)"?\s*\(|\b(pg_advisory_unlock)"?\s*\(\s*2686470616\b', re.IGNORECASE)
"""What drops Atlas's lock, by its key or with all others."""
STRINGS_OFF = re.compile(
    r"""\bstandard_conforming_strings["']?\s*(?:=|to\b|,)\s*["']?(?:off|false|no|0)\b""", re.IGNORECASE
)
_BREAKERS = {"pg_advisory_unlock": UNLOCK, "standard_conforming_strings": STRINGS_OFF}
DUMP_LINE = re.compile(r"\\(?:un)?restrict(?![^\s])")
BOM = b"\xef\xbb\xbf"
MOST_PROBLEMS = 100
"""More than anybody reads; each costs a look at the whole file."""
TRAILING = "; \t\r\n\f\v"

Refusal = tuple[int, PgrolloutError]
"""Where a file is refused, and why: the first place counts."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that can be run, and is probably not what was meant."""

    code: str
    """The rule."""
    place: Place
    """Where."""
    message: str
    """What it is, and what to do."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a migration says."""

    migration: Migration
    """The file."""
    text: str
    r"""Its text; lines that pg_dump adds for psql, ``\restrict`` and ``\unrestrict``, are blank."""
    directives: FileDirectives
    """What it says about itself as a whole."""
    statements: tuple[Statement, ...]
    """Atlas's split: what is run and counted, statements without anything in them included."""
    custom_delimiter: bool
    """Whether it chose a delimiter of its own: then a statement may be several commands."""
    problems: tuple[Problem, ...]
    """What ``validate`` warns of."""

    @property
    def transactional(self) -> bool:
        """Whether it is run in one transaction of ours."""
        return self.directives.tx_mode != "none"


def read_content(migration: Migration) -> Content:
    """
    Decode, split and check a migration.

    Raises:
        UnreadableFile: It cannot be what it says, or cannot be run; the first place is named.
        UnknownDirective: A ``pgrollout:`` directive does not exist, cannot have that value, or stands where it has no effect.
        TransactionControl: It is run in one transaction, and would end that.
        SplitDiffers: Atlas would run other statements than the server would see.
    """
    name = migration.name
    text = _decoded(migration)
    said = _said(name, text)
    lowered = text.lower()

    atlas, server = _both_splits(text)
    passed_over: tuple[Problem, ...] = ()
    if isinstance(server, Spans) and any(DUMP_LINE.match(command.text) for command in server.psql_commands):
        passed_over = tuple(_passed_over(name, text, server))
        text = _without_dump_lines(text, server)
        atlas, server = _both_splits(text)
    if atlas.custom_delimiter:
        # Atlas alone knows that delimiter; the server sees the pieces.
        if isinstance(atlas, AtlasSplitError):
            raise UnreadableFile(
                place_at(name, text, atlas.offset), f"Atlas cannot split it: {atlas.what}.", "Close it, or remove it."
            ) from atlas
        server = _spans_of_pieces(atlas)
    if isinstance(server, Unclosed):
        raise _unclosed(name, text, server) from server

    refusals: list[Refusal] = []
    if "pgrollout" in lowered:
        budget, unknown = _ours(name, text, atlas)
        said = replace(said, stall_budget_ms=budget)
        refusals += unknown
    refusals += _not_sql(name, text, server)
    refusals += _control(name, text, server, atlas, in_transaction=said.tx_mode != "none")
    refusals += _session_breakers(name, text, lowered)
    if not (atlas.custom_delimiter or server.psql_commands or server.copy_data):
        refusals += _differences(name, text, server, atlas)
    if refusals:
        raise min(refusals, key=lambda refusal: refusal[0])[1]
    assert isinstance(atlas, AtlasSplit)  # noqa: S101  # an AtlasSplitError is a difference
    problems = tuple(islice(_problems(name, text, atlas), MOST_PROBLEMS)) if "atlas:" in text else ()
    return Content(migration, text, said, atlas.statements, atlas.custom_delimiter, (*passed_over, *problems))


def _decoded(migration: Migration) -> str:
    content = migration.content
    name = migration.name
    if content.startswith(BOM):
        raise UnreadableFile(
            place_at(name, content[3:].decode("utf-8", "replace"), 0),
            "it begins with a byte order mark, which would become part of its first statement.",
            "Save it as UTF-8 without BOM.",
            "SP105",
        )
    nul = content.find(b"\0")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        if nul < 0 or error.start < nul:
            shown = content.decode("utf-8", "replace")
            raise UnreadableFile(
                place_at(name, shown, len(content[: error.start].decode())),
                f"byte 0x{content[error.start]:02x} is not UTF-8 here.",
                "Save it as UTF-8.",
                "SP105",
            ) from error
    if nul >= 0:
        shown = content.decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}")
        raise UnreadableFile(
            place_at(name, shown, len(content[:nul].decode("utf-8", "replace"))),
            "it has a NUL byte, and parsers stop reading there.",
            "Remove it; if all the file is like that, save it as UTF-8 instead of UTF-16.",
            "SP105",
        )
    return text


def _said(name: str, text: str) -> FileDirectives:
    try:
        said = directives.file_directives(name, text)
    except DirectiveError as error:
        raise UnreadableFile(place_at(name, text, error.offset), error.problem, error.advice) from error
    for each in directives.apparent_header(text) if "atlas:txtar" in text else ():
        if each.name == "txtar":
            raise UnreadableFile(
                place_at(name, text, each.offset),
                "it is a file of several parts (atlas:txtar), and all of them would be run, down.sql included.",
                "Keep what is in its migration.sql, as a plain file.",
            )
    return said


def _both_splits(text: str) -> tuple[AtlasSplit | AtlasSplitError, Spans | Unclosed]:
    atlas: AtlasSplit | AtlasSplitError
    server: Spans | Unclosed
    try:
        atlas = atlas_splitter.split(text)
    except AtlasSplitError as error:
        atlas = error
    try:
        server = splitter.spans(text)
    except Unclosed as error:
        server = error
    return atlas, server


def _passed_over(name: str, text: str, server: Spans) -> Iterator[Problem]:
    for command in server.psql_commands:
        if DUMP_LINE.match(command.text):
            yield Problem(
                "SP103",
                place_at(name, text, command.offset),
                f"{command.text.split()[0]}, which pg_dump writes for psql, is passed over; the Atlas CLI would send it to the "
                "server, and fail. Remove it.",
            )
            return


def _without_dump_lines(text: str, server: Spans) -> str:
    """Blank the lines that pg_dump writes for psql since 2025, all places after them unchanged."""
    for command in server.psql_commands:
        if DUMP_LINE.match(command.text):
            after = command.offset + len(command.text)
            text = text[: command.offset] + " " * len(command.text) + text[after:]
    return text


def _spans_of_pieces(atlas: AtlasSplit) -> Spans | Unclosed:
    """Find the commands inside Atlas's statements."""
    found = Spans()
    for statement in atlas.statements:
        first = statement.start
        try:
            piece = splitter.spans(statement.text)
        except Unclosed as error:
            return Unclosed(first + error.offset, error.what)
        found.statements += [(first + start, first + end) for start, end in piece.statements]
        found.psql_commands += [PsqlCommand(first + each.offset, each.text) for each in piece.psql_commands]
        found.copy_data += [CopyData(first + each.offset) for each in piece.copy_data]
    return found


def _unclosed(name: str, text: str, error: Unclosed) -> UnreadableFile:
    return UnreadableFile(
        place_at(name, text, error.offset),
        f"this {error.what} is never closed.",
        "Close it; everything behind it is swallowed.",
        "SP101",
    )


def _not_sql(name: str, text: str, server: Spans) -> Iterator[Refusal]:
    for command in server.psql_commands:
        yield (
            command.offset,
            UnreadableFile(
                place_at(name, text, command.offset),
                f"{command.text.split()[0]} is a command of psql; the server does not know it.",
                "Remove it, and write what it does as SQL.",
                "SP103",
            ),
        )
        break
    for data in server.copy_data:
        yield (
            data.offset,
            UnreadableFile(
                place_at(name, text, data.offset),
                "COPY … FROM STDIN expects rows here, and a migration is sent as SQL only.",
                "Write the rows as INSERT … VALUES.",
                "SP104",
            ),
        )
        break


def _control(
    name: str, text: str, server: Spans, atlas: AtlasSplit | AtlasSplitError, *, in_transaction: bool
) -> Iterator[Refusal]:
    for start, words in _first_words(text, server, atlas):
        if words[:2] == ("DISCARD", "ALL"):
            yield start, _lock_lost(place_at(name, text, start), "DISCARD ALL")
            return
        if in_transaction and (begins_transaction(words) or ends_transaction(words)):
            yield start, TransactionControl(place_at(name, text, start), " ".join(words[: 2 if len(words) > 1 else 1]))
            return


def _first_words(
    text: str, server: Spans, atlas: AtlasSplit | AtlasSplitError
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the first words of the commands that begin with one that matters here."""
    known = (
        {statement.start: statement.keywords for statement in atlas.statements} if isinstance(atlas, AtlasSplit) else {}
    )
    for start, end in server.statements:
        words = known.get(start)
        if words is None:
            words = splitter.keywords(text[start:end])
        if words and words[0] in CONTROL_WORDS:
            yield start, words


def _session_breakers(name: str, text: str, lowered: str) -> Iterator[Refusal]:
    """Refuse calls and settings that would break what the rest of the run relies upon; comments may name them."""
    patterns = [pattern for word, pattern in _BREAKERS.items() if word in lowered]
    if not patterns:
        return
    try:
        remarks = [(offset, offset + len(comment)) for offset, comment in splitter.comments(text)]
    except Unclosed:
        remarks = []  # a delimiter of its own: nothing is known about its comments
    starts = [first for first, _ in remarks]
    for pattern in patterns:
        for match in pattern.finditer(text):
            before = bisect_right(starts, match.start())
            if before and match.start() < remarks[before - 1][1]:
                continue
            place = place_at(name, text, match.start())
            yield (
                match.start(),
                _strings_misread(place) if pattern is STRINGS_OFF else _lock_lost(place, f"{match[1] or match[2]}(…)"),
            )
            break


def _strings_misread(place: Place) -> UnreadableFile:
    return UnreadableFile(
        place,
        "with standard_conforming_strings off, what a string holds depends on how a file is sent.",
        r"Write strings with backslashes as E'a\\tb', and leave the setting on.",
    )


def _lock_lost(place: Place, what: str) -> UnreadableFile:
    return UnreadableFile(
        place,
        f"{what} would drop the lock that keeps other runs and the Atlas CLI away from this database.",
        "Release a lock of your own by its key, or reset with RESET, UNLISTEN and DEALLOCATE what is meant.",
    )


def _differences(name: str, text: str, server: Spans, atlas: AtlasSplit | AtlasSplitError) -> Iterator[Refusal]:
    """Compare the statements that are not empty, without the semicolons at their ends."""
    if isinstance(atlas, AtlasSplitError):
        yield atlas.offset, SplitDiffers(place_at(name, text, atlas.offset), f"it stops at {atlas.what}.")
        return
    theirs = [each for each in atlas.statements if each.keywords or not splitter.is_blank(each.text)]
    for (start, end), statement in zip(server.statements, theirs, strict=False):
        if start == statement.start and (
            end == statement.end or text[start:end].rstrip(TRAILING) == statement.text.rstrip(TRAILING)
        ):
            continue
        yield _difference(name, text, (start, end), (statement.start, statement.end))
        return
    count = min(len(server.statements), len(theirs))
    for start, _ in server.statements[count : count + 1]:
        yield start, SplitDiffers(place_at(name, text, start), "the server has a statement here, Atlas has none.")
    for statement in theirs[count : count + 1]:
        start = statement.start
        yield start, SplitDiffers(place_at(name, text, start), "Atlas has a statement here, the server has none.")


def _difference(name: str, text: str, server: tuple[int, int], atlas: tuple[int, int]) -> Refusal:
    if server[0] != atlas[0]:
        offset = min(server[0], atlas[0])
        first, other = ("the server", "Atlas") if server[0] < atlas[0] else ("Atlas", "the server")
        problem = f"{first} begins a statement here, {other} does not."
    else:
        offset = min(server[1], atlas[1]) - 1
        first, other = ("the server", "Atlas") if server[1] < atlas[1] else ("Atlas", "the server")
        problem = f"{first} ends the statement here, {other} does not."
    return offset, SplitDiffers(place_at(name, text, offset), problem)


def _ours(name: str, text: str, atlas: AtlasSplit | AtlasSplitError) -> tuple[int | None, list[Refusal]]:
    """Return the stall budget, and what is wrong with our directives."""
    in_header = {offset for offset, _ in directives.header_lines(text)}
    statements = atlas.statements if isinstance(atlas, AtlasSplit) else ()
    starts = [statement.start for statement in statements]
    budget: int | None = None
    refusals: list[Refusal] = []
    for offset, comment in _comments(text):
        for written in directives.ours(offset, comment):
            if not written.as_meant or written.name not in (directives.STALL_BUDGET, directives.REPEATABLE):
                wrong: tuple[str, str] | None = _unknown(written)
            elif written.name == directives.STALL_BUDGET:
                wrong = _wrong_stall_budget(written, in_header=offset in in_header, again=budget is not None, text=text)
                budget = budget or directives.duration_ms(written.argument)
            else:
                below = bisect_right(starts, offset)
                above = statements[below].comments if below < len(statements) else ()
                wrong = _wrong_repeatable(written, attached=comment.strip() in [each.strip() for each in above])
            if wrong:
                place = place_at(name, text, written.offset)
                refusals.append((written.offset, UnknownDirective(place, *wrong)))
    return budget, refusals


def _wrong_stall_budget(written: Written, *, in_header: bool, again: bool, text: str) -> tuple[str, str] | None:
    if not in_header:
        crlf = "; the file's lines must end in LF, not CRLF." if "\r\n" in text else "."
        return (
            "pgrollout:stall_budget has no effect here.",
            f"It stands in the first lines of a file, each beginning with `--`, with an empty line after them{crlf}",
        )
    if directives.duration_ms(written.argument) is None:
        return f"{written.argument!r} is no stall budget.", "Write a number with its unit: 500ms, 30s or 2m."
    return ("the stall budget is given twice.", "Keep one of them.") if again else None


def _wrong_repeatable(written: Written, *, attached: bool) -> tuple[str, str] | None:
    if written.argument:
        return (
            "pgrollout:repeatable takes no value.",
            "Write `-- pgrollout:repeatable` alone, and the reason in a comment above.",
        )
    if not attached:
        return (
            "pgrollout:repeatable has no effect here.",
            "It stands in the comment directly above its statement, without an empty line between.",
        )
    return None


def _unknown(written: Written) -> tuple[str, str]:
    known = (directives.STALL_BUDGET, directives.REPEATABLE)
    from difflib import get_close_matches  # 5 ms that only an error is worth

    near = get_close_matches(written.name.lower(), known, 1)
    hint = f"Did you mean pgrollout:{near[0]}? " if near else ""
    return (
        f"there is no directive {written.text!r}.",
        f"{hint}There are `-- pgrollout:stall_budget 30s` and `-- pgrollout:repeatable`.",
    )


def _comments(text: str) -> list[tuple[int, str]]:
    try:
        return list(splitter.comments(text))
    except Unclosed:
        # A file with a delimiter of its own may be read otherwise; its lines tell enough.
        return [(match.start(1), match[1]) for match in re.finditer(r"^[ \t]*(--.*)$", text, re.MULTILINE)]


def _problems(name: str, text: str, atlas: AtlasSplit) -> Iterator[Problem]:
    """Yield the ``atlas:`` directives that Atlas does not see, though they look as if it would."""
    seen = {each.offset for each in directives.header(text)}
    attached = "".join(atlas.statements[0].comments) if atlas.statements else ""
    for each in directives.apparent_header(text):
        if each.offset in seen or each.name not in ("txmode", "checkpoint", "nolint"):
            continue
        if each.name == "nolint" and "atlas:nolint" in attached:
            continue
        yield _ineffective(name, text, each.offset, each.name)
    for statement in atlas.statements[1:]:
        for comment in statement.comments:
            for directive in ("txmode", "checkpoint"):
                if f"atlas:{directive}" in comment:
                    yield _ineffective(name, text, text.rindex(comment, 0, statement.start), directive)


def _ineffective(name: str, text: str, offset: int, directive: str) -> Problem:
    cause = "its lines end in CRLF" if "\r\n" in text else "an empty line must follow it, and nothing stand before it"
    return Problem(
        "SP105",
        place_at(name, text, offset),
        f"atlas:{directive} has no effect here: Atlas reads it only in a file's first lines, and {cause}. "
        "Move it there, or remove it.",
    )
