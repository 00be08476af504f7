"""
What every stage starts from: the migration directory, as it was reviewed.

Read once, its sum file checked, its release digest compared with the one asked for. Nothing here talks to a server.
"""

import getpass
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pgrollout import directives, sum_file
from pgrollout.content import Content, read_content
from pgrollout.directory import Directory, read_directory
from pgrollout.errors import NotInSumFile, ReleaseChanged
from pgrollout.migration import Migration
from pgrollout.release import Release, release_of
from pgrollout.settings import Database
from pgrollout.sum_file import SumFile


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The migration directory, its sum file valid."""

    directory: Directory
    sum_file: SumFile
    release: Release
    checkpoints: frozenset[str]
    """Names of the files that are checkpoints."""

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """All files, in directory order."""
        return self.directory.migrations

    def hash_of(self, migration: Migration) -> str:
        """
        Return the file's entry of the sum file.

        Raises:
            NotInSumFile: It has none.
        """
        found = self.sum_file.hash_of(migration.name)
        if found is None:
            raise NotInSumFile(migration.name)
        return found


def read_reviewed(database: Database, release: str | None = None) -> Reviewed:
    """
    Read the directory of a database and check it.

    Raises:
        DirectoryError: The directory cannot be read, or two files have one version.
        HistoryError: The sum file is missing, unreadable, or not of these files.
        ReleaseChanged: The files are not the release asked for.
    """
    directory = read_directory(database.migrations_path)
    checked = sum_file.check(directory.migrations, directory.sum_file, str(directory.path))
    frozen = release_of(directory.migrations, checked)
    if release is not None and release != frozen.digest:
        raise ReleaseChanged(release, frozen.digest)
    return Reviewed(directory, checked, frozen, checkpoints_of(directory.migrations))


def checkpoints_of(migrations: Sequence[Migration]) -> frozenset[str]:
    """Return the names of the files that are checkpoints."""
    return frozenset(
        migration.name
        for migration in migrations
        if b"atlas:checkpoint" in migration.content
        and any(each.name == "checkpoint" for each in directives.header(migration.content.decode("utf-8", "replace")))
    )


def read_contents(migrations: Sequence[Migration]) -> dict[str, Content]:
    """
    Read what each migration says, by file name.

    Raises:
        UnreadableFile, TransactionControl, SplitDiffers: The first file that cannot be run, and where.
    """
    return {migration.name: read_content(migration) for migration in migrations}


def new_run_id() -> str:
    """Return a name for a run, sortable by time: ``20261123T101530Z-3fa9c1``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def started_by() -> str:
    """Return who runs this: user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user id without a name.
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
