"""Stage apply: what is run, what is refused, and that it is exactly once whatever dies."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

from pgrollout.errors import (
    AppliedFileEdited,
    AppliedFileGone,
    ExitCode,
    LockNotAcquired,
    NotClean,
    OutOfOrder,
    PgrolloutError,
    PlanChanged,
    ReleaseChanged,
    StatementFailed,
    SumFileMissing,
    UnknownVersion,
)
from pgrollout.postgres.atlas_lock import LOCK_KEY
from pgrollout.stages.apply import TakenBackup
from pgrollout.stages.reviewed import read_reviewed
from pgrollout.stages.stage import Outcome
from tests.project import (
    AT_THE_GATE,
    GATE,
    Project,
    Relay,
    backend_in,
    eventually,
    is_gone,
    lock_holder,
    observed,
    waiting_for_its_turn,
)
from tests.servers import Database

NONE = "-- atlas:txmode none\n\n"
# A statement that lasts until its backend is ended or cancelled.
FOR_EVER = "SELECT pg_sleep(3600)"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project on PostgreSQL 18."""
    return Project(tmp_path, database)


@pytest.fixture
def any_project(tmp_path: Path, any_database: Database) -> Project:
    """A project on each version."""
    return Project(tmp_path, any_database)


def three(project: Project) -> None:
    """Write three files that make a table each."""
    project.write({f"{n}_{name}.sql": f"CREATE TABLE {name} (id int);\n" for n, name in ((1, "a"), (2, "b"), (3, "c"))})


# What is run.


def test_report_tells_what_was_applied(any_project: Project) -> None:
    """The report names files, versions before and after, plan and release; a second run has nothing to do."""
    three(any_project)

    first = any_project.apply(reason="the first")
    second = any_project.apply()

    assert (first.outcome, first.before, first.after) == (Outcome.DONE, None, "3")
    assert [(file.name, file.version, file.statements) for file in first.applied] == [
        ("1_a.sql", "1", 1),
        ("2_b.sql", "2", 1),
        ("3_c.sql", "3", 1),
    ]
    assert (second.outcome, second.before, second.after, second.applied) == (Outcome.NOTHING_TO_DO, "3", "3", ())
    assert second.release == first.release
    assert any_project.database.execute("SELECT id, release, plan, outcome, reason, history FROM pgrollout.run") == [
        (first.run_id, first.release, first.plan, "done", "the first", "atlas_schema_revisions")
    ]


def test_target_and_amount(project: Project) -> None:
    """A target is inclusive, an amount counts files, a target that is applied already leaves nothing to do."""
    three(project)

    assert project.apply(to_version="1").after == "1"
    assert project.apply(to_version="1").outcome is Outcome.NOTHING_TO_DO
    assert project.apply(amount=1).after == "2"
    with pytest.raises(UnknownVersion):
        project.apply(to_version="4")
    assert project.apply(amount=10).after == "3"


def test_dry_run_writes_nothing(project: Project) -> None:
    """A dry run, status and plan write neither to the database nor to the folder; the digest is the later run's."""
    three(project)
    project.apply(amount=1)
    before = project.dump()

    dry = project.apply(dry_run=True)
    assert project.run("status").returncode == 0
    planned = project.run("plan", "--format", "json")
    assert project.run("apply", "--dry-run").returncode == 0

    assert project.dump() == before
    assert dry.would_apply == ("2_b.sql", "3_c.sql")
    assert dry.after == "1"
    assert dry.plan
    assert dry.plan in planned.stdout
    assert project.apply(plan=dry.plan).plan == dry.plan


def test_dry_run_on_an_empty_database(project: Project) -> None:
    """Without a history nothing is made either, not even the lock is taken."""
    three(project)
    before = project.dump()

    with lock_holder(project.database, LOCK_KEY):
        dry = project.apply(dry_run=True)

    assert dry.would_apply == ("1_a.sql", "2_b.sql", "3_c.sql")
    assert project.dump() == before


# What is refused.


def refused(project: Project, error: type[PgrolloutError], code: ExitCode, **values: Any) -> PgrolloutError:
    """Show that apply refuses with this error and code, and that nothing changed; return the error."""
    before = project.dump()
    with pytest.raises(error) as caught:
        project.apply(**values)
    assert caught.value.code is code
    assert project.dump() == before
    return caught.value


