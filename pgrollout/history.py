"""
History: what has been applied, and therefore what is pending.

A revision is one row of ``atlas_schema_revisions``; the history is all of them, ordered by version. ``pending`` decides
by Atlas's rules which files a run would execute. Nothing here reads a disk or a database.

Source: Atlas, ``sql/migrate/migrate.go``, ``Executor.Pending``.
"""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag, StrEnum

from pgrollout.errors import MissingMigration, OutOfOrder, UnknownVersion, UsageError
from pgrollout.migration import Migration

CLOUD_IDENTIFIER = ".atlas_cloud_identifier"
"""Version of a row that Atlas keeps for itself: filtered out by readers, never touched by writers."""


class RevisionType(IntFlag):
    """How a revision came about. Source: Atlas, ``sql/migrate/migrate.go``, ``RevisionType``."""

    BASELINE = 1
    """Recorded as the version that an existing database starts from; not run."""
    EXECUTE = 2
    """Run from its file."""
    RESOLVED = 4
    """Set by hand."""

    @property
    def words(self) -> str:
        """As Atlas's status prints it."""
        known = {1: "baseline", 2: "applied", 4: "manually set", 6: "applied + manually set"}
        return known.get(self.value, f"unknown ({self.value:04b})")


@dataclass(frozen=True, slots=True)
class Revision:
    """One row of ``atlas_schema_revisions``: how far a migration got."""

    version: str
    """Version of the migration."""
    description: str
    """Its description when the row was made."""
    type: RevisionType
    """How it came about."""
    applied: int
    """Statements that took effect."""
    total: int
    """Statements of the file."""
    executed_at: datetime
    """When the row was first written."""
    execution_time_ns: int
    """Nanoseconds of the last write that ended the file, well or not."""
    error: str
    """What the server said when the last statement failed; empty if none did."""
    error_stmt: str
    """That statement."""
    hash: str
    """The file's entry of the sum file, without ``h1:``; empty for a baseline."""
    partial_hashes: tuple[str, ...]
    """Running hashes of the statements that took effect, without ``h1:``; empty once the file is done."""
    operator_version: str
    """Who wrote the row: ``pgrollout 0.1.0``, ``Atlas CLI v1.2.3``."""

    @property
    def file_name(self) -> str:
        """Name of the file that the row was made from, as far as the row tells."""
        return f"{self.version}_{self.description}.sql" if self.description else f"{self.version}.sql"

    @property
    def is_partial(self) -> bool:
        """
        Whether some of the file's statements have not run.

        A row that somebody resolved by hand is done, whatever it counts: Atlas's own ``set`` leaves the counts alone.
        """
        return self.applied != self.total and not self.type & RevisionType.RESOLVED


class ExecOrder(StrEnum):
    """What happens to files that are older than the newest applied one, and have not run."""

    LINEAR = "linear"
    """They are an error."""
    LINEAR_SKIP = "linear-skip"
    """They are left out."""
    NON_LINEAR = "non-linear"
    """They run first."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The files that a run would execute, in order."""

    migrations: tuple[Migration, ...]
    """In order of execution."""
    resumes: tuple[Revision, ...] = ()
    """The partial rows that some of them, those of their versions, continue."""
    out_of_order: tuple[Migration, ...] = ()
    """Files older than the newest row: as ``exec_order`` says, they run first, are left out, or are the error."""
    baseline: Migration | None = None
    """File to record as applied before, without running it."""

    def up_to(self, version: str | None, amount: int | None = None) -> "Pending":
        """
        Return the same, cut after the file of that version (inclusive), and after that many files.

        Raises:
            UnknownVersion: The version is not among the pending files.
        """
        kept = self.migrations
        if version is not None:
            kept = kept[: find_version(kept, version, "pending migrations") + 1]
        return Pending(kept[:amount], self.resumes, self.out_of_order, self.baseline)


def find_version(migrations: Sequence[Migration], version: str, what: str) -> int:
    """
    Return the index of the migration of that version.

    Raises:
        UnknownVersion: There is none; the closest is suggested. ``what`` begins the sentence.
    """
    versions = [migration.version for migration in migrations]
    if version in versions:
        return versions.index(version)
    close = difflib.get_close_matches(version, versions, 1)
    raise UnknownVersion(version, what, close[0] if close else "")


