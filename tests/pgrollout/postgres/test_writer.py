"""Writing: what a migration leaves in the history, where its errors are, and what it does not leave in the session."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from pgrollout.content import read_content
from pgrollout.directory import read_directory
from pgrollout.errors import (
    ExitCode,
    HistoryChanged,
    RecordsRefused,
    StatementFailed,
    UnreadableFile,
    UnresolvedIntent,
)
from pgrollout.postgres import atlas_lock
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.executing import Executing
from pgrollout.postgres.ledger import Run
from pgrollout.postgres.records import File, Records
from pgrollout.postgres.state import read_session, read_state
from pgrollout.postgres.supervisor import Supervisor
from pgrollout.postgres.writer import Writer
from pgrollout.progress import Reporter
from pgrollout.sum_file import sum_of
from tests.project import AT_THE_GATE, GATE, Project, eventually, lock_holder, observed
from tests.servers import Database
from tests.slow_link import slow_link

NONE = "-- atlas:txmode none\n\n"
STRINGS_OFF = "DO $$ BEGIN PERFORM set_config('standard_conforming_' || 'strings', 'off', false); END $$;"
"""Not to be seen by reading."""


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project on PostgreSQL 18."""
    return Project(tmp_path, database)


@pytest.fixture
def any_project(tmp_path: Path, any_database: Database) -> Project:
    """A project on each version."""
    return Project(tmp_path, any_database)


def hash_of(project: Project, name: str) -> str:
    """Return the file's entry of the sum file."""
    found = sum_of(read_directory(project.migrations).migrations).hash_of(name)
    assert found is not None
    return found


# Rows.


def test_finished_file_leaves_atlas_row(any_project: Project) -> None:
    """A finished file leaves the row that Atlas would: counts, JSON null, empty errors, the hash without prefix."""
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n", "2.sql": "SELECT 1"})

    any_project.apply()

    assert any_project.rows() == [
        ("1", "a", 2, 2, 2, "", "", hash_of(any_project, "1_a.sql"), None),
        ("2", "", 2, 1, 1, "", "", hash_of(any_project, "2.sql"), None),
    ]
    kept = any_project.database.execute(
        "SELECT partial_hashes::text, executed_at <= now(), execution_time >= 0, operator_version "
        "FROM atlas_schema_revisions.atlas_schema_revisions"
    )
    assert [row[:3] for row in kept] == [("null", True, True)] * 2
    assert kept[0][3].startswith("pgrollout ")


def test_empty_file_leaves_a_row(project: Project) -> None:
    """A file without statements is recorded as done, in both modes."""
    project.write({"1_a.sql": "", "2_b.sql": "-- only a remark\n", "3_c.sql": NONE})

    project.apply()

    assert [row[:5] for row in project.rows()] == [("1", "a", 2, 0, 0), ("2", "b", 2, 0, 0), ("3", "c", 2, 0, 0)]


def test_failure_in_txmode_none_leaves_partial_row(any_project: Project) -> None:
    """Statement three fails: two are applied of four, with error, statement and the hashes of the two."""
    any_project.write(
        {"1_a.sql": f"{NONE}CREATE TABLE c (id int);\nSELECT pg_sleep(0.4);\nSELECT 1/0;\nCREATE TABLE d (id int);\n"}
    )

    with pytest.raises(StatementFailed) as caught:
        any_project.apply()

    assert caught.value.place is not None
    assert str(caught.value.place).startswith("1_a.sql:5:")
    assert any_project.rows() == [
        (
            "1", "a", 2, 2, 4, "division by zero", "SELECT 1/0;", hash_of(any_project, "1_a.sql"),
            ["h1:hk5GMR1OtYzxY65LCR84rTc8WR/aI/PdKG1oufqdOgk=", "h1:+FjrOhKwtQvmVIKZGH/FhXGvQbSpLA/s3BWsCuNldss="],
        )
    ]  # fmt: skip
    assert not any_project.exists("d")


def test_resume_keeps_first_time_and_refreshes_counts(any_project: Project) -> None:
    """The mended file runs from where it stopped; total and hash are the new file's, the first time stays."""
    any_project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        any_project.apply()
    first = any_project.database.execute("SELECT executed_at FROM atlas_schema_revisions.atlas_schema_revisions")

    any_project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nSELECT 1;\nCREATE TABLE b (id int);\n"})
    any_project.apply()

    assert any_project.rows() == [("1", "a", 2, 3, 3, "", "", hash_of(any_project, "1_a.sql"), None)]
    assert first == any_project.database.execute(
        "SELECT executed_at FROM atlas_schema_revisions.atlas_schema_revisions"
    )


def test_edited_prefix_is_refused(project: Project) -> None:
    """A statement that ran must stay; the error names it, and the row stays as it was."""
    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()
    before = project.rows()

    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id bigint);\nSELECT 1;\n"})
    with pytest.raises(HistoryChanged) as caught:
        project.apply()

    assert caught.value.code is ExitCode.MISMATCH
    assert "statement 1" in str(caught.value)
    assert "1_a.sql" in str(caught.value)
    assert project.rows() == before


def test_fewer_statements_than_applied_are_refused(project: Project) -> None:
    """A file that lost statements that ran cannot be resumed."""
    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nCREATE TABLE b (id int);\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\n"})
    with pytest.raises(HistoryChanged):
        project.apply()


def test_all_that_failed_is_removed(project: Project) -> None:
    """When only the failed statement is removed from the file, the next run has nothing to do but say so."""
    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\n"})
    project.apply()

    assert project.rows() == [("1", "a", 2, 1, 1, "", "", hash_of(project, "1_a.sql"), None)]


