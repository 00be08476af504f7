"""
Validity: indexes that the server does not use, and constraints that it has not checked for the rows that were there.

Names only; whether one is meant is decided by who asks.
"""

from pgrollout.postgres.connection import Connection

_INVALID_INDEXES = """
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> %s
ORDER BY 1
"""

# conenforced came with 18; what is not enforced is never validated either, and meant so.
_NOT_VALID_CONSTRAINTS = """
SELECT pg_catalog.format('%%I.%%I: %%I', n.nspname, coalesce(c.relname, t.typname), k.conname)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
LEFT JOIN pg_catalog.pg_type t ON t.oid = k.contypid
WHERE NOT k.convalidated AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true)
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> %s
ORDER BY 1
"""


def invalid_indexes(connection: Connection, ledger_schema: str = "pgrollout") -> tuple[str, ...]:
    """
    Return the indexes that the server does not use, ``schema.index``: a concurrent build that failed, or is under way.

    Partitioned indexes that some partition still lacks are among them.
    """
    return tuple(name for (name,) in connection.execute(_INVALID_INDEXES, [ledger_schema]).fetchall())


def not_valid_constraints(connection: Connection, ledger_schema: str = "pgrollout") -> tuple[str, ...]:
    """Return the constraints that are NOT VALID, ``schema.table: constraint``, those of domains included."""
    return tuple(name for (name,) in connection.execute(_NOT_VALID_CONSTRAINTS, [ledger_schema]).fetchall())
