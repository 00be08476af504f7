"""
Overview: what ``status`` and ``plan`` show; reads a database and writes nothing, anywhere.

No stage: it takes no lock and never starts a server. Every file of the directory gets one line, whatever its state.
"""

from dataclasses import dataclass
from enum import StrEnum

from pgrollout.errors import HistoryError
from pgrollout.history import Pending, Revision
from pgrollout.postgres.connection import connect
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import State, read_checked, read_session
from pgrollout.settings import Database
from pgrollout.stages.deciding import Choice, decide
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed


class Standing(StrEnum):
    """Where a migration stands."""

    APPLIED = "applied"
    PARTIAL = "partially applied"
    BASELINE = "baseline"
    SET = "manually set"
    PENDING = "pending"
    OUT_OF_ORDER = "out of order"
    NOT_RUN = "not run"
    """Older than the first row, or a checkpoint on a database with history: never to be run here."""
    NO_FILE = "applied, file removed"


@dataclass(frozen=True, slots=True)
class Line:
    """One migration, and where it stands."""

    version: str
    name: str
    standing: Standing
    revision: Revision | None


@dataclass(frozen=True, slots=True)
class Overview:
    """A database beside its directory."""

    reviewed: Reviewed
    state: State
    server_version: int
    todo: Pending
    """What a run would execute; empty when ``problem`` says that it would refuse."""
    problem: HistoryError | None
    """Why a run would refuse, as far as the history tells."""

    def lines(self) -> tuple[Line, ...]:
        """Return every migration, in directory order, rows without a file among them."""
        rows = {revision.version: revision for revision in self.state.revisions}
        pending = {migration.name for migration in self.todo.migrations}
        disordered = set(getattr(self.problem, "files", ())) | {m.name for m in self.todo.out_of_order}
        found = []
        for migration in self.reviewed.migrations:
            revision = rows.pop(migration.version, None)
            if revision is not None:
                standing = _standing(revision)
            elif migration.name in disordered:
                standing = Standing.OUT_OF_ORDER
            else:
                standing = Standing.PENDING if migration.name in pending else Standing.NOT_RUN
            found.append(Line(migration.version, migration.name, standing, revision))
        found += [Line(row.version, row.file_name, Standing.NO_FILE, row) for row in rows.values()]
        return tuple(sorted(found, key=lambda line: (line.version, line.name)))


def overview(database: Database, choice: Choice, release: str | None = None) -> Overview:
    """
    Read directory and database.

    Args:
        database: Its settings.
        choice: What is asked for among the pending files.
        release: Digest that the directory must have; None takes what is there.

    Raises:
        PgrolloutError: One of them cannot be read, or they do not belong together.
    """
    reviewed = read_reviewed(database, release)
    with (
        explained("reading the history"),
        connect(database, application_name=f"pgrollout/{new_run_id()}/status", start=False) as connection,
    ):
        session = read_session(connection, database)
        state = read_checked(connection, database, choice.needs_clean)
        problem: HistoryError | None = None
        try:
            todo = decide(reviewed, state, choice)
        except HistoryError as error:
            todo, problem = Pending(()), error
    return Overview(reviewed, state, session.server_version, todo, problem)


def _standing(revision: Revision) -> Standing:
    if revision.is_partial:
        return Standing.PARTIAL
    match int(revision.type):
        case 1:
            return Standing.BASELINE
        case 4 | 6:
            return Standing.SET
    return Standing.APPLIED
