"""
What the tests of flows share: one Prefect server for the whole process, and a project that flows of this process migrate.

The server's database is upgraded once and kept by pytest's cache; each server works on a copy.
"""

import fcntl
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tests.prefect_home  # noqa: F401  before Prefect is imported
from tests.project import Project, eventually
from tests.servers import Database, free_port

FAST = {
    "PREFECT_API_DATABASE_MIGRATE_ON_START": "0",
    "PREFECT_SERVER_UI_ENABLED": "0",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a Prefect server, before ``-m`` chooses."""
    for item in items:
        if {"prefect_server", "prefect_home"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("prefect")


@pytest.fixture(scope="session")
def upgraded(request: pytest.FixtureRequest) -> Path:
    """A Prefect database with all tables; making one takes ten seconds."""
    import prefect

    folder = request.config.cache.mkdir(f"prefect-{prefect.__version__}")
    cached, new = folder / "prefect.db", folder / "new.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cached.exists():
            new.unlink(missing_ok=True)
            subprocess.run(
                [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
                env=os.environ | {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{new}"},
                check=True,
                capture_output=True,
            )
            new.rename(cached)
    return cached


@pytest.fixture
def prefect_home(tmp_path: Path, upgraded: Path) -> Path:
    """A PREFECT_HOME of this test's own, its database ready; for processes that start their own server."""
    home = tmp_path / "prefect home"
    home.mkdir()
    shutil.copy(upgraded, home / "prefect.db")
    return home


class PrefectServer:
    """A standing Prefect server in a process of its own."""

    def __init__(self, folder: Path, upgraded: Path, **environment: str) -> None:
        self._port = free_port()
        self._environment = os.environ | FAST | {"PREFECT_HOME": str(folder)} | environment
        self.url = f"http://127.0.0.1:{self._port}/api"
        self.log = folder / "server.log"
        shutil.copy(upgraded, folder / "prefect.db")
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", "server", "start", "--port", str(self._port), "--no-ui"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it answers."""
        import httpx

        def answers() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"Prefect's server ended:\n{self.log.read_text()[-2000:]}")
            try:
                return httpx.get(f"{self.url}/health", timeout=1).status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, "a Prefect server that answers")

    def kill(self) -> None:
        """End it, as a machine that fails does."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it where it was, and return when it answers."""
        self.process = self._start()
        self.wait()


@contextmanager
def started(folder: Path, upgraded: Path, **environment: str) -> Iterator[PrefectServer]:
    """Run a server while the block lasts."""
    server = PrefectServer(folder, upgraded, **environment)
    try:
        server.wait()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, upgraded: Path) -> Iterator[PrefectServer]:
    """The Prefect server of the test process; flows of this process report to it, without Prefect's heartbeat of a second."""
    from prefect import settings

    with (
        started(tmp_path_factory.mktemp("prefect"), upgraded) as server,
        settings.temporary_settings(
            {settings.PREFECT_API_URL: server.url, settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        ),
    ):
        yield server
        send_everything()


def send_everything() -> None:
    """Let Prefect's threads send what they still have: at the end of the process they would look for the server."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.utilities.asyncutils import run_coro_as_sync

    async def drained() -> None:
        for worker in (APILogWorker, EventsWorker):
            ended = worker.drain_all()
            if inspect.isawaitable(ended):
                await ended

    run_coro_as_sync(drained())


@pytest.fixture
def project(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that flows of this process find, with two files; its shadow is left out where a test does not ask for it."""
    project = Project(tmp_path, database)
    project.write(
        {
            "1_authors.sql": "-- Who writes.\nCREATE TABLE authors (id int PRIMARY KEY);\n",
            "2_books.sql": "-- What they write.\nCREATE TABLE books (author_id int REFERENCES authors);\n",
        }
    )
    (tmp_path / "pgrollout.toml").write_text('[database.shop]\nalert_url_env = "SHOP_ALERTS"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGROLLOUT_URL", database.url)
    monkeypatch.setenv("PGROLLOUT_SHADOW_SERVER", "none")
    return project
