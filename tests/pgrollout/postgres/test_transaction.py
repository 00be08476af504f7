"""Segments in a transaction, through stage apply: what is tried again, what is cut anew, what is refused, and what then stays."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pgrollout.errors import ExitCode, IndexDiffers, StallBudgetExceeded, StateCrosses, TableInUse
from tests.pgrollout.postgres.interrupting import holding, running
from tests.project import GATE, Project, eventually, lock_holder
from tests.servers import Database

SLOW = "CREATE FUNCTION app.slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN $1; END $$"
"""A function that makes work of a row."""


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with a table ``app.a`` of one row."""
    project = Project(tmp_path, database)
    project.write(
        {"0_a.sql": f"CREATE SCHEMA app;\nCREATE TABLE app.a (id int);\nINSERT INTO app.a VALUES (1);\n{SLOW};\n"}
    )
    project.apply()
    return project


def given(project: Project, sql: str) -> None:
    """Apply a file of this test's own before the one that it is about."""
    project.write({"1_b.sql": sql})
    project.apply()


@contextmanager
def writing(project: Project) -> Iterator[None]:
    """Have the row of ``app.a`` written again and again while the block lasts."""
    stop = f"EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND granted)"
    write = (
        f"DO $$ BEGIN LOOP UPDATE a SET id = id; COMMIT; EXIT WHEN {stop}; PERFORM pg_sleep(0.005); END LOOP; END $$"
    )
    with ExitStack() as stack, running(project.database, write) as pid:
        active = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
        eventually(lambda: project.database.execute(active, pid), "somebody who writes")
        try:
            yield
        finally:
            stack.enter_context(lock_holder(project.database, GATE))


def steps(project: Project) -> list[tuple[str, int, str]]:
    """Return kind, position and outcome of the steps of version 2."""
    found = project.database.execute(
        "SELECT kind, position, outcome FROM pgrollout.step WHERE version = '2' ORDER BY id"
    )
    return [(kind, position, outcome) for kind, position, outcome in found]


# Others in the way.


def test_table_in_use(project: Project) -> None:
    """Somebody uses the table until the deadline: exit code 75, who it is, and nothing of the file is kept."""
    project.write({"2_b.sql": "CREATE TABLE b (id int);\nALTER TABLE app.a ADD COLUMN b int;\n"})

    with holding(project.database, "SELECT FROM app.a"), pytest.raises(TableInUse) as caught:
        project.apply(project.settings(table_lock_deadline_ms=300))

    assert caught.value.code is ExitCode.WAIT
    assert caught.value.file == "2_b.sql"
    assert "idle in transaction" in caught.value.holders
    assert "ACCESS SHARE on app.a" in caught.value.holders
    assert not project.exists("b")
    assert project.database.execute("SELECT outcome FROM pgrollout.run ORDER BY token DESC LIMIT 1") == [("failed",)]
    assert project.apply().after == "2"


@pytest.mark.parametrize(
    ("sql", "held", "says"),
    [
        ("UPDATE app.a SET id = 2", "UPDATE app.a SET id = 3", "ROW EXCLUSIVE on a row of app.a"),
        ("DO $$ BEGIN ALTER TABLE app.a ADD COLUMN b int; END $$", "SELECT FROM app.a", "ACCESS SHARE on app.a"),
        ("COMMENT ON TABLE app.a IS 'a'", "LOCK TABLE app.a IN SHARE MODE", "SHARE on app.a"),
        ("-- atlas:txmode none\n\nVACUUM FULL app.a", "SELECT FROM app.a", "ACCESS SHARE on app.a"),
        ("-- atlas:txmode none\n\nVACUUM app.a", "LOCK TABLE app.a IN SHARE MODE", "SHARE on app.a"),
    ],
    ids=["row", "unforeseen lock", "weak lock", "VACUUM FULL", "VACUUM"],
)
def test_in_use_though_no_guard_has_told(project: Project, sql: str, held: str, says: str) -> None:
    """What only running a statement shows is learned from its wait: who is in the way is named there, too."""
    project.write({"2_b.sql": f"{sql};\n"})

    with holding(project.database, held), pytest.raises(TableInUse) as caught:
        project.apply(project.settings(table_lock_deadline_ms=1000))

    assert "idle in transaction" in caught.value.holders
    assert says in caught.value.holders
    assert project.apply().after == "2"


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_tried_again(project: Project, state: str) -> None:
    """A transaction that was in somebody's way is tried again as a whole, and takes effect once."""
    given(project, "CREATE SEQUENCE tries;\n")
    fails = f"DO $$ BEGIN IF nextval('tries') < 3 THEN RAISE EXCEPTION 'busy' USING ERRCODE = '{state}'; END IF; END $$"
    project.write({"2_b.sql": f"INSERT INTO app.a VALUES (2);\n{fails};\n"})

    project.apply()

    assert project.database.execute("SELECT id FROM app.a ORDER BY 1") == [(1,), (2,)]
    assert project.database.execute("SELECT last_value FROM tries") == [(3,)]
    assert steps(project) == [("transaction", 0, "done")]


