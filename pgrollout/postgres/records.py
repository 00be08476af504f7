"""
Records: the SQL of the rows that vouch for what ran: the revision row of Atlas's table, and the ledger's steps.

Texts only: who sends them puts them into the transaction of what they vouch for. Names and operators stand with their
schema, and the run's own role writes: a file may have set another role and another search path.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pgrollout.atlas_splitter import partial_hashes
from pgrollout.content import Content
from pgrollout.errors import IndexDiffers, RecordsRefused, StallBudgetExceeded, StatementFailed, UnreadableFile
from pgrollout.history import Revision, RevisionType
from pgrollout.postgres import ledger, revisions
from pgrollout.postgres.ledger import Run
from pgrollout.postgres.revisions import RevisionsTable
from pgrollout.postgres.state import Session
from pgrollout.quoting import name
from pgrollout.secrets import mask_statement
from pgrollout.segments import Kind
from pgrollout.statement import Statement

_ELAPSED_NS = (
    "(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.now()) "
    "OPERATOR(pg_catalog.*) 1000000000)::bigint"
)

FileError = StatementFailed | RecordsRefused | UnreadableFile | StallBudgetExceeded | IndexDiffers
"""What may be wrong with a statement of a file."""


Recipe = Callable[[Content, int], str]
"""Tells what to write instead of a statement that made others wait, by its index in the file."""


@dataclass(frozen=True)
class File:
    """A migration that is being applied."""

    content: Content
    """What it says."""
    hash: str
    """Its entry of the sum file, without ``h1:``."""
    resumes: Revision | None
    """Its partial row, if an earlier run left one."""

    @property
    def name(self) -> str:
        """Its file name."""
        return self.content.migration.name

    @property
    def version(self) -> str:
        """Its version."""
        return self.content.migration.version

    @cached_property
    def hashes(self) -> Sequence[str]:
        """Running hashes of its statements."""
        return partial_hashes(self.content.statements)

    def doing(self, statement: Statement) -> str:
        """Name one of its statements, for people."""
        return f"statement {statement.index + 1} of {self.name}"


@dataclass(frozen=True)
class Records:
    """Writes rows for one run."""

    table: RevisionsTable
    """Where the history is."""
    schema: str
    """The ledger's schema."""
    run: Run
    """The run."""
    session: Session
    """The executing backend."""

    def row(
        self, file: File, done: int, *, error: str = "", error_stmt: str = "", elapsed_ns: int | None = None
    ) -> str:
        """Return the SQL of the revision row when so many statements of the file have taken effect."""
        migration, total = file.content.migration, len(file.content.statements)
        is_end = done == total and not error
        elapsed = str(elapsed_ns) if elapsed_ns is not None else _ELAPSED_NS if is_end else "execution_time"
        return revisions.write_sql(
            self.table,
            version=migration.version,
            description=migration.description,
            type=file.resumes.type if file.resumes else RevisionType.EXECUTE,
            applied=done,
            total=total,
            hash=file.hash,
            execution_time=elapsed,
            error=error,
            error_stmt=error_stmt,
            partial_hashes=None if is_end or done == 0 else file.hashes[:done],
        )

    def failed_row(self, file: File, done: int, error: FileError, elapsed_ns: int) -> str:
        """Return the SQL of the revision row when the statement after so many failed."""
        failed = error.statement if isinstance(error, StatementFailed) else file.content.statements[done].text
        return self.row(file, done, error=message_of(error), error_stmt=mask_statement(failed), elapsed_ns=elapsed_ns)

    def step(
        self,
        file: File,
        statement: Statement,
        kind: Kind,
        *,
        is_intent: bool = False,
        before: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the SQL of the step of a statement, or of a segment that begins with it."""
        return ledger.step_sql(
            self.schema, self.run, version=file.version, position=statement.index + 1, kind=kind,
            statement=mask_statement(statement.text), hash=hashlib.sha256(statement.text.encode()).hexdigest(),
            backend=self._backend, is_intent=is_intent, before=before,
        )  # fmt: skip

    def file_step(self, file: File, first: int) -> str:
        """Return the SQL of the step of all that is left of a file."""
        return ledger.step_sql(
            self.schema, self.run, version=file.version, position=first and first + 1, kind=Kind.TRANSACTION,
            statement="", hash=file.hash, backend=self._backend,
        )  # fmt: skip

    def end_intent(self, version: str, position: int, outcome: str, reason: str | None = None) -> str:
        """Return the SQL that ends the intents of a statement."""
        return ledger.end_intent_sql(self.schema, self.run, version, position, outcome, reason)

    def fence(self) -> str:
        """Return the SQL that fails unless the run may write; stands where the role is the run's."""
        return ledger.fence_sql(self.schema, self.run.token)

    def as_owner(self) -> list[str]:
        """Let the run's role write the rows that follow; what the file has set comes back after the commit."""
        role = f"SET LOCAL ROLE {name(self.session.role)}" if self.session.role else "SET LOCAL ROLE NONE"
        return ["SET LOCAL SESSION AUTHORIZATION DEFAULT", role]

    @property
    def _backend(self) -> tuple[int, str]:
        return self.session.backend_pid, self.session.backend_start


def message_of(error: FileError) -> str:
    """Return what the row says of an error: the server's words where it said any."""
    return error.message if isinstance(error, StatementFailed | RecordsRefused) else str(error)