def test_another_plan_is_refused(project: Project) -> None:
    """The plan that was approved is the one that runs, or none."""
    three(project)
    planned = project.apply(dry_run=True).plan
    project.write({"3_c.sql": "CREATE TABLE other (id int);\n"})

    error = refused(project, PlanChanged, ExitCode.REFUSED, plan=planned)

    assert str(planned) in str(error)


def test_another_release_is_refused(project: Project) -> None:
    """The release that was reviewed is the one that runs, or none."""
    three(project)
    release = project.apply(dry_run=True).release
    project.write({"3_c.sql": "CREATE TABLE other (id int);\n"})

    refused(project, ReleaseChanged, ExitCode.REFUSED, release=release)


def test_sum_file_is_needed(project: Project) -> None:
    """A directory without a sum file is refused before anything is asked of the database."""
    three(project)
    (project.migrations / "atlas.sum").unlink()

    refused(project, SumFileMissing, ExitCode.MISMATCH)


def test_edited_applied_file_is_refused(project: Project) -> None:
    """A file that ran and was edited since is named, though the sum file was made right."""
    three(project)
    project.apply(amount=2)
    project.write({"1_a.sql": "CREATE TABLE a (id bigint);\n"})

    error = refused(project, AppliedFileEdited, ExitCode.MISMATCH)

    assert "1_a.sql" in str(error)


def test_gone_applied_file_is_refused(project: Project) -> None:
    """A file of the middle of the history that is not there is named."""
    three(project)
    project.apply()
    project.remove("2_b.sql")

    error = refused(project, AppliedFileGone, ExitCode.MISMATCH)

    assert "2_b.sql" in str(error)


