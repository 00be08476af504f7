"""
Replay: the directory from its start, on an empty shadow database.

Shows that a new database can be made, and gives the schema that the live one must have. Files are cut into segments as apply
cuts them, but every CREATE INDEX CONCURRENTLY runs as it is written unless its own transaction makes the table: in plain form
it would be one transaction with what is beside it, which apply may not have. Where the server wants a new enum value committed
before it is used, is remembered in the shadow itself, for whoever uses a copy of it. Roles that the migrations name
and the shadow lacks are made NOLOGIN. What this server lacks, an extension or a library that it was built without, is
reported as not analysed, and so is what only a newer server than the shadow's knows, if the target is newer; anything else
that fails is an error of the directory.
"""

import json
import logging
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from pgrollout import splitter
from pgrollout.content import Content
from pgrollout.crossing import check_crossing
from pgrollout.directives import FileDirectives
from pgrollout.errors import ReplayFailed, ServerUnavailable, StatementFailed
from pgrollout.migration import Migration
from pgrollout.outside import as_plain
from pgrollout.place import place_at
from pgrollout.postgres.chunk import MISSING_ROLE, Chunk, chunks, statement_failed
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.execute import ConnectionLost, CopyFromClient, Failure, send
from pgrollout.postgres.shadow import ShadowDatabase
from pgrollout.segments import Kind, Segment, enum_cuts, in_plain_form, segments

log = logging.getLogger(__name__)

_NOT_HERE = {
    "0A000": re.compile(
        r'extension ".+" is not available|not supported (?:by|in) this build|unsupported XML feature|'
        r"compression method .+ not supported|requires the server to be built with"
    ),
    "22023": re.compile(r"SSL is not supported|SSL support is not compiled in"),
    "42704": re.compile(r'collation ".+-x-icu" for encoding ".+" does not exist'),
    **dict.fromkeys(("58P01", "08001", "08006", "58030"), re.compile("")),
}
"""What this server lacks, a feature, collation or file, or cannot reach: says nothing about the directory."""
_EXTENSION_MISSING = {"0A000": ("CREATE", "EXTENSION")}
"""The same, where the message is in another language: no other statement of that kind can fail so."""
_NOT_YET_HERE = {
    "42601": re.compile(""),  # MERGE … RETURNING on 16, NOT ENFORCED and VIRTUAL on 17
    "42883": re.compile(""),  # uuidv7() on 17
    "0A000": re.compile(""),
    "22023": re.compile(r"unrecognized "),
    "42704": re.compile(r"unrecognized |access method |type "),
    "42P01": re.compile(r'relation "(?:pg_catalog\.)?pg_'),
}
"""What an older server says to what it does not know yet; nobody can tell it from a mistake there."""
_RESTORED_CHARACTERS = 100_000
"""Sent at once, and so in one transaction, of a dump: few round trips, and not too many locks."""
_EXISTING_ROLE = re.compile(r'role "(.+)" already exists')
_ENUM_VALUE_TOO_NEW = "55P04"
_CUTS = "pgrollout.cuts"
"""A setting of the shadow database, for it is copied with the database."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a file was cut, because the server wants a new enum value committed before it is used."""

    file: str
    """Its name."""
    statement: int
    """Index of the statement before the cut."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far the replay came."""

    files: int
    """Files that ran."""
    not_analysed: StatementFailed | None = None
    """The first statement that this server cannot run; nothing after it was tried."""
    cuts: tuple[Cut, ...] = ()
    """Where files were cut, for the server asked for it."""

    @property
    def is_complete(self) -> bool:
        """Whether the shadow now has the schema that the directory makes."""
        return self.not_analysed is None


