"""Trouble of the server's, through stage apply: exit code, place and way out by its SQLSTATE, and the next run goes on."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pgrollout.errors import ExitCode, StatementFailed
from pgrollout.postgres import sqlstate
from tests.project import Project
from tests.servers import Database, give, missing

NONE = "-- atlas:txmode none\n\n"
MODES = pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with an empty table ``a``, and one that an index of takes half a megabyte."""
    project = Project(tmp_path, database)
    project.write(
        {"1_a.sql": "CREATE TABLE a (id int);\nCREATE TABLE filler AS SELECT generate_series(1, 20000) id;\n"}
    )
    project.apply()
    return project


def fails(project: Project, mode: str, sql: str) -> StatementFailed:
    """Apply a file whose second statement fails; show that the file, or what came after the first, left nothing."""
    project.write({"2_b.sql": f"{mode}INSERT INTO a VALUES (2);\n{sql};\nINSERT INTO a VALUES (3);\n"})
    with pytest.raises(StatementFailed) as caught:
        project.apply(project.settings(small_table_bytes=0))
    error = caught.value
    assert error.code is sqlstate.exit_code(error.sqlstate)
    assert error.advice.startswith(sqlstate.advice(error.sqlstate))
    assert str(error).startswith(f"2_b.sql:{4 if mode else 2}:1: ")
    assert project.database.execute("SELECT id FROM a") == ([(2,)] if mode else [])
    return error


def goes_on(project: Project) -> None:
    """Show that the next run does what is left, once."""
    assert [file.version for file in project.apply().applied] == ["2"]
    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(2,), (3,)]


@MODES
def test_out_of_lock_memory(project: Project, mode: str) -> None:
    """The setting that has to be raised is named, or else the file is to be split; it needs a human."""
    error = fails(project, mode, "SELECT count(pg_advisory_xact_lock(i)) FROM generate_series(1, 1000000) i")

    assert (error.sqlstate, error.code) == ("53200", ExitCode.FAILED)
    assert "split the migration, or raise max_locks_per_transaction" in str(error)
    project.write({"2_b.sql": f"{mode}INSERT INTO a VALUES (2);\nSELECT 1;\nINSERT INTO a VALUES (3);\n"})
    goes_on(project)


@MODES
def test_limit_of_the_role(project: Project, mode: str) -> None:
    """A statement_timeout of the role is no stall: how to lift it is said, and lifted it is."""
    project.database.execute(f"ALTER DATABASE {project.database.name} SET statement_timeout = '150ms'")
    error = fails(project, mode, "SELECT pg_sleep(0.2)")

    assert (error.sqlstate, error.code) == ("57014", ExitCode.FAILED)
    assert "due to statement timeout" in str(error)
    assert "SET statement_timeout = 0;" in str(error)
    lifted = "SET statement_timeout = 0;\nSELECT pg_sleep(0.2)"
    project.write({"2_b.sql": f"{mode}INSERT INTO a VALUES (2);\n{lifted};\nINSERT INTO a VALUES (3);\n"})
    goes_on(project)


@pytest.fixture
def make_room(database: Database) -> Iterator[Callable[[], object]]:
    """Let what is made go to a tablespace of a quarter of a megabyte; gives what makes that bigger."""
    if os.geteuid() != 0:
        missing("mount", "only root can mount a small file system")
    folder = Path(tempfile.mkdtemp(prefix="pgr-test-", dir="/tmp"))
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        folder.rmdir()
        missing("mount", "no small file system can be mounted here")
    name = f"{database.name}_full"
    try:
        give(folder)
        database.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        database.execute(f"ALTER DATABASE {database.name} SET default_tablespace = {name}")
        yield partial(subprocess.run, ["mount", "-o", "remount,size=50m", folder], check=True)
        for kind in ("TABLE", "INDEX"):
            database.execute(f"ALTER {kind} ALL IN TABLESPACE {name} SET TABLESPACE pg_default")
        database.execute(f"DROP TABLESPACE {name}")
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


TABLE = "CREATE TABLE big AS SELECT * FROM filler"
BUILD = "CREATE INDEX CONCURRENTLY big_idx ON filler (id)"


@pytest.mark.parametrize(
    ("mode", "sql"), [("", TABLE), (NONE, TABLE), (NONE, BUILD)], ids=["file", "none", "online build"]
)
def test_full_disk(project: Project, make_room: Callable[[], object], mode: str, sql: str) -> None:
    """What was written is given up, also what an online build has left; with room, the same file goes on."""
    error = fails(project, mode, sql)

    assert (error.sqlstate, error.code) == ("53100", ExitCode.FAILED)
    assert "make room, then run it again" in str(error)
    assert project.database.execute("SELECT 1 FROM pg_class WHERE relname LIKE 'big%'") == []
    make_room()
    goes_on(project)