def test_out_of_order(project: Project) -> None:
    """A file older than the newest applied one is refused, left out, or run, as the settings say."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "3_c.sql": "CREATE TABLE c (id int);\n"})
    project.apply()
    project.write({"2_b.sql": "CREATE TABLE b (id int);\n", "4_d.sql": "CREATE TABLE d (id int);\n"})

    error = refused(project, OutOfOrder, ExitCode.MISMATCH)
    assert "2_b.sql" in str(error)

    skipped = project.apply(project.settings(exec_order="linear-skip"))
    assert [file.version for file in skipped.applied] == ["4"]
    assert not project.exists("b")

    run = project.apply(project.settings(exec_order="non-linear"))
    assert [file.version for file in run.applied] == ["2"]
    assert project.versions() == ["1", "2", "3", "4"]


def test_database_with_tables_needs_a_word(project: Project) -> None:
    """Tables without history are refused; allow-dirty runs everything, a baseline records what is there."""
    three(project)
    project.database.execute("CREATE TABLE a (id int)")

    error = refused(project, NotClean, ExitCode.FAILED)
    assert "connected database is not clean" in str(error)
    assert 'found table "a" in schema "public"' in str(error)

    refused(project, NotClean, ExitCode.FAILED, dry_run=True)
    with pytest.raises(StatementFailed, match="already exists"):
        project.apply(allow_dirty=True)
    assert not project.exists("atlas_schema_revisions.")

    report = project.apply(baseline="1")
    assert report.baseline == "1"
    assert [file.version for file in report.applied] == ["2", "3"]
    assert project.rows()[0] == ("1", "a", 1, 0, 0, "", "", "", None)


def test_baseline_of_the_last_file(project: Project) -> None:
    """A baseline with nothing after it is recorded; once there are rows, the option says nothing."""
    three(project)

    report = project.apply(baseline="3")

    assert (report.outcome, report.after, report.applied) == (Outcome.DONE, "3", ())
    assert project.versions() == ["3"]
    assert project.apply(baseline="1").outcome is Outcome.NOTHING_TO_DO


def test_unknown_baseline(project: Project) -> None:
    """A baseline must be a file."""
    three(project)

    refused(project, UnknownVersion, ExitCode.USAGE, baseline="9")


def test_checkpoint(project: Project) -> None:
    """An empty database starts at the newest checkpoint; one with history passes it by."""
    three(project)
    project.apply(amount=1)
    project.write(
        {
            "3_c.sql": "-- atlas:checkpoint\n\nCREATE TABLE a (id int);\nCREATE TABLE b (id int);\n",
            "4_d.sql": "SELECT 1;\n",
        }
    )

    project.apply()
    assert project.versions() == ["1", "2", "4"]

    project.database.execute("DROP SCHEMA atlas_schema_revisions, pgrollout CASCADE; DROP TABLE a, b")
    project.apply()
    assert project.versions() == ["3", "4"]
    assert project.apply().outcome is Outcome.NOTHING_TO_DO


# What the ledger keeps of a run.


def test_failed_run_is_recorded_with_its_error(project: Project) -> None:
    """Where there is a ledger, a run whose very first file fails is in it, as failed, with the error's sentence."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()
    project.write({"2_b.sql": "SELECT nope FROM a;\n"})

    with pytest.raises(StatementFailed) as caught:
        project.apply(reason="the second")

    first, second = project.database.execute(
        "SELECT outcome, error, reason, ended_at IS NOT NULL FROM pgrollout.run ORDER BY token"
    )
    assert first == ("done", None, "", True)
    assert second == ("failed", str(caught.value), "the second", True)
    assert "2_b.sql:1:8: " in str(caught.value)
    assert project.versions() == ["1"]


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_a_run_that_is_tried_again_keeps_its_name(project: Project, mode: str) -> None:
    """As a flow's task does when a try was cut short: the same run goes on, and its row says how it ended at last."""
    project.write(
        {"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"{mode}CREATE TABLE b (id int);\nSELECT nope;\n"}
    )
    with pytest.raises(StatementFailed):
        project.apply(run_id="run", backup=BACKUP)
    project.write({"2_b.sql": f"{mode}CREATE TABLE b (id int);\nSELECT 1;\n"})

    report = project.apply(run_id="run", backup=BACKUP)

    assert (report.run_id, project.versions()) == ("run", ["1", "2"])
    assert project.database.execute("SELECT id, outcome, error, ended_at IS NOT NULL FROM pgrollout.run") == [
        ("run", "done", None, True)
    ]
    assert project.database.execute("SELECT run FROM pgrollout.backup") == [("run",)]


def test_a_run_goes_on_with_the_rest_of_its_plan(project: Project) -> None:
    """A try that was cut short has changed what a plan would be; what is left of the approved one is not another one."""
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\n",
            "2_b.sql": "SELECT 1 / coalesce(current_setting('test.divisor', true), '1')::int;\n",
        }
    )
    release = read_reviewed(project.settings()).release.digest
    approved = project.apply(dry_run=True).plan
    asked: dict[str, Any] = {"plan": approved, "release": release}
    set_divisor(project, 0)
    with pytest.raises(StatementFailed):
        project.apply(run_id="run", **asked)
    assert project.versions() == ["1"]
    set_divisor(project, 1)

    with pytest.raises(PlanChanged):
        project.apply(run_id="another", **asked)
    with pytest.raises(PlanChanged):
        project.apply(run_id="run", plan=approved)  # of whatever release
    report = project.apply(run_id="run", **asked)

    assert ([file.name for file in report.applied], project.versions()) == (["2_b.sql"], ["1", "2"])
    assert project.database.execute("SELECT id, plan, outcome FROM pgrollout.run") == [("run", approved, "done")]


def set_divisor(project: Project, value: int) -> None:
    """Set what a migration divides by, for connections that begin now."""
    (name,) = project.database.execute("SELECT quote_ident(current_database())")[0]
    project.database.execute(f"ALTER DATABASE {name} SET test.divisor = {value}")


BACKUP = TakenBackup(
    place="/backups/it's", size_bytes=5, digest="sha256:0", server_position="0/1", taken_at="2026-11-23T10:00:00Z"
)


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_backup_is_recorded_with_the_run(project: Project, mode: str, is_first: bool) -> None:
    """The backup that was taken for a run is kept once, whichever way its files run, and whether there is a ledger."""
    if not is_first:
        project.write({"1_a.sql": "SELECT 1;\n"})
        project.apply()
    project.write({"2_b.sql": f"{mode}SELECT 1;\n", "3_c.sql": f"{mode}SELECT 1;\n"})

    report = project.apply(backup=BACKUP)

    assert project.database.execute(
        "SELECT run, place, size_bytes, digest, server_position, to_char(taken_at, 'YYYY-MM-DD HH24'), tried "
        "FROM pgrollout.backup"
    ) == [(report.run_id, "/backups/it's", 5, "sha256:0", "0/1", "2026-11-23 10", False)]


