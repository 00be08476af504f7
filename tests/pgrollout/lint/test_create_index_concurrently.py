"""PG101: CREATE INDEX without CONCURRENTLY."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files

TABLE = "CREATE TABLE orders (id bigint, customer_id bigint);\n"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX i ON orders (customer_id);",
        "CREATE UNIQUE INDEX IF NOT EXISTS i ON public.orders (customer_id);",
        "CREATE TABLE IF NOT EXISTS orders (id bigint); CREATE INDEX ON orders (id);",
    ],
)
def test_an_index_on_an_existing_table_is_found(sql: str) -> None:
    """An index that is built while writers wait is found, whatever the spelling."""
    assert [code for code, _ in hits(TABLE, sql)] == ["PG101"]


@pytest.mark.parametrize(
    "sql",
    [
        "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY i ON orders (customer_id);",
        "CREATE TABLE payments (id bigint); CREATE INDEX ON payments (id);",
        "CREATE TABLE IF NOT EXISTS payments (id bigint); CREATE INDEX ON payments (id);",
        "CREATE TABLE payments (id bigint); ALTER TABLE payments RENAME TO paid; CREATE INDEX ON paid (id);",
        "CREATE TEMP TABLE orders (id bigint); CREATE INDEX ON orders (id);",
        "CREATE TABLE payments AS SELECT 1 AS id; CREATE INDEX ON payments (id);",
        "CREATE MATERIALIZED VIEW sums AS SELECT 1 AS id; CREATE UNIQUE INDEX ON sums (id);",
        "CREATE SCHEMA app CREATE TABLE orders (id bigint); CREATE INDEX ON app.orders (id);",
        "SET search_path TO app; CREATE TABLE orders (id bigint); CREATE INDEX ON app.orders (id);",
    ],
)
def test_an_index_nobody_waits_for_is_not(sql: str) -> None:
    """CONCURRENTLY, and tables that the file itself made, are fine."""
    assert hits(TABLE, sql) == []


def test_a_partitioned_table_gets_its_own_remedy() -> None:
    """A partitioned table has no CONCURRENTLY, so the remedy is another one; ON ONLY it is fine."""
    table = "CREATE TABLE events (id bigint) PARTITION BY RANGE (id);"

    (finding,) = lint_files(table, "CREATE INDEX ON events (id);").findings

    assert "ON ONLY the parent" in finding.remedy
    assert lint_files(table, "CREATE INDEX i ON ONLY events (id);").findings == ()


def test_a_finding_says_all_there_is_to_say() -> None:
    """A finding has its place, statement, subject, effect and remedy."""
    (finding,) = lint_files(TABLE, "SELECT 1;\n  CREATE INDEX i ON orders (id);\n").findings

    assert str(finding) == (
        "2_a.sql:2:3: PG101 orders: CREATE INDEX takes a SHARE lock: writes to the table wait until the build ends. "
        "Use CREATE INDEX CONCURRENTLY; if Atlas is to run it too, in a file that starts with `-- atlas:txmode none` and an "
        "empty line."
    )
    assert finding.statement == 2
    assert finding.place.text == "  CREATE INDEX i ON orders (id);"
