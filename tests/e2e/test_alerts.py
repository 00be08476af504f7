"""
Alerts, from a run that ends badly to the people who are told: a Prefect server on PostgreSQL, and a receiver on this machine.

Needs no cluster. Windows are seconds here.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import get_client
from prefect.automations import AutomationCore
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import EventTrigger
from prefect.flow_engine import run_flow

import tests.prefect_home  # noqa: F401  before Prefect is imported
from flows.alerts import Wanted, Windows, register_alerts, wanted
from flows.check_drift import check_drift
from flows.migrate import migrate
from tasks.validate import validate
from tests.flows.conftest import send_everything
from tests.project import AT_THE_GATE, GATE, Project, backend_in, eventually, lock_holder
from tests.servers import Database, Servers, free_port, fresh_database
from tests.webhook import Webhook, receiving

# By Apprise, which Prefect sends with.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")]

SHORT = timedelta(seconds=10)
"""The shortest that Prefect takes."""
NEVER = timedelta(0)
ENTRYPOINTS = {"migrate": "flows.migrate.migrate", "check-drift": "flows.check_drift.check_drift"}


class PrefectServer:
    """A standing Prefect server on PostgreSQL, as in production: on SQLite automations lose alerts."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.port = free_port()
        self.ui = f"http://127.0.0.1:{self.port}/v2"
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.log = folder / "server.log"
        server = database.server
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "server", "start", "--port", str(self.port), "--no-ui"],
                env=os.environ
                | {
                    "PREFECT_HOME": str(folder),
                    "PREFECT_UI_URL": self.ui,
                    "PREFECT_SERVER_DATABASE_CONNECTION_URL": (
                        f"postgresql+asyncpg://{server.user}@/{database.name}?host={server.host}&port={server.port}"
                    ),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Whether it does."""
        if self.process.poll() is not None:
            pytest.fail(f"Prefect's server ended:\n{self.log.read_text()[-2000:]}")
        try:
            return httpx.get(f"{self.url}/health", timeout=1).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[PrefectServer]:
    """One server for all tests of this module: alerts belong to a database, and each test has its own."""
    from prefect import settings

    with fresh_database(servers.get(15)) as database:
        server = PrefectServer(tmp_path_factory.mktemp("prefect"), database)
        try:
            eventually(server.answers, "a Prefect server that answers")
            chosen: dict[Any, Any] = {
                settings.PREFECT_API_URL: server.url,
                settings.PREFECT_UI_URL: server.ui,
                settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            }
            with settings.temporary_settings(chosen):
                yield server
                send_everything()
        finally:
            server.process.terminate()
            server.process.wait(30)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """The receiver."""
    with receiving() as webhook:
        yield webhook


class Shop:
    """A database with a project, its two deployments, and a receiver of its alerts."""

    def __init__(self, project: Project, webhook: Webhook, server: PrefectServer) -> None:
        self.project, self.webhook, self.server = project, webhook, server
        self.name = project.database.name.replace("test_", "shop")
        (project.root / "pgrollout.toml").write_text(f"[database.{self.name}]\n")
        with get_client(sync_client=True) as client:
            for flow, deployment in ((migrate, self.name), (check_drift, f"{self.name}-drift")):
                client.create_deployment(
                    flow_id=client.create_flow(flow),
                    name=deployment,
                    entrypoint=ENTRYPOINTS[flow.name],
                    parameters={"request": {"database": self.name}},
                )

    def register(self, **windows: timedelta) -> tuple[str, ...]:
        """Register its alerts; windows that are not named are never."""
        never = {"under_way": NEVER, "without_check": NEVER, "without_heartbeat": NEVER}
        channels = wanted({"PGROLLOUT_ALERT_WEBHOOK_URL": self.webhook.url}).channels
        return register_alerts([self.name], Wanted(channels, Windows(**(never | windows))))

    def asked_for(self, flow: Any = migrate) -> FlowRun:
        """Ask for a run of the flow's deployment."""
        name = self.name if flow is migrate else f"{self.name}-drift"
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(f"{flow.name}/{name}")
            return client.create_flow_run_from_deployment(deployment.id)

    def run(self, flow: Any = migrate) -> FlowRun:
        """Run the flow's deployment in this process, as a worker does in one of its own."""
        asked = self.asked_for(flow)
        run_flow(flow, flow_run=asked, parameters=flow.validate_parameters(asked.parameters), return_type="state")
        return asked

    def start(self) -> "tuple[FlowRun, subprocess.Popen[bytes]]":
        """Run deployment migrate in a process of its own, with nobody who looks after it."""
        asked = self.asked_for()
        environment = {"PREFECT_API_URL": self.server.url, "PREFECT__FLOW_RUN_ID": str(asked.id)}
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect.engine", str(asked.id)], env=os.environ | environment, cwd=self.project.root
        )
        return asked, process

    def texts(self) -> list[str]:
        """Return what was told so far."""
        return [each["text"] for each in self.webhook.got]

    def told(self, count: int = 1) -> list[str]:
        """Wait until so much was told, and return it all."""
        eventually(lambda: len(self.texts()) >= count, f"{count} alerts of {self.name}")
        return self.texts()

    def page(self, run: FlowRun) -> str:
        """Return the address of the run's page."""
        return f"{self.server.ui}/runs/flow-run/{run.id}"


