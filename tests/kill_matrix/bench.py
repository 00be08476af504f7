"""
Bench: what one worker needs to run cases: servers of its own, a database like the scenario's for each case, and runs.

The servers are the worker's own because some cases stop them. A database is a copy of one to which the scenario's base has
been applied once.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.kill_matrix.nursery import Child, Nursery
from tests.kill_matrix.scenarios import FILE_1, Scenario
from tests.kill_matrix.server_log import SETTINGS, ServerLog
from tests.project import Project
from tests.servers import Database, Server, Servers

ENVIRONMENT = {"PGROLLOUT_LEASE_TIMEOUT_MS": "1000", "PGROLLOUT_WAIT_FOR_RUN_MS": "8000", "NO_COLOR": "1"}
RUN_SECONDS = 60.0


@dataclass(eq=False)
class Run:
    """One process of ``pgrollout``."""

    child: Child
    _output: Path

    def wait(self, seconds: float = RUN_SECONDS) -> int:
        """Return how it ended; one that does not end is an error, and killed."""
        code = self.child.poll(seconds)
        if code is None:
            self.kill()
            raise AssertionError(f"the run did not end within {seconds:.0f} s; it said:\n{self.said}")
        return code

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self.child.poll() is not None

    @property
    def said(self) -> str:
        """What it wrote, on both streams."""
        return self._output.read_text() if self._output.exists() else ""

    @property
    def last_words(self) -> str:
        """The last line of that."""
        return next((line.strip() for line in reversed(self.said.splitlines()) if line.strip()), "nothing")

    def kill(self) -> None:
        """End it, frozen or not."""
        self.child.send_signal(signal.SIGKILL)
        self.child.poll(RUN_SECONDS)


@dataclass(frozen=True)
class Logged:
    """A server and its log."""

    server: Server
    log: ServerLog


class Bench:
    """One worker's servers."""

    def __init__(self) -> None:
        self._servers = Servers()
        self._logged: dict[int, Logged] = {}
        self._templates: dict[tuple[str, int], str] = {}
        self._count = 0
        self._nursery = Nursery()
        self._folder = Path(tempfile.mkdtemp(prefix="pgr-kill-", dir="/tmp"))

    def close(self) -> None:
        """Stop and remove everything."""
        self._nursery.close()
        self._servers.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def logged(self, version: int) -> Logged:
        """Return the server of this version, which logs everything."""
        if version not in self._logged:
            made = self._servers.get(version)
            server = replace(made, settings={**made.settings, **SETTINGS, "autovacuum": "off"})
            made.stop()
            server.start()
            self._logged[version] = Logged(server, ServerLog(server.folder / "data"))
        return self._logged[version]

    @contextmanager
    def project(self, scenario: Scenario, version: int) -> Iterator[Project]:
        """Give a project whose database has the scenario's base, and whose files are pending."""
        server = self.logged(version).server
        template = self._template(scenario, version)
        with self._database(server, template) as database, self._root() as root:
            project = Project(root, database)
            files = {name: text.replace("{db}", database.name) for name, text in scenario.files.items()}
            if scenario.base is not None:
                files[FILE_1] = scenario.base
            project.write(files)
            yield project

    def start(self, project: Project, *arguments: str, url: str | None = None, **more: str) -> Run:
        """Start ``pgrollout`` on a project's database, or where the URL leads, with more in its environment."""
        self._count += 1
        output = self._folder / f"run_{self._count}.out"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
        environment = kept | ENVIRONMENT | {"PGROLLOUT_URL": url or project.database.url} | more
        return Run(self._nursery.start(arguments, project.root, environment, output), output)

    @contextmanager
    def _root(self) -> Iterator[Path]:
        root = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield root
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _template(self, scenario: Scenario, version: int) -> str:
        if scenario.base is None:
            return "template0"
        key = scenario.base, version
        if key not in self._templates:
            server = self.logged(version).server
            database = Database(server, f"base_{len(self._templates)}")
            with server.connect() as connection:
                connection.execute(f"CREATE DATABASE {database.name} TEMPLATE template0 ENCODING 'UTF8'")
            with self._root() as root:
                project = Project(root, database)
                project.write({FILE_1: scenario.base})
                run = self.start(project, "apply")
                if run.wait() != 0:
                    raise AssertionError(f"the base of {scenario.name} failed:\n{run.said}")
            self._templates[key] = database.name
        return self._templates[key]

    @contextmanager
    def _database(self, server: Server, template: str) -> Iterator[Database]:
        self._count += 1
        database = Database(server, f"case_{self._count}")
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {database.name} TEMPLATE {template}")
            # A copied sequence would start again where the original was when the server crashes before a checkpoint.
            connection.execute("CHECKPOINT")
        try:
            yield database
        finally:
            with server.connect() as connection:
                for name in (database.name, f"{database.name}_made"):
                    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
