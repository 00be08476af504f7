"""
Catalog: reads a database's schema as a value.

One query per kind of object that there is any of, all sent at once, in one transaction that reads only and holds no lock
that anybody but DDL waits for. What a kind is, and its query, is in ``pgrollout.catalog``.

Source: PostgreSQL manual, "System Catalogs", "System Information Functions".
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Cursor
from psycopg.pq import TransactionStatus

from pgrollout.catalog.bulk import uncollected
from pgrollout.catalog.kind import FIRST_OID, Kind, query
from pgrollout.catalog.kinds import KINDS
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.rows import objects_of
from pgrollout.catalog.scope import Scope
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.revisions import RevisionsTable
from pgrollout.settings import Database

LOCK_WAIT_MS = 10_000
"""How long to wait for a table that somebody changes."""

# The server's text of an expression depends on each of the first.
_SETTINGS = {
    "search_path": "",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lock_timeout": f"{LOCK_WAIT_MS}ms",
    "statement_timeout": "0",
    # Compiling these queries, long as they are, takes longer than running them.
    "jit": "off",
}
_SET = "SELECT " + ", ".join(f"set_config('{key}', '{value}', true)" for key, value in _SETTINGS.items())
_DATABASE = """
SELECT (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())::text, current_user::text,
       ARRAY(SELECT n.nspname::text FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
       (SELECT system_identifier::text FROM pg_control_system()), ARRAY[{}]
"""
_HAS_ITS_OWN = frozenset({"pg_namespace", "pg_extension"})
"""System catalogs in which the server's own rows are read too: schema public, the extension plpgsql."""
_FOR_EVERYBODY = {"pg_user_mapping": "pg_foreign_server"}
"""System catalogs that only superusers may read, each with one that has rows wherever it has."""
_REVISIONS_OWNER = """
SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (n.nspname, c.relname) = (%s, 'atlas_schema_revisions')
"""


def scope_of(database: Database, table: RevisionsTable) -> Scope:
    """Return what of a database is read, by its settings."""
    return Scope(database.schemas, database.exclude, database.ledger_schema, table.schema)


def migrating_role(connection: Connection, scope: Scope) -> str:
    """Return the role that migrations run as: the owner of the revisions table, else the one logged in."""
    row = connection.execute(_REVISIONS_OWNER, [scope.revisions_schema]).fetchone()
    row = row or connection.execute("SELECT current_user::text").fetchone()
    return str(row[0]) if row else ""


def read_catalog(connection: Connection, scope: Scope, *, owners: Collection[str] = ()) -> Catalog:
    """
    Return the schema in scope.

    Outside a transaction it reads one snapshot; inside one, what that sees.

    Args:
        connection: An open connection.
        scope: What is read.
        owners: More names that the migrating role goes by, beside what ``migrating_role`` says.

    Raises:
        psycopg.errors.LockNotAvailable: Somebody changed a table all the time, for ``LOCK_WAIT_MS``.
    """
    major = connection.info.server_version // 10000
    with _reading(connection):
        names = [migrating_role(connection, scope), *owners]
        catalogs = sorted({_FOR_EVERYBODY.get(kind.catalog, kind.catalog) for kind in KINDS} - _HAS_ITS_OWN)
        # Most databases have no operators, no casts, no subscriptions: to plan a query takes longer than to run it.
        some = ", ".join(f"EXISTS (SELECT FROM {name} WHERE oid >= {FIRST_OID})" for name in catalogs)
        oid, _, schemas, system, found = connection.execute(_DATABASE.format(some).encode()).fetchall()[0]
        filled = {name for name, is_filled in zip(catalogs, found, strict=True) if is_filled} | _HAS_ITS_OWN
        kinds = [
            kind for kind in KINDS if kind.since <= major and _FOR_EVERYBODY.get(kind.catalog, kind.catalog) in filled
        ]
        parameters = {"schemas": [schema for schema in schemas if scope.has_schema(schema)], "owners": names}
        with connection.pipeline():
            cursors = [connection.execute(query(kind, major), parameters) for kind in kinds]
        with uncollected():
            objects = objects_of(_drained(kinds, cursors), major, scope)
    return Catalog(connection.info.server_version, objects, f"{system}/{oid}")


def _drained(
    kinds: Sequence[Kind], cursors: "list[Cursor[tuple[Any, ...]]]"
) -> "Iterator[tuple[Kind, Cursor[tuple[Any, ...]]]]":
    """Yield each kind with its rows, which are given up before the next: a schema is held as rows or as objects."""
    for kind in kinds:
        with cursors.pop(0) as cursor:
            yield kind, cursor


@contextmanager
def _reading(connection: Connection) -> Iterator[None]:
    """Read in one transaction, or in the one that is open, which is left as it was."""
    is_open = connection.info.transaction_status != TransactionStatus.IDLE
    with connection.transaction(force_rollback=True):
        if not is_open:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(_SET)
        yield