def test_partial_row_continues_in_a_transaction(project: Project) -> None:
    """Without the directive the rest of the file runs as one transaction, and nothing before it again."""
    project.write({"1_a.sql": f"{NONE}CREATE TABLE a (id int);\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    project.write({"1_a.sql": "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\nSELECT nope;\n"})
    with pytest.raises(StatementFailed, match=r"1_a\.sql:3:8"):
        project.apply()
    assert not project.exists("b")
    project.write({"1_a.sql": "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n"})
    project.apply()

    assert project.exists("b")
    assert [row[:5] for row in project.rows()] == [("1", "a", 2, 2, 2)]


def test_passwords_are_masked_in_row_and_ledger(project: Project) -> None:
    """The history tells which statement failed without its password."""
    role = f"{project.database.name}_absent"
    project.write({"1_a.sql": f"{NONE}ALTER ROLE {role} PASSWORD 'hunter2';\n"})

    with pytest.raises(StatementFailed) as caught:
        project.apply()

    assert "hunter2" not in str(caught.value)
    assert project.rows()[0][6] == f"ALTER ROLE {role} PASSWORD '***';"
    assert "hunter2" not in project.dump().partition("1_a.sql: ")[0]


# Failures and their places.


def test_first_file_that_fails_leaves_nothing(any_project: Project) -> None:
    """A first file that fails leaves neither Atlas's table nor the ledger, nor their schemas."""
    before = any_project.dump() if any_project.database.server.version == 18 else ""
    any_project.write({"1_a.sql": "CREATE TABLE a (id int);\nSELECT nope;\n"})

    with pytest.raises(StatementFailed):
        any_project.apply()

    assert not any_project.exists("a")
    assert not any_project.exists("atlas_schema_revisions.")
    assert not any_project.exists("pgrollout.")
    assert before in any_project.dump()


@pytest.mark.parametrize(
    ("sql", "place", "sqlstate"),
    [
        ("CREATE TABLE b (id int);\nCREATE TABEL c (id int);\n", "2_b.sql:2:8", "42601"),
        ("SELECT 'é', nope FROM a;\n", "2_b.sql:1:13", "42703"),
        ("-- é\nINSERT INTO a VALUES (1);\n\n  INSERT INTO a\n  VALUES (1);\n", "2_b.sql:4:3", "23505"),
        ("DO $$\nBEGIN\n  RAISE EXCEPTION 'no';\nEND $$;\n", "2_b.sql:1:1", "P0001"),
        ("CREATE TABLE b (id int);\nDO $$ BEGIN PERFORM 1/0; END $$;\n", "2_b.sql:2:1", "22012"),
        ("DO $$ BEGIN\n  PERFORM nope FROM a;\nEND $$;\n", "2_b.sql:1:1", "42703"),
        ("-- atlas:delimiter \\n\\n\n\nINSERT INTO a VALUES (7)\n\nINSERT INTO a VALUES (7)\n", "2_b.sql:5:1", "23505"),
        ("-- atlas:delimiter \\n\\n\n\nSELECT 1\n\nSELECT\n  nope\n", "2_b.sql:6:3", "42703"),
    ],
    ids=["syntax", "column-after-é", "second", "plpgsql", "do", "do-column", "delimiter", "delimiter-column"],
)  # fmt: skip
def test_failure_in_the_middle(project: Project, sql: str, place: str, sqlstate: str) -> None:
    """What ran before stays, the file leaves nothing, the place is the statement's or the very character's."""
    project.write({"1_a.sql": "CREATE TABLE a (id int PRIMARY KEY);\n", "2_b.sql": sql, "3_c.sql": "SELECT 1;\n"})

    with pytest.raises(StatementFailed) as caught:
        project.apply()

    assert str(caught.value.place) == place
    assert caught.value.sqlstate == sqlstate
    assert caught.value.code is ExitCode.FAILED
    assert project.versions() == ["1"]
    assert not project.exists("b")
    assert project.database.execute("SELECT outcome FROM pgrollout.run") == [("failed",)]


def test_failure_at_commit(project: Project) -> None:
    """A deferred constraint fails at COMMIT: the file is named, and nothing of it is kept."""
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);\n",
            "2_b.sql": "CREATE TABLE b (id int);\nINSERT INTO a VALUES (1), (1);\n",
        }
    )

    with pytest.raises(RecordsRefused) as caught:
        project.apply()

    assert "2_b.sql" in str(caught.value)
    assert "23505" in str(caught.value)
    assert caught.value.code is ExitCode.FAILED
    assert project.versions() == ["1"]
    assert not project.exists("b")


def test_big_file_goes_in_pieces(project: Project) -> None:
    """A file of several megabytes is one transaction still; an error in its last piece has its place."""
    line = f"INSERT INTO a VALUES ('{'x' * 200}');\n"
    count = 12_000
    head = "CREATE TABLE a (x text);\n"
    project.write({"1_a.sql": head + line * count + "SELECT é;\n"})

    with pytest.raises(StatementFailed) as caught:
        project.apply()
    assert str(caught.value.place) == f"1_a.sql:{count + 2}:8"
    assert not project.exists("a")

    project.write({"1_a.sql": head + line * count})
    project.apply()

    assert project.database.execute("SELECT count(*) FROM a") == [(count,)]
    assert [row[:5] for row in project.rows()] == [("1", "a", 2, count + 1, count + 1)]


def test_big_file_over_a_slow_link(project: Project) -> None:
    """The server does not end the transaction while the next piece, or a long statement, is on its way."""
    short = f"INSERT INTO a VALUES ('{'x' * 200}');\n" * 4000
    long = f"INSERT INTO a VALUES ('{'y' * 600_000}');\n"
    project.write({"1_a.sql": f"CREATE TABLE a (x text);\n{short}{long}{short}"})
    server = project.database.server

    with slow_link(server, 1_000_000) as folder:
        run = project.run("apply", PGROLLOUT_URL=server.url(project.database.name, host=folder))

    assert (run.returncode, run.stderr if run.returncode else "") == (0, "")
    assert project.database.execute("SELECT count(*) FROM a") == [(8001,)]


