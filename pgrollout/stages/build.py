"""
Stage build: freeze the directory into a release.

Writes ``release.json`` and ``release.tar`` below ``.pgrollout/releases/<digest>/`` or the folder asked for; the same
files give the same bytes. Every later stage recomputes the digest from the files it is about to use.
"""

import hashlib
import subprocess
import time
from pathlib import Path

from pydantic import Field

from pgrollout.errors import ConfigurationError
from pgrollout.files import make_folder, write_atomically
from pgrollout.release import archive
from pgrollout.stages.reviewed import Reviewed, read_contents, read_reviewed
from pgrollout.stages.stage import Outcome, Report, Request, logged


class BuildRequest(Request):
    """What to freeze."""

    out: Path | None = Field(None, description="Folder for the files; by default one named after the digest.")
    commit: str | None = Field(None, description="Git commit that the directory must be at, unchanged.")


class BuildReport(Report):
    """The release."""

    release: str = Field(description="Its digest.")
    files: int = Field(description="How many migrations it has.")
    path: Path = Field(description="Folder of release.json and release.tar.")
    commit: str | None = Field(None, description="Git commit it was built from, if one was asked for.")


@logged
def run(request: BuildRequest) -> BuildReport:
    """
    Build the release.

    Raises:
        DirectoryError: A file cannot be read, or cannot be run at all.
        HistoryError: The sum file does not match.
        ConfigurationError: A commit was asked for, and the directory is not that commit's.
    """
    started = time.monotonic()
    if request.commit is not None:
        _check_commit(request.database.migrations_path, request.commit)
    reviewed = read_reviewed(request.database, request.release)
    if request.commit is not None:
        _check_files(reviewed, request.commit)
    read_contents(reviewed.migrations)
    release = reviewed.release
    path = request.out or request.database.state_path / "releases" / release.digest.removeprefix("sha256:")[:16]
    tar = archive(reviewed.migrations, reviewed.sum_file)
    is_there = (path / "release.tar").is_file() and (path / "release.tar").read_bytes() == tar
    if not request.dry_run and not is_there:
        make_folder(path)
        write_atomically(path / "release.json", release.text().encode())
        write_atomically(path / "release.tar", tar)
    return BuildReport(
        outcome=Outcome.NOTHING_TO_DO if is_there else Outcome.DONE,
        summary=f"release {release.digest[:19]} of {len(release.files)} file{'s' if len(release.files) != 1 else ''}"
        + (", built before" if is_there else ""),
        duration_ms=round((time.monotonic() - started) * 1000),
        release=release.digest,
        files=len(release.files),
        path=path,
        commit=request.commit,
    )


def _check_commit(folder: Path, commit: str) -> None:
    where = f"--commit {commit}"
    asked = _git(folder, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    if asked is None:
        raise ConfigurationError(where, f"{folder} is in no Git repository that has this commit.")
    if _git(folder, "rev-parse", "HEAD") != asked:
        raise ConfigurationError(where, "another commit is checked out.", f"Run git checkout {commit} first.")
    changed = _git(folder, "status", "--porcelain", "--", ".")
    if changed:
        raise ConfigurationError(
            where, f"{folder} has changes that are not committed:\n{changed}", "Commit them first."
        )


def _check_files(reviewed: Reviewed, commit: str) -> None:
    """Raise ConfigurationError unless every file is the commit's: Git's status passes over what it is told to ignore."""
    folder = reviewed.directory.path
    listed = _git(folder, "ls-tree", "-z", "HEAD", "--", ".") or ""
    entries = [entry.partition("\t") for entry in listed.split("\0")]
    blobs = {name: what.split()[2] for what, _, name in entries if what.startswith("100")}
    for migration in reviewed.migrations:
        if blobs.get(migration.name) not in _git_names(migration.content):
            raise ConfigurationError(
                f"--commit {commit}",
                f"{folder / migration.name} is no file of the commit, or another than there.",
                "Commit it, or take it out of the folder.",
            )


def _git_names(content: bytes) -> tuple[str, ...]:
    """Return what Git names this content, in a repository of either kind."""
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest(), hashlib.sha256(blob).hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigurationError(
            "git", f"cannot be run: {error.strerror}.", "Install it, or leave --commit out."
        ) from error
    return done.stdout.strip() if done.returncode == 0 else None
