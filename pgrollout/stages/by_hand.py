"""
By hand: what a person says about the history, ``set`` and ``resolve``; nothing of a migration is run.

Under the run lock, in one transaction, with who said it and why in the ledger.

Source: Atlas, ``cmd/atlas/internal/cmdapi/migrate.go``, ``migrateSetRun``.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pgrollout.atlas_splitter import partial_hashes
from pgrollout.content import read_content
from pgrollout.errors import HistoryChanged, LockNotAcquired, NoOpenIntent, ServerIsStandby
from pgrollout.history import Edit, RevisionType, find_version, set_version
from pgrollout.interrupts import held_back
from pgrollout.postgres import atlas_lock, lease, ledger, revisions
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.executing import Executing
from pgrollout.postgres.ledger import OpenIntent, Run
from pgrollout.postgres.records import Records
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import Session, State, read_session, read_state
from pgrollout.postgres.supervisor import Supervisor
from pgrollout.progress import Reporter
from pgrollout.settings import Database
from pgrollout.stages.baseline import keep_schema as kept
from pgrollout.stages.reviewed import Reviewed, new_run_id, read_reviewed, started_by


@dataclass(frozen=True, slots=True)
class _Held:
    """A database under the run lock."""

    reviewed: Reviewed
    state: State
    session: Session
    run: Run
    executing: Executing
    connection: Connection

    @property
    def schema(self) -> str:
        """The ledger's schema."""
        return self.state.ledger.schema

    def write(self, records: Sequence[str]) -> None:
        """Write the records in one transaction, the run's start and end with them."""
        end = ledger.end_run_sql(self.schema, self.run, "done")
        with held_back():
            self.executing.transaction(
                "editing the history", [*records, end, lease.give_back_sql(self.schema, self.run.token)]
            )

    def step(self, version: str, position: int, kind: str, what: str, reason: str) -> str:
        """Return the SQL that keeps what was said, and why."""
        backend = (self.session.backend_pid, self.session.backend_start)
        return ledger.step_sql(
            self.schema, self.run, version=version, position=position, kind=kind, statement=what, hash="",
            backend=backend, reason=reason,
        )  # fmt: skip


def set_current(
    database: Database, version: str | None, reason: str, *, keep_schema: bool = False, dry_run: bool = False
) -> Edit:
    """
    Make ``version`` the current one in the history: newer rows are deleted, missing ones added as resolved.

    Args:
        database: Its settings.
        version: Version of a file; None is the last file.
        reason: Why, for the ledger.
        keep_schema: Keep the schema as it is for what the database has at that version; done without being asked for
            where there was no history.
        dry_run: Return what would be done, and write nothing.

    Raises:
        UnknownVersion: No file has that version.
        LockNotAcquired: A run is under way; tried once, as Atlas does.
        ServerIsStandby: Nothing can be written there.
    """
    with _held(database, reason, lock=not dry_run) as held:
        edit = set_version(held.reviewed.migrations, held.state.revisions, version)
        keep_schema = keep_schema or not held.state.revisions
        if dry_run or (edit.is_empty and not keep_schema):
            return edit
        table = held.state.table
        files = {migration.version: migration for migration in held.reviewed.migrations}
        records = []
        if edit.removed:
            records.append(revisions.delete_sql(table, [revision.version for revision in edit.removed]))
        # Applied is made equal to total, so that Atlas agrees that nothing is left to do; the hash is that of the file
        # as it is now, which is what counts as done.
        records += [
            revisions.write_sql(
                table, version=row.version, description=row.description, type=row.type | RevisionType.RESOLVED,
                applied=row.total, total=row.total, execution_time="execution_time",
                hash=held.reviewed.hash_of(files[row.version]) if row.version in files else row.hash,
                error=row.error, error_stmt=row.error_stmt,
            )
            for row in edit.resolved
        ]  # fmt: skip
        records += [
            revisions.write_sql(
                table, version=migration.version, description=migration.description, type=RevisionType.RESOLVED,
                applied=0, total=0, hash=held.reviewed.hash_of(migration),
            )
            for migration in edit.added
        ]  # fmt: skip
        gone = {revision.version for revision in edit.removed} | ({edit.target} if edit.target else set())
        gone |= {revision.version for revision in edit.resolved}
        records += [
            ledger.end_intent_sql(held.schema, held.run, intent.version, intent.position, "set", reason)
            for intent in held.state.ledger.open_intents
            if intent.version in gone
        ]
        what = f"set {edit.target}: {len(edit.added)} added, {len(edit.removed)} removed"
        records.append(held.step(edit.target or "", 0, "set", what, reason))
        if keep_schema and (current := edit.target or held.state.current):
            records += kept(held.connection, database, held.state, current, held.run.id)
        held.write(records)
        return edit


