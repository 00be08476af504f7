"""
Directives: comments of a migration that change how it is treated.

``atlas:`` ones mean what they mean to the Atlas CLI, and count only where it would see them; ``pgrollout:`` ones are
ours, and one that would have no effect is an error. What a rule's waiver covers is left to ``lint``.

Source: Atlas, ``sql/migrate/dir.go``, ``LocalFile.Directive``; ``sql/migrate/lex.go``, ``Stmt.Directive``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pgrollout.atlas_splitter import DIRECTIVE, SPACES

OURS = re.compile(
    r"^(?:[ \t]*(?:-{2,}|/\*+|\*+(?!/)|#+))?[ \t]*(pgrollout[ \t]*:[ \t]*(\S*)[ \t]*(.*))$", re.MULTILINE | re.I
)
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)", re.ASCII)
MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000}
STALL_BUDGET = "stall_budget"
REPEATABLE = "repeatable"
LOOKS_LIKE_HEADER = re.compile(r"[ \t\r\n]*+(?:--[^\n]*+|#[^\n]*+|/\*[^\n]*?\*/)")

TxMode = Literal["file", "none"]


@dataclass(frozen=True, slots=True)
class FileDirectives:
    """What a migration says about itself as a whole."""

    tx_mode: TxMode | None = None
    """``atlas:txmode``; None if it says nothing."""
    nolint: tuple[tuple[str, ...], ...] = ()
    """For each ``atlas:nolint`` its names and codes; none means all."""
    stall_budget_ms: int | None = None
    """``pgrollout:stall_budget``: the longest that anyone may wait because of this file."""


class DirectiveError(ValueError):
    """A directive with an invalid value, or given twice."""

    def __init__(self, offset: int, problem: str, advice: str) -> None:
        super().__init__(offset, problem, advice)
        self.offset, self.problem, self.advice = offset, problem, advice

    def __str__(self) -> str:
        return f"{self.problem} {self.advice}"


@dataclass(frozen=True, slots=True)
class Written:
    """A directive as it stands in a file, wherever that is."""

    name: str
    """``txmode`` of ``atlas:txmode``."""
    argument: str
    """The rest of its line."""
    offset: int
    """Where it stands, in characters; for Atlas's the comment's begin."""
    text: str = ""
    """As written."""

    @property
    def as_meant(self) -> bool:
        """Whether it is written as a directive is: no space, small letters."""
        return self.text.startswith(f"pgrollout:{self.name}")


NONE = FileDirectives()


def file_directives(file: str, text: str) -> FileDirectives:
    """
    Return what a file's first lines say about it, by Atlas's rules.

    Raises:
        DirectiveError: The tx mode is unknown, or given more than once.
    """
    if "atlas:" not in text:
        return NONE
    written = list(header(text))
    return FileDirectives(
        tx_mode=_tx_mode(file, [each for each in written if each.name == "txmode"]),
        nolint=tuple(tuple(each.argument.split()) for each in written if each.name == "nolint"),
    )


def header(text: str) -> Iterator[Written]:
    """Yield the ``atlas:`` directives that Atlas takes for the whole file: those above the first empty line."""
    for offset, line in header_lines(text):
        match = DIRECTIVE.match(line)
        if match:
            yield Written(match[2], match[3] or "", offset)


def header_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the comment lines that Atlas takes for the file's own, with their offsets; none without an empty line after."""
    found = []
    position = 0
    while text.startswith(("--", "#"), position):
        line_end = text.find("\n", position)
        if line_end < 0:
            return
        found.append((position, text[position:line_end].strip(SPACES)))
        position = line_end + 1
    rest = re.compile(r"[ \t]*+").match(text, position)
    if position == len(text) or (rest and text.startswith("\n", rest.end())):
        yield from found


def apparent_header(text: str) -> Iterator[Written]:
    """Yield the ``atlas:`` directives above the first statement, whether Atlas would see them or not."""
    end = 0
    while comment := LOOKS_LIKE_HEADER.match(text, end):
        end = comment.end()
    region = text[:end]
    if "atlas:" not in region:
        return
    position = 0
    for line in region.split("\n"):
        match = DIRECTIVE.match(line)
        if match:
            yield Written(match[2], (match[3] or "").strip(), position + len(line) - len(line.lstrip()))
        position += len(line) + 1


def ours(offset: int, comment: str) -> Iterator[Written]:
    """Yield the ``pgrollout:`` directives of a comment that stands at ``offset``, whatever they are called."""
    for match in OURS.finditer(comment):
        argument = match[3].rstrip().removesuffix("*/").rstrip()
        written = match[1].rstrip().removesuffix("*/").rstrip()
        yield Written(match[2].removesuffix("*/"), argument, offset + match.start(1), written)


def duration_ms(text: str) -> int | None:
    """Return the milliseconds of ``500ms``, ``30s`` or ``2m``; None if it is no such duration, or less than 1 ms."""
    match = DURATION.fullmatch(text)
    milliseconds = int(float(match[1]) * MILLISECONDS[match[2]]) if match else 0
    return milliseconds or None


def _tx_mode(file: str, written: list[Written]) -> TxMode | None:
    if not written:
        return None
    if len(written) > 1:
        modes = " ".join(f'"{each.argument}"' for each in written)
        raise DirectiveError(
            written[1].offset, f'multiple txmode values found in file "{file}": [{modes}].', "Keep one of them."
        )
    match written[0].argument:
        case "none":
            return "none"
        case "file":
            return "file"
        case "all":
            raise DirectiveError(
                written[0].offset,
                f'txmode "all" is not allowed in file directive "{file}". Use "file" instead.',
                "A file says how it is run itself: file (one transaction) or none.",
            )
        case mode:
            raise DirectiveError(
                written[0].offset,
                f'unknown txmode "{mode}" found in file directive "{file}".',
                "Write `-- atlas:txmode none` or `-- atlas:txmode file`.",
            )
