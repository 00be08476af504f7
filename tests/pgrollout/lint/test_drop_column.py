"""DS103: DROP COLUMN."""

import pytest

from tests.pgrollout.lint.linting import hits

TABLE = "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c int GENERATED ALWAYS AS (a * 2) STORED);"


@pytest.mark.parametrize(
    ("sql", "subjects"),
    [
        ("ALTER TABLE t DROP COLUMN a, DROP COLUMN IF EXISTS z CASCADE;", ["t.a", "t.z"]),
        ("ALTER TABLE t DROP c;", ["t.c"]),
        ("ALTER TABLE app.unknown DROP COLUMN a;", ["app.unknown.a"]),
        ("CREATE TABLE IF NOT EXISTS u (a int); ALTER TABLE u DROP COLUMN a;", ["u.a"]),
    ],
)
def test_each_column_is_found(sql: str, subjects: list[str]) -> None:
    """Every stored column of the statement is found."""
    assert hits(TABLE, sql) == [("DS103", subject) for subject in subjects]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t DROP COLUMN b;",
        "ALTER TABLE t ADD COLUMN d int; ALTER TABLE t DROP COLUMN d;",
        "ALTER TABLE t ADD COLUMN d int; ALTER TABLE t RENAME COLUMN d TO e; ALTER TABLE t DROP COLUMN e;",
        "CREATE TABLE u (a int); ALTER TABLE u DROP COLUMN a;",
        "CREATE TABLE IF NOT EXISTS u (a int); ALTER TABLE u ADD COLUMN b int; ALTER TABLE u DROP COLUMN b;",
        "DROP FOREIGN TABLE u; CREATE TABLE IF NOT EXISTS u (a int); ALTER TABLE u DROP COLUMN a;",
        "ALTER TABLE t DROP CONSTRAINT k;",
    ],
)
def test_a_column_without_values_is_not(sql: str) -> None:
    """A virtual column, and one that the file itself made, have nothing to lose."""
    assert hits(TABLE, sql) == []