# Others behind us.


def test_work_that_others_wait_for(project: Project) -> None:
    """It is cancelled and rolled back, exit code 3, with the statement, what they endured, and the way without that."""
    project.write(
        {
            "2_b.sql": "CREATE TABLE b (id int);\nUPDATE app.a SET id = 2;\nUPDATE app.a SET id = app.slow(id) + app.slow(3);\n"
        }
    )

    with writing(project), pytest.raises(StallBudgetExceeded) as caught:
        project.apply(project.settings(stall_budget_ms=200))

    error = caught.value
    assert error.code is ExitCode.REFUSED
    assert (error.version, error.waiters, error.budget_ms) == ("2", 1, 200)
    assert error.waited_ms >= 120
    assert "2_b.sql:3:1" in str(error)
    assert "Change the rows in batches" in error.recipe
    assert not project.exists("b")
    assert project.versions() == ["0"]


def test_work_at_commit(project: Project) -> None:
    """What is deferred to COMMIT is cancelled and told as well."""
    given(
        project,
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM app.slow(20); RETURN NULL; END $$;\n"
        "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.a DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION later();\n",
    )
    project.write({"2_b.sql": "UPDATE app.a SET id = 2;\nINSERT INTO app.a VALUES (3);\n"})

    with writing(project), pytest.raises(StallBudgetExceeded, match=r"waited .* for its COMMIT") as caught:
        project.apply(project.settings(stall_budget_ms=200))

    assert "Deferred constraints and triggers" in caught.value.recipe
    assert "2" not in project.versions()


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE app.a ALTER COLUMN id TYPE bigint USING app.slow(id)",
        "DO $$ BEGIN ALTER TABLE app.a ALTER COLUMN id TYPE bigint USING app.slow(id); END $$",
        "ALTER TABLE app.a ADD COLUMN b int;\n" + "SELECT pg_sleep(0.06);\n" * 4 + "SELECT 1",
        "ALTER TABLE app.a ADD CONSTRAINT c CHECK (id > 0) NOT VALID;\nINSERT INTO app.deferred VALUES (1)",
        "-- atlas:txmode none\n\nVACUUM FULL app.slow",
    ],
    ids=["statement", "code", "several statements", "COMMIT", "VACUUM FULL"],
)
def test_server_as_guard(project: Project, sql: str) -> None:
    """The server itself ends work that holds blocking locks for half the budget, also when nobody waits."""
    given(
        project,
        "CREATE TABLE app.deferred (id int);\n"
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM app.slow(20); RETURN NULL; END $$;\n"
        "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.deferred DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION later();\n"
        "CREATE TABLE app.slow (id int);\nCREATE INDEX ON app.slow (app.slow(id));\nINSERT INTO app.slow VALUES (1);\n",
    )
    project.write({"2_b.sql": f"{sql};\n"})

    with pytest.raises(StallBudgetExceeded, match="held a lock that others may need") as caught:
        project.apply(project.settings(stall_budget_ms=200, stall_guard="server"))

    assert (caught.value.code, caught.value.waiters) == (ExitCode.REFUSED, 0)
    assert project.apply().after == "2"


# How a file is cut.