def test_copy_to_the_client_is_thrown_away(project: Project) -> None:
    """What a COPY sends to the client is thrown away, and the commands after it count."""
    copy = "CREATE TABLE a (id int);\nINSERT INTO a SELECT generate_series(1, 50000);\nCOPY a TO STDOUT;\n"
    project.write({"1_a.sql": f"{copy}COPY a TO STDOUT;\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed, match=r"1_a\.sql:5:1"):
        project.apply()
    assert not project.exists("a")

    project.write({"1_a.sql": copy})
    project.apply()

    assert project.database.execute("SELECT count(*) FROM a") == [(50000,)]


# txmode none.


def test_statements_outside_a_transaction(any_project: Project) -> None:
    """What cannot run in a transaction runs alone, with an intent that has an end; the rest commits with its row."""
    any_project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n",
            "2_b.sql": f"{NONE}CREATE INDEX CONCURRENTLY a_idx ON a (id);\nVACUUM a;\nINSERT INTO a VALUES (2);\n",
        }
    )

    any_project.apply(any_project.settings(small_table_bytes=0))

    steps = any_project.database.execute(
        "SELECT version, position, kind, outcome, ended_at IS NOT NULL FROM pgrollout.step ORDER BY id"
    )
    assert steps == [
        ("1", 0, "transaction", "done", True),
        ("2", 1, "alone", "done", True),
        ("2", 2, "alone", "done", True),
        ("2", 3, "statement", "done", True),
    ]
    assert any_project.database.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_idx'::regclass") == [
        (True,)
    ]
    assert [row[:5] for row in any_project.rows()][1] == ("2", "b", 2, 3, 3)


def test_call_that_commits(any_project: Project) -> None:
    """A procedure that commits is found out by trying, and its work is done once."""
    any_project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\n"
            "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN\n"
            "  INSERT INTO a VALUES (1); COMMIT; INSERT INTO a VALUES (2); COMMIT;\nEND $$;\n",
            "2_b.sql": f"{NONE}CALL p();\n",
        }
    )

    any_project.apply()

    assert any_project.database.execute("SELECT id FROM a ORDER BY 1") == [(1,), (2,)]
    assert any_project.database.execute("SELECT kind, outcome FROM pgrollout.step WHERE version = '2'") == [
        ("alone", "done")
    ]


def test_call_that_commits_is_explained_in_a_wrapped_file(project: Project) -> None:
    """In a wrapped file the server refuses it, and the error says what to do."""
    project.write(
        {
            "1_a.sql": "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\n",
            "2_b.sql": "CALL p();\n",
        }
    )

    with pytest.raises(StatementFailed, match="atlas:txmode none"):
        project.apply()


def test_statement_that_needs_to_be_alone_in_a_wrapped_file(any_project: Project) -> None:
    """It runs alone, what stands before and after it in a transaction each, and the row is Atlas's in the end."""
    any_project.write(
        {"1_a.sql": "CREATE TABLE a (id int);\nVACUUM a;\nCREATE TABLE b (id int);\nCREATE TABLE c (id int);\n"}
    )

    any_project.apply()

    assert any_project.database.execute("SELECT position, kind, outcome FROM pgrollout.step ORDER BY id") == [
        (1, "transaction", "done"), (2, "alone", "done"), (3, "transaction", "done"),
    ]  # fmt: skip
    assert any_project.rows()[0][3:7] == (4, 4, "", "")
    assert any_project.rows()[0][8] is None


def test_statement_that_fails_alone(project: Project) -> None:
    """Its intent ends with the failure, the row has error and statement, and nothing is left of the index."""
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1), (1);\n",
            "2_b.sql": f"{NONE}CREATE UNIQUE INDEX CONCURRENTLY a_idx ON a (id);\n",
        }
    )

    with pytest.raises(StatementFailed, match="These are the duplicates"):
        project.apply(project.settings(small_table_bytes=0))

    assert project.database.execute("SELECT kind, outcome FROM pgrollout.step WHERE version = '2'") == [
        ("alone", "failed")
    ]
    row = project.rows()[1]
    assert row[3:5] == (0, 1)
    assert "could not create unique index" in row[5]

    project.database.execute("DELETE FROM a")
    project.apply()

    assert project.rows()[1][3:7] == (1, 1, "", "")


@pytest.mark.parametrize(("end", "rows"), [("COMMIT", 2), ("END", 2), ("ROLLBACK", 0), ("ABORT", 0)])
def test_explicit_block(project: Project, end: str, rows: int) -> None:
    """A block is one segment: its rows are its own COMMIT's, a block that rolls back counts as run."""
    project.write(
        {
            "1_a.sql": f"{NONE}CREATE TABLE a (id int);\nBEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\n"
            f"{end};\nCREATE TABLE b (id int);\n"
        }
    )

    project.apply()

    assert project.database.execute("SELECT count(*) FROM a") == [(rows,)]
    assert project.exists("b")
    assert project.rows()[0][:5] == ("1", "a", 2, 6, 6)
    assert project.database.execute("SELECT position, kind FROM pgrollout.step ORDER BY id") == [
        (1, "statement"),
        (2, "block"),
        (6, "statement"),
    ]


def test_error_inside_a_block(project: Project) -> None:
    """The block leaves nothing, the row stands before it, and the mended block runs as a whole."""
    text = f"{NONE}CREATE TABLE a (id int);\nBEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (@);\nCOMMIT;\n"
    project.write({"1_a.sql": text.replace("@", "1/0")})

    with pytest.raises(StatementFailed) as caught:
        project.apply()

    assert str(caught.value.place) == "1_a.sql:6:1"
    assert project.database.execute("SELECT count(*) FROM a") == [(0,)]
    assert project.rows()[0][3:5] == (1, 5)
    assert "division by zero" in project.rows()[0][5]

    project.write({"1_a.sql": text.replace("@", "2")})
    project.apply()

    assert project.database.execute("SELECT count(*) FROM a") == [(2,)]
    assert project.rows()[0][3:7] == (5, 5, "", "")


