"""
Homes of embedded servers: the folders that they live in, the account that they run as, and the locks on them.

PostgreSQL refuses to run as root: there its servers run as ``nobody``, below ``/var/lib/pgrollout``. Knows nothing of what a
server is asked to do.
"""

import fcntl
import os
import pwd
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgrollout.errors import ConfigurationError

ROOT_FOLDER = Path("/var/lib/pgrollout")
"""Where servers of projects that are used by root live, and one copy of the binaries for all of them."""
PORT = 5432
"""Only a part of the socket's name: nothing listens on TCP."""
THROWAWAY = "pgrollout-shadow-"
"""Begins the name of the folder of a server that is thrown away; the longest of those that have a socket."""

_NOBODY = 65534
_SOCKET_PATH_BYTES = 103  # macOS; 107 on Linux


@dataclass(frozen=True, slots=True)
class Home:
    """Where the parts of a server are, and who runs it."""

    state: Path
    """Locks, log and record; this process's account owns it."""
    folder: Path
    """Data, and for root the socket; the server's account owns it."""
    account: tuple[int, int] | None
    """User and group id of the server, where these are not this process's."""

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.state / "log"

    @property
    def record(self) -> Path:
        """The file that names the socket's folder; it exists while a server runs, or after it crashed."""
        return self.state / "socket"


def account() -> tuple[int, int] | None:
    """Return the account that servers run as when this process is root's."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return nobody.pw_uid, nobody.pw_gid


def make_root_folder(name: str, account: tuple[int, int]) -> Path:
    """Make a folder that only the server's account may enter, and root."""
    if not ROOT_FOLDER.is_dir():
        ROOT_FOLDER.mkdir(parents=True, exist_ok=True)
        ROOT_FOLDER.chmod(0o755)
    folder = ROOT_FOLDER / name
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, *account)
    return folder


def unwritable(error: OSError) -> ConfigurationError:
    """Return the error that says which folder cannot be written, and what to do."""
    return ConfigurationError(
        "embedded server",
        f"{error.filename} cannot be written: {error.strerror}.",
        "Give this account the folder, or name a server: --url, DATABASE_URL or url_env in pgrollout.toml.",
    )


def open_lock(path: Path) -> int:
    """
    Open a file to be locked, and make it where it is not there.

    Raises:
        ConfigurationError: It cannot be.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unwritable(error) from error


def try_lock(lock: int, operation: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(lock, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def short_parent() -> Path:
    """Return the folder in which a private folder for a socket is made: a socket's path must be short."""
    for parent in ("/tmp", tempfile.gettempdir()):  # noqa: S108 - a new folder with an unknown name is made there
        longest = f"{parent}/{THROWAWAY}12345678/.s.PGSQL.{PORT}"
        if len(os.fsencode(longest)) <= _SOCKET_PATH_BYTES and os.access(parent, os.W_OK):
            return Path(parent)
    raise ConfigurationError(
        "embedded server",
        "no temporary folder with a short path can be written, and its socket needs one.",
        "Point TMPDIR to one of at most 60 characters.",
    )


def status(home: Home) -> str:
    """Return what the server says of itself in its pid file: ``starting``, ``ready``, ``stopping``; empty without one."""
    return _pid_line(home, 7)


def pid(home: Home) -> str:
    """Return the process id of the server, as its pid file has it; empty without one."""
    return _pid_line(home, 0)


def _pid_line(home: Home, number: int) -> str:
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return ""
    return lines[number].strip() if len(lines) > number else ""


def run(
    home: Home, argv: Sequence[str], *, output: int = subprocess.PIPE, inherited: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program as the server's account, and return what it said and ended with."""
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=() if inherited is None else (inherited,),
        check=False,
        **as_server(home),
    )


def as_server(home: Home) -> dict[str, Any]:
    """How a program runs as the server: its account, a session of its own, nothing of this process's environment."""
    account: dict[str, Any] = {}
    if home.account is not None:
        account = {"user": home.account[0], "group": home.account[1], "extra_groups": []}
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    return {"cwd": home.folder, "env": environment, "start_new_session": True, **account}
