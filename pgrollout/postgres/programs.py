"""
PostgreSQL's own programs: which are installed here, which of them fits a server, and running one.

Newer is not simply better. An older ``pg_dump`` refuses the server; a newer ``pg_restore`` begins with settings that an
older server does not know; and a server's security fixes may leave marks in the catalog that only programs of the same
major version know to leave out (15.20 keeps ``pg_attver`` among the column options). So the nearest version wins.

Source: PostgreSQL manual, "pg_dump", notes; "Environment Variables" of libpq.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pgrollout.errors import ProgramMissing
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.embedded_binaries import PACKAGE
from pgrollout.secrets import mask_statement

FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
"""Where Debian, Red Hat's and Homebrew's packages put them, beside PATH."""

_WITHOUT_VARIABLE = (
    "sslpassword", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
)  # fmt: skip
_WRAPPER = "pg_wrapper"
_WATCH_SECONDS = 1.0
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """One program of one installation."""

    path: Path
    version: str
    """As people write it: ``15.20``."""

    @property
    def major(self) -> int:
        """Its major version."""
        return int(re.split(r"\D", self.version)[0])

    def sibling(self, name: str) -> Path:
        """Return another program of the same installation."""
        return self.path.with_name(name)


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended."""

    status: int
    """Its exit status; negative is the signal that ended it."""
    output: bytes
    """What it wrote to stdout."""
    errors: str
    """What it wrote to stderr, passwords masked."""
    duration_ms: int

    @property
    def last_words(self) -> str:
        """The end of its stderr, in one line."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        return " ".join(lines[-4:])[-1000:] or f"it ended with status {self.status} and said nothing."


def installed(name: str) -> tuple[Program, ...]:
    """Return the programs of that name: on PATH, in the packages' folders, in the embedded server's wheel."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    for pattern in FOLDERS:
        folders += sorted(Path("/").glob(pattern.lstrip("/")))
    spec = find_spec(PACKAGE)
    folders += [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or () if spec else ())]
    found: dict[Path, Program] = {}
    for folder in folders:
        path = folder / name
        with contextlib.suppress(OSError):
            # Debian's wrapper chooses a version by rules of its own; the programs it chooses from are found beside it.
            resolved = path.resolve()
            if resolved not in found and resolved.name != _WRAPPER and os.access(resolved, os.X_OK):
                version = _version(resolved)
                if version:
                    found[resolved] = Program(resolved, version)
    return tuple(found.values())


def fitting(name: str, *, at_least: int, near: int, tls: bool) -> Program:
    """
    Return the program that fits a server best: the nearest major version, of that the newest.

    Args:
        name: ``pg_dump``, ``pg_restore`` or ``psql``.
        at_least: The lowest major version that will do.
        near: Major version of the server.
        tls: Whether the connection uses TLS, which the embedded server's wheel was built without.

    Raises:
        ProgramMissing: None fits; with what was found, and what to install.
    """
    programs = installed(name)
    fit = [program for program in programs if program.major >= at_least and (not tls or has_tls(program))]
    if not fit:
        listed = tuple(f"{program.path} is {_unfit(program, at_least)}" for program in programs)
        raise ProgramMissing(name, max(at_least, near), tls, listed)
    return min(fit, key=lambda program: (program.major < near, abs(program.major - near), _older(program)))


def has_tls(program: Program) -> bool:
    """Whether the program's libpq was built with TLS."""
    return _libpq_has_tls(program.sibling("pg_dump"))


@cache
def _libpq_has_tls(pg_dump: Path) -> bool:
    # Asked of libpq itself: without TLS it refuses sslmode=require before it connects. No server can be below /dev/null.
    environment = plain() | {"PGHOST": "/dev/null", "PGSSLMODE": "require"}
    result = subprocess.run([pg_dump, "--no-password"], capture_output=True, text=True, env=environment, check=False)
    return "SSL support is not compiled in" not in result.stderr


@cache
def _version(path: Path) -> str:
    result = subprocess.run([path, "--version"], capture_output=True, text=True, env=plain(), check=False)
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", result.stdout)
    return found[1] if found else ""