@pytest.mark.parametrize(
    ("sql", "place"),
    [("BEGIN;\nSELECT 1;\n", "1_a.sql:3:1"), ("SELECT 1;\nCOMMIT;\n", "1_a.sql:4:1")],
    ids=["open", "unopened"],
)
def test_block_without_end_or_begin(project: Project, sql: str, place: str) -> None:
    """A block that is not whole is refused before anything runs."""
    project.write({"1_a.sql": NONE + sql})

    with pytest.raises(UnreadableFile, match=place):
        project.apply()

    assert not project.exists("atlas_schema_revisions.")


# The session.

LEAKS: dict[str, tuple[str, str]] = {
    "search_path": ("SET search_path = ''", "current_setting('search_path') <> '\"\"'"),
    "settings": ("SET bytea_output = 'escape'", "current_setting('bytea_output') = 'hex'"),
    "date style": ("SET datestyle = 'SQL, DMY'", "current_setting('datestyle') = 'ISO, MDY'"),
    "role": ('SET ROLE "{other}"', "current_user = session_user"),
    "authorization": ('SET SESSION AUTHORIZATION "{other}"', "session_user = 'postgres'"),
    "temporary table": ("CREATE TEMP TABLE t (id int)", "to_regclass('pg_temp.t') IS NULL"),
    "prepared statement": ("PREPARE q AS SELECT 1", "NOT EXISTS (SELECT FROM pg_prepared_statements)"),
    "cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "NOT EXISTS (SELECT FROM pg_cursors)"),
    "read only": ("SET default_transaction_read_only = on", "current_setting('transaction_read_only') = 'off'"),
}


@pytest.mark.parametrize("mode", ["file", "none"])
@pytest.mark.parametrize("leak", LEAKS)
def test_nothing_leaks_into_the_next_file(any_project: Project, leak: str, mode: str) -> None:
    """What a file sets is there for its own later statements and gone for the next file; our rows are written anyway."""
    other = any_project.database.make_role("other", "NOLOGIN")
    sql, is_clean = LEAKS[leak]
    header = NONE if mode == "none" else ""
    check = f"DO $$ BEGIN ASSERT {is_clean}; END $$;\n"
    still = f"DO $$ BEGIN ASSERT NOT ({is_clean}); END $$;\n" if leak != "read only" else "SELECT 1;\n"
    any_project.write(
        {
            "1_a.sql": f"{header}{sql.format(other=other)};\n{still}",
            "2_b.sql": check,
            "3_c.sql": f"{header}{sql.format(other=other)};\n{still}",
            "4_d.sql": f"{NONE}{check}",
        }
    )

    any_project.apply()

    assert any_project.versions() == ["1", "2", "3", "4"]


def test_records_are_written_under_hostile_settings(project: Project) -> None:
    """Quotes and backslashes of a failing statement are kept as they are, whatever the file has set."""
    sql = "SELECT 'a\\\\b', 1/0 AS \"it's\";"
    project.write(
        {"1_a.sql": f"{NONE}{STRINGS_OFF}\nSET escape_string_warning = off;\n{sql}\n"},
    )

    with pytest.raises(StatementFailed):
        project.apply()

    assert project.rows()[0][6] == sql


def test_names_with_quotes_and_backslashes(project: Project) -> None:
    """A description with a quote and a backslash is kept as it is, also without standard_conforming_strings."""
    project.write({"1_a\\b'c.sql": f"{STRINGS_OFF}\nSELECT 1;\n"})

    project.apply()

    assert project.rows()[0][:2] == ("1", "a\\b'c")


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_strings_mean_the_same_in_every_file(any_project: Project, mode: str) -> None:
    """Whatever a file before, or the database, has set: the server reads a whole text before it runs any of it."""
    any_project.database.execute(f"ALTER DATABASE {any_project.database.name} SET standard_conforming_strings = off")
    insert = "INSERT INTO a VALUES ('a\\tb');\n"
    any_project.write(
        {"1_a.sql": f"{mode}CREATE TABLE a (x text);\n{insert}{STRINGS_OFF}\n", "2_b.sql": f"{mode}{insert}"}
    )

    any_project.apply()

    assert any_project.database.execute("SELECT length(x) FROM a") == [(4,), (4,)]


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_client_encoding_of_a_file(project: Project, mode: str) -> None:
    """A file may say what a dump of another encoding says; the files are UTF-8 all the same, it and those after it."""
    insert = "INSERT INTO a VALUES ('é');\n"
    project.write(
        {
            "1_a.sql": f"{mode}CREATE TABLE a (x text);\nSET client_encoding = 'LATIN1';\n{insert}",
            "2_b.sql": f"{mode}{insert}",
            "3_c.sql": f"{mode}SET client_encoding = 'LATIN1';\nSELECT 'é', nope;\n",
        }
    )

    with pytest.raises(StatementFailed, match=r"3_c\.sql:\d:13"):
        project.apply()

    assert project.database.execute("SELECT x FROM a") == [("é",), ("é",)]


# Roles.


def owners(project: Project) -> set[str]:
    """Return who owns what is in the database."""
    return {
        row[0]
        for row in project.database.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
        )
    }


def test_role_owns_everything(any_project: Project) -> None:
    """The role of the settings owns what is made, Atlas's table and the ledger, in every file."""
    role = any_project.database.make_role("owner", "NOLOGIN")
    any_project.database.execute(f'GRANT CREATE ON DATABASE "{any_project.database.name}" TO "{role}"')
    any_project.write(
        {
            "1_a.sql": "CREATE SCHEMA s;\nCREATE TABLE s.a (id int);\nRESET ROLE;\n",
            "2_b.sql": f"{NONE}CREATE TABLE s.b (id int);\nRESET ROLE;\nSELECT 1;\n",
            "3_c.sql": "CREATE TABLE s.c (id int);\n",
        }
    )

    any_project.apply(any_project.settings(role=role))

    assert owners(any_project) == {role}
    assert any_project.versions() == ["1", "2", "3"]