def resolve(
    database: Database, version: str, position: int, *, took_effect: bool, reason: str, dry_run: bool = False
) -> OpenIntent:
    """
    Settle a statement whose end nobody saw, by a person's word.

    Args:
        database: Its settings.
        version: Version of the migration.
        position: Statement of its file, from 1.
        took_effect: Whether it did; if not, the next run executes it again.
        reason: How that is known, for the ledger.
        dry_run: Decide, and write nothing.

    Raises:
        NoOpenIntent: Nobody asks about that statement.
        HistoryChanged: It took effect, and the file has another one in its place now.
        LockNotAcquired: A run is under way.
        ServerIsStandby: Nothing can be written there.
    """
    with _held(database, reason, lock=not dry_run) as held:
        intents = held.state.ledger.open_intents
        intent = next((i for i in intents if (i.version, i.position) == (version, position)), None)
        if intent is None:
            asked = ", ".join(f"{i.version} statement {i.position}" for i in intents)
            raise NoOpenIntent(version, position, asked)
        outcome = "resolved: done" if took_effect else "resolved: run again"
        records = [
            ledger.end_intent_sql(held.schema, held.run, version, position, outcome, reason),
            held.step(version, position, "resolve", outcome, reason),
        ]
        if took_effect:
            migrations = held.reviewed.migrations
            migration = migrations[find_version(migrations, version, "resolve")]
            statements = read_content(migration).statements
            now = [hashlib.sha256(each.text.encode()).hexdigest() for each in statements[position - 1 : position]]
            if now != [intent.hash]:
                raise HistoryChanged(
                    migration.name, position, intent.hash, now[0] if now else "there is no such statement"
                )
            is_end = position >= len(statements)
            records.append(
                revisions.write_sql(
                    held.state.table, version=version, description=migration.description, type=RevisionType.EXECUTE,
                    applied=position, total=len(statements), hash=held.reviewed.hash_of(migration),
                    partial_hashes=None if is_end else partial_hashes(statements[:position]),
                )
            )  # fmt: skip
        if not dry_run:
            held.write(records)
        return intent


@contextmanager
def _held(database: Database, reason: str, *, lock: bool) -> Iterator[_Held]:
    reviewed, run_id = read_reviewed(database), new_run_id()
    with (
        explained("editing the history"),
        connect(database, application_name=f"pgrollout/{run_id}/by-hand") as connection,
        ExitStack() as stack,
    ):
        session = read_session(connection, database)
        if lock and session.is_standby:
            raise ServerIsStandby(f"database {database.name}")
        if lock:
            stack.enter_context(atlas_lock.held(connection, wait_ms=0))
        state = read_state(connection, database)
        if lock and state.ledger.exists:
            held = lease.read(connection, state.ledger.schema)
            if held is not None and held.is_alive(database.lease_timeout_ms):
                raise LockNotAcquired(0, str(held))
        run = Run(
            id=run_id, history=state.table.schema, token=state.ledger.token + 1, release=reviewed.release.digest,
            plan="", server_version=session.server_version, started_by=started_by(), source="cli", reason=reason,
        )  # fmt: skip
        records = Records(state.table, state.ledger.schema, run, session)
        # Nothing here lasts long enough to be watched.
        supervisor = Supervisor(
            connection, records.schema, database.lease_timeout_ms, Reporter("editing the history", None)
        )
        executing = Executing(
            connection, records, state.ledger, supervisor, lambda: 0,
            has_lease=False, lease_timeout_ms=database.lease_timeout_ms,
        )  # fmt: skip
        yield _Held(reviewed, state, session, run, executing, connection)
