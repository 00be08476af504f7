"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from pgrollout.files import make_folder, write_atomically


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


def test_git_ignores_what_is_ours(tmp_path: Path) -> None:
    """The folder of the project's state says so itself, whatever is made in it first; what stands there already stays."""
    backups = tmp_path / ".pgrollout" / "backups"
    make_folder(backups, 0o700)
    assert backups.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".pgrollout" / ".gitignore").read_text() == "*\n"

    (tmp_path / ".pgrollout" / ".gitignore").write_text("backups/\n")
    make_folder(tmp_path / ".pgrollout" / "alerts")
    assert (tmp_path / ".pgrollout" / ".gitignore").read_text() == "backups/\n"


def test_a_folder_elsewhere_is_just_made(tmp_path: Path) -> None:
    """Nobody else's folder gets a file of ours."""
    make_folder(tmp_path / "a" / "b")

    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["a", "a/b"]
