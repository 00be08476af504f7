"""
Validity: indexes that the server does not use, and constraints that it has not checked for the rows that were there.

Names only, each with the schema and name of its table; whether one is meant is decided by who asks.
"""

from pgrollout.catalog.scope import Scope
from pgrollout.postgres.connection import Connection

_INVALID_INDEXES = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), n.nspname, t.relname, c.relname
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1
"""

# conenforced came with 18; what is not enforced is never validated either, and meant so.
_NOT_VALID_CONSTRAINTS = """
SELECT pg_catalog.format('%I.%I: %I', n.nspname, coalesce(c.relname, t.typname), k.conname),
       n.nspname, coalesce(c.relname, t.typname)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
LEFT JOIN pg_catalog.pg_type t ON t.oid = k.contypid
WHERE NOT k.convalidated AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true)
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1
"""


def invalid_indexes(connection: Connection, scope: Scope) -> dict[str, tuple[str, str]]:
    """
    Return the indexes that the server does not use, ``schema.index``: a concurrent build that failed, or is under way.

    Partitioned indexes that some partition still lacks are among them.
    """
    rows = connection.execute(_INVALID_INDEXES).fetchall()
    return {
        shown: (schema, table)
        for shown, schema, table, index in rows
        if scope.has(schema, table) and scope.has(schema, index)
    }


def not_valid_constraints(connection: Connection, scope: Scope) -> dict[str, tuple[str, str]]:
    """Return the constraints that are NOT VALID, ``schema.table: constraint``, those of domains included."""
    rows = connection.execute(_NOT_VALID_CONSTRAINTS).fetchall()
    return {shown: (schema, relation) for shown, schema, relation in rows if scope.has(schema, relation)}