def plain() -> dict[str, str]:
    """Return the environment of a program that talks to no server."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {"LC_ALL": "C"} | {key: os.environ[key] for key in kept if key in os.environ}


def _unfit(program: Program, at_least: int) -> str:
    if program.major < at_least:
        return f"{program.version}, which is too old"
    return f"{program.version}, built without TLS"


def _older(program: Program) -> tuple[int, ...]:
    return tuple(-int(part) for part in program.version.split("."))


@contextmanager
def environment(connection: Connection, application_name: str) -> Iterator[dict[str, str]]:
    """
    Give the environment in which a program reaches the very server that the connection reached, while the block lasts.

    With several hosts, or a name with several addresses, two connections may end on two servers; a parallel dump would
    then see two moments. Nothing of it is on a command line, which every user of the machine can read. What has no
    variable, like the passphrase of a client key, is in a service file that only this account can read.
    """
    pgconn = connection.pgconn
    options = {option.keyword.decode(): option for option in pgconn.info if option.val is not None}
    variables = {key: value for key, value in os.environ.items() if key not in ("PGSERVICE", "PGCLIENTENCODING")}
    for option in options.values():
        if option.envvar is not None and option.val is not None:
            variables[option.envvar.decode()] = option.val.decode()
    variables |= {
        "LC_ALL": "C",
        "PGAPPNAME": application_name,
        "PGHOST": pgconn.host.decode(),
        "PGHOSTADDR": pgconn.hostaddr.decode(),
        "PGPORT": pgconn.port.decode(),
    }
    rest = {key: options[key].val for key in _WITHOUT_VARIABLE if key in options}
    if not rest:
        yield variables
        return
    with tempfile.NamedTemporaryFile("w", prefix="pgrollout-", suffix=".conf") as file:  # made with mode 0600
        lines = [f"{key}={value.decode()}\n" for key, value in rest.items() if value is not None]
        file.writelines(["[pgrollout]\n", *lines])
        file.flush()
        yield variables | {"PGSERVICEFILE": file.name, "PGSERVICE": "pgrollout"}


def run(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    watch: Callable[[], None] | None = None,
    inherited: Sequence[int] = (),
) -> Ended:
    """
    Run a program to its end; files that it makes are for this account only.

    Whatever ends this function early, Ctrl-C for one, ends the program too.

    Args:
        argv: The command.
        environment: Its environment, see ``environment``.
        watch: Called about every second meanwhile.
        inherited: File descriptors that it gets.
    """
    started = time.monotonic()
    # Files rather than pipes: a program that writes much never waits for us.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        with _started(argv, environment, output.fileno(), errors.fileno(), inherited) as process:
            while (status := _status(process)) is None:
                if watch is not None:
                    watch()
        output.seek(0)
        errors.seek(0)
        said = masked(errors.read().decode(errors="replace"), environment)
        return Ended(status, output.read(), said, round((time.monotonic() - started) * 1000))


def run_piped(
    first: Sequence[str | Path],
    second: Sequence[str | Path],
    environment: Mapping[str, str],
    edit: Callable[[Iterable[bytes]], Iterable[bytes]],
) -> Ended:
    """
    Run two programs, the lines that the first one writes, edited, being what the second one reads.

    When the first one fails, the second is ended before its input is: it must not take what it has for the whole.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        options: dict[str, Any] = {"stderr": errors.fileno(), "env": dict(environment), "umask": 0o077}
        with (
            subprocess.Popen(first, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options) as source,
            subprocess.Popen(second, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **options) as sink,
        ):
            try:
                _copy(source, sink, edit)
                status = sink.wait() or source.wait()
            finally:
                end(sink)
                end(source)
                _close(sink)
        errors.seek(0)
        said = masked(errors.read().decode(errors="replace"), environment)
    return Ended(status, b"", said, round((time.monotonic() - started) * 1000))


def _copy(
    source: "subprocess.Popen[bytes]",
    sink: "subprocess.Popen[bytes]",
    edit: Callable[[Iterable[bytes]], Iterable[bytes]],
) -> None:
    assert source.stdout is not None  # noqa: S101  both are pipes
    assert sink.stdin is not None  # noqa: S101
    try:
        for line in edit(source.stdout):
            sink.stdin.write(line)
        sink.stdin.flush()
    except BrokenPipeError:
        end(source)
    else:
        if source.wait() != 0:
            end(sink)
    _close(sink)


def _close(sink: "subprocess.Popen[bytes]") -> None:
    """Close its input; if it has ended, nobody minds what was not sent."""
    if sink.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            sink.stdin.close()


def masked(text: str, environment: Mapping[str, str]) -> str:
    """Return a program's words without the password, and without those of statements."""
    password = environment.get("PGPASSWORD")
    return mask_statement(text.replace(password, "***") if password else text)


@contextmanager
def _started(
    argv: Sequence[str | Path], environment: Mapping[str, str], output: int, errors: int, inherited: Sequence[int]
) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=dict(environment),
        pass_fds=tuple(inherited),
        umask=0o077,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a program that still runs: ask it first, so that it cancels what it has the server do."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _status(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(_WATCH_SECONDS)
    except subprocess.TimeoutExpired:
        return None
