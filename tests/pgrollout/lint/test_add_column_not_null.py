"""MF103: ADD COLUMN NOT NULL without a default."""

import pytest

from tests.pgrollout.lint.linting import hits

TABLE = "CREATE TABLE t (id bigint);"


@pytest.mark.parametrize(
    "column",
    [
        "c int NOT NULL",
        "IF NOT EXISTS c int NOT NULL",
        "c int NOT NULL DEFAULT NULL",
        "c int PRIMARY KEY",
        "c text DEFAULT NULL::text NOT NULL",
    ],
)
def test_a_column_that_nothing_fills_is_found(column: str) -> None:
    """A column that must have a value and gets none is found."""
    assert hits(TABLE, f"ALTER TABLE t ADD COLUMN {column};") == [("MF103", "t.c")]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 0;",
        "ALTER TABLE t ADD COLUMN c int;",
        "ALTER TABLE t ADD COLUMN c bigserial NOT NULL;",
        "ALTER TABLE t ADD COLUMN c int NOT NULL GENERATED ALWAYS AS IDENTITY;",
        "ALTER TABLE t ADD COLUMN c int NOT NULL GENERATED ALWAYS AS (id * 2) STORED;",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS id bigint NOT NULL;",
        "CREATE TABLE u (id bigint); ALTER TABLE u ADD COLUMN c int NOT NULL;",
    ],
)
def test_a_column_with_values_is_not(sql: str) -> None:
    """A default, a sequence, an expression, a null, a column that is there or an empty table are fine."""
    assert hits(TABLE, sql) == []