def test_missing_grant_is_named(project: Project) -> None:
    """A role that may not create schemas is told the GRANT; after it, the run works."""
    role = project.database.make_role("plain")
    name = project.database.name
    project.write({"1_a.sql": "SELECT 1;\n"})
    settings = project.settings(url=project.database.server.url(name, user=role))

    with pytest.raises(RecordsRefused) as caught:
        project.apply(settings)

    grant = f'GRANT CREATE ON DATABASE "{name}" TO "{role}";'
    assert grant in str(caught.value)
    assert caught.value.code is ExitCode.FAILED

    project.database.execute(grant)
    project.apply(settings)

    assert owners(project) == {role}


def test_somebody_elses_history_names_the_grant(project: Project) -> None:
    """A role that may not read or write the history is told so, without a traceback."""
    role = project.database.make_role("plain")
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    project.write({"2_b.sql": "SELECT 1;\n"})

    done = project.run("apply", PGROLLOUT_URL=project.database.server.url(project.database.name, user=role))

    assert done.returncode == ExitCode.FAILED
    assert "Traceback" not in done.stderr
    assert "permission denied" in done.stderr
    assert "grant it" in done.stderr


def test_client_encoding_is_utf8(project: Project) -> None:
    """The SQL is sent as UTF-8 whatever the environment or the URL say of the client's encoding."""
    project.write({"1_a.sql": "CREATE TABLE a (x text);\nINSERT INTO a VALUES ('é');\n"})

    done = project.run("apply", PGCLIENTENCODING="LATIN1")

    assert done.returncode == 0, done.stderr
    assert project.database.execute("SELECT x FROM a") == [("é",)]


