"""PG102: DROP INDEX without CONCURRENTLY."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files


def test_each_index_is_found() -> None:
    """Every index of the statement is found."""
    assert hits("DROP INDEX IF EXISTS i, app.j;") == [("PG102", "i"), ("PG102", "app.j")]


@pytest.mark.parametrize(
    "sql",
    [
        "-- atlas:txmode none\n\nDROP INDEX CONCURRENTLY i;",
        "CREATE TABLE t (a int); CREATE INDEX i ON t (a); DROP INDEX i;",
        "CREATE TABLE t (a int); CREATE INDEX i ON t (a); ALTER INDEX i RENAME TO j; DROP INDEX public.j;",
    ],
)
def test_an_index_nobody_uses_is_not(sql: str) -> None:
    """CONCURRENTLY, and indexes that the file itself made, are fine."""
    assert hits(sql) == []


def test_a_partitioned_table_gets_its_own_remedy() -> None:
    """The index of a partitioned table cannot be dropped CONCURRENTLY, and the remedy says so."""
    table = "CREATE TABLE events (id bigint) PARTITION BY RANGE (id); CREATE INDEX i ON events (id);"

    (finding,) = lint_files(table, "DROP INDEX i;").findings

    assert "cannot be dropped CONCURRENTLY" in finding.remedy
