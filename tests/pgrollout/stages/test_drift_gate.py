"""The drift gate: which drift a pending file touches, and what apply makes of it."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pgrollout.catalog.difference import difference
from pgrollout.catalog.scope import Scope
from pgrollout.content import Content, read_content
from pgrollout.errors import DriftInTheWay, ExitCode, StatementFailed
from pgrollout.migration import Migration
from pgrollout.postgres.catalog import read_catalog
from pgrollout.settings import DriftIgnore
from pgrollout.stages.drift_gate import in_the_way
from tests.project import Project
from tests.servers import Database, Server, fresh_database

TODAY = datetime.now(UTC).date()
SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE TABLE shop.orders (id int PRIMARY KEY, note text, status text);
CREATE TABLE shop.lines (order_id int REFERENCES shop.orders, mood shop.mood);
CREATE TABLE shop.other (id int);
CREATE TABLE shop.parts (id int) PARTITION BY LIST (id);
CREATE TABLE shop.parts_1 PARTITION OF shop.parts FOR VALUES IN (1);
CREATE VIEW shop.open_orders AS SELECT id FROM shop.orders;
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION shop.total() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM orders); END';
CREATE TRIGGER stamp BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stamp();
CREATE SEQUENCE shop.numbers;
"""


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[Database]:
    """A database that every test leaves as it was: what is changed is rolled back."""
    with fresh_database(server) as database:
        database.execute(SCHEMA)
        yield database


def content(text: str, name: str = "3_c.sql") -> Content:
    """Return a pending file."""
    return read_content(Migration(name, f"{text};\n".encode()))


def gate(shop: Database, changed: str, *files: Content, ignores: tuple[DriftIgnore, ...] = ()) -> tuple[str, ...]:
    """Return what stands in the way of the files after something was changed by hand."""
    with shop.connect(autocommit=False) as connection:
        before = read_catalog(connection, Scope())
        connection.execute(changed.encode())
        after = read_catalog(connection, Scope())
        connection.rollback()
    found = difference(before, after)
    assert found
    return in_the_way(found, after, files, ignores, TODAY)


INDEX = "CREATE INDEX tmp ON shop.orders (note)"
COLUMN = "ALTER TABLE shop.orders ADD extra int"
FUNCTION = "CREATE OR REPLACE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN old; END'"
VIEW = "CREATE OR REPLACE VIEW shop.open_orders AS SELECT id FROM shop.orders WHERE id > 0"
PARTITION = "CREATE TABLE shop.parts_2 PARTITION OF shop.parts FOR VALUES IN (2)"
ENUM = "ALTER TYPE shop.mood ADD VALUE 'fair'"