def test_date_style_of_the_database(project: Project) -> None:
    """A database with another DateStyle has a history that can be read and written."""
    project.database.execute(f"ALTER DATABASE \"{project.database.name}\" SET datestyle = 'SQL, MDY'")
    project.write({"1_a.sql": f"{NONE}SET datestyle = 'SQL, DMY';\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    project.write({"1_a.sql": f"{NONE}SET datestyle = 'SQL, DMY';\nSELECT 1;\n", "2_b.sql": "SELECT 1;\n"})
    project.apply()

    assert project.versions() == ["1", "2"]


# What a file may not break.


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_lost_lock_stops_the_run(any_project: Project, mode: str) -> None:
    """A file that releases Atlas's lock where nobody can see it stops the run before anything else is written."""
    unlock = "DO $$ BEGIN EXECUTE 'SELECT pg_advisory_' || 'unlock_all()'; END $$;"
    any_project.write({"1_a.sql": f"{mode}{unlock}\n", "2_b.sql": f"{mode}CREATE TABLE b (id int);\n"})

    with pytest.raises(RecordsRefused, match=r"PR002.*A migration has released it"):
        any_project.apply()

    assert not any_project.exists("b")


def test_records_use_no_operator_of_a_file(project: Project) -> None:
    """A search path with operators of its own misleads none of our statements, in a transaction or alone."""
    project.write(
        {
            "1_a.sql": "CREATE SCHEMA evil;\n"
            + "".join(
                f"CREATE FUNCTION evil.f({types}) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;\n"
                f"CREATE OPERATOR evil.= (FUNCTION = evil.f, LEFTARG = {types.partition(',')[0]}, "
                f"RIGHTARG = {types.partition(',')[2]});\n"
                for types in ("text,text", "varchar,varchar", "int,int", "oid,oid", "name,name")
            ),
            "2_b.sql": f"{NONE}SET search_path = evil, pg_catalog;\nVACUUM;\nSELECT 1;\n",
            "3_c.sql": "SET search_path = evil, pg_catalog;\nSELECT 1;\n",
        }
    )

    project.apply()

    assert project.versions() == ["1", "2", "3"]
    assert project.database.execute("SELECT count(*) FROM pgrollout.step WHERE ended_at IS NULL") == [(0,)]


@pytest.mark.parametrize("first", [True, False])
def test_file_of_a_delimiter_and_nothing_else(project: Project, first: bool) -> None:
    """A file that chooses a delimiter and has no statement is recorded, also as the first of all."""
    files = {} if first else {"1_a.sql": "SELECT 1;\n"}
    project.write({**files, "2_b.sql": "-- atlas:delimiter \\n--x\\n\n\n-- nothing\n"})

    project.apply()

    assert project.versions()[-1] == "2"
    assert project.apply().applied == ()


# What the server says.


def test_an_error_is_no_lost_connection(any_project: Project) -> None:
    """An ERROR of the class of connection trouble is one of the statement: named, recorded, and to be tried again."""
    failing = "DO $$ BEGIN RAISE 'no way' USING ERRCODE = '08006'; END $$;"
    any_project.write({"1_a.sql": f"{NONE}SELECT 1;\n{failing}\n"})

    with pytest.raises(StatementFailed, match=r"1_a\.sql:4:1: no way") as caught:
        any_project.apply()

    assert caught.value.code is ExitCode.WAIT
    assert any_project.rows()[0][3:7] == (1, 2, "no way", failing)


def test_last_words_of_a_backend_are_told(project: Project) -> None:
    """A timeout that ends the session is no accident: it would come again."""
    project.write({"1_a.sql": "SET LOCAL transaction_timeout = '50ms';\nSELECT pg_sleep(60);\n"})

    with pytest.raises(RecordsRefused, match=r"25P04.*raise it for the role") as caught:
        project.apply()

    assert caught.value.code is ExitCode.FAILED


def test_place_where_the_server_counts_bytes(any_database: Database, tmp_path: Path) -> None:
    """SQL_ASCII knows no characters; the caret is right all the same."""
    name = f"{any_database.name}_ascii"
    create = f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    any_database.execute(create)
    project = Project(tmp_path, replace(any_database, name=name))
    project.write({"1_a.sql": "SELECT 'äöü€';\nSELECT 'é', nope;\n"})

    with pytest.raises(StatementFailed, match=r"1_a\.sql:2:13"):
        project.apply()


def test_failed_statement_of_a_block(project: Project) -> None:
    """The row of a failed block names the statement that failed, and counts from the block's begin."""
    project.write({"1_a.sql": f"{NONE}SELECT 1;\nBEGIN;\nSELECT 2;\nINSERT INTO nix VALUES (1);\nCOMMIT;\n"})

    with pytest.raises(StatementFailed, match=r"1_a\.sql:6:13"):
        project.apply()

    assert project.rows()[0][3:5] == (1, 5)
    assert project.rows()[0][6] == "INSERT INTO nix VALUES (1);"


def test_block_that_can_write_nothing(project: Project) -> None:
    """A READ ONLY block is run, and recorded after it."""
    project.write({"1_a.sql": f"{NONE}BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY;\nSELECT 1;\nCOMMIT;\n"})

    project.apply()

    assert project.rows()[0][3:5] == (3, 3)


def test_isolation_level_of_a_wrapped_file(project: Project) -> None:
    """It comes too late; the way out is said."""
    project.write({"1_a.sql": "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\n"})

    with pytest.raises(StatementFailed, match=r"the file's own BEGIN ISOLATION LEVEL"):
        project.apply()


def test_a_directive_that_atlas_overlooks_is_the_cause(project: Project) -> None:
    """A file that says txmode none and ends its lines in CRLF is not told to say txmode none."""
    project.write({"1_a.sql": "-- atlas:txmode none\r\n\r\nDO $$ BEGIN COMMIT; END $$;\r\n"})

    with pytest.raises(StatementFailed, match=r"its lines end in CRLF"):
        project.apply()


# What an earlier run has done.


def test_settings_are_set_again_on_resume(any_project: Project) -> None:
    """What the statements that ran had set holds for those that are left; what was local to a block does not."""
    any_project.write(
        {
            "1_a.sql": f"{NONE}CREATE SCHEMA app;\nSET search_path = app;\nBEGIN;\nSET LOCAL search_path = public;\nCOMMIT;\n"
            "SELECT pg_catalog.set_config('datestyle', 'SQL, DMY', false);\nCREATE TABLE a (id int);\nSELECT nope;\n"
        }
    )
    with pytest.raises(StatementFailed):
        any_project.apply()
    text = (any_project.migrations / "1_a.sql").read_text()

    any_project.write(
        {"1_a.sql": text.replace("SELECT nope;", "CREATE TABLE b AS SELECT current_setting('datestyle') AS style;")}
    )
    any_project.apply()

    assert any_project.database.execute("SELECT style FROM app.b") == [("SQL, DMY",)]


@pytest.mark.parametrize("build", ["a_idx ON", "IF NOT EXISTS a_idx ON", "ON", '"a_idx" ON ONLY'])
def test_an_invalid_index_is_no_index(any_project: Project, build: str) -> None:
    """What a failed build left is dropped, in the same run where it hurts, and never passes for the index."""
    build = f"CREATE UNIQUE INDEX /* online */ CONCURRENTLY {build} a (id);"
    any_project.write(
        {"1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1), (1);\n", "2_b.sql": NONE + build}
    )
    with pytest.raises(StatementFailed, match=r"What was built of the index is dropped\. These are the duplicates"):
        any_project.apply(any_project.settings(small_table_bytes=0))
    assert any_project.database.execute(INDEXES_OF_A) == []
    with pytest.raises(psycopg.errors.UniqueViolation):
        any_project.database.execute(build)  # as somebody else's build, whose rest nobody has cleared away
    any_project.database.execute("DELETE FROM a")

    any_project.apply(any_project.settings(small_table_bytes=0, drift_gate="warn"))

    assert any_project.rows()[1][3:7] == (1, 1, "", "")
    assert any_project.database.execute(INDEXES_OF_A + " AND indisvalid")[-1] == (
        ("a_idx",) if "a_idx" in build else ("a_id_idx1",)
    )


INDEXES_OF_A = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'a'::regclass"


def test_code_that_resets_everything(any_project: Project) -> None:
    """What is set again after a statement that ran alone may be gone: its end is recorded all the same."""
    any_project.write({"1_a.sql": f"{NONE}DO $$ BEGIN COMMIT; RESET ALL; END $$;\nCREATE TABLE a (id int);\n"})

    any_project.apply()

    assert any_project.rows()[0][3:7] == (2, 2, "", "")


def test_code_that_commits_and_fails_is_a_question(any_project: Project) -> None:
    """What it had committed stays: nobody but a person can tell whether it may run again."""
    any_project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\n",
            "2_b.sql": f"{NONE}DO $$ BEGIN INSERT INTO a VALUES (1); COMMIT; RAISE 'stop'; END $$;\n",
        }
    )
    with pytest.raises(StatementFailed, match="stop"):
        any_project.apply()

    with pytest.raises(UnresolvedIntent, match="nobody saw it end well"):
        any_project.apply()

    assert any_project.database.execute("SELECT id FROM a") == [(1,)]
    assert any_project.rows()[1][3:6] == (0, 1, "stop")


# What a row says of times and hashes.

ROW = (
    "SELECT execution_time, partial_hashes::text FROM atlas_schema_revisions.atlas_schema_revisions WHERE version = '1'"
)


@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_execution_time_is_in_nanoseconds(project: Project, mode: str) -> None:
    """What the last statement, or a wrapped file, took, in Atlas's unit."""
    project.write({"1_a.sql": f"{mode}SELECT pg_sleep(0.2);\n"})

    started = time.monotonic_ns()
    project.apply()
    most = time.monotonic_ns() - started

    ((taken, _),) = project.database.execute(ROW)
    assert 2e8 <= taken <= most


