"""
Checks for drift in the ledger: records one, and tells what earlier ones saw.

Of an unbroken row of checks that found the same schema the first and the latest are kept, so that looking every hour
does not fill the ledger: two rows for each state that was ever seen, its catalog once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg

from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import Scope
from pgrollout.catalog.stored import loaded
from pgrollout.postgres import fingerprints
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.fingerprints import scope_text
from pgrollout.quoting import literal, name

LOCK_WAIT_MS = 1000
"""How long to wait for the ledger: a run that is under way may have the same rows in hand."""
MOST_STATES = 20
"""How many states back are looked at for since when something is as it is."""


@dataclass(frozen=True, slots=True)
class Look:
    """A moment at which the schema was read: a run's fingerprint, or a check."""

    taken_at: datetime
    digest: str
    is_check: bool


def record(connection: Connection, schema: str, history: str, digest: str, catalog: Catalog, scope: Scope) -> str:
    """
    Record a check that found this catalog, whose digest is given; return why that could not be done, or nothing.

    The time of the latest check is moved on where the two before this one found the same.
    """
    table, of = name(schema, "fingerprint"), literal(scope_text(scope))
    again = (
        f"WITH last AS (SELECT id, moment = 'check' AND digest = {literal(digest)} AND scope = {of} AS same FROM {table} "
        f"WHERE history = {literal(history)} ORDER BY id DESC LIMIT 2) "
        f"UPDATE {table} SET taken_at = pg_catalog.now() WHERE id = (SELECT max(id) FROM last) "
        "AND (SELECT count(*) FROM last WHERE same) = 2 RETURNING id"
    )
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
            if connection.execute(again).fetchone() is None:
                connection.execute(
                    fingerprints.record_sql(schema, history, None, "check", catalog, scope).encode(), prepare=False
                )
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.LockNotAvailable,
    ) as error:
        return error.diag.message_primary or str(error)
    return ""


def looks(connection: Connection, schema: str, history: str, scope: Scope) -> list[Look]:
    """Return when the schema was read in this scope, back to the end of the last run, newest first."""
    table = name(schema, "fingerprint")
    rows = connection.execute(
        f"SELECT taken_at, digest, moment = 'check' FROM {table} WHERE history = %(history)s AND scope = %(scope)s "
        f"AND id >= coalesce((SELECT max(id) FROM {table} WHERE history = %(history)s AND run IS NOT NULL), 0) "
        "ORDER BY id DESC LIMIT %(most)s",
        {"history": history, "scope": scope_text(scope), "most": 2 * MOST_STATES},
        binary=True,
    ).fetchall()
    return [Look(*row) for row in rows]


def catalogs(
    connection: Connection, schema: str, scope: Scope, seen: list[Look], known: Mapping[str, Catalog]
) -> Iterator[tuple[Look, Catalog]]:
    """Yield the schema that each look saw; each that is not known by its digest is read when it is asked for, and once."""
    found = dict(known)
    for look in seen:
        if look.digest not in found:
            row = connection.execute(
                f"SELECT content FROM {name(schema, 'catalog')} WHERE digest = %s AND scope = %s",
                [look.digest, scope_text(scope)],
                binary=True,
            ).fetchone()
            found[look.digest] = loaded(bytes(row[0]) if row else b"")
        yield look, found[look.digest]
