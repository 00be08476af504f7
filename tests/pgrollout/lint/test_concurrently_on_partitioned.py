"""IX203: CONCURRENTLY on a partitioned table."""

import psycopg
import pytest

from pgrollout.lint import Severity
from tests.pgrollout.lint.linting import hits, lint_files
from tests.servers import Database

TABLE = "CREATE TABLE events (id bigint) PARTITION BY RANGE (id);\nCREATE INDEX old ON events (id);\n"
NONE = "-- atlas:txmode none\n\n"
STATEMENTS = [
    ("CREATE INDEX CONCURRENTLY i ON events (id)", "events"),
    ("CREATE UNIQUE INDEX CONCURRENTLY ON ONLY public.events (id)", "public.events"),
    ("DROP INDEX CONCURRENTLY old", "old"),
]


@pytest.mark.parametrize(("statement", "subject"), STATEMENTS)
def test_what_no_server_does_is_an_error(statement: str, subject: str) -> None:
    """Whatever the file's mode, with the recipe."""
    (found,) = lint_files(TABLE, f"{NONE}{statement};").findings

    assert (found.code, found.severity, found.subject) == ("IX203", Severity.ERROR, subject)
    assert [code for code, _ in hits(TABLE, f"{statement};")] == ["PG103", "IX203"]


def test_the_recipe_fits_what_is_done() -> None:
    """Building and dropping go by different ways."""
    build, drop = (
        lint_files(TABLE, f"{NONE}{each};").findings[0].remedy for each in (STATEMENTS[0][0], STATEMENTS[2][0])
    )

    assert "ON ONLY the parent" in build
    assert drop.startswith("Use DROP INDEX")


def test_a_partition_is_a_table_like_others() -> None:
    """Its indexes are built CONCURRENTLY, as the recipe says."""
    partition = "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (2);"

    assert hits(TABLE, partition, f"{NONE}CREATE INDEX CONCURRENTLY i ON events_1 (id);") == []


@pytest.mark.parametrize("statement", [statement for statement, _ in STATEMENTS])
def test_every_server_refuses_it(any_database: Database, statement: str) -> None:
    """Which is why it is an error."""
    any_database.execute(TABLE)

    with pytest.raises(psycopg.errors.FeatureNotSupported, match="partitioned"):
        any_database.execute(statement)
