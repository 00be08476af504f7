"""PG103: CONCURRENTLY in a wrapped file."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files

TABLE = "CREATE TABLE orders (id bigint);\nCREATE INDEX old ON orders (id);\n"


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("CREATE INDEX CONCURRENTLY i ON app.orders (id)", "app.orders"),
        ("DROP INDEX CONCURRENTLY old", "old"),
        ("REINDEX TABLE CONCURRENTLY orders", "orders"),
        ("REINDEX INDEX CONCURRENTLY old", "old"),
        ("ALTER TABLE orders DETACH PARTITION p CONCURRENTLY", "p"),
    ],
)
def test_what_atlas_would_refuse_is_found(statement: str, subject: str) -> None:
    """A warning in a wrapped file, for it runs here; nothing below the directive that Atlas asks for."""
    assert hits(TABLE, f"SELECT 1; {statement};") == [("PG103", subject)]
    assert hits(TABLE, f"-- atlas:txmode none\n\nSELECT 1; {statement};") == []


def test_an_index_on_a_new_table_needs_no_concurrently() -> None:
    """It is built in plain form, so the way out is another one."""
    (found,) = lint_files("CREATE TABLE t (x int); CREATE INDEX CONCURRENTLY i ON t (x);").findings

    assert (found.code, found.subject, found.statement) == ("PG103", "t", 2)
    assert "builds the index in plain form there" in found.message
    assert found.remedy == "Leave CONCURRENTLY out: nobody uses the table yet."


def test_a_finding_says_all_there_is_to_say() -> None:
    """What Atlas would do, what pgrollout does, and what to write for both."""
    (found,) = lint_files(TABLE, "SELECT 1;\nCREATE INDEX CONCURRENTLY i ON orders (id);\n").findings

    assert str(found) == (
        "2_a.sql:2:1: PG103 orders: The Atlas CLI would run this file in one transaction, where CONCURRENTLY fails (25001). "
        "pgrollout runs the statement by itself: what stands before it is committed first. If Atlas is to run it too, add "
        "`-- atlas:txmode none` and an empty line at the top of the file."
    )
