"""
Segments: what of a migration commits together.

A wrapped file is one segment, unless it has statements that cannot run in a transaction: those are alone, what stands
between them stays together. In a file with ``-- atlas:txmode none`` every statement is a segment, and an explicit
``BEGIN … COMMIT`` block is one. Decided from the text; what only the server knows, how large a table is and whether it
wants a new enum value committed before it is used, the caller says. What a later segment may miss of an earlier one is
left to ``crossing``.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from pgrollout import parser, splitter
from pgrollout.content import Content
from pgrollout.errors import UnreadableFile
from pgrollout.nodes import (
    CreateSchema,
    CreateTable,
    DropForeignTable,
    DropMaterializedView,
    DropSchema,
    DropTable,
    MoveTable,
    Name,
    Node,
    RenameSchema,
    RenameTable,
    RunCode,
    SetSearchPath,
)
from pgrollout.outside import Form, Outside, outside
from pgrollout.place import place_at
from pgrollout.reader import Reader
from pgrollout.statement import Statement, begins_transaction, ends_transaction

_READ_ONLY = re.compile(r"\bREAD\s+ONLY\b", re.IGNORECASE)
_SET_CONFIG = re.compile(
    r"SELECT\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'[^']*'\s*,\s*'[^']*'\s*,\s*(?:false|'f(?:alse)?')\s*\)\s*;?",
    re.IGNORECASE,
)
"""What pg_dump writes in the place of SET search_path."""
_SHAPING = frozenset({"ALTER", "CREATE", "DO", "DROP", "RESET", "SELECT", "SET"})
"""First words of what can make a table, or change which one a name means."""
_CHANGES_NAMES = frozenset({"drop", "rename", "schema", "search_path", "set_config"})
"""Words without which a DO block leaves names as they are."""

_CALLED = {
    Form.ONLINE_BUILD: "CREATE INDEX CONCURRENTLY",
    Form.ONLINE_REINDEX: "REINDEX CONCURRENTLY",
    Form.ONLINE_DROP: "DROP INDEX CONCURRENTLY",
    Form.DETACH: "DETACH PARTITION CONCURRENTLY",
    Form.CREATE_DATABASE: "CREATE DATABASE",
    Form.DROP_DATABASE: "DROP DATABASE",
    Form.MOVE_DATABASE: "ALTER DATABASE SET TABLESPACE",
    Form.CREATE_TABLESPACE: "CREATE TABLESPACE",
    Form.DROP_TABLESPACE: "DROP TABLESPACE",
    Form.CREATE_SUBSCRIPTION: "CREATE SUBSCRIPTION",
    Form.DROP_SUBSCRIPTION: "DROP SUBSCRIPTION",
    Form.ALTER_SUBSCRIPTION: "ALTER SUBSCRIPTION that refreshes",
    Form.VACUUM: "VACUUM",
    Form.VACUUM_FULL: "VACUUM FULL",
    Form.CLUSTER: "CLUSTER of all tables",
    Form.REINDEX: "REINDEX of a schema or database",
    Form.ALTER_SYSTEM: "ALTER SYSTEM",
    Form.COMMIT_PREPARED: "COMMIT PREPARED",
    Form.ROLLBACK_PREPARED: "ROLLBACK PREPARED",
}
"""What a person calls each form."""

WHOLE_FILE = "the file is one transaction"
EACH_ALONE = "txmode none: each statement commits by itself, outside a transaction where it must"
OWN_BLOCK = "txmode none: the file's own transaction"


class Kind(StrEnum):
    """How a segment is run."""

    TRANSACTION = "transaction"
    """The whole file, or a part of it, in one transaction of ours."""
    STATEMENT = "statement"
    """One statement, tried in a transaction, alone where it cannot run in one."""
    BLOCK = "block"
    """The file's own transaction; our rows go in just before its end."""
    ALONE = "alone"
    """One statement that cannot run in a transaction, as its text tells."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements ``first`` to ``last`` of a file, which commit together."""

    kind: Kind
    """How it is run."""
    first: int
    """Index of its first statement, from 0."""
    last: int
    """Index of its last statement."""
    reason: str
    """Why so, for a person: a clause."""


