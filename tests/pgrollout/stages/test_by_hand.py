"""By hand: ``set`` and ``resolve``, with who said it and why."""

from pathlib import Path

import pytest

from pgrollout.errors import (
    ExitCode,
    HistoryChanged,
    LockNotAcquired,
    NoOpenIntent,
    StatementFailed,
    UnknownVersion,
    UnresolvedIntent,
)
from pgrollout.postgres.atlas_lock import LOCK_KEY
from pgrollout.stages.by_hand import resolve, set_current
from pgrollout.stages.stage import Outcome
from tests.project import Project, backend_in, lock_holder, observed
from tests.servers import Database

NONE = "-- atlas:txmode none\n\n"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with three files."""
    project = Project(tmp_path, database)
    project.write({f"{n}_{name}.sql": f"CREATE TABLE {name} (id int);\n" for n, name in ((1, "a"), (2, "b"), (3, "c"))})
    return project


def test_set_on_a_database_without_history(project: Project) -> None:
    """Files up to the version are recorded as set by hand, with their hash; the rest runs."""
    edit = set_current(project.settings(), "2", "done by hand")

    assert [migration.version for migration in edit.added] == ["1", "2"]
    assert [row[:5] for row in project.rows()] == [("1", "a", 4, 0, 0), ("2", "b", 4, 0, 0)]
    assert all(row[7] for row in project.rows())
    assert project.database.execute("SELECT kind, version, reason, outcome FROM pgrollout.step") == [
        ("set", "2", "done by hand", "done")
    ]
    report = project.apply()
    assert [file.version for file in report.applied] == ["3"]
    assert not project.exists("a")


def test_set_back_and_forth(project: Project) -> None:
    """Newer rows are deleted, and added again; nothing is run."""
    project.apply()

    assert [row.version for row in set_current(project.settings(), "1", "").removed] == ["2", "3"]
    assert project.versions() == ["1"]
    set_current(project.settings(), None, "")

    assert [row[2] for row in project.rows()] == [2, 4, 4]
    assert project.apply().outcome is Outcome.NOTHING_TO_DO
    assert set_current(project.settings(), "3", "").is_empty


def test_set_settles_a_partial_row(project: Project) -> None:
    """A partial row of the version counts as done, although its file was edited since; the next run goes on after it."""
    project.write({"4_d.sql": f"{NONE}CREATE TABLE d (id int);\nSELECT 1/0;\n", "5_e.sql": "SELECT 1;\n"})
    with pytest.raises(StatementFailed):
        project.apply()
    project.write({"4_d.sql": f"{NONE}CREATE TABLE d (id int);\nSELECT 1;\n"})

    set_current(project.settings(), "4", "the rest was not needed")

    row = project.rows()[3]
    assert row[:5] == ("4", "d", 6, 2, 2)
    assert [file.version for file in project.apply().applied] == ["5"]


def test_set_refuses_an_unknown_version(project: Project) -> None:
    """Only a file's version can be set; nothing is written."""
    before = project.dump()

    with pytest.raises(UnknownVersion) as caught:
        set_current(project.settings(), "9", "")

    assert caught.value.code is ExitCode.USAGE
    assert project.dump() == before


def test_set_dry_run(project: Project) -> None:
    """A dry run says what would be done, and writes nothing."""
    before = project.dump()

    edit = set_current(project.settings(), "2", "", dry_run=True)

    assert [migration.version for migration in edit.added] == ["1", "2"]
    assert project.dump() == before


def test_set_beside_a_run(project: Project) -> None:
    """While somebody has the lock, nothing is changed; tried once, as Atlas does."""
    with lock_holder(project.database, LOCK_KEY), pytest.raises(LockNotAcquired):
        set_current(project.settings(), "2", "")

    assert not project.exists("atlas_schema_revisions.")


STOPS = "DO $$ BEGIN COMMIT; PERFORM pg_sleep(3600); END $$;"
GOES = "DO $$ BEGIN COMMIT; END $$;"