@pytest.mark.parametrize(("mode", "places"), [("", []), (NONE, [("/backups/it's",)])], ids=["file", "none"])
def test_backup_of_a_run_that_failed(project: Project, mode: str, places: list[tuple[str]]) -> None:
    """The backup is recorded with the first row, so it is there exactly if the file left one."""
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    project.write({"2_b.sql": f"{mode}SELECT 1;\nSELECT 1/0;\n"})

    with pytest.raises(StatementFailed):
        project.apply(backup=BACKUP)

    assert project.database.execute("SELECT place FROM pgrollout.backup") == places


# Who runs.


def test_ten_at_once(project: Project) -> None:
    """Ten runs of one database end well, and every statement was executed once."""
    files = {
        f"{n}_{'abcdef'[n - 1]}.sql": (NONE if n % 2 else "")
        + f"CREATE TABLE t{n} (id int);\nINSERT INTO t{n} VALUES (1);\n"
        for n in range(1, 7)
    }
    project.write(
        files | {"7_g.sql": f"{NONE}CREATE INDEX CONCURRENTLY t1_idx ON t1 (id);\nINSERT INTO t1 VALUES (2);\n"}
    )

    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda _: project.run("apply"), range(10)))

    assert [(run.returncode, run.stderr if run.returncode else "") for run in done] == [(0, "")] * 10
    counts = [project.database.execute(f"SELECT count(*) FROM t{n}")[0][0] for n in range(1, 7)]
    assert counts == [2, 1, 1, 1, 1, 1]
    assert [row[3:5] for row in project.rows()] == [(2, 2)] * 7
    assert project.database.execute(
        "SELECT version, position, count(*) FROM pgrollout.step GROUP BY 1, 2 HAVING count(*) > 1"
    ) == []  # fmt: skip


def test_lock_is_atlas_own_and_held_all_the_time(any_project: Project) -> None:
    """While a file runs, the backend that runs it holds the lock that Atlas would take."""
    any_project.write({"1_a.sql": "SELECT 1;\n", "2_b.sql": f"{AT_THE_GATE};\n"})

    with lock_holder(any_project.database, GATE) as gate, observed(any_project.start("apply")) as process:
        pid = backend_in(any_project.database, "pg_try_advisory_xact_lock_shared")
        held = any_project.database.execute(
            "SELECT classid::bigint, objid::bigint, objsubid FROM pg_locks "
            "WHERE locktype = 'advisory' AND granted AND pid = %s",
            pid,
        )
        gate.close()
        assert process.wait(60) == 0

    assert held == [(0, 2686470616, 1)]


def test_waits_for_somebody_elses_run(project: Project) -> None:
    """The lock's holder is named while waiting, and in the error when the wait is over."""
    three(project)

    with lock_holder(project.database, LOCK_KEY, application_name="Atlas on the laptop"):
        done = project.run("apply", "--wait-for-run-ms", "150", "--log-format", "text")
        with pytest.raises(LockNotAcquired, match="Atlas on the laptop"):
            project.apply(project.settings(wait_for_run_ms=0))

    assert done.returncode == ExitCode.WAIT
    assert "waiting for another run" in done.stderr.partition("Error:")[0]
    assert "Atlas on the laptop" in done.stderr.partition("Error:")[2]
    assert not project.exists("atlas_schema_revisions.")


def test_goes_on_when_the_lock_is_free(project: Project) -> None:
    """A run that waited does its work when the other has ended."""
    three(project)

    with lock_holder(project.database, LOCK_KEY) as other, observed(project.start("apply")) as process:
        waiting_for_its_turn(project.database)
        other.close()
        assert process.wait(60) == 0

    assert project.versions() == ["1", "2", "3"]


# What dies.


