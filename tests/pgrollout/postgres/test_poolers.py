"""Poolers in between: looked for, and refused where they pool transactions; where they pool sessions, all is as without one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from pgrollout.errors import ExitCode, NoConnectionLeft, PoolerInBetween
from pgrollout.postgres.atlas_lock import LOCK_KEY
from pgrollout.postgres.connection import connect
from pgrollout.postgres.state import read_session
from pgrollout.stages.apply import ApplyReport
from tests.project import AT_THE_GATE, GATE, Project, backend_in, eventually, is_gone, lock_holder, observed
from tests.servers import Database, PgBouncer, Poolers, Servers

NONE = "-- atlas:txmode none\n\n"


@pytest.fixture
def project(tmp_path: Path, tls_database: Database) -> Project:
    """A project on the server that the poolers stand in front of."""
    return Project(tmp_path, tls_database)


def through(pooler: PgBouncer, project: Project) -> dict[str, str]:
    """Return the environment of a run through a pooler of sessions."""
    url = pooler.url(project.database.name)
    return {"PGROLLOUT_URL": url, "PGROLLOUT_POOLER": "session", "PGROLLOUT_SMALL_TABLE_BYTES": "0"}


def apply_through(pooler: PgBouncer, project: Project, **values: object) -> ApplyReport:
    """Run stage apply in this process through a pooler of sessions."""
    url = SecretStr(pooler.url(project.database.name))
    return project.apply(project.settings(**{"url": url, "pooler": "session", "small_table_bytes": 0} | values))


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_is_looked_for(project: Project, pgbouncer: Poolers, mode: str) -> None:
    """Between us and the server something stands: refused before anything is done, with the ways out."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    pooler: PgBouncer = getattr(pgbouncer, mode)

    with pytest.raises(PoolerInBetween) as caught:
        project.apply(project.settings(url=SecretStr(pooler.url(project.database.name))))

    assert caught.value.code is ExitCode.USAGE
    assert 'pooler = "session"' in str(caught.value)
    assert "the URL of the server itself" in str(caught.value)
    assert not project.exists("a")


@pytest.mark.parametrize("setting", ["session", "none"])
def test_what_the_settings_say_is_not_believed(project: Project, pgbouncer: Poolers, setting: str) -> None:
    """Two connections with one backend are no sessions: refused before the lock is taken, which would stay in the pool."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    url = SecretStr(pgbouncer.transaction.url(project.database.name))

    with pytest.raises(PoolerInBetween, match="pools transactions, whatever `pooler` says"):
        project.apply(project.settings(url=url, pooler=setting))

    assert not project.exists("a")
    with lock_holder(project.database, LOCK_KEY):  # it would wait
        pass


def test_sessions(project: Project, pgbouncer: Poolers) -> None:
    """A pooler of sessions is fine once the settings say so, also for what cannot run in a transaction."""
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n",
            "2_b.sql": f"{NONE}CREATE INDEX CONCURRENTLY a_idx ON a (id);\nVACUUM a;\n",
        }
    )
    settings = project.settings(url=SecretStr(pgbouncer.session.url(project.database.name)), pooler="session")

    with connect(settings, application_name="pgrollout/test") as connection:
        session = read_session(connection, settings)
        assert session.backend_pid != connection.info.backend_pid
    report = apply_through(pgbouncer.session, project)

    assert [file.version for file in report.applied] == ["1", "2"]
    assert project.database.execute(
        "SELECT count(*) FROM pgrollout.step s JOIN pg_stat_activity a "
        "ON a.pid = s.backend_pid AND a.backend_start = s.backend_start"
    ) == [(3,)]
    assert project.exists("a_idx")


def test_ten_at_once(project: Project, pgbouncer: Poolers) -> None:
    """Ten runs through the pooler end well, and every statement was executed once."""
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n",
            "2_b.sql": f"{NONE}INSERT INTO a VALUES (2);\nCREATE INDEX CONCURRENTLY a_idx ON a (id);\n",
            "3_c.sql": "INSERT INTO a VALUES (3);\n",
        }
    )

    with ThreadPoolExecutor(10) as pool:
        reports = list(pool.map(lambda _: apply_through(pgbouncer.session, project), range(10)))

    assert sorted(len(report.applied) for report in reports) == [0] * 9 + [3]
    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,), (3,)]


def test_killed_behind_a_pooler(project: Project, pgbouncer: Poolers) -> None:
    """The pooler lets the backend go, the server gives up its transaction, and the next run takes over."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"INSERT INTO a VALUES (2);\n{AT_THE_GATE};\n"})

    with (
        lock_holder(project.database, GATE),
        observed(project.start("apply", **through(pgbouncer.session, project))) as process,
    ):
        orphan = backend_in(project.database, "pg_try_advisory_xact_lock_shared")
        process.kill()
        process.wait()
        eventually(lambda: is_gone(project.database, orphan), "the end of the orphan")
    apply_through(pgbouncer.session, project)

    assert project.database.execute("SELECT id FROM a") == [(2,)]
    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token") == [("lost",), ("done",)]


def test_killed_in_a_build_behind_a_pooler(project: Project, pgbouncer: Poolers) -> None:
    """The server goes on with an online build, and the next run, through the pooler too, waits for it and takes it."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"})
    apply_through(pgbouncer.session, project)
    project.write({"2_b.sql": "CREATE INDEX CONCURRENTLY a_idx ON a (id);\n"})

    with project.database.connect(autocommit=False) as older:
        older.execute("INSERT INTO a VALUES (2)")
        with observed(project.start("apply", **through(pgbouncer.session, project))) as process:
            pid = backend_in(project.database, "CREATE INDEX CONCURRENTLY", alone=True)
            process.kill()
            process.wait()
        with observed(project.start("apply", **through(pgbouncer.session, project))) as second:
            eventually(
                lambda: project.database.execute("SELECT 1 FROM pgrollout.lease WHERE token = 3"), "the takeover"
            )
            assert not is_gone(project.database, pid)
            older.rollback()
            _, err = second.communicate(timeout=60)

    assert second.returncode == ExitCode.DONE, err
    assert project.database.execute("SELECT outcome, reason FROM pgrollout.step WHERE version = '2'") == [
        ("done", 'index "public"."a_idx" is there and valid')
    ]


def test_a_pool_of_one(project: Project, servers: Servers, pgbouncer: Poolers) -> None:
    """The pooler would keep the second connection waiting for as long as the first one waits for it: exit code 75, in time."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    narrow = servers.pooler("session", default_pool_size=1)

    with pytest.raises(NoConnectionLeft, match="pool_size of a pooler") as caught:
        apply_through(narrow, project, connect_timeout_ms=1000)

    assert caught.value.code is ExitCode.WAIT
    assert not project.exists("a")
    assert [file.version for file in apply_through(pgbouncer.session, project, wait_for_run_ms=0).applied] == ["1"]