def replay(shadow: ShadowDatabase, contents: Iterable[Content], *, target_version: int | None = None) -> Replayed:
    """
    Run the files on the shadow database, without any history.

    Args:
        shadow: The database, empty or with what is to be there before.
        contents: The files.
        target_version: ``server_version_num`` of the live database's server; None if it is not known.

    Raises:
        ReplayFailed: A statement does not run, and not for lack of something on this server.
        StateCrosses: A file had to be cut, and relies on what is lost there.
    """
    count = 0
    cuts: list[Cut] = []
    with connect(shadow.database, application_name="pgrollout/shadow") as connection:
        _speak_english(connection)
        for content in contents:
            try:
                cuts += _run(connection, content, shadow.mark_roles)
            except StatementFailed as error:
                if is_lacking(error, shadow.version, target_version):
                    return Replayed(count, error, tuple(cuts))
                problem = f"{error.message} (SQLSTATE {error.sqlstate})"
                raise ReplayFailed(error.place, problem, _advice(shadow, error)) from error
            count += 1
            connection.execute("DISCARD ALL")
            _speak_english(connection)
        if cuts:
            said = sql.Literal(json.dumps([[cut.file, cut.statement] for cut in cuts]))
            setting = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(setting.format(sql.Identifier(shadow.name), sql.Identifier(*_CUTS.split(".")), said))
    return Replayed(count, cuts=tuple(cuts))


def replayed_before(shadow: ShadowDatabase, files: int) -> Replayed:
    """Return what ``replay`` returned when it made the database that this one is a copy of; ``files`` ran then."""
    with connect(shadow.database, application_name="pgrollout/shadow") as connection:
        [(said,)] = connection.execute("SELECT pg_catalog.current_setting(%s, true)", (_CUTS,)).fetchall()
    return Replayed(files, cuts=tuple(Cut(*each) for each in json.loads(said or "[]")))


def is_lacking(error: StatementFailed, version: int, target_version: int | None) -> bool:
    """
    Whether a statement failed because this server lacks something, which says nothing about the directory.

    Args:
        error: What the server said.
        version: Its ``server_version_num``.
        target_version: That of the live database's server; None if it is not known.
    """
    lacking = _NOT_HERE.get(error.sqlstate)
    if lacking and lacking.search(error.message):
        return True
    if (words := _EXTENSION_MISSING.get(error.sqlstate)) and _first_words(error.statement) == words:
        return True
    unknown = _NOT_YET_HERE.get(error.sqlstate) if (target_version or 0) // 10000 > version // 10000 else None
    return unknown is not None and unknown.search(error.message) is not None


def _first_words(statement: str) -> tuple[str, ...]:
    return next((each.keywords[:2] for each in splitter.split(statement).statements), ())


def restore(shadow: ShadowDatabase, schema_sql: bytes) -> StatementFailed | None:
    """
    Run a plain dump of a schema on the empty shadow database; return what this server cannot run, None if it ran all.

    The dump comes from a server that has all this: what fails here is what this one lacks.
    """
    content = _as_content(schema_sql.decode("utf-8", "replace"))
    with connect(shadow.database, application_name="pgrollout/shadow") as connection:
        _speak_english(connection)
        try:
            made: set[str] = set()
            for piece in chunks(content, 0, _RESTORED_CHARACTERS):
                _with_roles(connection, partial(_run_piece, connection, content, piece), made, shadow.mark_roles)
        except StatementFailed as error:
            return error
    return None


def _as_content(text: str) -> Content:
    """Return the dump as something that can be run; what it says to psql is blank."""
    for command in splitter.spans(text).psql_commands:
        end = command.offset + len(command.text)
        text = text[: command.offset] + " " * len(command.text) + text[end:]
    statements = splitter.split(text).statements
    directives = FileDirectives(tx_mode="none")
    return Content(Migration("live schema", text.encode()), text, directives, statements, False, ())


def _run_piece(connection: Connection, content: Content, piece: Chunk) -> StatementFailed | None:
    answer = _send(connection, piece.text, content)
    return _failed(content, answer, "", piece) if isinstance(answer, Failure) else None


def _advice(shadow: ShadowDatabase, error: StatementFailed) -> str:
    role = _EXISTING_ROLE.match(error.message) if error.sqlstate == "42710" else None
    if role is None or shadow.database.shadow.server != "url":
        return error.advice
    return (
        f"Roles belong to the server, not to a database: give the shadow a server where role {role[1]} is not, "
        "for example another than the target's own."
    )


