"""Takeover: Atlas's own executor continues what we began, and we continue what it began, and the history is the same."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgrollout.errors import StatementFailed
from pgrollout.postgres.atlas_lock import LOCK_KEY
from tests.atlas_oracle import build
from tests.project import Project, lock_holder
from tests.servers import Database, Server, fresh_database

NONE = "-- atlas:txmode none\n\n"
FILES = {
    "1_first.sql": "-- The first table.\nCREATE TABLE a (id int);\n\nINSERT INTO a VALUES (1);\n",
    "2_index.sql": f"{NONE}CREATE INDEX CONCURRENTLY a_idx ON a (id);\nINSERT INTO a VALUES (2);\n",
    "3_odd.sql": "",
    "4_function.sql": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n;\nSELECT 'é';\n",
    "5_delimiter.sql": "-- atlas:delimiter \\n\\n\n\nINSERT INTO a VALUES (3)\n\nINSERT INTO a VALUES (4)\n",
    "6.sql": f"{NONE}BEGIN;\nINSERT INTO a VALUES (5);\nCOMMIT;\nVACUUM a;\n",
}
ALL = 'SELECT * FROM atlas_schema_revisions.atlas_schema_revisions ORDER BY version COLLATE "C"'
TIMES = {"executed_at", "execution_time", "operator_version"}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that runs Atlas's executor."""
    return build(tmp_path_factory.mktemp("execute"), "./execute")


def atlas(program: Path, project: Project, *count: int) -> "subprocess.CompletedProcess[str]":
    """Run Atlas's executor on what is pending, or on that many files."""
    url = project.database.server.url(project.database.name, sslmode="disable")
    return subprocess.run(
        [program, url, f"{project.migrations}", *map(str, count)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def history(project: Project) -> list[dict[str, Any]]:
    """Return all rows of the history, column by column, without times and operator."""
    with project.database.connect() as connection:
        cursor = connection.execute(ALL)
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def columns(project: Project) -> list[tuple[Any, ...]]:
    """Return the columns of the table: name, type, whether it may be null, default; and its key."""
    return project.database.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = 'atlas_schema_revisions.atlas_schema_revisions'::regclass AND attnum > 0 ORDER BY attnum"
    ) + project.database.execute(
        "SELECT conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n' "
        "AND conrelid = 'atlas_schema_revisions.atlas_schema_revisions'::regclass ORDER BY 1"
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with files of every kind."""
    project = Project(tmp_path, database)
    project.write(FILES)
    return project


@pytest.fixture
def by_atlas(program: Path, project: Project, server: Server) -> list[dict[str, Any]]:
    """The history that Atlas's executor leaves when it runs all files, on a database of its own."""
    with fresh_database(server) as other:
        elsewhere = replace(project, database=other)
        done = atlas(program, elsewhere)
        assert done.returncode == 0, done.stderr
        assert other.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,), (3,), (4,), (5,)]
        return history(elsewhere)


def test_same_table(project: Project, program: Path, server: Server) -> None:
    """The table that we make has the columns, types, defaults and key of the one that Atlas makes."""
    project.apply(amount=1)
    with fresh_database(server) as other:
        elsewhere = replace(project, database=other)
        assert atlas(program, elsewhere, 1).returncode == 0
        made_by_atlas = columns(elsewhere)

    assert columns(project) == made_by_atlas


@pytest.mark.parametrize("count", range(len(FILES) + 1))
def test_atlas_continues(project: Project, by_atlas: list[dict[str, Any]], program: Path, count: int) -> None:
    """We run some files, Atlas the rest: nothing twice, the rows are those of Atlas alone."""
    if count:
        project.apply(amount=count)
    done = atlas(program, project)

    assert done.returncode == 0, done.stderr
    assert history(project) == by_atlas
    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,), (3,), (4,), (5,)]
    assert project.apply().applied == ()


@pytest.mark.parametrize("count", range(len(FILES)))
def test_we_continue(project: Project, by_atlas: list[dict[str, Any]], program: Path, count: int) -> None:
    """Atlas runs some files, we the rest: nothing twice, the rows are those of Atlas alone."""
    if count:
        assert atlas(program, project, count).returncode == 0
    project.apply()

    assert history(project) == by_atlas
    assert project.database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,), (3,), (4,), (5,)]
    assert atlas(program, project).returncode == 0


BROKEN = {
    "1_a.sql": f"{NONE}CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\nSELECT 1/0;\nINSERT INTO a VALUES (3);\n"
}
MENDED = {"1_a.sql": BROKEN["1_a.sql"].replace("SELECT 1/0", "INSERT INTO a VALUES (2)")}


def test_atlas_continues_our_partial_row(tmp_path: Path, database: Database, program: Path) -> None:
    """Our partial row is one that Atlas resumes after its last statement."""
    project = Project(tmp_path, database)
    project.write(BROKEN)
    with pytest.raises(StatementFailed):
        project.apply()

    project.write(MENDED)
    done = atlas(program, project)

    assert done.returncode == 0, done.stderr
    assert database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,), (3,)]
    assert [(row["applied"], row["total"], row["error"]) for row in history(project)] == [(4, 4, "")]


def test_we_continue_atlas_partial_row(tmp_path: Path, database: Database, program: Path) -> None:
    """Atlas's partial row is one that we resume after its last statement, and its operator gives way to ours."""
    project = Project(tmp_path, database)
    project.write(BROKEN)
    done = atlas(program, project)
    assert done.returncode == 1
    assert "division by zero" in done.stderr

    project.write(MENDED)
    project.apply()

    assert database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,), (3,)]
    assert [(row["applied"], row["total"], row["error"]) for row in history(project)] == [(4, 4, "")]
    assert (
        "pgrollout"
        in database.execute("SELECT operator_version FROM atlas_schema_revisions.atlas_schema_revisions")[0][0]
    )


def test_partial_rows_are_the_same(tmp_path: Path, database: Database, program: Path, server: Server) -> None:
    """What a failure leaves is the same in every column, but for the driver's own words in front of the error."""
    project = Project(tmp_path, database)
    project.write(BROKEN)
    with pytest.raises(StatementFailed):
        project.apply()
    with fresh_database(server) as other:
        elsewhere = replace(project, database=other)
        assert atlas(program, elsewhere).returncode == 1
        by_atlas = history(elsewhere)

    assert by_atlas[0].pop("error") == "pq: division by zero"
    ours = history(project)
    assert ours[0].pop("error") == "division by zero"
    assert ours == by_atlas


def test_atlas_refuses_an_edited_prefix_of_ours(tmp_path: Path, database: Database, program: Path) -> None:
    """The partial hashes that we keep are the ones that Atlas checks."""
    project = Project(tmp_path, database)
    project.write(BROKEN)
    with pytest.raises(StatementFailed):
        project.apply()
    project.write({"1_a.sql": MENDED["1_a.sql"].replace("VALUES (1)", "VALUES (7)")})

    done = atlas(program, project)

    assert done.returncode == 1
    assert 'history changed: statement 2 from file "1_a.sql" changed' in done.stderr


def test_lock_keeps_both_apart(project: Project, program: Path) -> None:
    """While somebody has the lock, Atlas runs nothing either."""
    with lock_holder(project.database, LOCK_KEY):
        done = atlas(program, project)

    assert "lock is held by other session" in done.stderr
    assert not project.exists("atlas_schema_revisions.")
