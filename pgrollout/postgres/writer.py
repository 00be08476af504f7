"""
The writer: runs the segments of one migration, each together with its rows.

A segment and what vouches for it, the revision row and the step row, commit together or not at all: ``transaction``. What
cannot run in a transaction is bracketed by an intent instead: ``alone``. Here a file's segments follow each other, and are
cut anew when only the server could say how. Which files run, in which order, is decided before; see ``stages.apply``.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pgrollout.content import Content
from pgrollout.crossing import check_crossing, lost_on_resume
from pgrollout.errors import StallBudgetExceeded
from pgrollout.history import RevisionType
from pgrollout.outside import Outside
from pgrollout.postgres import lease, ledger, revisions, sqlstate
from pgrollout.postgres.alone import Alone
from pgrollout.postgres.executing import Executing
from pgrollout.postgres.records import File, FileError, Recipe
from pgrollout.postgres.transaction import Refused, Transactions, Work
from pgrollout.quoting import name
from pgrollout.segments import Kind, Segment, enum_cuts, in_plain_form, online_builds, segments
from pgrollout.settings import Database

log = logging.getLogger(__name__)


@dataclass
class _Cut:
    """How a file is cut into segments: by its text, and by what the server has said so far."""

    plain: frozenset[int]
    """Indexes of the online builds that run in plain form, for their tables are small."""
    cuts: frozenset[int] = frozenset()
    """Where it is cut because a new enum value must be committed before it is used."""
    records: Sequence[str] = ()
    """Rows that are still to be written with the first that is."""
    is_first: bool = True
    """Whether nothing of it has run on this connection."""
    done: int = field(default=0)
    """Statements that have taken effect."""


class Writer:
    """Writes to one database, for one run."""

    def __init__(self, executing: Executing, database: Database, recipe: Recipe) -> None:
        """Prepare to write on the executing connection, by the database's settings; nothing is sent yet."""
        self._executing = executing
        self._database = database
        self._transactions = Transactions(executing, database, recipe)
        self.alone = Alone(executing, database, recipe)

    # The run.

    def start(self, records: Sequence[str] = ()) -> None:
        """
        Record the run in a transaction of its own, unless that is done, and ``records`` with it.

        Raises:
            RecordsRefused: The server refuses; nothing was written.
            ConnectionBroken: The connection was lost.
        """
        self._executing.transaction("starting the run", records)

    def end(self, outcome: str, error: str | None = None, records: Sequence[str] = ()) -> None:
        """Record how the run ended, if it ever started, and ``records`` with it; give the lease back."""
        executing = self._executing
        if executing.has_started:
            schema, run = executing.records.schema, executing.records.run
            ended = ledger.end_run_sql(schema, run, outcome, error)
            executing.transaction("ending the run", [*records, ended, lease.give_back_sql(schema, run.token)])

    def baseline(self, version: str, description: str, records: Sequence[str] = ()) -> None:
        """Record the version that the database already has, and ``records`` with it; nothing is run."""
        row = revisions.write_sql(
            self._executing.records.table,
            version=version,
            description=description,
            type=RevisionType.BASELINE,
            applied=0,
            total=0,
            hash="",
        )
        self.start([row, *records])

    # A file.

    def apply(self, file: File, records: Sequence[str] = ()) -> None:
        """
        Run what is left of a migration.

        Args:
            file: The migration.
            records: Rows to be written with its first.

        Raises:
            StatementFailed, StallBudgetExceeded: A statement was refused; what committed before is in the history.
            StateCrosses: A later segment depends on what an earlier one has made, and does not last.
            TableInUse, IndexNotDropped: Somebody was in the way until the deadline.
            IndexDiffers: There is another index of the name of one that is to be built.
            RecordsRefused: The server refused to keep the rows.
            ConnectionBroken: The connection was lost.
            StatementLeft: Somebody wants an end, and an online build goes on without us.
            KeyboardInterrupt: Somebody wants an end, and there was a safe point.
        """
        executing, content = self._executing, file.content
        start = file.resumes.applied if file.resumes else 0
        lost_on_resume(content, start)
        cut = _Cut(self._small(content, start), records=records, done=start)
        todo = self._cut(content, cut)
        is_wrapped = content.transactional or not content.statements
        if start or not is_wrapped or (todo and todo[0].kind is Kind.ALONE):
            cut.is_first = False
            executing.clean()
            if not executing.has_started:
                self.start(cut.records)
                cut.records = ()
            executing.set_again(file, start)
        if not is_wrapped:
            executing.transaction("recording the start", [executing.records.row(file, start), *cut.records])
            cut.records = ()
            executing.stop_if_asked()
        while todo:
            segment, *rest = todo
            if self._run(file, cut, segment):
                cut.records, cut.is_first, cut.done, todo = (), False, segment.last + 1, rest
            else:
                todo = self._cut(content, cut)
            if todo:
                executing.stop_if_asked()
        if not content.statements or (file.resumes and start == len(content.statements)):
            # Nothing is in it, or an edit has taken away what was left: its row says that it is done.
            executing.transaction("recording the end", [executing.records.row(file, cut.done), *cut.records])

    def _cut(self, content: Content, cut: _Cut) -> list[Segment]:
        """Return the segments that are left."""
        found = segments(content, cut.done, plain=cut.plain, cuts=cut.cuts)
        check_crossing(content, found)
        return list(found)

    def _run(self, file: File, cut: _Cut, segment: Segment) -> bool:
        """Run a segment; False if the server said how to cut it anew, and nothing has happened."""
        content, records = file.content, self._executing.records
        if segment.kind is Kind.ALONE:
            self.alone.run(file, content.statements[segment.first], cut.records)
            return True
        plain = in_plain_form(content, segment)
        for index in plain:
            self.alone.make_room(file, content.statements[index])
        is_whole = segment.kind is Kind.TRANSACTION and segment.last == len(content.statements) - 1
        step = (
            records.file_step(file, segment.first)
            if is_whole
            else records.step(file, content.statements[segment.first], segment.kind)
        )
        rows = [records.row(file, segment.last + 1), step, *cut.records]
        started = time.monotonic_ns()
        refused = self._transactions.run(Work(file, segment, rows, cut.is_first, plain, cut.plain))
        if refused is None:
            return True
        elapsed_ns = time.monotonic_ns() - started
        if self._is_cut_anew(file, cut, segment, refused):
            return False
        if segment.kind is Kind.STATEMENT and refused.failure.sqlstate in sqlstate.NOT_IN_A_TRANSACTION:
            self._executing.stop_if_asked()  # the cancel came when this answer was on its way
            commits_itself = refused.failure.sqlstate == sqlstate.COMMITS_ITSELF
            self.alone.run(file, content.statements[segment.first], cut.records, commits_itself=commits_itself)
            return True
        self._record_failure(file, cut, segment, refused.error, elapsed_ns)
        raise refused.error

    def _is_cut_anew(self, file: File, cut: _Cut, segment: Segment, refused: Refused) -> bool:
        """Whether the refusal says how to run the segment after all; nothing has happened yet."""
        state = refused.failure.sqlstate
        cuts = frozenset(index for index in enum_cuts(file.content) if segment.first <= index < segment.last)
        if state == sqlstate.NEW_ENUM_VALUE and cuts:
            log.info("file cut, for a new enum value must be committed before it is used version=%s", file.version)
            cut.cuts |= cuts
            return True
        is_builds = refused.index in cut.plain
        is_slow = isinstance(refused.error, StallBudgetExceeded) and is_builds
        if cut.plain and (state == sqlstate.GROWN or is_slow or (state == sqlstate.PENDING_TRIGGERS and is_builds)):
            log.info("index built online, its table cannot be kept from others for so long version=%s", file.version)
            cut.plain -= {refused.index} if is_builds else cut.plain
            return True
        return False

    def _record_failure(self, file: File, cut: _Cut, segment: Segment, error: FileError, elapsed_ns: int) -> None:
        """Keep in the row what failed, unless nothing of the file is kept."""
        if segment.first == 0 and file.content.transactional and file.resumes is None and cut.done == 0:
            return
        records = self._executing.records
        row = records.failed_row(file, segment.first, error, elapsed_ns)
        self._executing.transaction("recording the failure", [row, *cut.records])

    def _small(self, content: Content, start: int) -> frozenset[int]:
        """Return the online builds on tables that are small now; that they still are is checked when they are locked."""
        builds = online_builds(content, start)
        found = {index for index, what in builds.items() if self._is_small(what)}
        return frozenset(found)

    def _is_small(self, what: Outside) -> bool:
        relation = name(what.table.schema, what.table.name) if what.table.schema else name(what.table.name)
        row = self._executing.connection.execute(_SIZE, [relation]).fetchone()
        return row is not None and row[0] <= self._database.small_table_bytes


# A table of its own, no parent of partitions: on those an index is refused online, and must not be built in plain form.
_SIZE = """
SELECT pg_catalog.pg_relation_size(c.oid) FROM pg_catalog.pg_class c
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s) AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m}')
"""
