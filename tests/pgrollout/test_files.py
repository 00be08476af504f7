"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from pgrollout.files import write_atomically


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """The new content, the mode, and nothing else in the folder."""
    path = tmp_path / "a"
    path.write_bytes(b"old")

    write_atomically(path, b"new", 0o600)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_made(tmp_path: Path) -> None:
    """Readable by all unless said otherwise, empty if there is nothing to write."""
    write_atomically(tmp_path / "a", b"")

    assert (tmp_path / "a").read_bytes() == b""
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """And no temporary one: here the target is a folder, so the last step fails."""
    target = tmp_path / "a"
    (target / "b").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        write_atomically(target, b"new")

    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Nothing is made on the way."""
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "a", b"new")

    assert not (tmp_path / "none").exists()


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """A reader that has the old file open keeps it."""
    path = tmp_path / "a"
    path.write_bytes(b"old")

    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"