def _run(connection: Connection, content: Content, mark_roles: Callable[[], None]) -> list[Cut]:
    """Run a file, and return where it had to be cut."""
    made: set[str] = set()
    cuts: frozenset[int] = frozenset()
    todo = deque(segments(content))
    while todo:
        segment = todo.popleft()
        try:
            _with_roles(connection, partial(_run_segment, connection, content, segment), made, mark_roles)
        except StatementFailed as error:
            if cuts or error.sqlstate != _ENUM_VALUE_TOO_NEW or segment.kind is not Kind.TRANSACTION:
                raise
            # Its transaction was undone, so nothing of it has happened.
            cuts = frozenset(index for index in enum_cuts(content) if index >= segment.first)
            if not cuts.intersection(range(segment.first, segment.last)):
                raise
            check_crossing(content, segments(content, cuts=cuts))
            todo = deque(segments(content, segment.first, cuts=cuts))
        mark_roles()
    return [Cut(content.migration.name, index) for index in sorted(cuts)]


def _with_roles(
    connection: Connection, run: Callable[[], StatementFailed | None], made: set[str], mark_roles: Callable[[], None]
) -> None:
    """Run it again and again, as long as it fails for want of a role that can be made."""
    while error := run():
        role = MISSING_ROLE.search(error.message) if error.sqlstate == "42704" else None
        if role is None or role[1] in made:
            raise error
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role[1])))
        log.debug("role created on the shadow role=%s", role[1])
        made.add(role[1])
        mark_roles()


def _run_segment(connection: Connection, content: Content, segment: Segment) -> StatementFailed | None:
    before, after = "", ""
    match segment.kind:
        case Kind.TRANSACTION:
            plain = in_plain_form(content, segment)
            pieces = [
                _in_plain_form(content, plain, each) for each in chunks(content, segment.first, last=segment.last)
            ]
            before, after = "BEGIN;\n", "\n;\nCOMMIT"
        case Kind.STATEMENT | Kind.ALONE:
            statement = content.statements[segment.first]
            pieces = [Chunk(statement.text, statement.start)]
        case Kind.BLOCK:
            start, end = content.statements[segment.first].start, content.statements[segment.last].end
            pieces = [Chunk(content.text[start:end], start)]
    for number, piece in enumerate(pieces):
        opening = before if number == 0 else ""
        closing = after if number == len(pieces) - 1 else ""
        answer = _send(connection, opening + piece.text + closing, content)
        if isinstance(answer, Failure):
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                send(connection, "ROLLBACK")
            return _failed(content, answer, opening, piece)
    return None


def _in_plain_form(content: Content, plain: Iterable[int], piece: Chunk) -> Chunk:
    """Return the piece with the word CONCURRENTLY blank in these statements; all places stay."""
    text = piece.text
    for index in plain:
        statement = content.statements[index]
        start, end = statement.start - piece.offset, statement.end - piece.offset
        if 0 <= start < len(piece.text):
            text = text[:start] + as_plain(statement.text) + text[end:]
    return Chunk(text, piece.offset)


def _failed(content: Content, answer: Failure, before: str, piece: Chunk) -> StatementFailed:
    return statement_failed(content, answer, before, piece) or StatementFailed(
        None, content.migration.version, answer.sqlstate, answer.message, "COMMIT", "Correct the migration.", 1
    )


def _send(connection: Connection, text: str, content: Content) -> str | Failure:
    try:
        return send(connection, text)
    except ConnectionLost as error:
        raise ServerUnavailable("the shadow's server", str(error)) from error
    except CopyFromClient as error:
        place = place_at(content.migration.name, content.text, 0)
        raise ReplayFailed(place, "COPY from the client: nobody is there to feed it.", "Use INSERT.") from error


def _speak_english(connection: Connection) -> None:
    """The name of a missing role is only in the message."""
    try:
        connection.execute("SET lc_messages = 'C'")
    except psycopg.errors.InsufficientPrivilege:
        log.debug("messages of the shadow stay in the server's language")
