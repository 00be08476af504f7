"""The revisions table: where it is, what it looks like, and what of it is read and written."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgrollout.errors import AmbiguousRevisions, ExitCode, OutOfOrder
from pgrollout.history import CLOUD_IDENTIFIER, RevisionType
from pgrollout.postgres import revisions
from pgrollout.postgres.connection import connect
from pgrollout.postgres.revisions import RevisionsTable
from pgrollout.settings import Database as Settings
from tests.project import Project
from tests.servers import Database

COLUMNS = [
    ("version", "character varying", True, None),
    ("description", "character varying", True, None),
    ("type", "bigint", True, "2"),
    ("applied", "bigint", True, "0"),
    ("total", "bigint", True, "0"),
    ("executed_at", "timestamp with time zone", True, None),
    ("execution_time", "bigint", True, None),
    ("error", "text", False, None),
    ("error_stmt", "text", False, None),
    ("hash", "character varying", True, None),
    ("partial_hashes", "jsonb", False, None),
    ("operator_version", "character varying", True, None),
]


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with two files."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE public.a (id int);\n", "2_b.sql": "CREATE TABLE public.b (id int);\n"})
    return project


def with_path(project: Project, schema: str, **values: Any) -> Settings:
    """Return settings whose URL has a search path."""
    return project.settings(url=SecretStr(f"{project.database.url}&search_path={schema}"), **values)


def test_table_is_atlas_own(any_database: Database, tmp_path: Path) -> None:
    """Twelve columns with Atlas's types, defaults and nullability, the version as key, and no other index."""
    project = Project(tmp_path, any_database)
    project.write({"1_a.sql": "SELECT 1;\n"})

    project.apply()

    assert any_database.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) "
        "FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = 'atlas_schema_revisions.atlas_schema_revisions'::regclass AND attnum > 0 ORDER BY attnum"
    ) == COLUMNS  # fmt: skip
    assert any_database.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'atlas_schema_revisions'") == [
        (
            "CREATE UNIQUE INDEX atlas_schema_revisions_pkey ON atlas_schema_revisions.atlas_schema_revisions "
            "USING btree (version)",
        )
    ]


def test_configured_schema(project: Project) -> None:
    """The schema of the settings wins over the URL's, and is made when missing."""
    project.apply(with_path(project, "app", revisions_schema="my history"))

    assert project.exists('"my history".atlas_schema_revisions')
    assert not project.exists("app.")
    assert not project.exists("atlas_schema_revisions.")


def test_schema_of_the_search_path(project: Project) -> None:
    """A URL with a search path has the history there; that schema is made when missing."""
    project.apply(with_path(project, "app"))

    assert project.exists("app.atlas_schema_revisions")
    assert not project.exists("atlas_schema_revisions.")
    assert [file.version for file in project.apply(with_path(project, "app"), dry_run=True).applied] == []


def test_atlas_default_schema(project: Project) -> None:
    """Otherwise it is in the schema of its own name."""
    project.apply()

    assert project.exists("atlas_schema_revisions.atlas_schema_revisions")


def test_ambiguous_place_is_refused(project: Project) -> None:
    """A URL whose schema has no history, beside one in Atlas's own schema, could mean either."""
    project.apply(amount=1)

    with pytest.raises(AmbiguousRevisions) as caught:
        project.apply(with_path(project, "app"))

    assert caught.value.code is ExitCode.USAGE
    assert "app" in str(caught.value)
    assert not project.exists("app.")
    assert project.apply(with_path(project, "app", revisions_schema="atlas_schema_revisions")).after == "2"


def test_two_histories_share_a_ledger(project: Project) -> None:
    """Two directories in one database have two histories; versions of the one say nothing of the other."""
    project.apply(project.settings(revisions_schema="one"), amount=1)
    project.database.execute("DROP TABLE a")
    project.apply(project.settings(revisions_schema="two"), allow_dirty=True)

    assert project.database.execute("SELECT history, version FROM pgrollout.step ORDER BY id") == [
        ("one", "1"),
        ("two", "1"),
        ("two", "2"),
    ]
    assert project.database.execute("SELECT version FROM one.atlas_schema_revisions") == [("1",)]


def test_nulls_and_the_cloud_row_are_tolerated(project: Project) -> None:
    """NULL is read like empty; the row that Atlas keeps for itself is passed by, and stays as it is."""
    project.apply(amount=1)
    table = "atlas_schema_revisions.atlas_schema_revisions"
    project.database.execute(f"UPDATE {table} SET error = NULL, error_stmt = NULL, partial_hashes = NULL")
    project.database.execute(
        f"INSERT INTO {table} VALUES (%s, 'a UUID', 2, 0, 0, now(), 0, NULL, NULL, '', NULL, 'Atlas CLI v1.2.3')",
        CLOUD_IDENTIFIER,
    )
    kept = f"SELECT * FROM {table} WHERE version = %s"
    before = project.database.execute(kept, CLOUD_IDENTIFIER)

    report = project.apply()

    assert (report.before, report.after) == ("1", "2")
    assert project.database.execute(kept, CLOUD_IDENTIFIER) == before


def test_full_hashes_of_older_releases_are_tolerated(project: Project) -> None:
    """Older releases of Atlas left the hashes of a finished file; such a row is a finished one."""
    project.apply(amount=1)
    project.database.execute(
        """UPDATE atlas_schema_revisions.atlas_schema_revisions SET partial_hashes = '["h1:abc="]'"""
    )

    assert project.apply().after == "2"


def test_rows_are_read_by_bytes(any_database: Database, tmp_path: Path) -> None:
    """Versions are compared byte by byte, whatever the database's collation says."""
    project = Project(tmp_path, any_database)
    project.write({"1_a.sql": "SELECT 1;\n", "B_b.sql": "SELECT 1;\n", "a_c.sql": "SELECT 1;\n"})
    project.apply()

    with connect(project.settings(), application_name="pgrollout/test") as connection:
        table = revisions.locate(connection, project.settings())
        rows = revisions.read(connection, table)

    assert [row.version for row in rows] == ["1", "B", "a"]
    assert all(row.type is RevisionType.EXECUTE and not row.is_partial for row in rows)
    assert project.apply().before == "a"


def test_rows_older_than_the_table_say_nothing(project: Project) -> None:
    """A file older than the first row is not out of order; one after it is."""
    project.apply(baseline="2")
    project.write({"0_z.sql": "SELECT 1;\n"})
    assert project.apply().applied == ()

    project.write({"2a_c.sql": "SELECT 1;\n", "3_d.sql": "SELECT 1;\n"})
    project.apply(amount=2)
    project.write({"2b_e.sql": "SELECT 1;\n"})
    with pytest.raises(OutOfOrder, match=r"2b_e\.sql"):
        project.apply()


def test_write_keeps_what_atlas_keeps(project: Project) -> None:
    """A second write of a row leaves version, description and the first time; execution_time on request."""
    project.apply(amount=1)
    table = RevisionsTable("atlas_schema_revisions", True, True)
    before = project.database.execute(f"SELECT executed_at, execution_time FROM {table.qualified}")

    project.database.execute(
        revisions.write_sql(
            table, version="1", description="other", type=RevisionType.RESOLVED, applied=3, total=4, hash="x",
            execution_time="execution_time", error="it's\\", error_stmt="SELECT '%%'", partial_hashes=["h"],
        )
    )  # fmt: skip

    assert project.rows() == [("1", "a", 4, 3, 4, "it's\\", "SELECT '%%'", "x", ["h1:h"])]
    assert project.database.execute(f"SELECT executed_at, execution_time FROM {table.qualified}") == before