@pytest.mark.parametrize(
    ("changed", "file"),
    [
        (COLUMN, "ALTER TABLE shop.orders ADD c int"),
        (COLUMN, "ALTER TABLE orders ADD c int"),
        (COLUMN, "SELECT count(*) FROM shop.orders"),
        (COLUMN, "UPDATE shop.other o SET id = 1 FROM shop.orders WHERE o.id = orders.id"),
        (COLUMN, "SELECT nextval('shop.numbers'), 'shop.orders'::regclass"),
        (COLUMN, "CREATE TABLE shop.more (order_id int REFERENCES shop.orders)"),
        (COLUMN, "CREATE TABLE shop.more (LIKE shop.orders)"),
        (COLUMN, "DO $$ BEGIN EXECUTE 'ALTER TABLE shop.orders ADD c int'; END $$"),
        (COLUMN, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT 1 FROM orders); END $$"),
        (COLUMN, "SELECT * FROM shop.open_orders"),
        (COLUMN, "DROP SCHEMA shop CASCADE"),
        (COLUMN, "GRANT SELECT ON ALL TABLES IN SCHEMA shop TO PUBLIC"),
        (COLUMN, "DROP TRIGGER stamp ON shop.orders"),
        (COLUMN, "COMMENT ON COLUMN shop.orders.note IS 'x'"),
        (COLUMN, "THIS IS NO SQL BUT orders"),
        ("DROP TABLE shop.other", "DELETE FROM shop.other"),
        ("ALTER TABLE shop.other RENAME TO others", "DELETE FROM shop.other"),
        ("ALTER TABLE shop.other RENAME TO others", "CREATE TABLE shop.others (id int)"),
        (INDEX, "ALTER TABLE shop.orders ADD c int"),
        (INDEX, "DROP INDEX shop.tmp"),
        (VIEW, "ALTER TABLE shop.orders DROP COLUMN note"),
        (FUNCTION, "UPDATE shop.orders SET note = 'x'"),
        (FUNCTION, "CREATE TRIGGER t BEFORE INSERT ON shop.other FOR EACH ROW EXECUTE FUNCTION shop.stamp()"),
        ("DROP TRIGGER stamp ON shop.orders", "DROP FUNCTION shop.stamp()"),
        ("DROP FUNCTION shop.total()", "ALTER TABLE shop.orders ADD c int"),
        ("ALTER TABLE shop.lines DROP CONSTRAINT lines_order_id_fkey", "ALTER TABLE shop.orders ADD c int"),
        (ENUM, "ALTER TABLE shop.other ADD m shop.mood"),
        ("GRANT USAGE ON SCHEMA shop TO PUBLIC", "CREATE TABLE shop.more (id int)"),
        ("ALTER TABLE shop.parts_1 ADD CHECK (id > 0)", "ALTER TABLE shop.parts ADD c int"),
        (PARTITION, "ALTER TABLE shop.parts DETACH PARTITION shop.parts_2"),
        ("DROP TABLE shop.parts_1", "DROP TABLE shop.parts_1"),
        ("ALTER SEQUENCE shop.numbers INCREMENT 5", "SELECT nextval('shop.numbers')"),
        (
            "CREATE FUNCTION public.ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
            "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION public.ddl()",
            "CREATE TABLE unrelated (id int)",
        ),
    ],
)
def test_touched(shop: Database, changed: str, file: str) -> None:
    """What a file names, what belongs to that, and what leads from one to the other."""
    assert gate(shop, changed, content(file))


@pytest.mark.parametrize(
    ("changed", "file"),
    [
        (COLUMN, "ALTER TABLE shop.other ADD orders int"),
        (COLUMN, "CREATE TABLE elsewhere.orders (id int)"),
        (COLUMN, "CREATE TABLE shop.more (id int, note text)"),
        (COLUMN, "UPDATE shop.other SET id = 1 WHERE 'orders' <> ''"),
        (COLUMN, "CREATE SCHEMA IF NOT EXISTS shop"),
        (INDEX, "ALTER TABLE shop.lines ADD c int"),
        (VIEW, "ALTER TABLE shop.other ADD c int"),
        (FUNCTION, "UPDATE shop.other SET id = 1"),
        (PARTITION, "ALTER TABLE shop.parts ADD c int"),
        ("DROP TABLE shop.parts_1", "ALTER TABLE shop.parts ADD c int"),
        ("COMMENT ON TABLE shop.other IS 'like shop.orders'", "ALTER TABLE shop.orders ADD c int"),
    ],
)
def test_not_touched(shop: Database, changed: str, file: str) -> None:
    """Another object, another schema, a column, a literal or a comment of that name; partitions that came and went."""
    assert gate(shop, changed, content(file)) == ()


def test_first_file_is_named(shop: Database) -> None:
    """Each object is said once, with the first file that touches it."""
    files = [
        content("SELECT 1"),
        content("DELETE FROM shop.orders", "4_d.sql"),
        content("TABLE shop.orders", "5_e.sql"),
    ]

    assert gate(shop, INDEX, *files) == ("INDEX shop.tmp: made since [4_d.sql]",)


def test_accepted_drift_is_not_in_the_way(shop: Database) -> None:
    """Until its day, and no longer."""

    def entry(until: date) -> tuple[DriftIgnore, ...]:
        return (DriftIgnore(object="INDEX shop.tmp", reason="a test", until=until),)

    file = content("DELETE FROM shop.orders")

    assert gate(shop, INDEX, file, ignores=entry(TODAY)) == ()
    assert gate(shop, INDEX, file, ignores=entry(date(2020, 1, 1)))


