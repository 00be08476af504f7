"""Measured: what a monitoring system learns of a database, whatever state that is in, without writing anything."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgrollout.errors import StatementFailed
from pgrollout.postgres import revisions
from pgrollout.settings import DriftIgnore
from pgrollout.stages import drift, measured
from pgrollout.stages.drift import DriftRequest
from pgrollout.stages.measured import Measured, measure
from tests.project import Project
from tests.servers import Database


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with two files."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "CREATE TABLE b (id int);\n"})
    return project


def known(found: Measured) -> Mapping[str, Any]:
    """Return what there is of the figures."""
    assert found.figures is not None
    return {key: value for key in found.figures.__slots__ if (value := getattr(found.figures, key))}


def test_before_any_run(project: Project) -> None:
    """Without a ledger everything is pending, and nothing is wrong; nothing is written either."""
    before = project.dump()

    found = measure(project.settings())

    assert project.dump() == before
    assert (found.is_up, found.is_readable, found.problems) == (True, True, ())
    assert (found.pending, found.is_refused, found.drifted) == (2, False, None)
    assert known(found) == {}
    assert found.connect_seconds is not None
    assert found.server_version is not None
    assert found.release is not None
    assert found.release.startswith("sha256:")


def test_after_a_run(project: Project) -> None:
    """The newest run, the last success and what is left."""
    project.apply(amount=1)

    found = measure(project.settings())

    figures = known(found)
    assert sorted(figures) == ["last_run", "last_success_at", "runs"]
    assert figures["runs"] == {"done": 1}
    run = figures["last_run"]
    assert run.outcome == "done"
    assert 0 <= run.slowest_step_seconds <= run.seconds <= run.age_seconds
    assert figures["last_success_at"] == pytest.approx(run.started_at + run.seconds)
    assert found.pending == 1
    assert found.state is not None
    assert found.state.current == "1"
    assert found.state.ledger.silent_ms is None


def test_after_a_run_that_failed(project: Project) -> None:
    """The success before it is still known."""
    project.apply(amount=1)
    before = known(measure(project.settings()))["last_success_at"]
    project.write({"2_b.sql": "SELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    figures = known(measure(project.settings()))

    assert figures["runs"] == {"done": 1, "failed": 1}
    assert figures["last_run"].outcome == "failed"
    assert figures["last_success_at"] == before


def test_run_under_way(project: Project) -> None:
    """A run without an end has neither outcome nor duration, and the lease tells its silence."""
    project.apply()
    project.database.execute(
        "UPDATE pgrollout.run SET ended_at = NULL, outcome = NULL; "
        "UPDATE pgrollout.lease SET heartbeat = now() - interval '1 minute'"
    )

    found = measure(project.settings())

    assert found.figures is not None
    assert found.figures.last_run is not None
    assert (found.figures.last_run.outcome, found.figures.last_run.seconds) == (None, None)
    assert found.state is not None
    assert found.state.ledger.silent_ms is not None
    assert found.state.ledger.silent_ms >= 60_000
    assert found.figures.runs == {}


def test_backup_and_check_are_known(project: Project) -> None:
    """When the newest backup was taken and how large it is, and when somebody looked for drift."""
    report = project.apply()
    project.database.execute(
        "INSERT INTO pgrollout.backup (run, place, size_bytes, digest, server_position, taken_at) "
        "VALUES (%s, 'somewhere', 4711, 'sha256:1', '0/0', to_timestamp(1700000000))",
        report.run_id,
    )
    drift.examine(DriftRequest(database=project.settings(), no_directory=True))

    figures = known(measure(project.settings()))

    assert (figures["last_backup_at"], figures["last_backup_bytes"]) == (1_700_000_000, 4711)
    assert figures["last_check_at"] >= figures["last_success_at"]


def test_drift_counts_as_the_check_counts(project: Project) -> None:
    """What somebody changed, less what is accepted; unknown before the first check, after the next run and another tool's."""
    accepted = DriftIgnore.model_validate({"object": "INDEX public.a_*", "reason": "tried out", "until": "2999-12-31"})

    def checked(**values: Any) -> int | None:
        drift.examine(DriftRequest(database=project.settings(), no_directory=True))
        return measure(project.settings(**values)).drifted

    project.apply(amount=1)
    assert measure(project.settings()).drifted is None
    assert checked() == 0
    project.database.execute("CREATE INDEX a_id_idx ON a (id); ALTER TABLE a ADD COLUMN name text")
    assert checked() == 2
    assert checked(drift_ignore=(accepted,)) == 1
    project.apply()
    assert measure(project.settings()).drifted is None
    assert checked() == 2
    project.database.execute(
        "UPDATE atlas_schema_revisions.atlas_schema_revisions SET executed_at = now() + interval '1 h'"
    )
    assert measure(project.settings()).drifted is None


