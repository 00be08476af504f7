"""DS102: DROP TABLE."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files


def test_each_table_is_found() -> None:
    """Every table of the statement is found, as an error."""
    assert hits("CREATE TABLE a (x int);", "DROP TABLE IF EXISTS a, app.b CASCADE;") == [
        ("DS102", "a"),
        ("DS102", "app.b"),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (x int); DROP TABLE a;",
        "CREATE TEMP TABLE IF NOT EXISTS a (x int); DROP TABLE a;",
        "DROP VIEW a;",
        "CREATE TABLE new (x int); ALTER TABLE new RENAME TO a; DROP TABLE a;",
    ],
)
def test_a_table_of_the_same_file_is_not(sql: str) -> None:
    """A table that the file itself made has nothing to lose."""
    assert hits(sql) == []


def test_a_table_made_again_is_new() -> None:
    """After DROP and CREATE in one file, the second DROP loses nothing; the first did."""
    assert hits("CREATE TABLE a (x int);", "DROP TABLE a; CREATE TABLE a (y int); DROP TABLE a;") == [("DS102", "a")]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE IF NOT EXISTS a (x int); DROP TABLE a;",
        "CREATE TABLE IF NOT EXISTS b (x int); ALTER TABLE b RENAME TO a; DROP TABLE a;",
        "ALTER TABLE a RENAME TO b; ALTER TABLE c RENAME TO a; CREATE TABLE IF NOT EXISTS a (x int); DROP TABLE a;",
        "DROP TABLE a; CREATE TABLE IF NOT EXISTS a (x int); DROP TABLE a;",
        "ALTER TABLE a RENAME TO b; CREATE TABLE IF NOT EXISTS a (x int); DROP TABLE a; DROP TABLE b;",
    ],
)
def test_a_table_that_may_have_been_there_is_found(sql: str) -> None:
    """IF NOT EXISTS may have found a table with rows, unless this file had dropped or renamed it; each case loses one."""
    assert [code for code, _ in hits(sql)] == ["DS102"]


def test_a_table_dropped_by_an_earlier_file_may_be_back() -> None:
    """What happened between two files nobody knows."""
    assert hits("DROP TABLE a;", "CREATE TABLE IF NOT EXISTS a (x int); DROP TABLE a;") == [("DS102", "a")]


def test_it_is_an_error() -> None:
    """The directory is refused."""
    report = lint_files("DROP TABLE a;")

    assert report.errors == report.findings != ()