def test_execution_time_waits_for_the_end(project: Project) -> None:
    """It is 0 while the file is under way, the failed statement's time after that, kept on resume, and new at the end."""
    look = "SELECT applied, execution_time FROM atlas_schema_revisions.atlas_schema_revisions;\n"
    before = f"{NONE}SELECT pg_sleep(0.01);\nCREATE TABLE first AS {look}"
    project.write({"1_a.sql": f"{before}DO $$ BEGIN PERFORM pg_sleep(0.2); RAISE 'no'; END $$;\n"})
    started = time.monotonic_ns()
    with pytest.raises(StatementFailed):
        project.apply()
    most = time.monotonic_ns() - started
    ((failed, _),) = project.database.execute(ROW)

    project.write({"1_a.sql": f"{before}SELECT 1;\nCREATE TABLE second AS {look}SELECT 2;\n"})
    project.apply()

    assert project.database.execute("TABLE first") == [(1, 0)]
    assert 2e8 <= failed <= most
    assert project.database.execute("TABLE second") == [(3, failed)]
    ((ended, _),) = project.database.execute(ROW)
    assert ended > 0
    assert ended != failed


def test_partial_hashes_before_the_first_statement(project: Project) -> None:
    """With nothing done there are no hashes: JSON null, neither an empty list nor NULL."""
    project.write({"1_a.sql": f"{NONE}SELECT 1/0;\n"})

    with pytest.raises(StatementFailed):
        project.apply()

    assert project.database.execute(ROW)[0][1] == "null"


# What the database, or a file, says of the session.


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("transaction", "ALTER ROLE {role} PASSWORD 'hunter2';\n"),
        ("statement", f"{NONE}ALTER ROLE {{role}} PASSWORD 'hunter2';\n"),
        ("block", f"{NONE}BEGIN;\nALTER ROLE {{role}} PASSWORD 'hunter2';\nCOMMIT;\n"),
        ("alone", f"{NONE}DO $$ BEGIN COMMIT; EXECUTE 'ALTER ROLE {{role}} PASSWORD ''hunter2'''; END $$;\n"),
    ],
)
def test_password_that_was_set_is_kept_nowhere(project: Project, kind: str, text: str) -> None:
    """The statement runs as it is; neither its step, be it an intent, nor anything else of ours has the password."""
    role = project.database.make_role("login")
    project.write({"1_a.sql": text.format(role=role)})

    project.apply()

    assert project.database.execute("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = %s", role) == [(False,)]
    assert project.database.execute("SELECT kind, outcome FROM pgrollout.step") == [(kind, "done")]
    assert "hunter2" not in project.dump().partition("1_a.sql: ")[0]


def test_database_with_cautious_defaults(any_project: Project) -> None:
    """Read-only and serializable transactions by default: ours say what they need, in both modes."""
    name = any_project.database.name
    any_project.database.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    any_project.database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    level = "DO $$ BEGIN ASSERT current_setting('transaction_isolation') = 'read committed'; END $$;\n"
    any_project.write(
        {
            "1_a.sql": f"CREATE TABLE a (id int);\n{level}",
            "2_b.sql": f"{NONE}INSERT INTO a VALUES (1);\n{level}SELECT 1/0;\n",
        }
    )
    with pytest.raises(StatementFailed, match="division by zero"):
        any_project.apply()
    any_project.write(
        {"2_b.sql": f"{NONE}INSERT INTO a VALUES (1);\n{level}", "3_c.sql": "INSERT INTO a VALUES (2);\n"}
    )

    any_project.apply()

    assert [row[:5] for row in any_project.rows()] == [("1", "a", 2, 2, 2), ("2", "b", 2, 2, 2), ("3", "c", 2, 1, 1)]


@pytest.mark.parametrize("with_role", [False, True], ids=["login", "role"])
@pytest.mark.parametrize("mode", ["", NONE], ids=["file", "none"])
def test_session_authorization_of_a_file(project: Project, mode: str, with_role: bool) -> None:
    """What a file makes belongs to whom it says; history and ledger to the role of the run, which writes the rows."""
    database = project.database
    other = database.make_role("other", "NOLOGIN")
    owner = database.make_role("owner", "NOLOGIN") if with_role else "postgres"
    database.execute(
        f'GRANT CREATE ON SCHEMA public TO "{other}"; GRANT CREATE ON DATABASE {database.name} TO "{owner}"'
    )
    settings = project.settings(role=owner if with_role else None)
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply(settings)
    for table in ("atlas_schema_revisions.atlas_schema_revisions", "pgrollout.step"):
        database.execute(f"ALTER TABLE {table} ADD written_by text NOT NULL DEFAULT current_user")
    project.write({"2_b.sql": f'{mode}SET SESSION AUTHORIZATION "{other}";\nCREATE TABLE a (id int);\n'})

    project.apply(settings)

    rows = "SELECT applied, total, written_by FROM atlas_schema_revisions.atlas_schema_revisions WHERE version = '2'"
    assert database.execute(rows) == [(2, 2, owner)]
    steps = [("transaction", "done", owner)] if not mode else [("statement", "done", owner)] * 2
    assert database.execute("SELECT kind, outcome, written_by FROM pgrollout.step WHERE version = '2'") == steps
    found = database.execute(
        "SELECT relnamespace::regnamespace::text, array_agg(DISTINCT pg_get_userbyid(relowner)::text) FROM pg_class "
        "WHERE relkind = 'r' AND oid >= 16384 GROUP BY 1 ORDER BY 1"
    )
    assert found == [("atlas_schema_revisions", [owner]), ("pgrollout", [owner]), ("public", [other])]


# Who is stopped where.

STEAL = "UPDATE pgrollout.lease SET token = 99;\n"


