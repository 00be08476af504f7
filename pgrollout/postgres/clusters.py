"""
Cached clusters: data folders of servers that were shut down, to be copied instead of made again.

In the user's cache folder; for root, whose servers run as ``nobody``, below ``/var/lib/pgrollout``. The cache is a help, not a
need: where it cannot be written, or something in it is amiss, there is none, and that is no error.

An entry is a folder, ``<key>/data`` and ``<key>/lock``. Everything in it is on the disk before it gets its name, so it is
whole also after a power failure; a key stands for its content, so an entry never changes. What was half made or half removed is
called ``new-…`` or ``old-…``, and its lock is free: whoever writes next removes it. Locks are ``flock``, so they vanish
with whoever holds them:

- ``lock`` of the cache, shared, while somebody looks for an entry; exclusive, while entries come and go.
- ``lock`` of an entry, shared, while it is copied; exclusive, while it is made or removed.
"""

import fcntl
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgrollout.errors import ConfigurationError
from pgrollout.postgres.server_home import Home, make_root_folder, open_lock, run, try_lock

log = logging.getLogger(__name__)

KEPT = 6
"""How many are kept, those used last; each takes 30 MB and what is in its databases."""
_MADE, _REMOVED = "new-", "old-"


def folder(account: tuple[int, int] | None) -> Path | None:
    """Return the cache's folder, made if it is not there; None where there can be none."""
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


def copy(home: Home, key: str) -> bool:
    """Make the home's data a copy of the cached cluster; false if there is none that can be copied."""
    cache = folder(home.account)
    if cache is None:
        return False
    try:
        with _locked(cache / "lock", fcntl.LOCK_SH):
            entry = cache / key
            lock = os.open(entry / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH)  # at once: who has it otherwise has the cache's too
                os.utime(lock)
            except BaseException:
                os.close(lock)
                raise
        try:
            return _copied(home, entry / "data", home.data)
        finally:
            os.close(lock)
    except (OSError, ConfigurationError):
        return False


def keep(home: Home, key: str, binaries: Path) -> bool:
    """
    Keep a copy of the home's data, which no server works on, under the key; false if it cannot be kept.

    The entries that were not used for longest are removed, so that few remain; none that somebody copies.
    """
    cache = folder(home.account)
    if cache is None:
        return False
    new = cache / (_MADE + secrets.token_hex(8))
    try:
        with _locked(cache / "lock", fcntl.LOCK_EX):
            _sweep(cache)
            new.mkdir(mode=0o700)
            if home.account is not None:
                os.chown(new, *home.account)
            lock = open_lock(new / "lock")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except (OSError, ConfigurationError) as error:
        log.debug("cluster not cached key=%s problem=%s", key, error)
        return False
    try:
        is_whole = _copied(home, home.data, new / "data") and _on_disk(home, new, binaries)
        with _locked(cache / "lock", fcntl.LOCK_EX):
            if is_whole and not (cache / key).exists():
                new.rename(cache / key)
                _sync(cache)
                _remove_old(cache, key)
            return is_whole
    except (OSError, ConfigurationError) as error:
        log.debug("cluster not cached key=%s problem=%s", key, error)
        return False
    finally:
        shutil.rmtree(new, ignore_errors=True)
        os.close(lock)


def forget(account: tuple[int, int] | None, key: str) -> None:
    """Remove a cached cluster, unless somebody copies it just now."""
    cache = folder(account)
    if cache is not None:
        try:
            with _locked(cache / "lock", fcntl.LOCK_EX):
                _remove(cache / key)
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


def _on_disk(home: Home, entry: Path, binaries: Path) -> bool:
    """Write everything through to the disk, as initdb does it: start writing all files, then wait for each."""
    done = run(home, [str(binaries / "initdb"), "--sync-only", f"--pgdata={entry / 'data'}"])
    _sync(entry)
    return done.returncode == 0


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    lock = open_lock(path)
    try:
        fcntl.flock(lock, operation)
        yield
    finally:
        os.close(lock)


def _sweep(cache: Path) -> None:
    """Remove what was half made or half removed when its process was killed; the cache is locked."""
    for entry in cache.iterdir():
        if entry.name.startswith((_MADE, _REMOVED)):
            _remove(entry)


def _remove_old(cache: Path, but: str) -> None:
    entries = [entry for entry in cache.iterdir() if (entry / "lock").exists() and entry.name != but]
    entries = [entry for entry in entries if not entry.name.startswith((_MADE, _REMOVED))]
    for entry in sorted(entries, key=lambda entry: (entry / "lock").stat().st_mtime_ns, reverse=True)[KEPT - 1 :]:
        _remove(entry)


def _remove(entry: Path) -> None:
    """Remove an entry unless its lock is held; the cache is locked, so nobody takes that lock meanwhile."""
    try:
        lock = os.open(entry / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        shutil.rmtree(entry, ignore_errors=True)
        return
    try:
        if try_lock(lock, fcntl.LOCK_EX):
            old = entry.with_name(_REMOVED + secrets.token_hex(8))
            entry.rename(old)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        os.close(lock)