def segments(
    content: Content, start: int = 0, *, plain: Collection[int] = (), cuts: Collection[int] = ()
) -> tuple[Segment, ...]:
    """
    Return the segments of the statements from index ``start`` on.

    Args:
        content: The migration.
        start: Statements that an earlier run has done.
        plain: Of ``online_builds``, the indexes of those that run in plain form, for their tables are small.
        cuts: Of ``enum_cuts``, the indexes of the statements after which a wrapped file is cut, for the server asked for it.

    Raises:
        UnreadableFile: An explicit transaction is not closed, or closed without having been opened.
    """
    return tuple(_wrapped(content, start, plain, cuts) if content.transactional else _one_by_one(content, start, plain))


def online_builds(content: Content, start: int = 0) -> dict[int, Outside]:
    """
    Return, by index, each CREATE INDEX CONCURRENTLY that runs online unless its table turns out to be small.

    Those on a table that their own transaction makes are not among them, nor those inside the file's own blocks.
    """
    found = {}
    for segment in segments(content, start):
        what = outside_of(content, segment.first) if segment.kind is Kind.ALONE else None
        if what is not None and what.form is Form.ONLINE_BUILD:
            found[segment.first] = what
    return found


def made_here(content: Content, start: int = 0) -> frozenset[int]:
    """Return the indexes of each CREATE INDEX CONCURRENTLY on a table that its own transaction makes: always in plain form."""
    return frozenset(index for segment in segments(content, start) for index in in_plain_form(content, segment))


def in_plain_form(content: Content, segment: Segment) -> tuple[int, ...]:
    """Return the indexes of each CREATE INDEX CONCURRENTLY of a segment that is to be run without CONCURRENTLY."""
    if segment.kind not in (Kind.TRANSACTION, Kind.STATEMENT):
        return ()
    return tuple(
        index
        for index in range(segment.first, segment.last + 1)
        if (what := outside_of(content, index)) and what.form is Form.ONLINE_BUILD
    )


def enum_cuts(content: Content) -> frozenset[int]:
    """
    Return the indexes of the statements after which a wrapped file is cut if the server answers 55P04.

    A new enum value cannot be used before it is committed: each run of ALTER TYPE … ADD VALUE, with COMMENTs in it, that
    something else follows.
    """
    if not content.transactional:
        return frozenset()
    found = set()
    adding = False
    for before, statement in pairwise(content.statements):
        adding = _adds_value(before) or (adding and _uses_no_value(before))
        if adding and not (_adds_value(statement) or _uses_no_value(statement)):
            found.add(before.index)
    return frozenset(found)


def outside_of(content: Content, index: int) -> Outside | None:
    """Return what the statement at an index does that cannot be done in a transaction, as far as its text tells."""
    statement = content.statements[index]
    what = outside(statement.text, statement.keywords)
    if what is not None and content.custom_delimiter and len(splitter.split(statement.text).statements) > 1:
        return None  # several commands in one message are a transaction: the server says no, whatever we do
    return what


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


# A wrapped file.


def _wrapped(content: Content, start: int, plain: Collection[int], cuts: Collection[int]) -> Iterator[Segment]:
    count = len(content.statements)
    if start == count == 0:
        # A file without statements still is one segment: its row is written.
        yield Segment(Kind.TRANSACTION, 0, -1, WHOLE_FILE)
    alone = _alone(content, start, plain, cuts)
    first = start
    for index in range(start, count):
        if index in alone:
            if first < index:
                yield _together(content, start, first, index - 1, plain, cuts)
            yield Segment(Kind.ALONE, index, index, _why_alone(alone[index]))
            first = index + 1
        elif index in cuts:
            yield _together(content, start, first, index, plain, cuts)
            first = index + 1
    if first < count:
        yield _together(content, start, first, count - 1, plain, cuts)


def _alone(content: Content, start: int, plain: Collection[int], cuts: Collection[int]) -> dict[int, Outside]:
    """Return the statements of a wrapped file that are segments of their own."""
    count = len(content.statements)
    outsides = {index: what for index in range(start, count) if (what := outside_of(content, index))}
    last_build = max((index for index, what in outsides.items() if what.form is Form.ONLINE_BUILD), default=-1)
    alone = {}
    made: frozenset[Name] = frozenset()
    for index in range(start, last_build + 1):
        what = outsides.pop(index, None)
        if what is None:
            # What an earlier transaction made, others may use already.
            made = frozenset() if index in cuts else _made(made, content.statements[index])
        elif what.form is not Form.ONLINE_BUILD or (index not in plain and what.table not in made):
            alone[index] = what
            made = frozenset()
    return alone | outsides