def test_new_enum_value(project: Project) -> None:
    """A file that uses a new enum value is run as a whole, and cut behind it only when the server says so."""
    given(project, "CREATE TYPE mood AS ENUM ('calm');\nCREATE TABLE moods (mood mood);\n")
    project.write(
        {
            "2_b.sql": "CREATE TABLE b (id int);\nALTER TYPE mood ADD VALUE 'glad';\nINSERT INTO moods VALUES ('glad');\n",
            "3_c.sql": "ALTER TYPE mood ADD VALUE 'sad';\nCREATE TABLE c (id int);\n",
        }
    )

    project.apply()

    assert steps(project) == [("transaction", 1, "done"), ("transaction", 3, "done")]
    assert project.rows()[2][3:7] == (3, 3, "", "")
    assert project.database.execute("SELECT mood::text FROM moods") == [("glad",)]
    assert project.database.execute("SELECT position FROM pgrollout.step WHERE version = '3'") == [(0,)]


def test_state_that_is_lost_at_a_cut(project: Project) -> None:
    """A later segment would not see what SET LOCAL has set: refused before anything runs, exit code 3."""
    project.write(
        {
            "2_b.sql": "CREATE TABLE b (id int);\nSET LOCAL search_path = app;\nCREATE INDEX CONCURRENTLY a_idx ON a (id);\n"
        }
    )

    with pytest.raises(StateCrosses) as caught:
        project.apply(project.settings(small_table_bytes=0))

    assert caught.value.code is ExitCode.REFUSED
    assert not project.exists("b")
    assert project.versions() == ["0"]


# Indexes of small tables.

INDEX = "CREATE INDEX CONCURRENTLY a_idx ON app.a (id);\n"


def is_valid(project: Project) -> bool:
    """Whether the index is there and valid."""
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('app.a_idx')"
    return project.database.execute(valid) == [(True,)]


def test_small_table(project: Project) -> None:
    """Its index is built in plain form in the file's transaction."""
    project.write({"2_b.sql": f"INSERT INTO app.a VALUES (2);\n{INDEX}"})

    project.apply()

    assert is_valid(project)
    assert steps(project) == [("transaction", 0, "done")]


DEFERRED = (
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;\n"
    "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON app.a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();\n"
)


@pytest.mark.parametrize(
    ("before", "rows"), [("SELECT 1;\n", 1000), (DEFERRED, 1)], ids=["grown", "pending trigger events"]
)
def test_table_that_cannot_have_it_in_plain_form(project: Project, before: str, rows: int) -> None:
    """It has grown when it is locked, or is in use by this very transaction: the index is built online instead."""
    given(project, before)
    project.write({"2_b.sql": f"INSERT INTO app.a SELECT generate_series(1, {rows});\n{INDEX}"})

    project.apply(project.settings(small_table_bytes=8192))

    assert is_valid(project)
    assert project.database.execute("SELECT count(*) FROM app.a") == [(rows + 1,)]
    assert steps(project) == [("transaction", 1, "done"), ("alone", 2, "done")]


def test_table_that_others_write_to(project: Project) -> None:
    """The plain build makes a writer wait for most of the budget: the index is built online after all."""
    project.write({"2_b.sql": "CREATE INDEX CONCURRENTLY a_idx ON app.a (app.slow(id));\n"})

    with writing(project):
        project.apply(project.settings(stall_budget_ms=200))

    assert is_valid(project)
    assert steps(project) == [("alone", 1, "done")]


def test_index_of_that_name_is_another(project: Project) -> None:
    """What is there and what is asked for are shown, exit code 1, and nothing has happened."""
    given(project, "CREATE INDEX a_idx ON app.a (id DESC);\n")
    project.write({"2_b.sql": f"INSERT INTO app.a VALUES (2);\n{INDEX}"})

    with pytest.raises(IndexDiffers) as caught:
        project.apply()

    assert caught.value.code is ExitCode.FAILED
    assert "2_b.sql:2:1: " in str(caught.value)
    assert "id DESC" in caught.value.there
    assert "DESC" not in caught.value.asked
    assert project.database.execute("SELECT id FROM app.a") == [(1,)]
    assert steps(project) == []