@pytest.fixture
def interrupted(project: Project) -> Project:
    """A project whose last run lost its connection in code that commits: nothing tells how much of that took effect."""
    project.write({"4_d.sql": f"{NONE}VACUUM a;\n{STOPS}\nCREATE TABLE d (id int);\n"})
    project.apply(amount=3)
    with observed(project.start("apply")) as process:
        pid = backend_in(project.database, STOPS, alone=True)
        project.database.execute("SELECT pg_terminate_backend(%s)", pid)
        process.communicate(timeout=60)
    with pytest.raises(UnresolvedIntent):
        project.apply()
    return project


def test_resolve_as_done(interrupted: Project) -> None:
    """The row counts the statement as applied, with its partial hashes, and the run goes on after it."""
    intent = resolve(interrupted.settings(), "4", 2, took_effect=True, reason="looked at pg_stat_user_tables")

    assert intent.statement == STOPS
    row = interrupted.rows()[3]
    assert row[3:7] == (2, 3, "", "")
    assert len(row[8]) == 2
    report = interrupted.apply()
    assert [(file.version, file.statements) for file in report.applied] == [("4", 1)]


def test_resolve_as_run_again(interrupted: Project) -> None:
    """The row stays as it is, and the next run executes the statement."""
    before = interrupted.rows()

    resolve(interrupted.settings(), "4", 2, took_effect=False, reason="it was cancelled")

    assert interrupted.rows() == before
    interrupted.write({"4_d.sql": f"{NONE}VACUUM a;\n{GOES}\nCREATE TABLE d (id int);\n"})
    report = interrupted.apply()
    assert [(file.version, file.statements) for file in report.applied] == [("4", 2)]


@pytest.mark.parametrize(("took_effect", "outcome"), [(True, "resolved: done"), (False, "resolved: run again")])
def test_resolve_is_kept(interrupted: Project, took_effect: bool, outcome: str) -> None:
    """The intent has an end, and a step of its own says who settled it, how and why, in a run of its own."""
    why = "it's in the log"

    resolve(interrupted.settings(), "4", 2, took_effect=took_effect, reason=why)

    assert interrupted.database.execute(
        "SELECT s.kind, s.outcome, s.reason, s.statement, s.ended_at IS NOT NULL, r.outcome, r.reason "
        "FROM pgrollout.step s JOIN pgrollout.run r ON r.id = s.run WHERE s.version = '4' AND s.position = 2 ORDER BY s.id"
    ) == [
        ("alone", outcome, why, STOPS, True, "failed", ""),
        ("resolve", "done", why, outcome, True, "done", why),
    ]


def test_resolve_something_nobody_asks_for(interrupted: Project) -> None:
    """Only an open intent can be resolved; the error lists those that are."""
    with pytest.raises(NoOpenIntent, match="4 statement 2"):
        resolve(interrupted.settings(), "4", 1, took_effect=True, reason="a slip")

    resolve(interrupted.settings(), "4", 2, took_effect=True, reason="seen")
    with pytest.raises(NoOpenIntent):
        resolve(interrupted.settings(), "4", 2, took_effect=True, reason="twice")


def test_resolve_an_edited_statement(interrupted: Project) -> None:
    """What is another statement now cannot have been done; it can be run, though."""
    interrupted.write({"4_d.sql": f"{NONE}VACUUM a;\n{GOES}\nCREATE TABLE d (id int);\n"})

    with pytest.raises(HistoryChanged, match="statement 2"):
        resolve(interrupted.settings(), "4", 2, took_effect=True, reason="seen")

    resolve(interrupted.settings(), "4", 2, took_effect=False, reason="another one now")
    interrupted.apply()
    assert interrupted.rows()[3][3:5] == (3, 3)


def test_set_settles_open_intents(interrupted: Project) -> None:
    """Setting a version settles what was open about it."""
    set_current(interrupted.settings(), "4", "all of it is there")

    assert interrupted.apply().outcome is Outcome.NOTHING_TO_DO
    assert interrupted.database.execute("SELECT count(*) FROM pgrollout.step WHERE ended_at IS NULL") == [(0,)]
