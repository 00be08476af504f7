"""PG301: ALTER COLUMN TYPE that copies the table."""

import pytest

from tests.pgrollout.lint.linting import hits, lint_files
from tests.servers import Database

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
        ("at TYPE timestamp USING at::timestamptz::timestamp", "is free if the session's TimeZone is UTC"),
        ("gone TYPE text", "The change to text may copy the table (no migration says which type it has now)"),
    ],
)
def test_a_change_that_copies_is_found(change: str, message: str) -> None:
    """What is known to copy the table is said so; what only the catalog knows says "may"."""
    (finding,) = lint_files(TABLE, f"ALTER TABLE t ALTER COLUMN {change};").findings

    assert finding.code == "PG301"
    assert message in finding.message


@pytest.mark.parametrize(
    "change",
    [
        's TYPE varchar(20) USING s COLLATE "C"',
        's TYPE text USING s COLLATE "C"',
        's TYPE text USING (s COLLATE "C")::varchar(30) COLLATE "C"',
        's TYPE varchar(10) USING s COLLATE "C"',
        "s TYPE text USING s::varchar::text",
        "s TYPE text USING s::varchar",
        "s TYPE text USING s::varchar(10)::text",
        "s TYPE varchar(20) USING s::text",
        "s TYPE varchar(20) USING s::varchar(30)",
        "n TYPE int USING (t.n)",
        "n TYPE int USING n::int::int",
        "n TYPE int USING n::bigint::int",
        "n TYPE int USING +n",
        "n TYPE int USING NULL::int",
        "p TYPE numeric USING p::numeric(12,2)::numeric",
        "p TYPE numeric(12,2) USING p::numeric(14,2)",
    ],
)
def test_a_server_agrees(database: Database, change: str) -> None:
    """Each cast of a USING counts, COLLATE does not: what is found is what gets another file on disk."""
    table = "CREATE TABLE t (s varchar(20), n int, p numeric(10,2));"
    alter = f"ALTER TABLE t ALTER COLUMN {change};"
    database.execute(table)
    before = database.execute("SELECT pg_relation_filenode('t')")
    database.execute(alter)

    is_free = database.execute("SELECT pg_relation_filenode('t')") == before

    assert (hits(table, alter) == []) == is_free


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
