"""
A project for a test: a migration directory with its sum file, and the database it is for.

Stages are called in this process, or the command line in one of its own where a test kills it. What another process does
is observed, never waited for by the clock.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgrollout import sum_file
from pgrollout.directory import read_directory, write_sum_file
from pgrollout.settings import Database as Settings
from pgrollout.stages import apply
from tests.servers import Database, Server

OBSERVE_SECONDS = 120.0
"""A limit for what never comes; what comes late on a busy machine is no failure."""
GATE = 4711
AT_THE_GATE = (
    f"DO $$ BEGIN WHILE NOT pg_try_advisory_xact_lock_shared({GATE}) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$"
)
"""A statement that tests let go by giving a lock free; it works, and does not wait for a lock."""
LEASE_TIMEOUT_MS = 2000
"""So that a test need not wait half a minute for a killed run to count as dead."""
ROWS = (
    "SELECT version, description, type, applied, total, error, error_stmt, hash, partial_hashes "
    'FROM atlas_schema_revisions.atlas_schema_revisions ORDER BY version COLLATE "C"'
)


@dataclass(frozen=True)
class Project:
    """A folder with ``migrations/``, and a database."""

    root: Path
    database: Database

    @property
    def migrations(self) -> Path:
        """The migration directory."""
        return self.root / "migrations"

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files into the migration directory, and its sum file anew."""
        self.migrations.mkdir(exist_ok=True)
        for name, content in files.items():
            (self.migrations / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        write_sum_file(self.migrations, sum_file.sum_of(read_directory(self.migrations).migrations))

    def remove(self, name: str) -> None:
        """Remove a file, and write the sum file anew."""
        (self.migrations / name).unlink()
        self.write({})

    def settings(self, **values: Any) -> Settings:
        """Return the settings of this project's database."""
        return self.database.settings(self.root, **({"lease_timeout_ms": LEASE_TIMEOUT_MS} | values))

    def apply(self, settings: Settings | None = None, **values: Any) -> apply.ApplyReport:
        """Run stage apply in this process."""
        return apply.run(apply.ApplyRequest(database=settings or self.settings(), **values))

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start the command line in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", "from pgrollout.cli import main; main()", *arguments],
            cwd=self.root,
            env=os.environ
            | {"PGROLLOUT_URL": self.database.url, "PGROLLOUT_LEASE_TIMEOUT_MS": str(LEASE_TIMEOUT_MS)}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the command line and wait for its end."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the history without times and operator."""
        return self.database.execute(ROWS)

    def versions(self) -> list[str]:
        """Return the versions of the history."""
        return [row[0] for row in self.rows()]

    def exists(self, relation: str) -> bool:
        """Whether there is such a relation, or, with a dot at its end, such a schema."""
        if relation.endswith("."):
            return bool(self.database.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", relation[:-1]))
        return bool(self.database.execute("SELECT to_regclass(%s) IS NOT NULL", relation)[0][0])

    def dump(self) -> str:
        """Return everything that is in the database, and in the project's folder."""
        dumped = subprocess.run(
            [self.database.server.bin / "pg_dump", self.database.url], check=True, capture_output=True, text=True
        ).stdout
        files = sorted(path for path in self.root.rglob("*") if path.is_file())
        listed = "".join(f"{path.relative_to(self.root)}: {path.read_bytes()!r}\n" for path in files)
        return re.sub(r"^\\(un)?restrict .*$", "", dumped, flags=re.MULTILINE) + listed


@contextmanager
def observed(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """End the process with the block, whatever happens in it."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Look until the condition gives something true, and return that."""
    deadline = time.monotonic() + OBSERVE_SECONDS
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not observed: {what}")
        time.sleep(0.005)
    return found


def backend_in(database: Database, statement: str, *, alone: bool = False) -> int:
    """
    Wait until a backend of pgrollout executes such a statement, and return its pid.

    ``alone``: not in the transaction in which it is tried first.
    """
    with database.connect() as connection:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgrollout/%%' "
            "AND state = 'active' AND query LIKE %s"
        )
        found = eventually(
            lambda: connection.execute(query, [f"{statement}%" if alone else f"%{statement}%"]).fetchone(),
            f"a backend executing {statement}",
        )
        return int(found[0])


def waiting_for_its_turn(database: Database, but: int = 0) -> int:
    """Wait until a run waits for another one, and return the pid of its supervising backend, another than ``but``."""
    found = eventually(
        lambda: database.execute(
            "SELECT a.pid FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> %s "
            "AND a.application_name LIKE 'pgrollout/%%/watch' AND a.query ~ 'isfinite.heartbeat|pg_locks l JOIN'",
            but,
        ),
        "a run that waits for its turn",
    )
    return int(found[0][0])


def is_gone(database: Database, pid: int) -> bool:
    """Whether no backend has this pid any more."""
    return not database.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid)


class Relay:
    """Stands between a client and a server's socket, until it is cut: then neither side hears of the other again."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.host = folder
        self._target = f"{server.host}/.s.PGSQL.{server.port}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.{server.port}")
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._forgotten: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection at once, and take no new one."""
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def forget_newest(self) -> None:
        """Close the server's end of the newest connection, and let its client hear nothing of that."""
        client, server = self._open[-2:]
        self._forgotten.add(client)
        server.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        if other not in self._forgotten:
            with suppress(OSError):
                other.shutdown(socket.SHUT_WR)


@contextmanager
def lock_holder(database: Database, key: int, **parameters: Any) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """Hold an advisory lock on a connection of its own while the block lasts."""
    with database.connect(**parameters) as connection:
        connection.execute("SELECT pg_advisory_lock(%s::bigint)", [key])
        yield connection