@pytest.fixture
def shop(
    tmp_path: Path,
    database: Database,
    webhook: Webhook,
    prefect_server: PrefectServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    """A shop with one file, which flows of this process find."""
    project = Project(tmp_path, database)
    project.write({"1_authors.sql": "-- Who writes.\nCREATE TABLE authors (id int PRIMARY KEY);\n"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGROLLOUT_URL", database.url)
    monkeypatch.setenv("PGROLLOUT_SHADOW_SERVER", "none")
    monkeypatch.setenv("PGROLLOUT_BACKUP", "none")
    return Shop(project, webhook, prefect_server)


def test_failed_run_is_told_once(shop: Shop) -> None:
    """Database, stage, error and link arrive once, by the server alone; the next run that fails is told again."""
    first, again = shop.register(), shop.register()
    shop.project.write({"2_fail.sql": "-- No.\nSELECT 1 / 0;\n"})

    runs = [shop.run(), shop.run()]

    assert again == first
    texts = shop.told(2)
    for text, run in zip(texts, runs, strict=True):
        subject, error, *_, page = text.splitlines()
        assert subject == f"migrate of database {shop.name}: Failed at stage apply"
        assert error == "StatementFailed: 2_fail.sql:2:1: division by zero (SQLSTATE 22012)"
        assert page == shop.page(run)
    assert not (shop.project.root / ".pgrollout" / "alerts").exists()


def test_drift_is_told(shop: Shop) -> None:
    """A check that finds something names the objects; one that finds nothing is not told."""
    shop.register()
    shop.run()
    shop.run(check_drift)
    shop.project.database.execute("ALTER TABLE authors ADD COLUMN name text")

    run = shop.run(check_drift)

    (text,) = shop.told()
    assert text.startswith(f"check-drift of database {shop.name}: Failed at stage drift\nDriftFound: ")
    assert "authors.name" in text
    assert text.endswith(shop.page(run))


def test_database_that_is_not_reached_is_told_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has an alert of its own, in the place of that of a failed run."""
    shop.register()
    monkeypatch.setattr(validate, "retry_delay_seconds", [0.01])
    with monkeypatch.context() as patched:
        patched.setenv("PGROLLOUT_URL", "postgresql://shop@127.0.0.1:9/shop")
        away = shop.run()
    shop.project.write({"2_fail.sql": "-- No.\nSELECT 1 / 0;\n"})
    shop.run()

    unreachable, failed = shop.told(2)

    assert unreachable.splitlines()[0] == f"database {shop.name} cannot be reached: migrate failed at stage validate"
    assert "ServerUnavailable: database" in unreachable
    assert unreachable.endswith(shop.page(away))
    assert failed.startswith(f"migrate of database {shop.name}: Failed at stage apply")


def test_killed_run_is_told(shop: Shop) -> None:
    """A run whose process is gone is found by its silence, and told as one that crashed, with the stage it was at."""
    shop.register(without_heartbeat=SHORT)
    shop.project.write({"2_wait.sql": f"-- Long.\n{AT_THE_GATE};\n"})
    with lock_holder(shop.project.database, GATE):
        run, process = shop.start()
        backend_in(shop.project.database, "DO $$ BEGIN WHILE NOT")
        process.send_signal(signal.SIGKILL)
        process.wait()

        (text,) = shop.told()

    subject, error, page = text.splitlines()
    assert subject == f"migrate of database {shop.name}: Crashed at stage apply"
    assert error.startswith("No sign of life for 10 seconds: its process is gone")
    assert page == shop.page(run)


def test_long_run_is_told(shop: Shop) -> None:
    """A run that goes on is told once with the stage it is at, and not stopped."""
    shop.register(under_way=SHORT)
    shop.project.write({"2_wait.sql": f"-- Long.\n{AT_THE_GATE};\n"})
    with lock_holder(shop.project.database, GATE):
        run, process = shop.start()
        (text,) = shop.told()

    assert process.wait() == 0
    assert shop.project.versions() == ["1", "2"]
    subject, _, page = text.splitlines()
    assert subject == f"migrate of database {shop.name}: under way for more than 10 seconds, at stage apply"
    assert page == shop.page(run)
    assert shop.texts() == [text]


def test_missing_check_is_told(shop: Shop) -> None:
    """Where no check has ended well in time it is told: also if there never was one, and once more after the last good one."""
    shop.run()
    shop.register(without_check=SHORT)
    never, *_ = shop.told()
    run = shop.run(check_drift)

    # While that lasts it is told again, and this machine may be slow.
    (since,) = eventually(
        lambda: [text for text in shop.texts() if text.endswith(shop.page(run))][:1], "the next alert"
    )

    assert (
        never.splitlines()[0] == since.splitlines()[0] == f"no good drift check of database {shop.name} for 10 seconds"
    )
    assert f"deployment check-drift/{shop.name}-drift" in never


def test_channel_that_is_not_wanted_any_more_is_gone(shop: Shop) -> None:
    """Without a channel nothing of ours is left on the server, what others made stays, and the run itself tells."""
    with get_client(sync_client=True) as client:
        before = {each.name for each in client.read_automations()}
        shop.register()
        (failed,) = client.read_automations_by_name(f"pgrollout {shop.name}: run failed")
        mine = failed.model_dump() | {"name": f"{shop.name} of somebody else", "enabled": False}
        others = AutomationCore.model_validate(mine)
        client.create_automation(others)
        registered = register_alerts([shop.name], Wanted({}, Windows(NEVER, NEVER, NEVER)))
        after = {each.name for each in client.read_automations()}
    shop.project.write({"2_fail.sql": "-- No.\nSELECT 1 / 0;\n"})

    run = shop.run()

    assert registered == ()
    assert after == before | {others.name}
    assert [path.name for path in (shop.project.root / ".pgrollout" / "alerts").iterdir()] == [str(run.id)]
    assert not shop.texts()


def test_every_channel_is_told(shop: Shop) -> None:
    """By the webhook and by Apprise, which sends for all others: here with its URL for JSON, to the same receiver."""
    address = {"WEBHOOK": shop.webhook.url, "EMAIL": shop.webhook.url.replace("http:", "json:")}
    channels = wanted({f"PGROLLOUT_ALERT_{channel}_URL": url for channel, url in address.items()}).channels
    register_alerts([shop.name], Wanted(channels, Windows(NEVER, NEVER, NEVER)))
    shop.project.write({"2_fail.sql": "-- No.\nSELECT 1 / 0;\n"})

    run = shop.run()

    eventually(lambda: len(shop.webhook.got) == 2, "both")
    (plain,) = (each["text"] for each in shop.webhook.got if "text" in each)
    (apprise,) = (each for each in shop.webhook.got if "text" not in each)
    assert plain == f"{apprise['title']}\n{apprise['message']}"
    assert plain.endswith(shop.page(run))
    assert apprise["type"] == "failure"


def test_what_is_switched_off_stays_off(shop: Shop) -> None:
    """An alert that an operator has switched off is not switched on by a registration, also where it is made anew."""
    name = f"pgrollout {shop.name}: run under way for long"
    shop.register(under_way=SHORT)
    with get_client(sync_client=True) as client:
        (before,) = client.read_automations_by_name(name)
        client.pause_automation(before.id)

        shop.register(under_way=2 * SHORT)

        (after,) = client.read_automations_by_name(name)
    assert isinstance(after.trigger, EventTrigger)
    assert (after.trigger.within, after.enabled) == (2 * SHORT, False)


def test_registration_makes_them(shop: Shop) -> None:
    """What is registered has its alerts with it; where nobody is to be told any more they are gone."""

    def register(**environment: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-m", "flows.register"],
            cwd=shop.project.root,
            env=os.environ | {"PREFECT_API_URL": shop.server.url, "PGROLLOUT_WORK_POOL": shop.name} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {line.removeprefix("alert  ") for line in done.stdout.splitlines() if line.startswith("alert  ")}

    made, left = register(PGROLLOUT_ALERT_WEBHOOK_URL=shop.webhook.url), register()

    assert len(made) == 5
    assert left == {f"pgrollout {shop.name}: run without a sign of life"}
    with get_client(sync_client=True) as client:
        there = {each.name for each in client.read_automations() if each.name.startswith(f"pgrollout {shop.name}:")}
    assert there == left
