"""Failure: an alert for each run that failed, once, from whatever process; and nothing secret where Prefect keeps it."""

import logging
import sqlite3
from pathlib import Path
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from flows.failure import tell_operator
from flows.migrate import DEFAULT, MigrateRequest, migrate, run
from flows.pipeline import LATEST
from pgrollout.errors import ConfigurationError, ExitCode
from pgrollout.postgres.atlas_lock import LOCK_KEY
from tasks.apply import apply
from tasks.backup import backup
from tasks.hash import hash
from tasks.validate import validate
from tasks.verify import verify
from tests.flows.conftest import PrefectServer
from tests.project import Project, eventually, lock_holder

SECRET = "hunter2-correct-horse"


def newest_run() -> FlowRun:
    """Return the run that Prefect's server saw last."""
    with get_client(sync_client=True) as client:
        return max(client.read_flow_runs(), key=lambda each: str(each.created))


@pytest.fixture
def failed(project: Project, prefect_server: PrefectServer) -> FlowRun:
    """A run that failed at stage apply, as Prefect's server knows it."""
    (project.root / "pgrollout.toml").write_text("[database.shop]\n")
    project.write({"3_fail.sql": "-- No.\nSELECT 1 / 0;\n"})
    assert run(DEFAULT)[0] is ExitCode.FAILED
    return newest_run()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the pauses."""
    for task in (validate, hash, backup, apply, verify):
        monkeypatch.setattr(task, "retry_delay_seconds", [0.01])


def recorded(run_id: UUID) -> list[str]:
    """Return the names of a run's task runs that Prefect's server has written down: it does so once in a second."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return [task.name for task in client.read_task_runs(flow_run_filter=chosen)]


def told(project: Project) -> list[str]:
    """Return the runs that were told."""
    return [path.name for path in (project.root / ".pgrollout" / "alerts").iterdir()]


def test_webhook_that_is_down_changes_nothing(
    project: Project, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A webhook that nobody answers is a warning; the exit code is the run's own."""
    monkeypatch.setenv("SHOP_ALERTS", "http://127.0.0.1:9/")
    project.write({"3_drop.sql": "-- Gone.\nDROP TABLE books;\n"})

    assert run(DEFAULT)[0] is ExitCode.REFUSED
    assert 'alert not sent reason="SHOP_ALERTS cannot be reached' in caplog.text


def test_run_is_told_once(failed: FlowRun, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """A second hook of the same run, a worker's for one, stays silent."""
    caplog.clear()

    tell_operator(flow=migrate, flow_run=failed, state=Crashed(message="The process is gone."))

    assert told(project) == [str(failed.id)]
    assert "run failed" not in caplog.text


def test_another_process_tells_the_same(
    failed: FlowRun, project: Project, prefect_server: PrefectServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Where only Prefect's server remembers the run, as after a SIGKILL, the alert still names database, stage and page."""
    eventually(
        lambda: any(name.startswith("apply ") for name in recorded(failed.id)), "apply among what the server has"
    )
    caplog.clear()
    (project.root / ".pgrollout" / "alerts" / str(failed.id)).unlink()
    LATEST.clear()

    tell_operator(flow=migrate, flow_run=failed, state=Crashed(message="The process is gone."))

    (text,) = {record.getMessage() for record in caplog.records if record.name == "pgrollout.alert"}
    assert text.splitlines() == [
        f"run failed flow_run={failed.id}",
        "migrate of database shop: Crashed at stage apply",
        "The process is gone.",
        f"{prefect_server.url.removesuffix('/api')}/runs/flow-run/{failed.id}",
    ]


def test_unknown_database_is_refused(project: Project, prefect_server: PrefectServer) -> None:
    """A database that the configuration does not have ends the flow with an error that says so, started from anywhere."""
    with pytest.raises(ConfigurationError, match=r"there is no \[database.nope\]"):
        migrate(MigrateRequest(database="nope"))

    state = newest_run().state
    assert state is not None
    assert state.is_failed()
    assert "there is no [database.nope]" in (state.message or "")


def logged(run_id: UUID) -> str:
    """Return what Prefect's server has of a run's log."""
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return "\n".join(log.message for log in client.read_logs(wanted, limit=200))


def kept(folder: Path) -> bytes:
    """Return everything that Prefect's server has written down."""
    with sqlite3.connect(folder / "prefect.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(FULL)")
    connection.close()
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_retry_goes_on_where_waiting_has_cured(
    project: Project, prefect_server: PrefectServer, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try finds the database's lock held, is told to the log, and the second applies the files."""
    monkeypatch.setenv("PGROLLOUT_WAIT_FOR_RUN_MS", "0")
    with lock_holder(project.database, LOCK_KEY) as holder:
        heard: list[str] = []

        class Releasing(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if "Retry 1/3" in record.getMessage():
                    heard.append(record.getMessage())
                    holder.execute("SELECT pg_advisory_unlock_all()")

        logger, releasing = logging.getLogger("prefect.task_runs"), Releasing()
        logger.addHandler(releasing)
        try:
            code, _ = run(DEFAULT)
        finally:
            logger.removeHandler(releasing)

    assert len(heard) == 1
    assert "LockNotAcquired" in heard[0]
    assert code is ExitCode.DONE
    assert project.versions() == ["1", "2"]


def test_log_of_the_run_names_stage_and_error(failed: FlowRun) -> None:
    """Whoever opens the run's page reads what went wrong without reading a traceback."""
    eventually(lambda: "Finished in state Failed('Flow" in logged(failed.id), "the end of the run's log")

    before, _, _ = logged(failed.id).partition("Traceback")

    assert "stage failed stage=apply\n3_fail.sql:2:1: division by zero" in before


@pytest.mark.parametrize("fault", ["no statement", "no server", "nothing"])
def test_password_is_not_kept(
    fault: str,
    project: Project,
    prefect_server: PrefectServer,
    hurried: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The URL's password is in no parameter, state, log, artifact or event, whatever happens; nor on the terminal."""
    url = f"{project.database.url}&password={SECRET}"
    if fault == "no server":
        url = f"postgresql://shop:{SECRET}@127.0.0.1:9/shop"
    if fault == "no statement":
        project.write({"3_role.sql": f"-- No.\nCREATE ROLE postgres PASSWORD '{SECRET}';\n"})
    monkeypatch.setenv("PGROLLOUT_URL", url)

    code, report = run(MigrateRequest(reason="a secret"))

    assert report is not None
    assert code is {"nothing": ExitCode.DONE, "no server": ExitCode.WAIT, "no statement": ExitCode.FAILED}[fault]
    assert SECRET not in report.to_json(code)
    assert SECRET not in "".join(capfd.readouterr())
    run_id = newest_run().id
    eventually(lambda: "Finished in state" in logged(run_id), "the end of the run's log")
    found = kept(prefect_server.log.parent)
    assert b"a secret" in found
    assert SECRET.encode() not in found