def _together(
    content: Content, start: int, first: int, last: int, plain: Collection[int], cuts: Collection[int]
) -> Segment:
    is_whole = (first, last) == (start, len(content.statements) - 1)
    reasons = [WHOLE_FILE if is_whole else "one transaction, beside what cannot run in it"]
    segment = Segment(Kind.TRANSACTION, first, last, "")
    for index in in_plain_form(content, segment):
        why = "its table is small" if index in plain else "its table is made here"
        reasons.append(f"statement {index + 1} builds its index in plain form, for {why}")
    if last in cuts and last + 1 < len(content.statements):
        reasons.append(
            f"cut after statement {last + 1}, for the server wants a new enum value committed before it is used"
        )
    return replace(segment, reason="; ".join(reasons))


def _why_alone(what: Outside) -> str:
    return f"{_CALLED[what.form]} cannot run in a transaction"


def _made(made: frozenset[Name], statement: Statement) -> frozenset[Name]:
    """Return the tables, as they would be written, that a transaction has surely made once the statement has run."""
    if not (statement.keywords and statement.keywords[0] in _SHAPING):
        return made
    if statement.keywords[0] in ("SET", "RESET"):
        return _qualified(made)
    try:
        nodes = parser.parse_statement(statement.text)
    except (parser.SyntaxProblem, parser.CannotAnalyse):
        return frozenset()
    for node in nodes:
        made = _made_by(made, node)
    return made


def _made_by(made: frozenset[Name], node: Node) -> frozenset[Name]:
    match node:
        case CreateTable(name=name, if_not_exists=False, is_partitioned=False):
            # A temporary table comes before all others of its name.
            return made | ({name, Name("", name.name)} if name.schema == "pg_temp" else {name})
        case CreateSchema(schema, elements):
            inside = frozenset[Name]()
            for element in elements:
                inside = _made_by(inside, element)
            return made | {Name(name.schema or schema, name.name) for name in inside}
        case RenameTable(table, new):
            renamed = {Name(table.schema, new)} if table in made else set()
            return _without(made, {table.name, new}) | renamed
        case MoveTable(table, schema):
            return _without(made, {table.name}) | ({Name(schema, table.name)} if table in made else set())
        case DropTable(names) | DropForeignTable(names) | DropMaterializedView(names):
            return _without(made, {name.name for name in names})
        case SetSearchPath():
            return _qualified(made)
        case RenameSchema() | DropSchema():
            return frozenset()
        case RunCode(words=words) if words & _CHANGES_NAMES:
            return frozenset()
    return made


def _without(made: frozenset[Name], names: Collection[str]) -> frozenset[Name]:
    return frozenset(name for name in made if name.name not in names)


def _qualified(made: frozenset[Name]) -> frozenset[Name]:
    return frozenset(name for name in made if name.schema)


def _adds_value(statement: Statement) -> bool:
    if statement.keywords[:2] != ("ALTER", "TYPE"):
        return False
    reader = Reader(statement.text)
    reader.take("ALTER", "TYPE")
    reader.name()
    return reader.take("ADD", "VALUE")


def _uses_no_value(statement: Statement) -> bool:
    """Whether the statement cannot use a new enum value: a COMMENT, or nothing at all."""
    return statement.keywords[:1] == ("COMMENT",) or splitter.is_blank(statement.text)


# A file with txmode none.


def _one_by_one(content: Content, start: int, plain: Collection[int]) -> Iterator[Segment]:
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
                yield _by_itself(content, statement.index, plain)
        elif ends_transaction(statement.keywords):
            chains = ("AND", "CHAIN") in pairwise(statement.keywords)
            if chains or statement.keywords[:1] == ("PREPARE",):
                raise _unreadable(
                    content,
                    statement,
                    "it leaves a transaction behind, which nobody would end.",
                    "End the block with COMMIT.",
                )
            yield Segment(Kind.BLOCK, opened.index, statement.index, OWN_BLOCK)
            opened = None
    if opened is not None:
        raise _unreadable(
            content,
            opened,
            "this transaction is never ended, so its work would be lost when the connection closes.",
            "Add COMMIT.",
        )


def _by_itself(content: Content, index: int, plain: Collection[int]) -> Segment:
    what = outside_of(content, index)
    if what is None:
        return Segment(Kind.STATEMENT, index, index, EACH_ALONE)
    if index in plain:
        reason = "txmode none: builds its index in plain form, in a transaction, for its table is small"
        return Segment(Kind.STATEMENT, index, index, reason)
    return Segment(Kind.ALONE, index, index, _why_alone(what))


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
