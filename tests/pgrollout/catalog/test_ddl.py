"""The SQL of objects: it runs on an empty database, and gives the same objects."""

import psycopg
import pytest

from pgrollout.catalog.ddl import Later, Parts
from pgrollout.catalog.ddl.statements import statements_of
from pgrollout.catalog.difference import difference
from pgrollout.catalog.difference_text import as_text, sides
from pgrollout.catalog.kinds import BY_NAME, KINDS
from pgrollout.catalog.listing import as_sql, selected
from pgrollout.catalog.listing import as_text as listed
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import Scope
from pgrollout.postgres.catalog import read_catalog
from tests.pgrollout.catalog.schemas import make_large, schema_database
from tests.servers import Database, Server

WORDS = sides("the original", "what its SQL makes")


def run(database: Database, statements: list[str]) -> list[str]:
    """Run statements again and again until nothing more runs; return what never did, with the reason."""
    left = statements
    with database.connect() as connection:
        connection.execute("SET check_function_bodies = off")
        connection.execute("SET search_path = ''")
        while True:
            failed = []
            for statement in left:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    connection.execute("RESET ROLE")
                    failed.append((statement, str(error)))
            if not failed or len(failed) == len(left):
                return [f"{statement}\n{reason}" for statement, reason in failed]
            left = [statement for statement, _ in failed]


def read(database: Database) -> Catalog:
    """The catalog of a database."""
    with database.connect() as connection:
        return read_catalog(connection, Scope())


def test_sql_of_every_kind_makes_the_same_objects(any_server: Server) -> None:
    """All statements of a large schema run, and what they make differs from it in nothing."""
    with schema_database(any_server) as original, schema_database(any_server) as copy:
        with original.connect() as connection:
            make_large(connection)
        catalog = read(original)
        parts, whole = Parts(catalog), catalog.objects.keys()
        statements = [one for it in catalog.objects.values() for one in statements_of(it, parts, within=whole)]

        failed = run(copy, sorted(statements, key=lambda one: isinstance(one, Later)))

        assert failed == []
        assert as_text(difference(catalog, read(copy)), WORDS).startswith("No difference")
        assert {it.identity.kind for it in catalog.objects.values()} >= {kind.name for kind in KINDS}


def test_every_kind_has_sql() -> None:
    """None is left out of a listing in SQL."""
    assert [name for name, kind in BY_NAME.items() if kind.ddl is None] == []


SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text DEFAULT 'x' NOT NULL);
CREATE TABLE shop.bills (id integer, customer_id bigint REFERENCES shop.customers);
CREATE INDEX bills_customer_id_idx ON shop.bills (customer_id);
COMMENT ON COLUMN shop.customers.name IS 'as they write it';
GRANT SELECT, INSERT ON shop.customers TO PUBLIC;
"""


@pytest.fixture
def catalog(database: Database) -> Catalog:
    """A small schema."""
    database.execute(SHOP)
    return read(database)


def test_a_table_is_listed_with_what_belongs_to_it(catalog: Catalog) -> None:
    """As text in a person's order: the table, its columns, constraints, indexes; nothing of another one."""
    assert listed(selected(catalog.objects.values(), "shop.bills")) == (
        "TABLE shop.bills\n"
        "    owner: the migrating role\n"
        "    COLUMN id: integer\n"
        "    COLUMN customer_id: bigint\n"
        "    CONSTRAINT bills_customer_id_fkey: FOREIGN KEY (customer_id) REFERENCES shop.customers(id)\n"
        "    INDEX bills_customer_id_idx: USING btree (customer_id)"
    )


def test_sql_reads_as_people_write_it(catalog: Catalog) -> None:
    """A table with its columns and keys at once, defaults of a sequence left unsaid, foreign keys at the end."""
    shown = as_sql(catalog, selected(catalog.objects.values(), "shop.*"))

    assert shown.splitlines()[-1] == (
        "ALTER TABLE shop.bills ADD CONSTRAINT bills_customer_id_fkey "
        "FOREIGN KEY (customer_id) REFERENCES shop.customers(id);"
    )
    assert (
        "CREATE TABLE shop.customers (\n"
        "    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,\n"
        "    name text NOT NULL DEFAULT 'x'::text,\n"
        "    CONSTRAINT customers_pkey PRIMARY KEY (id)\n"
        ");\n"
        "GRANT INSERT, SELECT ON TABLE shop.customers TO PUBLIC;\n"
        "COMMENT ON COLUMN shop.customers.name IS 'as they write it';"
    ) in shown


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("shop.bills.id", ["COLUMN shop.bills.id"]),
        ("index *", ["INDEX shop.bills_customer_id_idx"]),
        ("INDEX bills*", ["INDEX shop.bills_customer_id_idx"]),
        ("bills_customer_id_idx", ["INDEX shop.bills_customer_id_idx"]),
        ("nothing", []),
        ("SHOP.CUSTOMERS.N*", ["COLUMN shop.customers.name"]),
    ],
)
def test_objects_are_chosen_by_name(catalog: Catalog, pattern: str, expected: list[str]) -> None:
    """With and without schema and kind, in any case, with wildcards."""
    assert [str(it.identity) for it in selected(catalog.objects.values(), pattern)] == expected