def test_killed_in_a_transaction(any_project: Project) -> None:
    """Killed in a wrapped file: the server gives it up at once, the next run takes over, and it ran once."""
    any_project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\n",
            "2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n",
            "3_c.sql": "INSERT INTO a VALUES (3);\n",
        }
    )

    with lock_holder(any_project.database, GATE), observed(any_project.start("apply")) as process:
        orphan = backend_in(any_project.database, "pg_try_advisory_xact_lock_shared")
        process.kill()
        process.wait()
        eventually(lambda: is_gone(any_project.database, orphan), "the end of the orphan")
    any_project.apply()

    assert any_project.database.execute("SELECT id FROM a ORDER BY 1") == [(2,), (3,)]
    assert [row[:5] for row in any_project.rows()] == [("1", "a", 2, 1, 1), ("2", "b", 2, 2, 2), ("3", "c", 2, 1, 1)]
    assert any_project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [("lost",), ("done",)]


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_frozen_run_changes_nothing_after_a_takeover(any_project: Project, mode: str) -> None:
    """Frozen, taken over from, woken: it ends with 75, and everything ran once."""
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    any_project.apply()
    any_project.write(
        {
            "2_b.sql": f"{mode}INSERT INTO a VALUES (2);\n{AT_THE_GATE};\nINSERT INTO a VALUES (3);\n",
            "3_c.sql": "SELECT 3;\n",
        }
    )

    with observed(any_project.start("apply")) as frozen:
        with lock_holder(any_project.database, GATE):
            backend_in(any_project.database, "pg_try_advisory_xact_lock_shared")
            frozen.send_signal(signal.SIGSTOP)
        report = any_project.apply()
        frozen.send_signal(signal.SIGCONT)
        _, err = frozen.communicate(timeout=60)

    assert report.applied[-1].version == "3"
    assert frozen.returncode == ExitCode.WAIT, err
    assert any_project.database.execute("SELECT id FROM a ORDER BY 1") == [(2,), (3,)]
    assert [row[3:5] for row in any_project.rows()] == [(1, 1), (3, 3), (1, 1)]
    assert any_project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [
        ("done",), ("lost",), ("done",),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_application_name_stays_ours(project: Project, mode: str) -> None:
    """A file that sets another does not hide its backend from the next run, which has to end it; also when it is continued."""
    name = "INSERT INTO a SELECT current_setting('application_name')"
    project.write(
        {"1_a.sql": f"{mode}CREATE TABLE a (b text);\nSET application_name = 'mine';\n{name};\nSELECT 1/0;\n"}
    )
    with pytest.raises(StatementFailed):
        project.apply()
    project.write({"1_a.sql": f"{mode}CREATE TABLE a (b text);\nSET application_name = 'mine';\n{name};\n{name};\n"})
    project.apply()

    assert project.database.execute("SELECT b ~ '^pgrollout/[^/]+/[0-9]+$' FROM a") == [(True,), (True,)]


def test_idle_session_timeout_of_the_database_is_not_ours(project: Project) -> None:
    """A run may have nothing to say for minutes, while it waits for a table; the database's limit is for others."""
    setting = "current_setting('idle_session_timeout')"
    project.write(
        {
            "1_a.sql": f"CREATE TABLE a AS SELECT {setting} AS b;\n",
            "2_b.sql": f"INSERT INTO a SELECT {setting};\n",
            "3_c.sql": f"{NONE}RESET ALL;\nVACUUM a;\n",
            "4_d.sql": f"INSERT INTO a SELECT {setting};\n",
        }
    )
    project.database.execute(f"ALTER DATABASE {project.database.name} SET idle_session_timeout = '1min'")
    project.apply(amount=1)
    project.apply()

    assert project.database.execute("SELECT b FROM a") == [("0",), ("0",), ("0",)]


def test_copy_of_the_schema_alone(project: Project) -> None:
    """A ledger without any row, as a dump without rows brings along, is filled and not made once more."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()
    tables = "atlas_schema_revisions.atlas_schema_revisions, pgrollout.upgrade, pgrollout.lease, pgrollout.run CASCADE"
    project.database.execute(f"TRUNCATE {tables}")
    project.write({"2_b.sql": "INSERT INTO a VALUES (2);\n", "3_c.sql": "INSERT INTO a VALUES (3);\n"})

    assert [file.version for file in project.apply(baseline="1", amount=1).applied] == ["2"]
    assert [file.version for file in project.apply().applied] == ["3"]


def as_member(project: Project) -> dict[str, str]:
    """Return the environment of a login that is no superuser and migrates as a role that cannot log in."""
    database = project.database
    owner, login = database.make_role("owner", "NOLOGIN"), database.make_role("login")
    database.execute(f'GRANT "{owner}" TO "{login}"')
    database.execute(f'GRANT CREATE ON DATABASE "{database.name}" TO "{owner}"')
    database.execute(f'GRANT CREATE ON SCHEMA public TO "{owner}"')
    url = database.server.url(database.name, user=login)
    return {"PGROLLOUT_URL": url, "PGROLLOUT_ROLE": owner}


def test_frozen_run_is_taken_over_from_by_its_login(any_project: Project) -> None:
    """Backends belong to who logged in, and that is who ends them, also where the role that migrates is another one."""
    environment = as_member(any_project)
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    assert any_project.run("apply", **environment).returncode == ExitCode.DONE
    any_project.write({"2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n"})

    with observed(any_project.start("apply", **environment)) as frozen, ExitStack() as stack:
        with lock_holder(any_project.database, GATE):
            pid = backend_in(any_project.database, "pg_try_advisory_xact_lock_shared")
            frozen.send_signal(signal.SIGSTOP)
            second = stack.enter_context(observed(any_project.start("apply", **environment)))
            eventually(lambda: is_gone(any_project.database, pid), "the end of the orphan")
        _, err = second.communicate(timeout=60)

    assert second.returncode == ExitCode.DONE, err
    assert any_project.database.execute("SELECT id FROM a") == [(2,)]


def test_watchdog_cancels_as_its_login(any_project: Project) -> None:
    """The statement of a role that cannot log in is cancelled, too, when somebody waits for it."""
    environment = as_member(any_project)
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    assert any_project.run("apply", **environment).returncode == ExitCode.DONE
    any_project.write({"2_b.sql": f"ALTER TABLE a ADD COLUMN b int;\n{FOR_EVER};\n"})

    with observed(any_project.start("apply", **environment)) as process:
        locked = "SELECT 1 FROM pg_locks WHERE granted AND relation = 'a'::regclass AND mode = 'AccessExclusiveLock'"
        eventually(lambda: any_project.database.execute(locked), "the lock of ALTER TABLE")
        any_project.database.execute("SELECT count(*) FROM a")
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.REFUSED, err


def test_backend_terminated_in_a_transaction(any_project: Project) -> None:
    """The file leaves no trace, waiting can cure it, and the next run does it."""
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"INSERT INTO a VALUES (2);\n{FOR_EVER};\n"})

    with observed(any_project.start("apply")) as process:
        pid = backend_in(any_project.database, FOR_EVER)
        any_project.database.execute("SELECT pg_terminate_backend(%s)", pid)
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT, err
    assert "connection was lost" in err
    assert any_project.versions() == ["1"]
    assert any_project.database.execute("SELECT count(*) FROM a") == [(0,)]

    any_project.write({"2_b.sql": "INSERT INTO a VALUES (2);\n"})
    any_project.apply()

    assert any_project.database.execute("SELECT id FROM a") == [(2,)]


def test_connection_cut_in_a_transaction(project: Project) -> None:
    """Cut off, we cannot know: exit code 75; the server gives up what it was sent, and the next run does it."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n"})
    server = project.database.server

    with TemporaryDirectory(prefix="pgr-relay-", dir="/tmp") as folder, lock_holder(project.database, GATE):
        relay = Relay(Path(folder), server)
        url = server.url(project.database.name, host=folder)
        with observed(project.start("apply", PGROLLOUT_URL=url)) as process:
            pid = backend_in(project.database, "pg_try_advisory_xact_lock_shared")
            relay.cut()
            _, err = process.communicate(timeout=60)
        eventually(lambda: is_gone(project.database, pid), "the end of the orphan")

    assert process.returncode == ExitCode.WAIT, err
    assert "the connection was lost" in err
    assert [file.version for file in project.apply().applied] == ["2"]
    assert project.database.execute("SELECT id FROM a") == [(2,)]
    assert project.versions() == ["1", "2"]


