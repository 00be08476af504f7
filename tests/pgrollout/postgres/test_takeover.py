"""Takeover: backends of dead runs are ended, nobody else's, and online builds are waited for."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from pgrollout.errors import ExitCode, OrphanNotOurs
from pgrollout.postgres import takeover
from pgrollout.postgres.takeover import Orphan
from tests.pgrollout.postgres.interrupting import orphaned_build
from tests.project import Project, eventually, is_gone
from tests.servers import Database, Server, fresh_database

SCHEMA = "pgrollout"
OURS = (
    "pgrollout/x/1", "pgrollout/x/2", "pgrollout/x/02", "pgrollout/dead/0", "pgrollout/dead/watch", "pgrollout/lost/watch",
)  # fmt: skip
OTHERS = (
    "", "psql", "pgrollout", "pgrollout/x/3", "pgrollout/x/30", "pgrollout/x/0", "pgrollout/x/watch", "pgrollout/dead/backup",
    "pgrollout/x/1/y", "pgrollout/x/", "pgrollout//1x", "xpgrollout/x/1", "pgrollout/x/-1",
    "pgrollout/x/99999999999999999999", "PGROLLOUT/x/1", "pgrollout/new/watch",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose database has a ledger, with a run ``lost`` of token 2 and a run ``new`` of token 3."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()
    for run, token in (("lost", 2), ("new", 3)):
        database.execute(
            "INSERT INTO pgrollout.run SELECT %s, history, %s, release, plan, tool_version, server_version, started_by, "
            "source, reason, started_at FROM pgrollout.run LIMIT 1",
            run,
            token,
        )
    return project


def test_who_is_an_orphan(project: Project, server: Server) -> None:
    """Backends of older tokens, and of runs that died before they had one; in this database, and with exactly such names."""
    with ExitStack() as stack:
        for name in (*OURS, *OTHERS):
            stack.enter_context(project.database.connect(application_name=name))
        elsewhere = stack.enter_context(fresh_database(server))
        stack.enter_context(elsewhere.connect(application_name="pgrollout/x/1"))
        watch = stack.enter_context(project.database.connect(application_name="pgrollout/x/1"))

        found = takeover.orphans(watch, SCHEMA, 3, "dead")

        assert sorted(orphan.application_name for orphan in found) == sorted(OURS)


def test_only_orphans_are_ended(project: Project) -> None:
    """All of them are gone when it is said so; everybody else goes on."""
    with ExitStack() as stack:
        ours = [stack.enter_context(project.database.connect(application_name=name)) for name in OURS]
        others = [stack.enter_context(project.database.connect(application_name=name)) for name in OTHERS]
        watch = stack.enter_context(project.database.connect())

        takeover.end_all(watch, SCHEMA, 3, "dead", lambda _: None)

        assert all(is_gone(project.database, each.info.backend_pid) for each in ours)
        for each in others:
            each.execute("SELECT 1")


def test_a_pid_that_somebody_else_has_now(project: Project) -> None:
    """A backend that came to the pid of one that has ended meanwhile is not hit."""
    with project.database.connect(application_name="the application") as other, project.database.connect() as watch:
        takeover.terminate(watch, (Orphan(other.info.backend_pid, "pgrollout/x/1", "postgres", None),))

        other.execute("SELECT 1")


def test_a_build_is_waited_for(project: Project) -> None:
    """It is at work, so it is not ended; when it is idle, it is."""
    said: list[str] = []
    with project.database.connect() as watch, orphaned_build(project) as pid:
        ending = threading.Thread(target=takeover.end_all, args=(watch, SCHEMA, 2, "orphan", said.append))
        ending.start()
        eventually(lambda: said, "somebody who waits for the build")
        assert not is_gone(project.database, pid)
        project.database.execute("SELECT pg_cancel_backend(%s)", pid)
        ending.join(60)

        assert not ending.is_alive()
        assert is_gone(project.database, pid)
    assert said[0].startswith(
        f"waiting for pid {pid} of pgrollout/orphan/1: CREATE INDEX CONCURRENTLY of a, waiting for"
    )


def test_an_orphan_of_another_role(project: Project) -> None:
    """Who may not end it is told which GRANT lets it, exit code 1; with the GRANT it does."""
    database = project.database
    owner, role = database.make_role("owner"), database.make_role("other")
    database.execute(f'GRANT USAGE ON SCHEMA pgrollout TO "{role}"; GRANT SELECT ON pgrollout.run TO "{role}"')
    as_other = {"user": role, "application_name": "pgrollout/new/watch"}

    with database.connect(user=owner, application_name="pgrollout/x/1") as orphan:
        pid = orphan.info.backend_pid
        with database.connect(**as_other) as watch, pytest.raises(OrphanNotOurs) as caught:
            takeover.end_all(watch, SCHEMA, 3, "x", lambda _: None)
        assert not is_gone(database, pid)
        assert caught.value.code is ExitCode.FAILED
        assert f"left backend {pid} (pgrollout/x/1), and {role} may not end it: it is of role {owner}" in str(
            caught.value
        )
        grant = str(caught.value).splitlines()[-1].strip()

        database.execute(grant)
        with database.connect(**as_other) as watch:
            takeover.end_all(watch, SCHEMA, 3, "x", lambda _: None)
        assert is_gone(database, pid)
