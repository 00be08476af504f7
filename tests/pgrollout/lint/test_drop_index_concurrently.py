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


INDEXED = "CREATE TABLE t (a int); CREATE INDEX i ON t (a);"


def test_an_index_of_an_earlier_file_is_found() -> None:
    """Also in a file that creates another table; the remedy is the ordinary one."""
    (finding,) = lint_files(INDEXED, "CREATE TABLE u (a int); DROP INDEX i;").findings

    assert (finding.code, finding.subject) == ("PG102", "i")
    assert finding.remedy.startswith("Use DROP INDEX CONCURRENTLY")


def test_an_index_of_a_table_that_the_file_creates_is_not() -> None:
    """Where the file made the table anew, nobody else uses it, whoever made the index."""
    assert hits(INDEXED, "DROP TABLE t; CREATE TABLE t (a int); DROP INDEX IF EXISTS i;") == [("DS102", "t")]


def test_only_a_partitioned_table_gets_that_remedy() -> None:
    """An index that no migration made has the ordinary remedy, and so has each ordinary one of the same statement."""
    table = "CREATE TABLE events (id bigint) PARTITION BY RANGE (id); CREATE INDEX p ON events (id);"

    found = lint_files(table, INDEXED, "DROP INDEX unknown, p, i;").findings

    assert ["CONCURRENTLY, one index" in finding.remedy for finding in found] == [True, False, True]