# In apply.


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose two files were applied; a third, which alters the first table, is pending."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE alpha (id int);\n", "2_b.sql": "CREATE TABLE beta (id int);\n"})
    project.apply()
    project.write({"3_c.sql": "ALTER TABLE alpha ADD c int;\n"})
    return project


def apply(project: Project, **settings: Any) -> list[str]:
    """Apply what is pending, and return the versions of the history."""
    project.apply(project.settings(**settings))
    return project.versions()


def test_run_is_refused(project: Project) -> None:
    """Nothing was applied, nor recorded; exit code 3 and what to do. Undone, the run goes on."""
    project.database.execute("CREATE INDEX tmp ON alpha (id)")
    looked = "SELECT (SELECT count(*) FROM pgrollout.run), (SELECT count(*) FROM pgrollout.fingerprint)"
    before = project.rows(), project.database.execute(looked)

    with pytest.raises(DriftInTheWay, match=r"INDEX public.tmp: made since \[3_c.sql\]") as caught:
        apply(project)

    assert caught.value.code is ExitCode.REFUSED
    assert (project.rows(), project.database.execute(looked)) == before
    project.database.execute("DROP INDEX tmp")
    assert apply(project) == ["1", "2", "3"]


def test_drift_elsewhere_is_no_obstacle(project: Project) -> None:
    """A run goes on past what it does not touch."""
    project.database.execute("CREATE INDEX tmp ON beta (id)")

    assert apply(project) == ["1", "2", "3"]


def test_warning(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """With ``warn`` the log says what is in the way, and the run goes on."""
    project.database.execute("CREATE INDEX tmp ON alpha (id)")

    assert apply(project, drift_gate="warn") == ["1", "2", "3"]
    assert 'drift in the way object="INDEX public.tmp: made since [3_c.sql]"' in caplog.text


def test_no_gate_after_a_run_that_was_killed(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """It left only what was before it; what it has done since is no drift, and the log says that nobody looks."""
    caplog.set_level(logging.INFO)
    project.database.execute("DELETE FROM pgrollout.fingerprint WHERE moment = 'after'; CREATE INDEX tmp ON alpha (id)")

    assert apply(project) == ["1", "2", "3"]
    assert "drift not looked for reason=" in caplog.text


def test_no_gate_after_the_atlas_cli(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """What Atlas has applied since is no drift."""
    caplog.set_level(logging.INFO)
    project.write({"2a_d.sql": "CREATE INDEX by_atlas ON alpha (id);\n"})
    project.database.execute(
        "CREATE INDEX by_atlas ON alpha (id);"
        "INSERT INTO atlas_schema_revisions.atlas_schema_revisions SELECT '2a', 'd', type, 1, 1, now(), 0, '', '', "
        "hash, 'null', 'Atlas CLI' FROM atlas_schema_revisions.atlas_schema_revisions LIMIT 1"
    )
    hash_of = next(
        line.split(" h1:")[1] for line in (project.migrations / "atlas.sum").read_text().splitlines() if "2a_d" in line
    )
    project.database.execute(
        "UPDATE atlas_schema_revisions.atlas_schema_revisions SET hash = %s WHERE version = '2a'", hash_of
    )

    project.remove("3_c.sql")
    project.write({"3_c.sql": "ALTER TABLE alpha ADD c int;\n"})
    assert apply(project) == ["1", "2", "2a", "3"]
    assert 'reason="the history has 2a, recorded after run ' in caplog.text


def test_run_that_failed_in_a_build_is_no_drift(project: Project) -> None:
    """It cleans up after itself, and the next run goes on."""
    build = "CREATE UNIQUE INDEX CONCURRENTLY one ON alpha (id);\n"
    project.write({"3_c.sql": f"-- atlas:txmode none\n\n{build}"})
    project.database.execute("INSERT INTO alpha VALUES (1), (1)")
    for _ in range(2):
        with pytest.raises(StatementFailed, match="one"):
            apply(project, small_table_bytes=0)
    project.database.execute("TRUNCATE alpha")

    assert apply(project) == ["1", "2", "3"]