def pending(
    migrations: Sequence[Migration],
    revisions: Sequence[Revision],
    *,
    checkpoints: Collection[str] = (),
    order: ExecOrder = ExecOrder.LINEAR,
    baseline: str | None = None,
) -> Pending:
    """
    Return what a run would execute.

    Args:
        migrations: All files of the directory, in directory order.
        revisions: All rows, ordered by version.
        checkpoints: Names of the files that are checkpoints.
        order: What happens to files that come before files already applied.
        baseline: Version that the database already has; without effect once there are rows, as in Atlas.

    Raises:
        UnknownVersion: There is no file to be the baseline.
        MissingMigration: A row is partial, and the file that would finish it is gone.
        OutOfOrder: In linear order, files come before files already applied.
    """
    ordinary = [migration for migration in migrations if migration.name not in checkpoints]
    if not revisions:
        return _pending_from_nothing(migrations, ordinary, checkpoints, baseline)

    last = revisions[-1]
    have_row = {revision.version for revision in revisions}
    at_last = next((i for i, m in enumerate(migrations) if m.version == last.version), None)
    if last.is_partial and at_last is not None and migrations[at_last].name in checkpoints:
        later = tuple(m for m in migrations[at_last + 1 :] if m.name not in checkpoints and m.version not in have_row)
        return Pending((migrations[at_last], *later), resumes=(last,))
    if not ordinary:
        return Pending(())
    if last.is_partial:
        start = next((i for i, m in enumerate(ordinary) if m.version == last.version), None)
        if start is None:
            raise MissingMigration(last.file_name)
    else:
        applied = [i for i, m in enumerate(ordinary) if m.version <= last.version]
        start = applied[-1] + 1 if applied else 0

    first = next((i for i, m in enumerate(ordinary) if m.version >= revisions[0].version), start)
    skipped = tuple(m for m in ordinary[first:start] if m.version not in have_row)
    if skipped and order is ExecOrder.LINEAR:
        raise OutOfOrder(tuple(m.name for m in skipped), last.version)
    early = skipped if order is ExecOrder.NON_LINEAR else ()
    # By name a file may come after one of a newer version, 2_b.sql after 2.5_a.sql: what has a row does not run again.
    rest = tuple(
        m for m in ordinary[start:] if m.version not in have_row or (last.is_partial and m.version == last.version)
    )
    resumes = (last,) if last.is_partial else ()
    forgotten = forgotten_revision(revisions)
    if forgotten is None:
        return Pending((*early, *rest), resumes=resumes, out_of_order=skipped)
    resumed = next((m for m in migrations if m.version == forgotten.version), None)
    if resumed is None:
        raise MissingMigration(forgotten.file_name)
    return Pending((resumed, *early, *rest), resumes=(forgotten, *resumes), out_of_order=(resumed, *skipped))


def forgotten_revision(revisions: Sequence[Revision]) -> Revision | None:
    """
    Return the row of a migration that ran out of order and stopped half-way, None if there is none.

    Atlas looks at the newest version's row only, and forgets this one. It is told by its time: no row was made after it.
    Partial rows that others were made after have been settled by hand (``set``) and stay as they are.
    """
    for revision in revisions[:-1]:
        if revision.is_partial and all(r.executed_at < revision.executed_at for r in revisions if r is not revision):
            return revision
    return None


def _pending_from_nothing(
    migrations: Sequence[Migration], ordinary: Sequence[Migration], checkpoints: Collection[str], baseline: str | None
) -> Pending:
    if baseline is not None:
        at = find_version(ordinary, baseline, "baseline")
        return Pending(tuple(ordinary[at + 1 :]), baseline=ordinary[at])
    newest = max((i for i, m in enumerate(migrations) if m.name in checkpoints), default=0)
    return Pending(tuple(migrations[newest:]))


@dataclass(frozen=True, slots=True)
class Edit:
    """What ``set`` does to the history, decided before anything is written."""

    removed: tuple[Revision, ...]
    """Rows to delete: newer than the version."""
    added: tuple[Migration, ...]
    """Files to record as resolved, without running them."""
    resolved: tuple[Revision, ...]
    """Rows to be marked resolved and complete: the version's own, or one before it, that stopped half-way."""
    target: str | None
    """The version; None when the history is emptied."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not (self.removed or self.added or self.resolved)


def set_version(migrations: Sequence[Migration], revisions: Sequence[Revision], version: str | None) -> Edit:
    """
    Return the edit that makes ``version`` the current one, as ``atlas migrate set`` does.

    Without a version the last file is meant; with rows and an empty directory, everything is deleted.

    Raises:
        UnknownVersion: No file has the version.
        UsageError: No version was named and there are no rows.
    """
    if version is None:
        if not revisions:
            raise UsageError("Name the version to set: there is no history yet. `pgrollout status` lists the versions.")
        if not migrations:
            return Edit(tuple(revisions), (), (), None)
        version = migrations[-1].version
    at = find_version(migrations, version, "set")
    kept = [revision for revision in revisions if revision.version <= version]
    removed = tuple(revision for revision in revisions if revision.version > version)
    same = next((revision for revision in kept if revision.version == version), None)
    resolved = []
    if same is not None:
        # A file that ran out of order and stopped is older than the version, so it counts as done too.
        forgotten = forgotten_revision(kept)
        resolved = [forgotten] if forgotten is not None else []
        if same.applied != same.total or (same.error and not same.type & RevisionType.RESOLVED):
            resolved.append(same)
    newest = kept[-1].version if kept else None
    upto = [migration for migration in migrations[: at + 1] if migration.version <= version]
    added = tuple(migration for migration in upto if newest is None or migration.version > newest)
    return Edit(removed, added, tuple(resolved), version)
