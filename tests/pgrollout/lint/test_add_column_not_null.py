"""MF103: ADD COLUMN NOT NULL without a default."""

import psycopg
import pytest

from tests.pgrollout.lint.linting import hits
from tests.servers import Database

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


@pytest.mark.parametrize(
    ("domain", "column"),
    [
        ("CREATE DOMAIN d AS text;", "c d"),
        ("CREATE DOMAIN d AS text;", "c d NOT NULL"),
        ("CREATE DOMAIN d AS text NOT NULL;", "c d"),
        ("CREATE DOMAIN d AS text NOT NULL;", "c d[]"),
        ("CREATE DOMAIN d AS text NOT NULL;", "c d DEFAULT 'x'"),
        ("CREATE DOMAIN d AS text NOT NULL DEFAULT 'x';", "c d"),
        ("CREATE DOMAIN d AS text DEFAULT 'x';", "c d NOT NULL"),
        ("CREATE DOMAIN d AS text DEFAULT 'x';", "c d NOT NULL DEFAULT NULL"),
        ("CREATE DOMAIN d AS text DEFAULT 'x';", "c d[] NOT NULL"),
        ("CREATE DOMAIN d AS text DEFAULT NULL;", "c d NOT NULL"),
        ("CREATE DOMAIN b AS text NOT NULL; CREATE DOMAIN d AS b;", "c d"),
        ("CREATE DOMAIN b AS text DEFAULT 'x'; CREATE DOMAIN d AS b;", "c d NOT NULL"),
        ("CREATE DOMAIN b AS text DEFAULT 'x'; CREATE DOMAIN d AS b DEFAULT NULL;", "c d NOT NULL"),
        ("CREATE DOMAIN d AS text NOT NULL; ALTER DOMAIN d DROP NOT NULL;", "c d"),
        ("CREATE DOMAIN d AS text; ALTER DOMAIN d SET NOT NULL;", "c d"),
        ("CREATE DOMAIN d AS text; ALTER DOMAIN d SET DEFAULT 'x';", "c d NOT NULL"),
        ("CREATE DOMAIN d AS text DEFAULT 'x'; ALTER DOMAIN d DROP DEFAULT;", "c d NOT NULL"),
        ("CREATE SCHEMA app; CREATE DOMAIN app.d AS text NOT NULL;", "c app.d"),
        ("CREATE DOMAIN d AS text NOT NULL; DROP DOMAIN d; CREATE TYPE d AS ENUM ();", "c d"),
        ("CREATE DOMAIN d AS text NOT NULL; DROP TYPE d; CREATE TYPE d AS ENUM ();", "c d"),
    ],
)
def test_a_server_agrees_about_domains(database: Database, domain: str, column: str) -> None:
    """A domain demands or gives a value like its columns would: what is found is what a table with a row refuses."""
    add = f"ALTER TABLE t ADD COLUMN {column};"
    database.execute(TABLE + "INSERT INTO t VALUES (1);" + domain)
    try:
        database.execute(add)
        expected = []
    except psycopg.errors.NotNullViolation:
        expected = [("MF103", "t.c")]

    assert hits(TABLE + domain, add) == expected


def test_a_domain_that_code_may_have_changed_is_not_known() -> None:
    """After a DO block that names the domain, only what the column says counts."""
    domain = "CREATE DOMAIN d AS text NOT NULL;"

    assert hits(TABLE, domain, "DO $$ BEGIN ALTER DOMAIN d DROP NOT NULL; END $$;", "ALTER TABLE t ADD c d;") == []
