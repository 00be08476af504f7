"""
Chunks: the pieces of a migration that are sent at once, and what in them failed.

Cut between statements, so that a cancel and progress get in between; most migrations are one chunk. The server tells of a
failure how many commands ended well before it, or the position it points at; here that becomes a place in the file.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pgrollout import splitter
from pgrollout.content import Content
from pgrollout.errors import StatementFailed
from pgrollout.place import place_at
from pgrollout.postgres import sqlstate
from pgrollout.postgres.execute import Failure
from pgrollout.quoting import name
from pgrollout.secrets import mask_message, mask_statement
from pgrollout.statement import Statement

MISSING_ROLE = re.compile(r'role "(.+)" does not exist')
MESSAGE_CHARACTERS = 1_000_000
"""Longest text sent at once: a longer file goes in several round trips, so that a cancel and progress get in between."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a migration that is sent in one message."""

    text: str
    """The SQL."""
    offset: int
    """Where it begins in the file's text."""


def chunks(content: Content, first: int, most: int = MESSAGE_CHARACTERS, *, last: int | None = None) -> Iterator[Chunk]:
    """
    Yield the text of the statements from index ``first`` on, to ``last`` or the file's end, cut between statements.

    A file with a delimiter of its own is sent statement by statement: only Atlas's splitter knows where one ends.
    """
    statements = content.statements[first : None if last is None else last + 1]
    is_all = last is None or last + 1 >= len(content.statements)
    stop = len(content.text) if is_all else statements[-1].end
    if content.custom_delimiter and statements:
        for statement in statements:
            yield Chunk(statement.text, statement.start)
        return
    start = 0 if first == 0 else (statements[0].start if statements else len(content.text))
    if stop - start > most:
        for statement, following in itertools.pairwise(statements):
            if following.end - start > most:
                yield Chunk(content.text[start : statement.end], start)
                start = statement.end
    yield Chunk(content.text[start:stop], start)


def statement_failed(content: Content, failure: Failure, before: str, piece: Chunk) -> StatementFailed | None:
    """
    Return the error of a statement of the file; None if the failure is not of its text.

    Args:
        content: The migration.
        failure: What the server said of a message.
        before: What stood in the message before the file's text.
        piece: The file's text in the message.
    """
    theirs = splitter.split(piece.text).statements
    failed = failure.finished - (len(splitter.split(before).statements) if before else 0)
    if failure.position is not None and len(before) <= failure.position < len(before) + len(piece.text):
        return failed_at(content, failure, piece, failure.position - len(before))
    if failure.position is None and 0 <= failed < len(theirs):
        return failed_at(content, failure, piece, theirs[failed].start)
    return None


def failed_at(content: Content, failure: Failure, piece: Chunk, offset: int) -> StatementFailed:
    """Return the error of the statement that stands at an offset of a piece of the file."""
    theirs = splitter.split(piece.text).statements
    statement = next((s for s in theirs if s.start <= offset < s.end), theirs[-1] if theirs else None)
    place = place_at(content.migration.name, content.text, piece.offset + offset)
    return StatementFailed(
        place,
        content.migration.version,
        failure.sqlstate,
        mask_message(failure.message, content.text, piece.offset + offset),
        mask_statement(statement.text) if statement else "",
        _advice(content, failure, statement),
        int(sqlstate.exit_code(failure.sqlstate)),
    )


def _advice(content: Content, failure: Failure, statement: Statement | None) -> str:
    advice = sqlstate.advice(failure.sqlstate)
    if failure.sqlstate in sqlstate.NOT_IN_A_TRANSACTION:
        if statement and statement.keywords[:2] == ("SET", "TRANSACTION"):
            return (
                "A file runs in a transaction that has begun, READ COMMITTED. Leave this out, or write the file's own "
                "BEGIN ISOLATION LEVEL … COMMIT, below `-- atlas:txmode none` and an empty line."
            )
        return next((problem.message for problem in content.problems if "txmode" in problem.message), advice)
    if failure.sqlstate == "42704" and (role := MISSING_ROLE.search(failure.message)):
        advice = f"Roles belong to the server: create it there first (CREATE ROLE {name(role[1])} NOLOGIN), then run it again."
    return advice
