"""Invalid indexes and constraints that are NOT VALID."""

import psycopg
import pytest

from pgrollout.catalog.scope import Scope
from pgrollout.postgres.validity import invalid_indexes, not_valid_constraints
from tests.servers import Database


def test_valid_schema_has_none(any_database: Database) -> None:
    """A schema in order has neither."""
    any_database.execute("CREATE TABLE t (id int PRIMARY KEY CHECK (id > 0))")

    with any_database.connect() as connection:
        assert invalid_indexes(connection, Scope()) == {}
        assert not_valid_constraints(connection, Scope()) == {}


def test_invalid_indexes_are_named(any_database: Database) -> None:
    """A failed concurrent build and a partitioned index without its partitions are named, our ledger's are not."""
    any_database.execute(
        'CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1); CREATE TABLE "P" (id int) PARTITION BY LIST (id);'
        'CREATE TABLE p1 PARTITION OF "P" FOR VALUES IN (1); CREATE INDEX "P_idx" ON ONLY "P" (id);'
        "CREATE SCHEMA pgrollout; CREATE TABLE pgrollout.t (id int); INSERT INTO pgrollout.t VALUES (1), (1)"
    )
    for schema in ("public", "pgrollout"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            any_database.execute(f"CREATE UNIQUE INDEX CONCURRENTLY t_id_idx ON {schema}.t (id)")

    with any_database.connect() as connection:
        assert invalid_indexes(connection, Scope()) == {
            'public."P_idx"': ("public", "P"),
            "public.t_id_idx": ("public", "t"),
        }


def test_constraints_that_are_not_valid_are_named(any_database: Database) -> None:
    """Checks, foreign keys and those of domains are named while they are NOT VALID."""
    any_database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (t_id int); CREATE DOMAIN d AS text;"
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;"
        "ALTER TABLE u ADD CONSTRAINT u_fk FOREIGN KEY (t_id) REFERENCES t NOT VALID;"
        "ALTER DOMAIN d ADD CONSTRAINT short CHECK (length(VALUE) < 9) NOT VALID"
    )

    with any_database.connect() as connection:
        assert not_valid_constraints(connection, Scope()) == {
            "public.d: short": ("public", "d"),
            "public.t: positive": ("public", "t"),
            "public.u: u_fk": ("public", "u"),
        }


@pytest.mark.parametrize(
    "scope", [Scope(("public",)), Scope(exclude=("legacy",)), Scope(exclude=("legacy.t",)), Scope(exclude=("*.t*",))]
)
def test_what_is_out_of_scope_is_not_looked_at(database: Database, scope: Scope) -> None:
    """Neither an index nor a constraint of a schema or table that is left out is named."""
    database.execute(
        "CREATE SCHEMA legacy; CREATE TABLE legacy.t (id int);"
        "ALTER TABLE legacy.t ADD CONSTRAINT d CHECK (id > 1) NOT VALID; INSERT INTO legacy.t VALUES (2), (2)"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id_idx ON legacy.t (id)")

    with database.connect() as connection:
        assert list(invalid_indexes(connection, Scope())) == ["legacy.t_id_idx"]
        assert invalid_indexes(connection, scope) == not_valid_constraints(connection, scope) == {}


def test_constraint_that_is_not_enforced_is_meant_so(database: Database) -> None:
    """NOT ENFORCED is another thing than NOT VALID."""
    database.execute("CREATE TABLE t (id int, CONSTRAINT c CHECK (id > 0) NOT ENFORCED)")

    with database.connect() as connection:
        assert not_valid_constraints(connection, Scope()) == {}