def test_connection_lost_without_a_word(project: Project) -> None:
    """The server has ended the executing backend, and nobody told us: the supervising connection does, exit code 75."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()
    project.write({"2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n"})

    with TemporaryDirectory(prefix="pgr-relay-", dir="/tmp") as folder, lock_holder(project.database, GATE):
        relay = Relay(Path(folder), project.database.server)
        url = project.database.server.url(project.database.name, host=folder)
        with observed(project.start("apply", PGROLLOUT_URL=url)) as process:
            backend_in(project.database, "pg_try_advisory_xact_lock_shared")
            relay.forget_newest()
            _, err = process.communicate(timeout=60)
        relay.cut()

    assert process.returncode == ExitCode.WAIT, err
    assert "no word of that came here" in err
    project.apply()
    assert project.database.execute("SELECT id FROM a") == [(2,)]


def test_terminated_while_it_waits_for_the_lock(project: Project) -> None:
    """A connection lost before anything began is something that waiting cures."""
    three(project)

    with lock_holder(project.database, LOCK_KEY), observed(project.start("apply")) as process:
        pid = waiting_for_its_turn(project.database)
        project.database.execute("SELECT pg_terminate_backend(%s)", pid)
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT
    assert "Traceback" not in err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_interrupted_in_a_transaction(project: Project, how: signal.Signals) -> None:
    """The statement is cancelled, its file undone, the run recorded as interrupted, exit code 75; the next one goes on."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"INSERT INTO a VALUES (2);\n{FOR_EVER};\n"})

    with observed(project.start("apply")) as process:
        pid = backend_in(project.database, FOR_EVER)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT, err
    assert "Interrupted: 1 migrations applied, 1 left" in err
    assert is_gone(project.database, pid)
    assert project.versions() == ["1"]
    assert project.database.execute("SELECT count(*) FROM a") == [(0,)]
    assert project.database.execute("SELECT outcome FROM pgrollout.run") == [("interrupted",)]