@pytest.mark.parametrize(
    ("second", "third", "rows"),
    [
        (f"CREATE TABLE b (id int);\n{STEAL}", "CREATE TABLE c (id int);\n", []),
        (f"{NONE}SELECT 1;\n{STEAL}CREATE TABLE c (id int);\n", "SELECT 1;\n", [(1, 3)]),
        (f"{NONE}BEGIN;\nSELECT 1;\n{STEAL}COMMIT;\nCREATE TABLE c (id int);\n", "SELECT 1;\n", [(0, 5)]),
        (f"{NONE}SELECT 1;\nCALL steal();\nCREATE TABLE c (id int);\n", "SELECT 1;\n", [(1, 3)]),
    ],
    ids=["transaction", "record", "block", "alone"],
)
def test_stolen_token_stops_the_run(project: Project, second: str, third: str, rows: list[tuple[int, int]]) -> None:
    """Whatever is written next comes to the fence: exit code 75, and no row for what came after."""
    steal = f"CREATE PROCEDURE steal() LANGUAGE plpgsql AS $$ BEGIN {STEAL.strip()} COMMIT; END $$;\n"
    project.write({"1_a.sql": steal, "2_b.sql": second, "3_c.sql": third})

    done = project.run("apply")

    assert done.returncode == ExitCode.WAIT, done.stderr
    assert "PR001" in done.stderr
    assert "Another run has taken over this database" in done.stderr
    assert [row[3:5] for row in project.rows()[1:]] == rows
    assert not project.exists("c")


WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"


@pytest.mark.parametrize(
    "text",
    [
        f"-- atlas:delimiter \\n\\n\n\nCREATE TABLE a (id int)\n\n{AT_THE_GATE}\n\nCREATE TABLE b (id int)\n",
        "CREATE TABLE a (x text);\n" + f"INSERT INTO a VALUES ('{'x' * 200}');\n" * 6000 + f"{AT_THE_GATE};\n",
    ],
    ids=["delimiter", "big"],
)
def test_interrupt_in_a_later_piece(project: Project, text: str) -> None:
    """A file that is sent in several pieces is one transaction: an interrupt undoes the earlier ones too; exit code 75."""
    project.write({"1_a.sql": "SELECT 1;\n", "2_b.sql": text})

    with lock_holder(project.database, GATE), observed(project.start("apply")) as process:
        # A long text is not shown as a whole, so the gate is not to be seen in it.
        eventually(lambda: project.database.execute(WAITING), "a backend at the gate")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.WAIT, err
    assert "Interrupted: 1 migrations applied, 1 left" in err
    assert project.versions() == ["1"]
    assert not project.exists("a")
    assert project.database.execute("SELECT outcome FROM pgrollout.run") == [("interrupted",)]


@contextmanager
def a_writer(project: Project, wants_end: Callable[[Connection], bool]) -> Iterator[tuple[Writer, Connection]]:
    """Give a writer, under the lock, that is asked to end once the database looks so."""
    settings = project.settings(small_table_bytes=0)
    with (
        connect(settings, application_name="pgrollout/test") as connection,
        connect(settings, application_name="pgrollout/watch") as watch,
        atlas_lock.held(connection, wait_ms=0),
        project.database.connect() as other,
    ):
        session, state = read_session(connection, settings), read_state(connection, settings)
        run = Run("r", state.table.schema, state.ledger.token + 1, "", "", session.server_version, "me", "test")
        records = Records(state.table, state.ledger.schema, run, session)
        supervisor = Supervisor(watch, state.ledger.schema, 30_000, Reporter("testing", None))
        executing = Executing(
            connection, records, state.ledger, supervisor, lambda: int(wants_end(other)), has_lease=False,
            lease_timeout_ms=30_000,
        )  # fmt: skip
        yield Writer(executing, settings, lambda *_: ""), connection


def test_interrupt_between_two_pieces(project: Project) -> None:
    """Between the pieces is a safe point: what the first ones did is undone at once, and the next is not sent."""
    long = f"CREATE TABLE b AS SELECT '{'x' * 700_000}';\n"
    project.write({"1_a.sql": f"CREATE TABLE a (id int);\n{long}{long.replace('TABLE b', 'TABLE c')}"})
    (migration,) = read_directory(project.migrations).migrations

    def is_between(other: Connection) -> bool:
        state = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        return other.execute(state).fetchone() is not None

    with a_writer(project, is_between) as (writer, connection):
        with pytest.raises(KeyboardInterrupt):
            writer.apply(File(read_content(migration), hash_of(project, "1_a.sql"), None))
        assert connection.info.transaction_status == TransactionStatus.IDLE

    assert not project.exists("a")
    assert not project.exists("atlas_schema_revisions.")


def test_interrupt_between_intent_and_statement(project: Project) -> None:
    """The intent is there and its statement was not sent: it ends as interrupted, and the next run executes it."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"})
    project.apply()
    project.write({"2_b.sql": f"{NONE}CREATE INDEX CONCURRENTLY a_idx ON a (id);\n"})
    migration = read_directory(project.migrations).migrations[1]

    def is_intended(other: Connection) -> bool:
        return other.execute("SELECT 1 FROM pgrollout.step WHERE ended_at IS NULL").fetchone() is not None

    with a_writer(project, is_intended) as (writer, _), pytest.raises(KeyboardInterrupt):
        writer.apply(File(read_content(migration), hash_of(project, "2_b.sql"), None))

    assert not project.exists("a_idx")
    ended = "SELECT kind, outcome FROM pgrollout.step WHERE version = '2' ORDER BY id"
    assert project.database.execute(ended) == [("alone", "interrupted")]
    assert project.rows()[1][3:7] == (0, 1, "", "")

    project.apply(project.settings(small_table_bytes=0))

    assert project.exists("a_idx")
    assert project.database.execute(ended) == [("alone", "interrupted"), ("alone", "done")]
