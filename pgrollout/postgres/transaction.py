"""
Transactions: one segment of a migration and its rows, committed together or not at all, and nobody waits for it.

Before each statement that locks existing tables stands a guard: it looks who is in the way, else takes all locks at once
and waits briefly. While somebody is in the way the transaction is rolled back, that is waited for outside the lock queue,
and the segment tried again, until a deadline. What a statement was seen to wait for although no guard had told of it is
guarded in the next try. When others wait too long for what a statement does, the watchdog has it
cancelled: that is told, with the way to do it without anybody waiting.
"""

import time
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pgrollout.content import Content
from pgrollout.errors import RecordsRefused, StallBudgetExceeded, StatementFailed
from pgrollout.locks import Lock, Mode, guarded
from pgrollout.nodes import Name
from pgrollout.outside import as_plain
from pgrollout.place import place_at
from pgrollout.postgres import guard, sqlstate
from pgrollout.postgres.awaited import Awaited
from pgrollout.postgres.chunk import MESSAGE_CHARACTERS, Chunk, failed_at
from pgrollout.postgres.execute import Failure
from pgrollout.postgres.executing import IDLE_SHARE, Executing
from pgrollout.postgres.message import Message, Part
from pgrollout.postgres.patience import Patience
from pgrollout.postgres.records import File, Recipe
from pgrollout.postgres.supervisor import Stall, Watch
from pgrollout.quoting import literal, name
from pgrollout.segments import Kind, Segment, is_read_only, outside_of, rolls_back
from pgrollout.settings import Database
from pgrollout.statement import Statement

SLOWEST_BYTES_A_MS = 200
"""How slow the network may be: while a message comes in, the server counts the transaction it belongs to as left open."""


@dataclass(frozen=True)
class Work:
    """A segment to be run, and what vouches for it."""

    file: File
    """The migration."""
    segment: Segment
    """Which of its statements."""
    records: Sequence[str]
    """Rows to be written with it."""
    is_first: bool
    """Whether nothing of the file has run on this connection."""
    plain: Collection[int] = ()
    """Indexes of statements that build an index online, to be run in plain form."""
    small: Collection[int] = ()
    """Those of them whose table is an existing one, and must still be small."""

    @cached_property
    def guards(self) -> dict[int, tuple[Lock, ...]]:
        """
        What each statement must have locked before, by its index; nothing in a block that can write nothing.

        What a try has shown beyond that is added.
        """
        content, segment = self.file.content, self.segment
        if segment.kind is Kind.BLOCK and is_read_only(content.statements[segment.first]):
            return {}
        statements = content.statements[segment.first : segment.last + 1]
        found = dict(guarded(statements, custom_delimiter=content.custom_delimiter))
        for index in self.small:
            if segment.first <= index <= segment.last and (what := outside_of(content, index)):
                found[index] = (Lock(what.table, Mode.SHARE),)
        return found


@dataclass(frozen=True, slots=True)
class Refused:
    """A segment that the server rolled back."""

    failure: Failure
    """What it said."""
    index: int | None
    """The statement of the file that it refused; None if it was a command of ours."""
    error: StatementFailed | RecordsRefused | StallBudgetExceeded
    """The same as an error."""
    is_busy: bool
    """Whether somebody else was in the way: nothing is wrong with it, it may be tried again."""
    awaited: frozenset[Awaited]
    """What it was seen to wait for, unless a guard did."""


