"""
Segments: what of a migration commits together.

A wrapped file is one segment. In a file with ``-- atlas:txmode none`` every statement is one, and an explicit
``BEGIN … COMMIT`` block is one. Decided from the text alone; whether a statement can run in a transaction is left to
the server, which is asked by trying (``stages.apply``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pgrollout import splitter
from pgrollout.content import Content
from pgrollout.errors import UnreadableFile
from pgrollout.place import place_at
from pgrollout.statement import Statement, begins_transaction, ends_transaction

_READ_ONLY = re.compile(r"\bREAD\s+ONLY\b", re.IGNORECASE)
_SET_CONFIG = re.compile(
    r"SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'[^']*'\s*,\s*'[^']*'\s*,\s*(?:false|'f(?:alse)?')\s*\)\s*;?",
    re.IGNORECASE,
)
"""What pg_dump writes in the place of SET search_path."""


class Kind(StrEnum):
    """How a segment is run."""

    TRANSACTION = "transaction"
    """The whole file, or what is left of it, in one transaction of ours."""
    STATEMENT = "statement"
    """One statement, tried in a transaction, alone where it cannot run in one."""
    BLOCK = "block"
    """The file's own transaction; our rows go in just before its end."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements ``first`` to ``last`` of a file, which commit together."""

    kind: Kind
    """How it is run."""
    first: int
    """Index of its first statement, from 0."""
    last: int
    """Index of its last statement."""


def segments(content: Content, start: int = 0) -> tuple[Segment, ...]:
    """
    Return the segments of the statements from index ``start`` on.

    Raises:
        UnreadableFile: An explicit transaction is not closed, or closed without having been opened.
    """
    count = len(content.statements)
    if content.transactional:
        # A file without statements still is one segment: its row is written.
        return (Segment(Kind.TRANSACTION, start, count - 1),) if start < count or start == 0 else ()
    return tuple(_one_by_one(content, start))


def is_read_only(statement: Statement) -> bool:
    """Whether the transaction that the statement begins can write nothing."""
    return _READ_ONLY.search(statement.text) is not None


def sets_session(statement: Statement) -> bool:
    """Whether the statement sets something for those after it, up to the end of the session."""
    match statement.keywords:
        case ("SET", "LOCAL" | "TRANSACTION" | "CONSTRAINTS", *_):
            return False
        case ("SET" | "RESET", *_):
            return True
    return _SET_CONFIG.fullmatch(statement.text) is not None


def rolls_back(statement: Statement) -> bool:
    """Whether the end of a block undoes it."""
    return statement.keywords[:1] in (("ROLLBACK",), ("ABORT",))


def _one_by_one(content: Content, start: int) -> Iterator[Segment]:
    opened: Statement | None = None
    for statement in content.statements[start:]:
        if content.custom_delimiter:
            _check_commands(content, statement)
        if opened is None:
            if begins_transaction(statement.keywords):
                opened = statement
            elif ends_transaction(statement.keywords):
                raise _unreadable(
                    content, statement, "it ends a transaction that was not begun.", "Remove it, or add BEGIN."
                )
            else:
                yield Segment(Kind.STATEMENT, statement.index, statement.index)
        elif ends_transaction(statement.keywords):
            chains = ("AND", "CHAIN") in pairwise(statement.keywords)
            if chains or statement.keywords[:1] == ("PREPARE",):
                raise _unreadable(
                    content,
                    statement,
                    "it leaves a transaction behind, which nobody would end.",
                    "End the block with COMMIT.",
                )
            yield Segment(Kind.BLOCK, opened.index, statement.index)
            opened = None
    if opened is not None:
        raise _unreadable(
            content,
            opened,
            "this transaction is never ended, so its work would be lost when the connection closes.",
            "Add COMMIT.",
        )


def _check_commands(content: Content, statement: Statement) -> None:
    """A delimiter of the file's own may put several commands into one statement, a whole transaction among them."""
    commands = splitter.split(statement.text).statements
    if len(commands) > 1 and any(
        begins_transaction(each.keywords) or ends_transaction(each.keywords) for each in commands
    ):
        raise _unreadable(
            content,
            statement,
            "it has a transaction inside one statement, where our row cannot be put before the COMMIT.",
            "Leave the default delimiter there, so that BEGIN and COMMIT are statements of their own.",
        )


def _unreadable(content: Content, statement: Statement, problem: str, advice: str) -> UnreadableFile:
    return UnreadableFile(place_at(content.migration.name, content.text, statement.start), problem, advice)
