"""
A scene: a database with an application at work, and a migration that comes into it.

The migration is run by ``pgrollout apply``, or by psql for comparison, always as a process of its own. The database is one that
was there before: what the application needs is made directly, and is version 1. While canaries are on, everybody who waits
is seen; what came of it all is an `Outcome`, a value that says what was promised and not kept.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from tests.contention.canary import Canary
from tests.contention.sampler import Sampler, Wait
from tests.project import Project, eventually
from tests.servers import Database

BUDGET_MS = 500
PATIENCE_SECONDS = 30
AWHILE_SECONDS = 1.5
"""How long something stays in the way of a migration."""
PSQL_SECONDS = 6
"""After this psql is stopped: it would wait as long as the one in its way stays."""


class Tool(StrEnum):
    """Who runs the migration."""

    PGROLLOUT = "pgrollout"
    PSQL = "psql"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a migration, and what it did to others."""

    code: int
    """Exit code of the tool; negative if a signal ended it."""
    said: str
    """What it wrote on stderr."""
    was_stopped: bool
    """Whether it had to be: it did not end."""
    seconds: float
    worst: Wait
    samples: int
    queued: int
    """How often the migration was seen to wait for a lock."""
    reader_ms: float
    """Worst latency of a reading canary."""
    writer_ms: float
    failures: tuple[str, ...]
    """What failed for others: statements of the application, a dump."""

    def broken(self, budget_ms: int) -> Iterator[str]:
        """Yield every promise to others that was not kept."""
        if not self.samples:
            yield "nobody looked"
        if self.worst.waited_ms > budget_ms:
            yield str(self.worst)
        if self.was_stopped:
            yield f"did not end in {self.seconds:.0f} s"
        yield from self.failures


class Session:
    """A session of the application, known to others by its name; what fails in it is kept."""

    def __init__(self, database: Database, name: str, failures: list[str]) -> None:
        self._connection: psycopg.Connection[Any] = database.connect(application_name=f"app/{name}")
        self.pid = self._connection.info.backend_pid
        self._name, self._failures = name, failures
        self._database = database
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._was_cancelled = False

    def run(self, *statements: str) -> None:
        """Execute statements, one after the other."""
        try:
            for text in statements:
                self._connection.execute(text.encode())
        except psycopg.Error as error:
            if not self._was_cancelled:
                self._failures.append(f"{self._name}: {error.sqlstate} {error}")

    def start(self, *statements: str) -> None:
        """Execute statements in a thread, and return as soon as the server is at the last."""
        self._thread = threading.Thread(target=self.run, args=statements, name=self._name)
        self._thread.start()
        eventually(lambda: self._executes(statements[-1]), f"{self._name} executing {statements[-1]}")

    def repeat(self, *statements: str) -> None:
        """Execute statements again and again in a thread, until the session is closed."""
        self._thread = threading.Thread(target=self._go_round, args=statements, name=self._name)
        self._thread.start()

    def cancel(self) -> None:
        """End what is being executed."""
        self._was_cancelled = True
        self._connection.cancel_safe()

    def close(self) -> None:
        """End, with what is being executed and what is open."""
        self._ended.set()
        if self._thread:
            self.cancel()
            self._thread.join()
        self._connection.close()

    def _go_round(self, *statements: str) -> None:
        while not self._ended.is_set():
            self.run(*statements)

    def _executes(self, text: str) -> bool:
        query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query = %s"
        return bool(self._database.execute(query, self.pid, text))


class Migration:
    """A run of the tool, as a process."""

    def __init__(self, process: "subprocess.Popen[str]", tool: Tool) -> None:
        self._process, self._tool = process, tool
        self._started = time.monotonic()
        self.seconds = 0.0
        self.code: int | None = None
        self.said = ""
        self.was_stopped = False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> None:
        """Wait for its end; psql, which has no deadline, is stopped after some seconds."""
        try:
            _, self.said = self._process.communicate(
                timeout=PSQL_SECONDS if self._tool is Tool.PSQL else PATIENCE_SECONDS
            )
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGINT)
            _, self.said = self._process.communicate(timeout=PATIENCE_SECONDS)
            self.was_stopped = True
        self.seconds = time.monotonic() - self._started
        self.code = self._process.returncode

    def end(self) -> None:
        """End it, whatever it does."""
        if self.code is None:
            self._process.kill()
            self.wait()


