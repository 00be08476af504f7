"""
The migration directory on the disk: reading it, writing its sum file, adding a migration.

What the files say is left to ``content``, whether they are what was hashed to ``sum_file``.

Source: Atlas, ``sql/migrate/dir.go``, ``LocalDir``.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgrollout import sum_file as sums
from pgrollout.errors import ConfigurationError, DuplicateVersion, UnreadableDirectory
from pgrollout.files import write_atomically
from pgrollout.migration import Migration, directory_order, is_migration_name
from pgrollout.sum_file import PREFIX, SUM_FILE_NAME, SumFile

VERSION_FORMAT = "%Y%m%d%H%M%S"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Directory:
    """The migration directory, as it was read."""

    path: Path
    """Where it is."""
    migrations: tuple[Migration, ...]
    """Its files, in order."""
    sum_file: SumFile | None
    """What ``atlas.sum`` says; None if there is none."""
    _by_version: Mapping[str, Migration] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_version", {migration.version: migration for migration in self.migrations})

    def find(self, version: str) -> Migration | None:
        """Return the migration of a version; None if there is none."""
        return self._by_version.get(version)


def read_directory(path: Path) -> Directory:
    """
    Read all files of a migration directory and its sum file, without comparing the two.

    Raises:
        UnreadableDirectory: It, or a file of it, cannot be read, or a name cannot stand in the sum file.
        DuplicateVersion: Two files have the same version.
        SumFileInvalid: There is a sum file, but it is none.
    """
    names = sorted((name for name in _listing(path) if is_migration_name(name)), key=directory_order)
    versions: dict[str, str] = {}
    migrations = []
    for name in names:
        _check_name(path, name)
        migration = Migration(name, _read(path, name))
        first = versions.setdefault(migration.version, name)
        if first != name:
            raise DuplicateVersion(migration.version, first, name)
        migrations.append(migration)
    return Directory(path, tuple(migrations), _read_sum_file(path))


def write_sum_file(path: Path, sum_file: SumFile) -> None:
    """
    Write ``atlas.sum``: whoever reads it meanwhile sees the old one or the new one, also after a crash.

    Raises:
        UnreadableDirectory: The directory cannot be written.
    """
    try:
        write_atomically(path / SUM_FILE_NAME, sum_file.text().encode())
    except OSError as error:
        raise UnreadableDirectory(str(path), f"{SUM_FILE_NAME} cannot be written: {_reason(error)}") from error


def new_migration(path: Path, name: str, now: datetime, *, dry_run: bool = False) -> Path:
    """
    Add an empty migration and hash the directory again, as ``atlas migrate new`` does.

    Unlike there, a version that is taken is avoided: the next free second is used.

    Args:
        path: The directory; made if there is none.
        name: Description; empty for a file that has only its version.
        now: The time that makes the version, in any time zone.
        dry_run: Return the file's path, and write nothing.

    Raises:
        ConfigurationError: The name cannot be part of a file name.
        HistoryError: The directory does not match its sum file.
        UnreadableDirectory: It cannot be read or written.
    """
    if "/" in name or CONTROL.search(name) or PREFIX in name:
        raise ConfigurationError(
            repr(name), "a migration's name becomes part of a file name and of a line of atlas.sum.", "Use words and _."
        )
    if not dry_run:
        _make(path)
    directory = read_directory(path) if path.exists() else Directory(path, (), None)
    sums.check(directory.migrations, directory.sum_file, str(path))

    time = now.astimezone(UTC)
    while directory.find(version := time.strftime(VERSION_FORMAT)):
        time += timedelta(seconds=1)
    migration = Migration(f"{version}_{name}.sql" if name else f"{version}.sql", b"")
    file = path / migration.name
    if dry_run:
        return file
    try:
        file.touch(exist_ok=False)
    except OSError as error:
        raise UnreadableDirectory(str(path), f"{migration.name} cannot be made: {_reason(error)}") from error
    migrations = sorted((*directory.migrations, migration), key=lambda each: directory_order(each.name))
    write_sum_file(path, sums.sum_of(migrations))
    return file


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnreadableDirectory(str(path), _reason(error)) from error


def _listing(path: Path) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208  # names are all that is needed, of 10,000 files
    except OSError as error:
        raise UnreadableDirectory(str(path), _reason(error)) from error


def _check_name(path: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UnreadableDirectory(str(path), f"the file name {name!r} is not UTF-8") from error
    if CONTROL.search(name) or PREFIX in name or name != name.strip():
        raise UnreadableDirectory(
            str(path), f"the file name {name!r} cannot stand in {SUM_FILE_NAME}: control character, {PREFIX} or space"
        )


def _read(path: Path, name: str) -> bytes:
    try:
        with open(os.path.join(path, name), "rb", buffering=0) as file:  # noqa: PTH118, PTH123  # half the time of Path
            return file.read()
    except OSError as error:
        raise UnreadableDirectory(str(path), f"{name}: {_reason(error)}") from error


def _read_sum_file(path: Path) -> SumFile | None:
    try:
        content = (path / SUM_FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableDirectory(str(path), f"{SUM_FILE_NAME}: {_reason(error)}") from error
    return sums.parse(content.decode("utf-8", "surrogateescape"))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
