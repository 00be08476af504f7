"""Manifests of backups."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgrollout.backup_manifest import BackupFile, Manifest, first_problem, folder_name, in_words, parse

FILE = BackupFile("toc.dat", 12, "ab" * 32)
MANIFEST = Manifest(
    database="reader",
    dbname="reader_production",
    run_id="20261123T101530Z-3fa9c1",
    taken_at="2026-11-23T10:15:30+00:00",
    policy="dump",
    server_version="15.20",
    pg_dump_version="18.6",
    wal_position="0/21DBA30",
    tables=("public.feeds", "public.übersicht"),
    roles=("app", "reader_owner"),
    toc_entries=7,
    files=(FILE,),
)


def test_manifest_is_read_back() -> None:
    """What was written is what is read."""
    assert parse(MANIFEST.text()) == MANIFEST


def test_versions_are_numbers() -> None:
    """Major versions come from the versions as people write them."""
    assert (MANIFEST.server_major, MANIFEST.pg_dump_major) == (15, 18)


def test_size_is_that_of_all_files() -> None:
    """The size of a backup is what its files have together."""
    assert replace(MANIFEST, files=(FILE, BackupFile("1.dat", 30, "cd" * 32))).size_bytes == 42
    assert replace(MANIFEST, files=()).size_bytes == 0


def test_changed_manifest_is_refused() -> None:
    """Nobody changes a manifest unseen, not even a table's name."""
    text = MANIFEST.text().replace("public.feeds", "public.users")

    with pytest.raises(ValueError, match="was changed since it was written"):
        parse(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '"x"', '{"digest": "sha256:0", "format_version": 1, "files": 3}'])
def test_something_else_is_no_manifest(text: str) -> None:
    """Text that is no manifest is refused as such."""
    with pytest.raises(ValueError, match=r"cannot be read\."):
        parse(text)


def test_newer_format_is_refused() -> None:
    """A manifest of a later format is not guessed at."""
    text = json.dumps(json.loads(MANIFEST.text()) | {"format_version": 2})

    with pytest.raises(ValueError, match="format version 2"):
        parse(text)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"toc.dat": FILE}, None),
        ({}, "file toc.dat is missing."),
        ({"toc.dat": replace(FILE, size_bytes=11)}, "file toc.dat has 11 bytes; 12 were written."),
        ({"toc.dat": replace(FILE, size_bytes=13)}, "file toc.dat has 13 bytes; 12 were written."),
        ({"toc.dat": replace(FILE, sha256="cd" * 32)}, "file toc.dat was changed"),
        ({"toc.dat": FILE, "x": replace(FILE, name="x")}, "file x is not of this backup."),
    ],
)
def test_first_problem_is_named(found: dict[str, BackupFile], problem: str | None) -> None:
    """A file that is missing, changed or foreign is named."""
    actual = first_problem(MANIFEST, found)

    assert actual is None if problem is None else (actual or "").startswith(problem)


@pytest.mark.parametrize(
    ("database", "run_id", "name"),
    [
        ("reader", "20261123T101530Z-3fa9c1", "reader-20261123T101530Z-3fa9c1"),
        ("../etc", "b1c2", "_etc-20261123T101530Z-b1c2"),
        ("my db", "8f14e45f-ceea-467f-a7c1-0123456789ab", "my_db-20261123T101530Z-0123456789ab"),
    ],
)
def test_folder_name_is_safe(database: str, run_id: str, name: str) -> None:
    """A folder's name has the database, the time and the run, and nothing that means something to a file system."""
    assert folder_name(database, datetime(2026, 11, 23, 10, 15, 30, tzinfo=UTC), run_id) == name


@pytest.mark.parametrize(
    ("size_bytes", "words"), [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (48_000_000, "48 MB"), (3e12, "3.0 TB")]
)
def test_sizes_in_words(size_bytes: float, words: str) -> None:
    """Sizes are written as people read them."""
    assert in_words(size_bytes) == words
