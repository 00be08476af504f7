"""
Synthetic schemas: tables as applications have them, with keys, indexes, foreign keys, a check and comments.
"""

from collections.abc import Iterator

TABLES_A_SCHEMA = 100
TABLES_A_TRANSACTION = 100
"""Each takes locks; a server's usual settings have room for about this many."""


def table(number: int) -> str:
    """Return the SQL of one table of ten columns: a primary key, two indexes, a check, a foreign key, comments."""
    schema, name = f"area_{number // TABLES_A_SCHEMA}", f"item_{number}"
    parent = f"area_{(number - 1) // TABLES_A_SCHEMA}.item_{number - 1}" if number else f"{schema}.{name}"
    return (
        (f"CREATE SCHEMA {schema};\n" if number % TABLES_A_SCHEMA == 0 else "")
        + f"""CREATE TABLE {schema}.{name} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id bigint REFERENCES {parent},
    title text NOT NULL,
    kind varchar(20) DEFAULT 'new' NOT NULL CONSTRAINT {name}_kind_check CHECK (kind IN ('new', 'old', 'gone')),
    amount numeric(12, 2) DEFAULT 0,
    is_open boolean DEFAULT true NOT NULL,
    tags text[] DEFAULT '{{}}'::text[],
    details jsonb,
    made_at timestamptz DEFAULT now() NOT NULL,
    seen_at timestamptz
);
CREATE INDEX {name}_parent_idx ON {schema}.{name} (parent_id);
CREATE INDEX {name}_open_idx ON {schema}.{name} (kind, made_at DESC) WHERE is_open;
COMMENT ON TABLE {schema}.{name} IS 'Items of the kind number {number}.';
COMMENT ON COLUMN {schema}.{name}.kind IS 'new, then old, then gone';
"""
    )


def statements(count: int) -> Iterator[str]:
    """Yield the SQL of that many tables, a transaction each."""
    for first in range(0, count, TABLES_A_TRANSACTION):
        yield "".join(table(number) for number in range(first, min(first + TABLES_A_TRANSACTION, count)))
