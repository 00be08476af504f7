"""State: the session, and whether a database without history is clean."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from pgrollout.errors import NotClean, ServerRefused
from pgrollout.postgres.connection import connect
from pgrollout.postgres.revisions import DEFAULT_SCHEMA, RevisionsTable, create_sql
from pgrollout.postgres.state import State, check_clean, read_checked, read_session, read_state
from pgrollout.settings import Database as Settings
from tests.project import Project
from tests.servers import Database


def reason(settings: Settings) -> str | None:
    """Return why the database is not clean, or None if it is."""
    with connect(settings, application_name="pgrollout/test") as connection:
        state = read_state(connection, settings)
        try:
            check_clean(connection, settings, state.table)
        except NotClean as error:
            return error.reason
        return None


def test_session(any_database: Database, tmp_path: Path) -> None:
    """The session is the backend's own: pid, start, version, and the role when it is another than the login's."""
    role = any_database.make_role("owner", "NOLOGIN")

    for settings, expected in (
        (any_database.settings(tmp_path), None),
        (any_database.settings(tmp_path, role=role), role),
    ):
        with connect(settings, application_name="pgrollout/test") as connection:
            session = read_session(connection, settings)

            assert session.role == expected
            assert session.server_version // 10000 == any_database.server.version
            assert any_database.execute(
                "SELECT backend_start = %s::timestamptz FROM pg_stat_activity WHERE pid = %s",
                session.backend_start, session.backend_pid,
            ) == [(True,)]  # fmt: skip


def test_another_run_commits_between_two_looks(database: Database, tmp_path: Path) -> None:
    """Tables of a run that was quicker than us are not taken for somebody's that nobody told us about."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    asked: list[State] = []

    def needs_clean(state: State) -> bool:
        asked.append(state)
        if len(asked) == 1:
            project.apply()
        return not state.revisions

    settings = project.settings()
    with connect(settings, application_name="pgrollout/test") as connection:
        state = read_checked(connection, settings, needs_clean)

    assert [row.version for row in state.revisions] == ["1"]
    assert [len(each.revisions) for each in asked] == [0, 1]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", None),
        ("CREATE VIEW v AS SELECT 1; CREATE SEQUENCE s; CREATE TYPE y AS ENUM ('a')", None),
        ("CREATE SCHEMA pgrollout; CREATE TABLE pgrollout.a (id int)", None),
        ("CREATE SCHEMA atlas_schema_revisions", None),
        (create_sql(RevisionsTable(DEFAULT_SCHEMA, schema_exists=False, exists=False)), None),
        ("CREATE TABLE b (id int)", 'found table "b" in schema "public"'),
        ("CREATE TABLE b (id int) PARTITION BY RANGE (id)", 'found table "b" in schema "public"'),
        ("CREATE TABLE b (id int); CREATE TABLE a (id int)", 'found 2 tables in schema "public"'),
        ("CREATE SCHEMA x", 'found schema "x"'),
        ("CREATE SCHEMA x; CREATE TABLE x.y (id int)", 'found table "y" in schema "x"'),
        ("CREATE SCHEMA atlas_schema_revisions; CREATE TABLE atlas_schema_revisions.z (id int)",
         'found table "z" in schema "atlas_schema_revisions"'),
    ],
)  # fmt: skip
def test_clean(database: Database, tmp_path: Path, sql: str, expected: str | None) -> None:
    """Only tables and other schemas make a database dirty, as for Atlas; our ledger does not."""
    database.execute(sql)

    assert reason(database.settings(tmp_path)) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE SCHEMA app; CREATE TABLE public.other (id int)", None),
        (create_sql(RevisionsTable("app", schema_exists=False, exists=False)), None),
        (
            "CREATE SCHEMA app; CREATE TABLE app.b (id int); CREATE TABLE app.c (id int)",
            'found table "b" in schema "app"',
        ),
        ("SELECT 1", None),
    ],
)
def test_clean_in_one_schema(database: Database, tmp_path: Path, sql: str, expected: str | None) -> None:
    """A URL with a search path looks at that schema alone."""
    database.execute(sql)

    assert reason(database.settings(tmp_path, url=SecretStr(database.url + "&search_path=app"))) == expected


def test_extensions_do_not_count(tls_database: Database, tmp_path: Path) -> None:
    """What belongs to an extension is not a table of the user's."""
    tls_database.execute("CREATE SCHEMA ext; CREATE EXTENSION pg_stat_statements WITH SCHEMA public")
    tls_database.execute("DROP SCHEMA ext; CREATE TABLE t (id int); ALTER EXTENSION pg_stat_statements ADD TABLE t")

    assert reason(tls_database.settings(tmp_path)) is None


def test_history_that_may_not_be_read(database: Database, tmp_path: Path) -> None:
    """A role that may not read the history gets an error of ours, with what to do."""
    project = Project(tmp_path, database)
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    role = database.make_role("plain")
    url = SecretStr(database.server.url(database.name, user=role))

    with pytest.raises(ServerRefused, match="permission denied") as caught:
        project.apply(project.settings(url=url), dry_run=True)

    assert caught.value.sqlstate == "42501"
    assert "grant it" in str(caught.value)
