"""PG303: SET NOT NULL without a proof."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files
from tests.servers import Database

TABLE = "CREATE TABLE t (a int, b int NOT NULL);"
SET = "ALTER TABLE t ALTER COLUMN a SET NOT NULL;"
CHECK = "ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL AND a > 0) NOT VALID;"
VALIDATE = "ALTER TABLE t VALIDATE CONSTRAINT k;"


@pytest.mark.parametrize(
    "files",
    [
        (TABLE, SET),
        (TABLE, CHECK, SET),
        (TABLE, CHECK, VALIDATE, "ALTER TABLE t DROP CONSTRAINT k;", SET),
        (TABLE, CHECK, VALIDATE, "ALTER TABLE t DROP CONSTRAINT k, ALTER a SET NOT NULL;"),
        (TABLE, "ALTER TABLE t ADD CHECK (a IS NOT NULL OR b > 0);", SET),
        (TABLE, "ALTER TABLE t ADD CHECK (a IS NOT NULL) NOT ENFORCED;", SET),
        (TABLE + "ALTER TABLE t ALTER a SET NOT NULL;", "ALTER TABLE t ALTER a DROP NOT NULL;", SET),
    ],
)
def test_a_scan_is_found(files: tuple[str, ...]) -> None:
    """Without a valid CHECK that proves it, the server reads the table."""
    (finding,) = lint_files(*files).findings

    assert (finding.code, finding.subject) == ("PG303", "t.a")
    assert finding.message.startswith("SET NOT NULL reads the whole table under an ACCESS EXCLUSIVE lock: readers")


@pytest.mark.parametrize(
    "files",
    [
        (TABLE + SET,),
        (TABLE, CHECK, VALIDATE, SET),
        (TABLE, CHECK, VALIDATE + SET + "ALTER TABLE t DROP CONSTRAINT k;"),
        (TABLE, "ALTER TABLE t ADD CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT t_a_check;", SET),
        (TABLE, "ALTER TABLE t ALTER b SET NOT NULL;"),
        ("CREATE TABLE t (a int PRIMARY KEY);", SET),
        ("CREATE TABLE t AS SELECT 1 AS a;", CHECK, VALIDATE, SET),
        ("CREATE TABLE t PARTITION OF p DEFAULT;", CHECK, VALIDATE, SET),
        ("CREATE TABLE t (a int, PRIMARY KEY (a));", SET),
        ("CREATE TABLE t (a int CHECK (a IS NOT NULL));", SET),
        ("CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY);", SET),
    ],
)
def test_a_proof_is_believed(files: tuple[str, ...]) -> None:
    """A new table, a column that is NOT NULL already, and a valid CHECK need no scan."""
    assert hits(*files) == []


def test_an_unknown_table_may_scan() -> None:
    """Where no migration made the column, only the catalog knows, and the finding says so."""
    (finding,) = lint_files(SET).findings

    assert "readers and writers may wait" in finding.message


@pytest.mark.parametrize(
    "check",
    [
        "a IS NOT NULL",
        "a IS NOT NULL AND b > 0",
        "a IS NOT NULL OR b > 0",
        "NOT a IS NULL",
        "NOT a IS NOT NULL",
        "NOT (NOT a IS NOT NULL)",
        "NOT (a IS NULL OR b > 9)",
        "NOT (a IS NULL AND b > 9)",
        "NOT (NOT (a IS NOT NULL AND b > 0))",
        "b > 0 AND NOT a IS NULL",
    ],
)
def test_a_server_agrees(any_database: Database, check: str) -> None:
    """What we take for a proof is what the server takes for one."""
    add = f"ALTER TABLE t ADD CHECK ({check});"
    messages: list[str | None] = []
    with any_database.connect() as conn:
        conn.add_notice_handler(lambda message: messages.append(message.message_primary))
        conn.execute((TABLE + add + "SET client_min_messages = debug1;" + SET).encode())

    is_proof = any("existing constraints" in (message or "") for message in messages)

    assert hits(TABLE, add, SET) == ([] if is_proof else [("PG303", "t.a")])


NOT_NULL = "CREATE TABLE t (a int, b int NOT NULL, c int CONSTRAINT filled NOT NULL);"


@pytest.mark.parametrize(("drop", "column"), [("t_b_not_null", "b"), ("filled", "c"), ("old_name_b_not_null", "b")])
def test_a_dropped_not_null_constraint_makes_its_column_nullable(drop: str, column: str) -> None:
    """From 18 on NOT NULL is a constraint that can be dropped by its name: its own, or the server's."""
    drop = f"ALTER TABLE t DROP CONSTRAINT {drop};"

    for each in ("b", "c"):
        found = hits(NOT_NULL, drop, f"ALTER TABLE t ALTER COLUMN {each} SET NOT NULL;")
        assert found == ([("PG303", f"t.{each}")] if each == column else [])


@pytest.mark.parametrize(("validated", "found"), [("new", []), ("k", [("PG303", "t.a")])])
def test_a_renamed_check_is_followed(validated: str, found: list[tuple[str, str]]) -> None:
    """It is validated by its new name, and proves what it did."""
    rename = "ALTER TABLE t RENAME CONSTRAINT k TO new;"

    assert hits(TABLE, CHECK, rename, f"ALTER TABLE t VALIDATE CONSTRAINT {validated};", SET) == found