@dataclass
class Scene:
    """What a scenario has at hand."""

    database: Database
    folder: Path
    tool: Tool = Tool.PGROLLOUT
    budget_ms: int = BUDGET_MS
    role: str | None = None
    """Who migrates; the superuser, if nobody is named."""
    _made: list[str] = field(default_factory=list)
    _failures: list[str] = field(default_factory=list)
    _canaries: list[Canary] = field(default_factory=list)
    _sampler: Sampler | None = None
    _migration: Migration | None = None

    # What is there before.

    def make(self, text: str) -> None:
        """Make what the application needs."""
        self._made.append(text)
        self.database.execute(text)

    def table(self, name: str, rows: int = 1000, padding: int = 10) -> None:
        """Make a table that canaries can live on; ``padding`` is the length of a text in each row."""
        self.make(
            f"CREATE TABLE {name} (id int PRIMARY KEY, touched int NOT NULL DEFAULT 0, "
            f"amount int DEFAULT 1, padding text) WITH (fillfactor = 90);"
            f"INSERT INTO {name} (id, padding) SELECT i, repeat('x', {padding}) FROM generate_series(1, {rows}) AS i;"
        )

    def slow(self, milliseconds: int = 5) -> None:
        """Make the function ``slow(int)``: work on a row takes this long, and costs this machine nothing."""
        self.make(
            "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
            f"$$ BEGIN PERFORM pg_sleep({milliseconds / 1000}); RETURN $1; END $$;"
        )

    def owner(self, *tables: str) -> None:
        """Let the migration be run by a role that owns the tables, and may neither see nor end what others do."""
        self.role = self.database.make_role("owner")
        self.database.execute(f'GRANT CREATE ON DATABASE "{self.database.name}" TO "{self.role}"')
        for table in tables:
            self.database.execute(f'ALTER TABLE {table} OWNER TO "{self.role}"')

    # Who else is there.

    @contextmanager
    def session(self, name: str) -> Iterator[Session]:
        """Give a session of the application, closed with the block."""
        session = Session(self.database, name, self._failures)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def canaries(self, *tables: str) -> Iterator[None]:
        """Have a reader and a writer on each table, and the sampler, until the block and the migration's backends end."""
        self._sampler = Sampler(self.database)
        self._canaries = [Canary(self.database, table, "reader") for table in tables]
        self._canaries += [Canary(self.database, table, "writer") for table in tables]
        everybody: list[Sampler | Canary] = [self._sampler, *self._canaries]
        for each in everybody:
            each.start()
        try:
            yield
            eventually(lambda: not self._backends(), "the end of the migration's backends")
        finally:
            if self._migration:
                self._migration.end()
            for each in everybody:
                each.stop()

    def failed(self, what: str) -> None:
        """Remember that something of the application, or a dump, failed."""
        self._failures.append(what)

    # The migration.

    def start(self, text: str, **environment: str) -> Migration:
        """Start the migration, version 2."""
        with self.database.connect() as connection:
            connection.execute("CHECKPOINT")  # what was made before shall not disturb
        if self.tool is Tool.PSQL:
            process = self._start_psql(text)
        else:
            project = Project(self.folder, self.database)
            project.write({"1_before.sql": "\n".join(self._made), "2_change.sql": text})
            environment = {"PGROLLOUT_URL": self._url, "PGROLLOUT_STALL_BUDGET_MS": str(self.budget_ms)} | environment
            process = project.start("apply", "--baseline", "1", **environment)
        self._migration = Migration(process, self.tool)
        return self._migration

    def migrate(self, text: str, **environment: str) -> None:
        """Run the migration to its end."""
        self.start(text, **environment).wait()

    def migrate_past(self, text: str, end: Callable[[], Any], **environment: str) -> None:
        """Run the migration to its end; some time after it has connected, end what is in its way."""
        migration = self.start(text, **environment)
        eventually(self._backends, "a backend of the migration")
        time.sleep(AWHILE_SECONDS)
        end()
        migration.wait()

    def until_it_holds(self, table: str, mode: str = "AccessExclusiveLock") -> None:
        """Wait until the migration has locked the table."""
        eventually(lambda: self._holds(table, mode), f"{mode} of the migration on {table}")

    def until_it_waits(self, table: str, mode: str = "AccessExclusiveLock") -> None:
        """Wait until the migration waits for a lock on the table."""
        eventually(lambda: self._holds(table, mode, granted=False), f"the migration waiting for {mode} on {table}")

    def until_it_lets_go(self, table: str, mode: str = "AccessExclusiveLock") -> None:
        """Wait until the migration has no lock on the table, and waits for none; with psql not for ever."""
        deadline = time.monotonic() + (PSQL_SECONDS if self.tool is Tool.PSQL else PATIENCE_SECONDS)
        while self._holds(table, mode, granted=None) and time.monotonic() < deadline:
            time.sleep(0.005)

    def outcome(self) -> Outcome:
        """Return what came of it."""
        assert self._migration is not None
        assert self._migration.code is not None
        assert self._sampler is not None
        failures = [*self._failures, *(canary.failed for canary in self._canaries if canary.failed)]
        return Outcome(
            code=self._migration.code,
            said=self._migration.said,
            was_stopped=self._migration.was_stopped,
            seconds=self._migration.seconds,
            worst=self._sampler.worst,
            samples=self._sampler.samples,
            queued=self._sampler.queued,
            reader_ms=max(canary.worst_ms for canary in self._canaries if canary.kind == "reader"),
            writer_ms=max(canary.worst_ms for canary in self._canaries if canary.kind == "writer"),
            failures=tuple(failures),
        )

    @property
    def _url(self) -> str:
        role = {"user": self.role} if self.role else {}
        return self.database.server.url(self.database.name, **role)

    def _holds(self, table: str, mode: str, *, granted: bool | None = True) -> bool:
        query = (
            "SELECT 1 FROM pg_locks JOIN pg_stat_activity AS own USING (pid) WHERE granted = coalesce(%s, granted) "
            "AND relation = %s::regclass AND mode = %s AND own.application_name LIKE 'pgrollout/%%'"
        )
        return bool(self.database.execute(query, granted, table, mode))

    def _backends(self) -> bool:
        query = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgrollout/%'"
        )
        return bool(self.database.execute(query))

    def _start_psql(self, text: str) -> "subprocess.Popen[str]":
        file = self.folder / "change.sql"
        file.write_text(text)
        # A name that the sampler takes for a migration's.
        environment = os.environ | {"PGAPPNAME": "pgrollout/psql"}
        in_one = [] if "atlas:txmode none" in text else ["--single-transaction"]
        return subprocess.Popen(
            [
                program(self.database, "psql"),
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                *in_one,
                "-f",
                file,
                self._url,
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def program(database: Database, name: str) -> str:
    """Return a client program of the server's version, else the one on PATH."""
    beside = database.server.bin / name
    return str(beside) if beside.exists() else shutil.which(name) or name
