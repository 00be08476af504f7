"""The migration directory on the disk."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pgrollout.directory import new_migration, read_directory, write_sum_file
from pgrollout.errors import (
    ChecksumMismatch,
    ConfigurationError,
    DuplicateVersion,
    SumFileInvalid,
    SumFileMissing,
    UnreadableDirectory,
)
from pgrollout.sum_file import check, sum_of

NOON = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)


def write(folder: Path, *names: str) -> Path:
    """A directory with these files and no sum file."""
    for name in names:
        (folder / name).write_text(f"-- {name}\n")
    return folder


def listing(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(file.name for file in folder.iterdir())


def test_order_and_choice_of_files(tmp_path: Path) -> None:
    """Files ending in .sql count, hidden ones too, in the order of their bytes."""
    write(tmp_path, "2_b.sql", "2.5_b.sql", "10_c.sql", ".x.sql", "é.sql", "Z.sql", "3.SQL", "readme.md", "4.sql~")
    (tmp_path / "folder").mkdir()

    directory = read_directory(tmp_path)

    assert [each.name for each in directory.migrations] == [
        ".x.sql",
        "10_c.sql",
        "2.5_b.sql",
        "2_b.sql",
        "Z.sql",
        "é.sql",
    ]
    assert directory.sum_file is None
    assert directory.find("2.5") == directory.migrations[2]
    assert directory.find("2.6") is None


def test_content_is_untouched(tmp_path: Path) -> None:
    """Bytes stay as they are."""
    (tmp_path / "1.sql").write_bytes(b"\xff\r\n\0")

    assert read_directory(tmp_path).migrations[0].content == b"\xff\r\n\0"


def test_sum_file_comes_back(tmp_path: Path) -> None:
    """What is written is read, with the permissions that Atlas gives it and nothing left beside."""
    write(tmp_path, "1_a.sql")
    computed = sum_of(read_directory(tmp_path).migrations)

    write_sum_file(tmp_path, computed)

    assert read_directory(tmp_path).sum_file == computed
    assert (tmp_path / "atlas.sum").stat().st_mode & 0o777 == 0o644
    assert listing(tmp_path) == ["1_a.sql", "atlas.sum"]


def test_duplicate_version(tmp_path: Path) -> None:
    """Two files of one version are refused, both named."""
    write(tmp_path, "1_a.sql", "1_b.sql")

    with pytest.raises(DuplicateVersion, match=r"1_a\.sql and 1_b\.sql have the same version, 1"):
        read_directory(tmp_path)


def test_unreadable(tmp_path: Path) -> None:
    """A folder that is not there, or called like a file, is named with the system's reason."""
    with pytest.raises(UnreadableDirectory, match="No such file or directory"):
        read_directory(tmp_path / "none")
    (tmp_path / "1.sql").mkdir()
    with pytest.raises(UnreadableDirectory, match=r"1\.sql: Is a directory"):
        read_directory(tmp_path)


@pytest.mark.parametrize("name", [b"a\nb.sql", b"a h1:b.sql", b" a.sql", b"\xff.sql"])
def test_name_that_no_sum_file_can_hold(tmp_path: Path, name: bytes) -> None:
    """A name that could not be read back from the sum file is refused."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()

    with pytest.raises(UnreadableDirectory, match="file name"):
        read_directory(tmp_path)


def test_broken_sum_file(tmp_path: Path) -> None:
    """A sum file that is none is an error of its own."""
    (tmp_path / "atlas.sum").write_text("<<<<<<< HEAD\n")

    with pytest.raises(SumFileInvalid):
        read_directory(tmp_path)


def test_new_migration(tmp_path: Path) -> None:
    """A new migration is an empty file with the time as its version, and is hashed."""
    folder = tmp_path / "made" / "migrations"

    file = new_migration(folder, "add_orders", NOON.astimezone(timezone(timedelta(hours=5))))

    assert file == folder / "20260314120000_add_orders.sql"
    assert file.read_bytes() == b""
    directory = read_directory(folder)
    check(directory.migrations, directory.sum_file)


def test_new_migration_avoids_a_taken_version(tmp_path: Path) -> None:
    """In the same second the next one is taken."""
    names = [new_migration(tmp_path, name, NOON).name for name in ("a", "", "a b")]

    assert names == ["20260314120000_a.sql", "20260314120001.sql", "20260314120002_a b.sql"]
    directory = read_directory(tmp_path)
    check(directory.migrations, directory.sum_file)


@pytest.mark.parametrize("name", ["a/b", "../a", "a\nb", "a h1:"])
def test_new_migration_refuses_a_name(tmp_path: Path, name: str) -> None:
    """A name that would lead elsewhere, or break the sum file, is refused before anything is written."""
    with pytest.raises(ConfigurationError, match="a migration's name"):
        new_migration(tmp_path / "migrations", name, NOON)
    assert listing(tmp_path) == []


def test_new_migration_needs_a_valid_directory(tmp_path: Path) -> None:
    """A directory that is not what was hashed is not hashed over."""
    write(tmp_path, "1_a.sql")
    with pytest.raises(SumFileMissing, match=str(tmp_path)):
        new_migration(tmp_path, "b", NOON)

    write_sum_file(tmp_path, sum_of([]))
    with pytest.raises(ChecksumMismatch, match=r"1_a\.sql was added"):
        new_migration(tmp_path, "b", NOON)
    assert listing(tmp_path) == ["1_a.sql", "atlas.sum"]