class Transactions:
    """Runs the transactional segments of one run."""

    def __init__(self, executing: Executing, database: Database, recipe: Recipe) -> None:
        """Prepare to run segments on the executing connection, by the database's stall budget and deadlines."""
        self._executing = executing
        self._database = database
        self._recipe = recipe

    def budget_ms(self, file: File) -> int:
        """Return the stall budget of a file, in milliseconds: its own, or the database's."""
        return file.content.directives.stall_budget_ms or self._database.stall_budget_ms

    def run(self, work: Work) -> Refused | None:
        """
        Run a segment, with the records that vouch for it, in one transaction; return why that cannot be, None if it is done.

        Raises:
            TableInUse: Somebody was in the way until the deadline.
            KeyboardInterrupt: Somebody wants an end; it was rolled back.
            ConnectionBroken: The connection was lost.
        """
        guards, wait_ms = work.guards, self._executing.wait_ms(self.budget_ms(work.file))
        known = [lock for locks in guards.values() for lock in locks]
        patience = Patience(self._executing, self._database, work.file.name, known, wait_ms)
        while True:
            refused = self._try(work, patience)
            if refused is None:
                return None
            self._executing.roll_back()
            if self._executing.is_cancelled(refused.failure):
                self._executing.stop()
            if not refused.is_busy:
                return refused
            if (learned := patience.learn(refused.awaited)) and refused.index is not None:
                guards[refused.index] = (*guards.get(refused.index, ()), *learned)
            patience.wait(refused.failure)

    def _try(self, work: Work, patience: Patience) -> Refused | None:
        file = work.file
        executing, doing = self._executing, f"applying {file.name}"
        with executing.watched(doing, self.budget_ms(file)) as watch:
            tag = ""
            for message in self._messages(work, patience):
                if tag and executing.wants_end():
                    executing.roll_back()
                    executing.stop()
                executing.is_used()
                answer = executing.send(message.text, doing, wants_cancel=executing.is_to_end)
                if isinstance(answer, Failure):
                    return self._refused(file, message, answer, watch)
                tag = answer
                watch.stall = None  # the cancel came too late
        if _is_without_effect(file.content, work.segment):
            executing.transaction("recording a block without effect", work.records)
        else:
            executing.committed(tag, f"committing {file.name}")
        return None

    # What is sent.

    def _messages(self, work: Work, patience: Patience) -> Iterator[Message]:
        """Yield what is sent: all at once, or in pieces, so that a cancel and progress get in between."""
        executing, content, budget_ms = self._executing, work.file.content, self.budget_ms(work.file)
        idle_ms = executing.idle_ms(budget_ms)
        most = _most(content, work.segment, idle_ms)
        segment, plain, guards = work.segment, work.plain, work.guards
        is_block = segment.kind is Kind.BLOCK
        message = Message()
        if is_block:
            message.theirs(_piece(content, segment.first, segment.first))
            message.ours("guarding", *executing.guards(budget_ms))
        else:
            message.ours("beginning", *executing.opening(budget_ms, is_first=work.is_first))
        message.ours("making autovacuum give way", *patience.evictions())
        first, last = (segment.first + 1, segment.last - 1) if is_block else (segment.first, segment.last)
        is_servers, is_limited = self._database.stall_guard == "server", False
        for start, end in _runs(content, first, last, guards, plain, most, one_by_one=is_servers):
            piece = _piece(content, start, end)
            if len(message) > 0 and len(message) + len(piece.text) > most:
                coming_ms = len(piece.text.encode()) // SLOWEST_BYTES_A_MS
                if coming_ms > idle_ms:  # a single long statement
                    message.ours("guarding", executing.idle_limit(coming_ms))
                yield message
                message = Message()
                if coming_ms > idle_ms:
                    message.ours("guarding", executing.idle_limit(idle_ms))
            if locks := guards.get(start, ()):
                if patience.takes_all_at_once and start == min(guards):
                    locks = _all_at_once(guards, locks)
                said = guard.guard_sql(locks, patient=patience.has_looked_twice, young_ms=patience.young_ms)
                message.ours("guard", *guard.bounded(said, executing.wait_ms(budget_ms)))
                if start in plain and (what := outside_of(content, start)):
                    message.ours("size", _size_sql(what.table, self._database.small_table_bytes))
            if is_servers and not is_limited and _may_block(content.statements[start], locks):
                message.ours("guarding", _LIMITED_FROM_HERE)
                is_limited = True
            if is_limited:
                message.ours("guarding", _limit_sql(_server_ms(budget_ms)))
            message.theirs(Chunk(as_plain(piece.text), piece.offset) if start in plain else piece)
            if _sets(content.statements[end]):
                named = executing.named_again(content.statements[end].text)
                message.ours("guarding", *executing.guards(budget_ms), *named)
        if is_block:
            if not _is_without_effect(content, segment):
                message.ours("recording", *executing.records.as_owner(), executing.records.fence(), *work.records)
            message.theirs(_piece(content, segment.last, segment.last))
        else:
            message.ours("recording", *executing.records.as_owner(), executing.records.fence(), *work.records)
            if is_limited:  # statement_timeout does not end a COMMIT
                message.ours("committing", _limit_sql(_server_ms(budget_ms)), "SET CONSTRAINTS ALL IMMEDIATE")
            message.ours("committing", "COMMIT")
        yield message

    # What came of it.

    def _refused(self, file: File, message: Message, failure: Failure, watch: Watch) -> Refused:
        part, offset = message.failed(failure)
        stall = self._executing.supervisor.stall(watch)
        is_busy = _is_busy(part, failure, stall)
        seen = frozenset(watch.awaited if part.what != "guard" else ())
        if part.piece is None:
            doing = f"preparing, recording or committing {file.name}"
            ours = self._stalled(file, failure, watch, stall, None) if part.what == "committing" else None
            return Refused(failure, None, ours or self._executing.refused(doing, failure), is_busy, seen)
        at = part.piece.offset + offset
        error = self._stalled(file, failure, watch, stall, at) or failed_at(file.content, failure, part.piece, offset)
        return Refused(failure, _index_at(file.content, at), error, is_busy, seen)

    def _stalled(
        self, file: File, failure: Failure, watch: Watch, stall: Stall | None, at: int | None
    ) -> StallBudgetExceeded | None:
        """Return what to say of a failure that is for the stall budget's sake; ``at`` is None for the COMMIT."""
        if failure.sqlstate != sqlstate.CANCELLED or self._executing.wants_end():
            return None
        budget_ms, content = self.budget_ms(file), file.content
        held_ms = round((time.monotonic() - watch.since) * 1000)
        is_servers = self._database.stall_guard == "server" and held_ms >= _server_ms(budget_ms)
        if stall is None and not is_servers:
            return None
        index = len(content.statements) if at is None else _index_at(content, at)
        place = None if at is None else place_at(file.name, content.text, at)
        waited = (stall.waited_ms, stall.waiters) if stall else (0, 0)
        return StallBudgetExceeded(place, file.version, *waited, budget_ms, held_ms, self._recipe(content, index))


