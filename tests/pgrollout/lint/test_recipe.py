"""Recipes: what to write instead of a statement that made others wait."""

import pytest

from pgrollout.content import read_content
from pgrollout.lint.recipe import recipe
from pgrollout.migration import Migration


def recipe_of(sql: str) -> str:
    """Return the recipe of the second statement of a file that begins with another one."""
    return recipe(read_content(Migration("1_a.sql", f"SELECT 1;\n{sql};\n".encode())), 1)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE a ALTER COLUMN b SET NOT NULL", "NOT VALID"),
        ("CREATE INDEX i ON a (b)", "CREATE INDEX CONCURRENTLY"),
        ("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c", "NOT VALID"),
    ],
)
def test_the_rule_tells(sql: str, expected: str) -> None:
    """Where a rule about locks has a finding, its remedy is the recipe."""
    assert expected in recipe_of(sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE a SET b = 1", "Change the rows in batches"),
        ("DELETE FROM a", "Delete the rows in batches"),
        ("VACUUM FULL a", "pg_repack"),
        ("CLUSTER a", "pg_repack"),
        ("REINDEX TABLE a", "CONCURRENTLY"),
        ("REFRESH MATERIALIZED VIEW a", "REFRESH MATERIALIZED VIEW CONCURRENTLY"),
        ("SELECT f()", "Split what takes long from what locks"),
        ("COMMENT ON TABLE a IS 'b'", "Split what takes long from what locks"),
    ],
)
def test_the_first_words_tell(sql: str, expected: str) -> None:
    """Where none has, the statement's first words do; each recipe names the directive that lets others wait longer."""
    told = recipe_of(sql)

    assert expected in told
    assert "-- pgrollout:stall_budget 30s" in told


def test_commit() -> None:
    """What comes after the last statement is the COMMIT, with the work that was deferred to it."""
    content = read_content(Migration("1_a.sql", b"SELECT 1;\n"))

    assert "Deferred constraints and triggers do their work at COMMIT" in recipe(content, 1)