def test_interrupted_in_txmode_none(project: Project) -> None:
    """What committed stays; the statement in which it was interrupted runs again."""
    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n{FOR_EVER};\n"})

    with observed(project.start("apply")) as process:
        backend_in(project.database, FOR_EVER)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT
    assert [row[3:7] for row in project.rows()] == [(2, 3, "", "")]

    project.write(
        {"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\n"}
    )
    project.apply()

    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,)]


def test_interrupted_while_waiting_for_its_turn(project: Project) -> None:
    """Nothing has begun: exit code 75."""
    three(project)

    with lock_holder(project.database, LOCK_KEY), observed(project.start("apply", "--log-format", "json")) as process:
        assert process.stderr is not None
        assert "waiting for another run" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT
    assert "Traceback" not in err


# What dies outside a transaction.


ONLINE = {"PGROLLOUT_SMALL_TABLE_BYTES": "0"}
"""Every table with a row in it is big."""


def start_a_build(project: Project) -> "psycopg.Connection[tuple[object, ...]]":
    """Make a table, and hold a transaction open that a concurrent index build has to wait for."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"})
    project.apply()
    project.write({"2_b.sql": f"{NONE}CREATE INDEX CONCURRENTLY a_idx ON a (id);\nCREATE TABLE b (id int);\n"})
    older = project.database.connect(autocommit=False)
    older.execute("INSERT INTO a VALUES (2)")
    return older


def is_valid(project: Project, index: str) -> bool:
    """Whether there is such an index, and it is valid."""
    return (
        project.database.execute("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid", index)
        != []
    )


def test_killed_while_a_build_waits(any_project: Project) -> None:
    """The orphan goes on, the next run waits for it, finds the index valid, records that, and goes on."""
    with start_a_build(any_project) as older, observed(any_project.start("apply", **ONLINE)) as process:
        pid = backend_in(any_project.database, "CREATE INDEX CONCURRENTLY", alone=True)
        process.kill()
        process.wait()
        with observed(any_project.start("apply", **ONLINE)) as second:
            eventually(
                lambda: any_project.database.execute("SELECT 1 FROM pgrollout.lease WHERE token = 3"), "the takeover"
            )
            assert not is_gone(any_project.database, pid)
            older.rollback()
            _, err = second.communicate(timeout=60)

    assert second.returncode == 0, err
    assert is_valid(any_project, "a_idx")
    assert any_project.exists("b")
    assert any_project.rows()[1][3:7] == (2, 2, "", "")
    assert any_project.database.execute(
        "SELECT kind, outcome, reason FROM pgrollout.step WHERE version = '2' ORDER BY id"
    ) == [("alone", "done", 'index "public"."a_idx" is there and valid'), ("statement", "done", None)]


def test_terminated_while_a_build_waits(any_project: Project) -> None:
    """What is left of the index is dropped by the next run, and it is built again."""
    with start_a_build(any_project), observed(any_project.start("apply", **ONLINE)) as process:
        pid = backend_in(any_project.database, "CREATE INDEX CONCURRENTLY", alone=True)
        any_project.database.execute("SELECT pg_terminate_backend(%s)", pid)
        _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.WAIT, err
    assert not is_valid(any_project, "a_idx")

    any_project.apply(any_project.settings(small_table_bytes=0))

    assert is_valid(any_project, "a_idx")
    assert any_project.rows()[1][3:7] == (2, 2, "", "")
    assert any_project.database.execute("SELECT kind, outcome FROM pgrollout.step WHERE version = '2' ORDER BY id") == [
        ("alone", "run again"), ("alone", "done"), ("statement", "done"),
    ]  # fmt: skip


def test_interrupted_while_a_build_waits(project: Project) -> None:
    """The build is left to the server, and the next run waits for it."""
    with start_a_build(project) as older, observed(project.start("apply", **ONLINE)) as process:
        pid = backend_in(project.database, "CREATE INDEX CONCURRENTLY", alone=True)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.WAIT, err
        assert "The server goes on building an index, and the next run waits for that." in err
        assert not is_gone(project.database, pid)
        older.rollback()
    project.apply(project.settings(small_table_bytes=0))

    assert is_valid(project, "a_idx")
    assert project.rows()[1][3:7] == (2, 2, "", "")
    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [
        ("done",), ("interrupted",), ("done",),
    ]  # fmt: skip


def test_interrupted_twice_while_a_build_waits(project: Project) -> None:
    """The second Ctrl-C cancels the build as well, and nothing is left of it."""
    with start_a_build(project) as older, observed(project.start("apply", **ONLINE)) as process:
        older.rollback()
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")  # in the way of the build, and not of its drop
        pid = backend_in(project.database, "CREATE INDEX CONCURRENTLY", alone=True)
        os.kill(process.pid, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        os.kill(process.pid, signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.WAIT, err
        assert is_gone(project.database, pid)
        assert project.database.execute("SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    project.apply(project.settings(small_table_bytes=0))

    assert is_valid(project, "a_idx")


def test_repeatable_statement_runs_again(any_project: Project) -> None:
    """A statement that says it may be repeated is, without anybody being asked."""
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    any_project.apply()
    any_project.write({"2_b.sql": f"{NONE}-- pgrollout:repeatable\nVACUUM a;\nCREATE TABLE b (id int);\n"})

    with any_project.database.connect(autocommit=False) as blocker, observed(any_project.start("apply")) as process:
        blocker.execute("LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE")
        pid = backend_in(any_project.database, "VACUUM a", alone=True)
        any_project.database.execute("SELECT pg_terminate_backend(%s)", pid)
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.WAIT, err
    any_project.apply()

    assert any_project.exists("b")
    assert any_project.rows()[1][3:5] == (2, 2)
    assert any_project.database.execute(
        "SELECT outcome, reason FROM pgrollout.step WHERE version = '2' AND kind = 'alone' ORDER BY id"
    ) == [("run again", "VACUUM may be run again"), ("done", None)]


def test_interrupted_while_a_statement_runs_alone(project: Project) -> None:
    """The server answered the cancel, so nobody has to be asked: the statement runs again."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()
    project.write({"2_b.sql": f"{NONE}VACUUM a;\n"})

    with project.database.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE")
        with observed(project.start("apply")) as process:
            backend_in(project.database, "VACUUM a", alone=True)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.WAIT, err
    assert "Interrupted: 0 migrations applied, 1 left" in err
    assert project.rows()[1][3:7] == (0, 1, "", "")

    project.apply()

    assert project.rows()[1][3:5] == (1, 1)
    assert project.database.execute("SELECT outcome FROM pgrollout.step WHERE version = '2' ORDER BY id") == [
        ("interrupted",),
        ("done",),
    ]


def test_killed_between_committed_statements(project: Project) -> None:
    """Killed in txmode none: what the server was sent ends, and the next run continues after it."""
    project.write(
        {
            "1_a.sql": f"{NONE}CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n{AT_THE_GATE};\nINSERT INTO a VALUES (2);\n"
        }
    )

    with lock_holder(project.database, GATE) as gate, observed(project.start("apply")) as process:
        pid = backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        process.kill()
        process.wait()
        gate.close()
        eventually(lambda: is_gone(project.database, pid), "the end of the orphan")
    project.apply()

    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,)]
    assert project.rows()[0][3:5] == (4, 4)


def test_server_restarted_in_the_middle(project: Project) -> None:
    """A crash of the server loses the open transaction; the next run does what is left, once."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n"})

    with lock_holder(project.database, GATE), observed(project.start("apply")) as process:
        backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        project.database.server.stop(signal.SIGQUIT)
        _, err = process.communicate(timeout=60)
        project.database.server.start()
    assert process.returncode == ExitCode.WAIT, err

    project.apply()

    assert project.database.execute("SELECT id FROM a") == [(2,)]
    assert project.versions() == ["1", "2"]
