"""
Online builds: what a ``CREATE INDEX CONCURRENTLY`` that stopped half-way has left behind.

Such an index is invalid: no query uses it, every write pays for it, and a unique one already rejects rows. Built again under
its name it is refused, or, with IF NOT EXISTS, taken for the index that was wanted. Only looks; dropping it is for a person.
"""

import re

from pgrollout.postgres.connection import Connection

_BUILD = re.compile(r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b", re.IGNORECASE)
_UNNAMED = re.compile(r"\bCONCURRENTLY\s+ON\b", re.IGNORECASE)
_WORD = re.compile(r'"((?:[^"]|"")*)"|([^\W\d][\w$]*)')
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)

# Whose build is still under way has an invalid index, too.
_INVALID = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relname, t.relname
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT i.indisvalid AND c.relkind OPERATOR(pg_catalog.=) 'i'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
                  WHERE p.index_relid OPERATOR(pg_catalog.=) c.oid)
"""


def is_build(statement: str) -> bool:
    """Whether the statement builds an index online."""
    return _BUILD.match(_COMMENT.sub(" ", statement)) is not None


def left_behind(connection: Connection, statement: str) -> str | None:
    """
    Return the quoted name of an invalid index that the statement is about, or None.

    About it is one whose name stands in the statement; where the server chooses the name, one on a table that does.

    Args:
        connection: Idle, or in a transaction.
        statement: A CREATE INDEX CONCURRENTLY.
    """
    text = _COMMENT.sub(" ", statement)
    words = {quoted.replace('""', '"') if quoted else plain.lower() for quoted, plain in _WORD.findall(text)}
    is_unnamed = _UNNAMED.search(text) is not None
    for shown, index, table in connection.execute(_INVALID.encode()).fetchall():
        if index in words or (is_unnamed and table in words):
            return str(shown)
    return None
