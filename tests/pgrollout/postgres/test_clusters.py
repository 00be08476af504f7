"""Cached clusters: whole or not there, few, and never taken from under somebody."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from pgrollout.postgres import clusters
from pgrollout.postgres.server_home import Home, account


@pytest.fixture
def home(tmp_path: Path, cluster_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with data; nothing here needs PostgreSQL."""
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / "PG_VERSION").write_text("18\n")
    monkeypatch.setattr(clusters, "boot", lambda: "0")
    return Home(tmp_path / "home", tmp_path / "home", None)


def other(home: Home, name: str) -> Home:
    """Another home, without data."""
    folder = home.folder.with_name(name)
    folder.mkdir()
    return Home(folder, folder, None)


def test_a_copy_is_what_was_kept(home: Home) -> None:
    """What is copied is what was kept, whatever became of the original."""
    assert not clusters.copy(other(home, "early"), "a")
    assert clusters.keep(home, "a")
    (home.data / "PG_VERSION").write_text("changed")

    copied = other(home, "late")
    assert clusters.copy(copied, "a")
    assert (copied.data / "PG_VERSION").read_text() == "18\n"


def test_the_cache_is_private(home: Home, cluster_cache: Path) -> None:
    """Nobody else may enter an entry."""
    clusters.keep(home, "a")

    assert stat.S_IMODE((cluster_cache / "a-0").stat().st_mode) == 0o700


def test_few_are_kept(home: Home, cluster_cache: Path) -> None:
    """Those that were not used for longest go first; one that somebody copies stays."""
    for number in range(clusters.KEPT):
        assert clusters.keep(home, f"{number}")
        os.utime(cluster_cache / f"{number}-0" / "lock", ns=(number, number))
    assert clusters.copy(other(home, "used"), "1")
    lock = os.open(cluster_cache / "0-0" / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_SH)

    clusters.keep(home, "more")
    clusters.keep(home, "and more")
    os.close(lock)

    found = {path.name for path in cluster_cache.iterdir() if path.is_dir()}
    assert {"0-0", "1-0", "more-0", "and more-0"} <= found
    assert "2-0" not in found
    clusters.keep(home, "last")
    assert len([path for path in cluster_cache.iterdir() if path.is_dir()]) == clusters.KEPT


def test_what_another_start_of_the_machine_left_is_not_used(
    home: Home, cluster_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what a power failure left of it; it is made again, and the old one goes in its time."""
    clusters.keep(home, "a")
    assert clusters.copy(other(home, "before"), "a")

    monkeypatch.setattr(clusters, "boot", lambda: "1")
    assert not clusters.copy(other(home, "after"), "a")
    assert clusters.keep(home, "a")
    assert clusters.copy(other(home, "again"), "a")


def test_a_machine_tells_its_starts_apart() -> None:
    """What tells them apart is there on this machine, and does not change while it runs."""
    assert len(clusters.boot()) == 12
    assert clusters.boot.__wrapped__() == clusters.boot()


def test_where_nothing_can_be_copied_nothing_is_kept(home: Home, cluster_cache: Path) -> None:
    """Where copying fails there is no entry, and nothing of it."""
    (home.data / "PG_VERSION").unlink()
    home.data.rmdir()

    assert not clusters.keep(home, "a")
    assert [path.name for path in cluster_cache.iterdir()] == ["lock"]


def test_what_killed_runs_left_is_removed(home: Home, cluster_cache: Path) -> None:
    """Half made and half removed ones go with the next that writes; those that somebody works on stay."""
    clusters.keep(home, "a")
    for name in ("new-1", "old-1", "new-2", "old-2"):
        (cluster_cache / name / "data").mkdir(parents=True)
    locks = []
    for name in ("new-1", "old-1"):
        locks.append(os.open(cluster_cache / name / "lock", os.O_RDWR | os.O_CREAT))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)

    clusters.keep(home, "b")

    assert sorted(path.name for path in cluster_cache.iterdir() if path.is_dir()) == ["a-0", "b-0", "new-1", "old-1"]
    for lock in locks:
        os.close(lock)


def test_nowhere_to_write_is_no_error(home: Home, cluster_cache: Path) -> None:
    """Where the cache cannot be, nothing is kept, nothing found, and nothing raised."""
    cluster_cache.rmdir()
    cluster_cache.write_text("a file is in the way")

    assert not clusters.keep(home, "a")
    assert not clusters.copy(other(home, "b"), "a")
    clusters.forget(None, "a")


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's is where XDG_CACHE_HOME says, else below the home folder; a relative path counts as none."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = clusters.folder(None)
    assert found == tmp_path / "cache/pgrollout/clusters"
    assert stat.S_IMODE(found.stat().st_mode) == 0o700

    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert clusters.folder(None) == tmp_path / "home/.cache/pgrollout/clusters"
    assert account() is None or clusters.folder(account()) == Path("/var/lib/pgrollout/clusters")
