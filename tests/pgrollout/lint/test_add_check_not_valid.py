"""PG305: ADD CHECK without NOT VALID."""

import pytest

from tests.pgrollout.lint.linting import hits


@pytest.mark.parametrize(
    ("sql", "subject"),
    [
        ("ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0);", "t.positive"),
        ("ALTER TABLE IF EXISTS ONLY app.t ADD CHECK (a > 0);", "app.t"),
    ],
)
def test_a_check_of_all_rows_is_found(sql: str, subject: str) -> None:
    """A CHECK that is valid at once is found, named or not."""
    assert hits(sql) == [("PG305", subject)]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;",
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0) NOT ENFORCED;",
        "ALTER TABLE t VALIDATE CONSTRAINT positive;",
        "CREATE TABLE t (a int); ALTER TABLE t ADD CHECK (a > 0);",
        "ALTER DOMAIN d ADD CHECK (VALUE > 0);",
    ],
)
def test_a_check_of_no_rows_is_not(sql: str) -> None:
    """NOT VALID, NOT ENFORCED and new tables are fine."""
    assert hits(sql) == []
