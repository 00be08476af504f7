"""
Cached clusters: data folders of servers that were shut down, to be copied instead of made again.

In the user's cache folder; for root, whose servers run as ``nobody``, below ``/var/lib/pgrollout``. The cache is a help, not a
need: where it cannot be written, or something in it is amiss, there is none, and that is no error.

An entry is a folder, ``<key>-<boot>/data`` and ``<key>-<boot>/lock``. It gets its name when it is whole, and a key stands for
its content, so an entry never changes. Nothing waits until it is on the disk, for on a busy one that takes seconds; instead an
entry counts only as long as the machine runs that it was made on, for nobody knows what a power failure left of it. What was
half made or half removed is called ``new-…`` or ``old-…``, and its lock is free: whoever writes next removes it. Locks are
``flock``, so they vanish with whoever holds them:

- ``lock`` of the cache, shared, while somebody looks for an entry; exclusive, while entries come and go.
- ``lock`` of an entry, shared, while it is copied; exclusive, while it is made or removed.
"""

import fcntl
import logging
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pgrollout.errors import ConfigurationError
from pgrollout.postgres.server_home import Home, make_root_folder, open_lock, run, try_lock

log = logging.getLogger(__name__)

KEPT = 6
"""How many are kept, those used last; each takes 30 MB and what is in its databases."""
_MADE, _REMOVED = "new-", "old-"


def folder(account: tuple[int, int] | None) -> Path | None:
    """Return the cache's folder, made if it is not there; None where there can be none."""
    if not boot():
        return None
    try:
        if account is not None:
            return make_root_folder("clusters", account)
        parent = Path(os.environ.get("XDG_CACHE_HOME", ""))
        parent = parent if parent.is_absolute() else Path.home() / ".cache"
        found = parent / "pgrollout" / "clusters"
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        found.chmod(0o700)  # fails where it is somebody else's
    except (OSError, RuntimeError) as error:
        log.debug("no cache of clusters problem=%s", error)
        return None
    return found


@cache
def boot() -> str:
    """Return what tells this run of the machine from those before it; empty if nothing does."""
    try:
        if sys.platform == "darwin":
            argv = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        else:
            said = Path("/proc/sys/kernel/random/boot_id").read_text()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.strip().replace("-", "").lower()[:12]


def entry(cache: Path, key: str) -> Path:
    """Return the folder of the cluster kept under the key."""
    return cache / f"{key}-{boot()}"


def copy(home: Home, key: str) -> bool:
    """Make the home's data a copy of the cached cluster; false if there is none that can be copied."""
    parent = folder(home.account)
    if parent is None:
        return False
    try:
        with _locked(parent / "lock", fcntl.LOCK_SH):
            kept = entry(parent, key)
            lock = os.open(kept / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH)  # at once: who has it otherwise has the cache's too
                os.utime(lock)
            except BaseException:
                os.close(lock)
                raise
        try:
            return _copied(home, kept / "data", home.data)
        finally:
            os.close(lock)
    except (OSError, ConfigurationError):
        return False


def keep(home: Home, key: str) -> bool:
    """
    Keep a copy of the home's data, which no server works on, under the key; false if it cannot be kept.

    The entries that were not used for longest are removed, so that few remain; none that somebody copies.
    """
    parent = folder(home.account)
    if parent is None:
        return False
    new = parent / (_MADE + secrets.token_hex(8))
    try:
        with _locked(parent / "lock", fcntl.LOCK_EX):
            _sweep(parent)
            new.mkdir(mode=0o700)
            if home.account is not None:
                os.chown(new, *home.account)
            lock = open_lock(new / "lock")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except (OSError, ConfigurationError) as error:
        log.debug("cluster not cached key=%s problem=%s", key, error)
        return False
    try:
        is_whole = _copied(home, home.data, new / "data")
        with _locked(parent / "lock", fcntl.LOCK_EX):
            if is_whole and not (kept := entry(parent, key)).exists():
                new.rename(kept)
                _remove_old(parent, kept)
            return is_whole
    except (OSError, ConfigurationError) as error:
        log.debug("cluster not cached key=%s problem=%s", key, error)
        return False
    finally:
        shutil.rmtree(new, ignore_errors=True)
        os.close(lock)


def forget(account: tuple[int, int] | None, key: str) -> None:
    """Remove a cached cluster, unless somebody copies it just now."""
    parent = folder(account)
    if parent is not None:
        try:
            with _locked(parent / "lock", fcntl.LOCK_EX):
                _remove(entry(parent, key))
        except (OSError, ConfigurationError) as error:
            log.debug("cached cluster left key=%s problem=%s", key, error)


def _copied(home: Home, source: Path, target: Path) -> bool:
    started = time.monotonic()
    done = run(home, ["cp", "-RP", str(source), str(target)])
    if done.returncode != 0:
        log.debug("cluster not copied problem=%s", done.stdout.decode(errors="replace").strip()[-200:])
        shutil.rmtree(target, ignore_errors=True)
        return False
    log.debug("cluster copied duration_ms=%d", (time.monotonic() - started) * 1000)
    return True


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    lock = open_lock(path)
    try:
        fcntl.flock(lock, operation)
        yield
    finally:
        os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove what was half made or half removed when its process was killed; the cache is locked."""
    for path in parent.iterdir():
        if path.name.startswith((_MADE, _REMOVED)):
            _remove(path)


def _remove_old(parent: Path, but: Path) -> None:
    entries = [path for path in parent.iterdir() if (path / "lock").exists() and path != but]
    entries = [path for path in entries if not path.name.startswith((_MADE, _REMOVED))]
    for path in sorted(entries, key=lambda path: (path / "lock").stat().st_mtime_ns, reverse=True)[KEPT - 1 :]:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove an entry unless its lock is held; the cache is locked, so nobody takes that lock meanwhile."""
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        if try_lock(lock, fcntl.LOCK_EX):
            old = path.with_name(_REMOVED + secrets.token_hex(8))
            path.rename(old)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        os.close(lock)
