"""
State: what a database says about itself before a run: server, session, history, ledger; and whether it is clean.

Reads only. What follows from it is decided elsewhere.

Source of the clean check: Atlas, ``sql/postgres/driver.go``, ``CheckClean``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgrollout.errors import NotClean, PoolerInBetween, ServerTooOld
from pgrollout.history import Revision
from pgrollout.postgres import ledger, revisions
from pgrollout.postgres.connection import Connection, url_search_path
from pgrollout.postgres.ledger import Ledger
from pgrollout.postgres.revisions import RevisionsTable
from pgrollout.settings import Database, target

OLDEST = 140000
"""Oldest ``server_version_num`` that this is made for."""


@dataclass(frozen=True, slots=True)
class Session:
    """The connection's own backend."""

    backend_pid: int
    """As the server says, not as the start-up packet said."""
    backend_start: str
    """When it started, in a form that every DateStyle reads alike; with the pid it names the backend for ever."""
    role: str | None
    """The role that owns what is made, if it is not the one that logged in."""
    server_version: int
    """As ``server_version_num``: 180006."""
    server_start: str
    """When the server started: tells whether two connections are to the same one."""
    is_standby: bool
    """Whether it only follows another server."""
    standbys: str = ""
    """``synchronous_standby_names``, if a COMMIT of this session waits for one of them, with all its locks; else empty."""


@dataclass(frozen=True, slots=True)
class State:
    """What a database says before a run."""

    table: RevisionsTable
    """Where the history is."""
    revisions: tuple[Revision, ...]
    """All rows, ordered by version."""
    ledger: Ledger
    """How they came about."""

    @property
    def current(self) -> str | None:
        """Version of the newest row."""
        return self.revisions[-1].version if self.revisions else None


_SESSION = """
SELECT pg_catalog.pg_backend_pid(),
    pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'),
    nullif(current_user, session_user)::text,
    pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'),
    pg_catalog.pg_is_in_recovery(),
    CASE WHEN pg_catalog.current_setting('synchronous_commit') IN ('on', 'remote_write', 'remote_apply')
        THEN pg_catalog.current_setting('synchronous_standby_names') ELSE '' END
FROM (VALUES (1)) one
LEFT JOIN pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a ON true
"""


def shown_version(number: int) -> str:
    """Return a ``server_version_num`` as people write it: ``18.6``."""
    return f"{number // 10000}.{number % 10000}"


def read_session(connection: Connection, database: Database) -> Session:
    """
    Return who we are on the server.

    Raises:
        ServerTooOld: It is older than 14.
        PoolerInBetween: The backend is not the one that the start-up packet named, and the settings do not allow that.
    """
    pid, start, role, server_start, is_standby, standbys = _row(connection.execute(_SESSION).fetchone())
    if start is None and role is not None:
        # The role may not see when a backend of the login's started.
        with connection.transaction():
            connection.execute("SET LOCAL ROLE NONE")
            start = _row(connection.execute(_SESSION).fetchone())[1]
    if pid != connection.info.backend_pid and database.pooler == "auto":
        raise PoolerInBetween(f"database {database.name} ({target(database).source})")
    version = connection.info.server_version
    if version < OLDEST:
        raise ServerTooOld(f"database {database.name}", shown_version(version), OLDEST // 10000)
    return Session(pid, start or "epoch", role, version, server_start, is_standby, standbys)


def read_state(connection: Connection, database: Database) -> State:
    """
    Return history and ledger.

    Raises:
        AmbiguousRevisions: Two places could hold the history.
    """
    table = revisions.locate(connection, database)
    rows = revisions.read(connection, table)
    return State(table, rows, ledger.read(connection, database.ledger_schema, table.schema))


def read_checked(connection: Connection, database: Database, needs_clean: Callable[[State], bool]) -> State:
    """
    Return history and ledger, once the database is found to be clean where it has to be.

    Raises:
        AmbiguousRevisions: Two places could hold the history.
        NotClean: It has no history, and tables that a first run would build upon unseen.
    """
    while True:
        state = read_state(connection, database)
        if not needs_clean(state):
            return state
        try:
            check_clean(connection, database, state.table)
        except NotClean:
            if not read_state(connection, database).revisions:
                raise
            continue  # another run made these tables, and its first row, between our two looks
        return state


# Base tables and partitioned parents that the user may see; no partitions, nothing that belongs to an extension.
_TABLES = """
SELECT n.nspname, t.relname
FROM pg_catalog.pg_namespace n
LEFT JOIN (
    SELECT c.relnamespace, c.relname
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      AND (pg_catalog.pg_has_role(c.relowner, 'USAGE')
           OR pg_catalog.has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
           OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
) t ON t.relnamespace = n.oid
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
ORDER BY n.nspname COLLATE "C", t.relname COLLATE "C"
"""


def check_clean(connection: Connection, database: Database, table: RevisionsTable) -> None:
    """
    Raise NotClean when a database without history has tables that a first run would build upon unseen.

    The ledger's schema is ours and does not count.
    """
    found: dict[str, list[str]] = {}
    for schema, relation in connection.execute(_TABLES).fetchall():
        tables = found.setdefault(schema, [])
        if relation is not None:
            tables.append(relation)
    found.pop(database.ledger_schema, None)
    bound = url_search_path(database)
    if bound:
        tables = found.get(bound, [])
        if tables and tables != [revisions.TABLE]:
            raise NotClean(f'found table "{tables[0]}" in schema "{bound}"')
        return
    for schema, tables in found.items():
        if schema == "public" and not tables:
            continue
        if schema == table.schema and (tables == [revisions.TABLE] or not tables):
            continue
        if not tables:
            raise NotClean(f'found schema "{schema}"')
        if len(tables) > 1:
            raise NotClean(f'found {len(tables)} tables in schema "{schema}"')
        raise NotClean(f'found table "{tables[0]}" in schema "{schema}"')


def _row(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise LookupError("a query that always gives one row gave none")
    return row