def _index_at(content: Content, at: int) -> int:
    """Return the index of the statement at an offset of the file."""
    return max(0, bisect_right([statement.start for statement in content.statements], at) - 1)


def _all_at_once(guards: Mapping[int, tuple[Lock, ...]], first: tuple[Lock, ...]) -> tuple[Lock, ...]:
    """Return all locks of a segment, as far as they mean the same relations now as where they are needed."""
    path = first[0].path
    return tuple(lock for locks in guards.values() for lock in locks if lock.relation.schema or lock.path == path)


def _most(content: Content, segment: Segment, idle_ms: int) -> int:
    """Return how many characters are sent at once: what comes in with a transaction open must come in before it is ended."""
    if segment.last < segment.first:
        return MESSAGE_CHARACTERS
    length = content.statements[segment.last].end - content.statements[segment.first].start
    return MESSAGE_CHARACTERS if length <= MESSAGE_CHARACTERS else min(MESSAGE_CHARACTERS, idle_ms * SLOWEST_BYTES_A_MS)


def _runs(
    content: Content,
    first: int,
    last: int,
    guards: Collection[int],
    plain: Collection[int],
    most: int,
    *,
    one_by_one: bool,
) -> Iterator[tuple[int, int]]:
    """Yield first and last index of the statements that are sent without anything of ours between them."""
    start: int | None = None
    for statement in content.statements[first : last + 1]:
        index = statement.index
        if start is not None and (
            content.custom_delimiter
            or one_by_one
            or index in guards
            or index in plain
            or index - 1 in plain
            or _sets(content.statements[index - 1])
            or statement.end - content.statements[start].start > most
        ):
            yield start, index - 1
            start = None
        if start is None:
            start = index
    if start is not None:
        yield start, last


def _piece(content: Content, first: int, last: int) -> Chunk:
    start, end = content.statements[first].start, content.statements[last].end
    return Chunk(content.text[start:end], start)


def _sets(statement: Statement) -> bool:
    """Whether the statement may set one of the settings that guard a transaction."""
    match statement.keywords:
        case ("SET" | "RESET", *_):
            return True
        case ("SELECT", *_):
            return "set_config" in statement.text
    return False


def _is_without_effect(content: Content, segment: Segment) -> bool:
    """Whether there is nothing to vouch for: the block does nothing, or nothing of it is kept, so it may as well run twice."""
    return segment.kind is Kind.BLOCK and (
        rolls_back(content.statements[segment.last]) or is_read_only(content.statements[segment.first])
    )


def _is_busy(part: Part, failure: Failure, stall: Stall | None) -> bool:
    if failure.sqlstate in sqlstate.BUSY:
        return True
    return failure.sqlstate == sqlstate.CANCELLED and (
        part.what in ("guard", "making autovacuum give way") or (stall is not None and stall.was_waiting)
    )


def _server_ms(budget_ms: int) -> int:
    return max(10, int(budget_ms * IDLE_SHARE))


_LIMITED_SINCE = "pgrollout.limited_since"
_LIMITED_FROM_HERE = (
    f"SELECT pg_catalog.set_config('{_LIMITED_SINCE}', pg_catalog.clock_timestamp()::pg_catalog.text, true)"
)


def _may_block(statement: Statement, locks: Sequence[Lock]) -> bool:
    """Whether others may have to wait for a table because of the statement; what code does is not known."""
    return statement.keywords[:1] in (("DO",), ("CALL",)) or any(lock.mode >= Mode.SHARE for lock in locks)


def _limit_sql(most_ms: int) -> str:
    """Return what bounds the next statement by what is left of the time that a lock may be held, all statements together."""
    since = f"pg_catalog.current_setting('{_LIMITED_SINCE}')::pg_catalog.timestamptz"
    held = f"EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) {since})::pg_catalog.float8"
    left = f"GREATEST(10, {most_ms} OPERATOR(pg_catalog.-) ({held} OPERATOR(pg_catalog.*) 1000)::pg_catalog.int4)"
    return f"SELECT pg_catalog.set_config('statement_timeout', ({left})::pg_catalog.text, true)"


def _size_sql(table: Name, most: int) -> str:
    """Return what fails when a table has grown: its lock is held, so it stays as it is."""
    relation = literal(name(*filter(None, (table.schema, table.name))))
    return (
        "DO $pgrollout$ BEGIN "
        f"IF pg_catalog.pg_relation_size(pg_catalog.to_regclass({relation})) OPERATOR(pg_catalog.>) {most} THEN "
        f"RAISE EXCEPTION 'the table has grown' USING ERRCODE = '{sqlstate.GROWN}'; END IF; END $pgrollout$"
    )
