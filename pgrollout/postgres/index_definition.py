"""
Index definitions: which index a CREATE INDEX statement asks for, and whether one that is there is that one.

The server is asked: in a transaction that is rolled back, a temporary, empty copy of the table gets the statement's plain
form, and what the catalog then says of it is compared, property by property, with what it says of the index that is there.
So spelling, types, operator classes and the search path are the server's business. Nobody waits for it, and it waits for
nobody for long.

Source: PostgreSQL manual, "pg_index", ``pg_get_indexdef``.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pgrollout.errors import ExitCode, ServerRefused
from pgrollout.index_text import read_index
from pgrollout.postgres import sqlstate
from pgrollout.postgres.connection import Connection
from pgrollout.quoting import literal, name
from pgrollout.splitter import Unclosed

LOCK_TIMEOUT_MS = 500
"""How long the copy may wait for somebody who changes the table."""
STATEMENT_TIMEOUT_MS = 10_000
"""How long each of the statements may take; all of them work on an empty table."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a session that say which index a statement asks for."""

    search_path: str
    """Where its names are looked for."""
    default_tablespace: str
    """Where an index goes whose statement names no tablespace."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What the catalog says of an index, apart from its name and its table."""

    properties: tuple[Any, ...]
    """What makes two of them the same."""
    shown: str
    """For a person: ``UNIQUE btree (lower(name)) WHERE ok``."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The index that a statement asks for, beside some that are there."""

    asked: Definition
    """What the statement asks for."""
    there: Mapping[int, Definition]
    """By OID, what is there."""

    def is_equal(self, oid: int) -> bool:
        """Whether the index with this OID is what the statement asks for."""
        return self.there[oid].properties == self.asked.properties


class CannotTell(Exception):
    """The server did not let us ask; the text says why."""


def read_settings(connection: Connection) -> Settings:
    """Return the session's settings that say which index a statement asks for."""
    ((path, tablespace),) = connection.execute(
        "SELECT pg_catalog.current_setting('search_path'), pg_catalog.current_setting('default_tablespace')"
    ).fetchall()
    return Settings(path, tablespace)


def compare(
    connection: Connection, text: str, schema: str, table: str, indexes: Sequence[int], settings: Settings | None = None
) -> Comparison:
    """
    Compare the index that a statement asks for with some that are there.

    Args:
        connection: The executing connection; what it makes is rolled back, and no setting stays.
        text: A CREATE INDEX, online or not, which is not run.
        schema: Schema of its table.
        table: Its table.
        indexes: OIDs of indexes.
        settings: As they are where the statement runs; without, the session's own.

    Raises:
        CannotTell: The role may make no temporary table, or read the table; or the statement does not run on a copy.
        ServerRefused: Somebody has the table locked; waiting can cure it.
        ConnectionBroken: The connection was lost.
    """
    copy = name("pg_temp", table)  # with the table's name, for expressions may name it
    with _explained(), connection.transaction(force_rollback=True):
        for statement in _prepared(settings or read_settings(connection)):
            connection.execute(statement.encode())
        connection.execute(f"CREATE TEMPORARY TABLE {copy} (LIKE {name(schema, table)})".encode())
        connection.execute(read_index(text).on(copy).encode())
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        made = connection.execute(_INDEX_OF.encode(), [copy]).fetchone()
        if made is None:
            raise CannotTell("the statement makes no index on a copy of the table")
        found = {oid: _definition(connection, oid) for oid in {made[0], *indexes}}
    return Comparison(found[made[0]], {oid: found[oid] for oid in indexes})


def definition(connection: Connection, oid: int) -> Definition:
    """Return the definition of an index that is there."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        return _definition(connection, oid)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        with sqlstate.explained("comparing the definition of an index"):
            yield
    except Unclosed as error:
        raise CannotTell(str(error)) from error
    except ServerRefused as error:
        if error.code is ExitCode.WAIT:
            raise
        raise CannotTell(error.message) from error


def _prepared(settings: Settings) -> Iterator[str]:
    yield "SET TRANSACTION READ WRITE"
    yield f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
    yield f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"
    yield f"SELECT pg_catalog.set_config('search_path', {literal(settings.search_path)}, true)"
    # Temporary objects have a default of their own.
    tablespace = literal(name(settings.default_tablespace) if settings.default_tablespace else "")
    yield f"SELECT pg_catalog.set_config('temp_tablespaces', {tablespace}, true)"


_INDEX_OF = "SELECT indexrelid FROM pg_index WHERE indrelid = CAST(%s AS regclass)"
_DEFINITION = """
SELECT m.amname, i.indisunique, i.indisexclusion, i.indimmediate, {nulls_not_distinct}, i.indnkeyatts,
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnatts) n ORDER BY n),
    CAST(i.indclass AS text), CAST(i.indcollation AS text), CAST(i.indoption AS text),
    ARRAY(SELECT CAST(a.attoptions AS text) FROM pg_attribute a WHERE a.attrelid = i.indexrelid ORDER BY a.attnum),
    pg_get_expr(i.indpred, i.indrelid, true),
    ARRAY(SELECT o FROM unnest(c.reloptions) o ORDER BY o),
    c.reltablespace,
    pg_get_indexdef(i.indexrelid), s.spcname
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
WHERE i.indexrelid = %s
"""


def _definition(connection: Connection, oid: int) -> Definition:
    column = "i.indnullsnotdistinct" if connection.info.server_version >= 150000 else "false"
    row = connection.execute(_DEFINITION.format(nulls_not_distinct=column).encode(), [oid]).fetchone()
    if row is None:
        raise CannotTell("an index has gone while it was looked at")
    *properties, text, tablespace = row
    shown = ("UNIQUE " if row[1] else "") + text.partition(" USING ")[2]
    return Definition(
        tuple(tuple(value) if isinstance(value, list) else value for value in properties),
        shown + (f" TABLESPACE {tablespace}" if tablespace else ""),
    )
