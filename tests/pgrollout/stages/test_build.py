"""Stage build: a release that says the same wherever and whenever it is built."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pgrollout import sum_file
from pgrollout.directory import read_directory, write_sum_file
from pgrollout.errors import ChecksumMismatch, ConfigurationError, ReleaseChanged, TransactionControl
from pgrollout.settings import Database as Settings
from pgrollout.stages import build
from pgrollout.stages.build import BuildReport, BuildRequest
from pgrollout.stages.stage import Outcome


def write(root: Path, **files: str) -> None:
    """Write migrations and their sum file."""
    folder = root / "migrations"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    write_sum_file(folder, sum_file.sum_of(read_directory(folder).migrations))


def run(root: Path, **values: object) -> BuildReport:
    """Run the stage."""
    return build.run(BuildRequest.model_validate({"database": Settings(root=root), **values}))


def git(root: Path, *arguments: str) -> str:
    """Run Git in a repository that knows nothing of the machine's own settings."""
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", "-C", root, *who, *arguments], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip()


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Two folders, two times, one release: manifest and archive are equal byte by byte."""
    files = {"1_a": "CREATE TABLE a (id int);\n", "2_é": "SELECT 'é';\n"}
    reports = []
    for name in ("one", "two"):
        write(tmp_path / name, **files)
        os.utime(tmp_path / name / "migrations" / "1_a.sql", (1, 1))
        (tmp_path / name / "migrations" / "1_a.sql").chmod(0o600 if name == "one" else 0o644)
        reports.append(run(tmp_path / name))

    one, two = reports
    assert one.release == two.release
    for name in ("release.json", "release.tar"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_archive_has_the_directory(tmp_path: Path) -> None:
    """The archive holds files and sum file, the manifest their sizes and digests."""
    write(tmp_path, **{"1_a": "SELECT 1;\n", "2_b": ""})

    report = run(tmp_path)

    manifest = json.loads((report.path / "release.json").read_text())
    assert [file["name"] for file in manifest["files"]] == ["1_a.sql", "2_b.sql"]
    assert manifest["files"][0]["sha256"] == hashlib.sha256(b"SELECT 1;\n").hexdigest()
    with tarfile.open(fileobj=io.BytesIO((report.path / "release.tar").read_bytes())) as archive:
        found = {member.name: member for member in archive.getmembers()}
        inside = {name: archive.extractfile(member) for name, member in found.items() if member.isfile()}
        texts = {name.rpartition("/")[2]: file.read() for name, file in inside.items() if file is not None}
    assert texts["1_a.sql"] == b"SELECT 1;\n"
    assert texts["atlas.sum"] == (tmp_path / "migrations" / "atlas.sum").read_bytes()
    assert {member.mtime for member in found.values()} == {0}


def test_repeating_finds_it_done(tmp_path: Path) -> None:
    """A second build reports what is there; a dry run writes nothing; another folder is respected."""
    write(tmp_path, **{"1_a": "SELECT 1;\n"})

    dry = run(tmp_path, dry_run=True)
    assert not (tmp_path / ".pgrollout").exists()
    first, second = run(tmp_path), run(tmp_path)
    assert (tmp_path / ".pgrollout" / ".gitignore").exists()
    elsewhere = run(tmp_path, out=tmp_path / "out")

    assert (first.outcome, second.outcome) == (Outcome.DONE, Outcome.NOTHING_TO_DO)
    assert dry.release == first.release == second.release == elsewhere.release
    assert (tmp_path / "out" / "release.tar").read_bytes() == (first.path / "release.tar").read_bytes()


def test_any_change_is_another_release(tmp_path: Path) -> None:
    """A comment more is another digest, and the old one is refused."""
    write(tmp_path, **{"1_a": "SELECT 1;\n"})
    first = run(tmp_path)
    write(tmp_path, **{"1_a": "SELECT 1; -- one\n"})

    assert run(tmp_path).release != first.release
    with pytest.raises(ReleaseChanged):
        run(tmp_path, release=first.release)


def test_what_cannot_run_is_no_release(tmp_path: Path) -> None:
    """A file that apply would refuse, and a directory with a wrong sum, are not frozen."""
    write(tmp_path, **{"1_a": "BEGIN;\nSELECT 1;\nCOMMIT;\n"})
    with pytest.raises(TransactionControl):
        run(tmp_path)

    (tmp_path / "migrations" / "1_a.sql").write_text("SELECT 1;\n")
    with pytest.raises(ChecksumMismatch):
        run(tmp_path)

    assert not (tmp_path / ".pgrollout").exists()


def test_release_of_a_commit(tmp_path: Path) -> None:
    """A release of a commit wants the directory at that commit, unchanged, and no other commit checked out."""
    write(tmp_path, **{"1_a": "SELECT 1;\n"})
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "migrations")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    first = git(tmp_path, "rev-parse", "HEAD")

    assert run(tmp_path, commit="HEAD").commit
    write(tmp_path, **{"2_b": "SELECT 2;\n"})
    with pytest.raises(ConfigurationError, match=r"2_b\.sql"):
        run(tmp_path, commit="HEAD")
    git(tmp_path, "add", "migrations")
    git(tmp_path, "commit", "--quiet", "-m", "two")
    assert run(tmp_path, commit="HEAD").files == 2
    with pytest.raises(ConfigurationError, match="git checkout"):
        run(tmp_path, commit=first)
    with pytest.raises(ConfigurationError, match="no Git repository that has this commit"):
        run(tmp_path, commit="0" * 40)


@pytest.mark.parametrize("how", ["ignored", "assumed unchanged", "a link"])
def test_release_of_a_commit_has_its_files_only(tmp_path: Path, how: str) -> None:
    """What Git's status does not show, because it is told not to look, is no part of the commit either."""
    write(tmp_path, **{"1_a": "SELECT 1;\n"})
    git(tmp_path, "init", "--quiet")
    file = tmp_path / "migrations" / ("2_b.sql" if how == "ignored" else "1_a.sql")
    if how == "ignored":
        write(tmp_path, **{"2_b": "SELECT 2;\n"})
        (tmp_path / ".gitignore").write_text("2_b.sql\n")
    if how == "a link":
        file.rename(tmp_path / "elsewhere.sql")
        file.symlink_to(tmp_path / "elsewhere.sql")
    git(tmp_path, "add", ".gitignore" if how == "ignored" else ".", "migrations")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    if how == "assumed unchanged":
        git(tmp_path, "update-index", "--assume-unchanged", "migrations/1_a.sql", "migrations/atlas.sum")
        write(tmp_path, **{"1_a": "SELECT 3;\n"})

    with pytest.raises(ConfigurationError, match=rf"{file.name} is no file of the commit, or another"):
        run(tmp_path, commit="HEAD")


def test_release_outside_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no repository, a commit cannot be asked for."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write(tmp_path, **{"1_a": "SELECT 1;\n"})

    with pytest.raises(ConfigurationError, match="no Git repository"):
        run(tmp_path, commit="HEAD")
