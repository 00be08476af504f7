"""PG301: ALTER COLUMN TYPE that copies the table."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files

TABLE = (
    "CREATE TABLE t (s varchar(20), n int, p numeric(10,2), at timestamp, tags text[], mood app.mood, "
    "k bigserial PRIMARY KEY);"
)


@pytest.mark.parametrize(
    "change",
    [
        "s TYPE text",
        "s TYPE varchar(40)",
        "s SET DATA TYPE varchar USING s::varchar",
        "n TYPE integer",
        "p TYPE numeric(12,2)",
        "k TYPE int8",
        "mood TYPE app.mood",
    ],
)
def test_a_change_that_is_free_is_not_found(change: str) -> None:
    """The directory says what the type was, so a change that keeps every value as it is stored is fine."""
    assert hits(TABLE, f"ALTER TABLE t ALTER COLUMN {change};") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("s TYPE varchar(10)", "The change from varchar(20) to varchar(10) copies the table"),
        ("n TYPE bigint", "The change from int4 to int8 copies the table"),
        ("p TYPE numeric(12,3)", "The change from numeric(10,2) to numeric(12,3) copies the table"),
        ("s TYPE text USING lower(s)", "The change from varchar(20) to text copies the table"),
        ("at TYPE timestamptz", "is free if the session's TimeZone is UTC; otherwise it copies the table"),
        ("tags TYPE varchar[]", "may copy the table (its values may have to be converted)"),
        ("mood TYPE app.temper USING mood::text::app.temper", "from app.mood to app.temper may copy the table"),
        ("gone TYPE text", "The change to text may copy the table (no migration says which type it has now)"),
    ],
)
def test_a_change_that_copies_is_found(change: str, message: str) -> None:
    """What is known to copy the table is said so; what only the catalog knows says "may"."""
    (finding,) = lint_files(TABLE, f"ALTER TABLE t ALTER COLUMN {change};").findings

    assert finding.code == "PG301"
    assert message in finding.message


def test_a_table_of_the_same_file_is_not() -> None:
    """A table that the file itself made has no rows that anybody waits for."""
    assert hits(TABLE + "ALTER TABLE t ALTER n TYPE bigint;") == []


@pytest.mark.parametrize(
    "between",
    [
        "ALTER TABLE t ALTER s TYPE int USING 0;",
        "ALTER TABLE t DROP COLUMN s;",
        "ALTER TABLE t RENAME COLUMN s TO old;",
        "DROP TABLE t;",
        "DO $$ BEGIN EXECUTE 'ALTER TABLE t ALTER s TYPE int USING 0'; END $$;",
        "ALTER TABLE parent ATTACH PARTITION t DEFAULT;",
    ],
)
def test_what_happened_in_between_counts(between: str) -> None:
    """A column that was changed, dropped or touched by code since is not taken for what it was."""
    assert hits(TABLE, between, "ALTER TABLE t ALTER s TYPE text;") == [("PG301", "t.s")]


def test_names_are_followed() -> None:
    """A column is known under the names that it, its table and its schema got since."""
    since = (
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME COLUMN s TO name; "
        "ALTER TABLE u SET SCHEMA app; ALTER SCHEMA app RENAME TO web;"
    )

    assert hits(TABLE, since, "ALTER TABLE web.u ALTER name TYPE text;") == []
