"""PG306: ADD FOREIGN KEY without NOT VALID."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files


@pytest.mark.parametrize(
    ("sql", "subject"),
    [
        ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u;", "t.f"),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE;", "t"),
        ("ALTER TABLE t ADD COLUMN a int DEFAULT 1 REFERENCES u;", "t.a"),
        ("CREATE TABLE u (id int PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u;", "t"),
    ],
)
def test_a_key_that_looks_rows_up_is_found(sql: str, subject: str) -> None:
    """A foreign key that is valid at once is found; on a new column, only where a default makes values."""
    assert hits(sql) == [("PG306", subject)]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u NOT VALID;",
        "ALTER TABLE t ADD COLUMN a int REFERENCES u;",
        "ALTER TABLE t ADD COLUMN a int DEFAULT NULL REFERENCES u;",
        "CREATE TABLE t (a int); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u;",
        "CREATE TABLE t (a int REFERENCES u);",
    ],
)
def test_a_key_without_rows_is_not(sql: str) -> None:
    """NOT VALID, columns without values and new tables are fine."""
    assert hits(sql) == []


def test_a_partitioned_table_gets_its_own_remedy() -> None:
    """Servers before 18 refuse NOT VALID on a partitioned table, and the remedy says so."""
    table = "CREATE TABLE events (id bigint) PARTITION BY RANGE (id);"

    (finding,) = lint_files(table, "ALTER TABLE events ADD FOREIGN KEY (id) REFERENCES u;").findings

    assert "older servers refuse NOT VALID" in finding.remedy


@pytest.mark.parametrize("table", ["CREATE TABLE t (id bigint);", "CREATE TABLE p (id int) PARTITION BY RANGE (id);"])
def test_only_a_partitioned_table_gets_that_remedy(table: str) -> None:
    """An ordinary table, and one that no migration made, have the ordinary remedy."""
    (finding,) = lint_files(table, "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES u;").findings

    assert finding.remedy.startswith("Add it NOT VALID, which is instant")