def test_history_that_differs_is_refused(project: Project) -> None:
    """Where a run would refuse, nobody can tell what is pending; the reason is told."""
    project.apply()
    project.write({"1_a.sql": "CREATE TABLE other (id int);\n"})

    found = measure(project.settings())

    assert (found.is_refused, found.pending, found.is_readable) == (True, None, True)
    assert "1_a.sql is not the file that was applied" in found.problems[0]


def test_directory_that_is_not_there(project: Project) -> None:
    """The database is measured all the same."""
    project.apply()

    found = measure(project.settings(migrations="nowhere"))

    assert (found.is_up, found.is_readable, found.pending, found.release) == (True, True, None, None)
    assert known(found)["runs"] == {"done": 1}
    assert "nowhere cannot be read" in found.problems[0]


def test_server_that_is_down(project: Project) -> None:
    """It is measured as such, with the reason, and without the password; the directory is known."""
    found = measure(project.settings(url=SecretStr("postgresql://shop:hunter2@127.0.0.1:9/shop")))

    assert (found.is_up, found.is_readable, found.figures) == (False, False, None)
    assert found.release is not None
    assert found.problems[0].startswith("database default (postgresql://shop:***@127.0.0.1:9/shop, from ")


def test_server_that_says_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the connection and is silent is given up."""
    monkeypatch.setattr(measured, "WAIT_MS", 1000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = measure(project.settings(url=SecretStr(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/shop")))

    assert not found.is_up


def test_variable_that_is_not_set(project: Project) -> None:
    """A database that nobody says how to reach is down, with the reason."""
    found = measure(project.settings(url=None, url_env="SHOP_URL_THAT_IS_NOT_SET"))

    assert not found.is_up
    assert "SHOP_URL_THAT_IS_NOT_SET" in found.problems[0]


def test_ledger_that_may_not_be_read(project: Project) -> None:
    """A role without the right to read it learns that the database is up, and why there is no more."""
    project.apply()
    role = project.database.make_role("reader")
    url = project.database.url.replace("user=postgres", f"user={role}")

    found = measure(project.settings(url=SecretStr(url)))

    assert (found.is_up, found.is_readable, found.pending) == (True, False, None)
    assert "permission denied" in found.problems[0]


def test_ledger_that_is_locked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has it locked is not waited for long."""
    project.apply()
    monkeypatch.setattr(measured, "WAIT_MS", 50)
    with project.database.connect() as other, other.transaction():
        other.execute("LOCK TABLE pgrollout.run")
        found = measure(project.settings(connect_timeout_ms=3000))

    assert (found.is_up, found.is_readable) == (True, False)
    assert "timeout" in found.problems[0]


def test_nobody_waits_for_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open while it reads is a transaction that may not write."""
    project.apply()
    seen: list[tuple[Any, ...]] = []
    read = revisions.read

    def watched(connection: Any, table: Any) -> Any:
        seen.extend(connection.execute("SELECT current_setting('transaction_read_only')").fetchall())
        return read(connection, table)

    monkeypatch.setattr(revisions, "read", watched)

    measure(project.settings())

    assert seen == [("on",)]
