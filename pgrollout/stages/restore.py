"""
Restore: bring a backup back into an empty database.

Every file is compared with the manifest before anything is executed, and the roles that the backup needs are looked for.
The restore is one transaction: one that fails, or is interrupted, leaves the database as empty as it was. Only where the
backup has more tables than the server has locks for, each statement is a transaction of its own; that is said.
"""

import logging
import time
from pathlib import Path

from pydantic import Field

from pgrollout.backup_manifest import DUMP_NAME, Manifest, in_words
from pgrollout.errors import RestoreRefused
from pgrollout.postgres import dump, programs
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.programs import Program
from pgrollout.postgres.sqlstate import explained
from pgrollout.progress import reporting
from pgrollout.quoting import name
from pgrollout.stages.backup import read_manifest
from pgrollout.stages.reviewed import new_run_id
from pgrollout.stages.stage import Report, Request, logged

log = logging.getLogger(__name__)

_LOCKS_PER_ENTRY = 2
"""A table takes three, with its TOAST table and that one's index; an index, a view or a sequence takes one or two."""


class RestoreRequest(Request):
    """What to bring back, into the request's database."""

    path: Path = Field(description="The backup's folder.")
    no_owner: bool = Field(False, description="Leave out owners and grants: everything belongs to who restores.")


class RestoreReport(Report):
    """What was brought back."""

    run_id: str
    path: str = Field(description="The backup's folder.")
    digest: str = Field(description="Digest of its manifest.")
    dbname: str = Field(description="The database on the server that it was brought into.")
    policy: str = Field(description="What the backup has: dump or schema.")
    tables: int = Field(description="Tables that are there now.")
    toc_entries: int = Field(description="Objects of the backup.")
    size_bytes: int = Field(description="Size of the backup on the disk.")
    taken_at: str = Field(description="When it was taken, ISO 8601.")
    wal_position: str = Field(description="Where the server was then.")


@logged
def run(request: RestoreRequest) -> RestoreReport:
    """
    Bring a backup back.

    Raises:
        RestoreRefused: The backup is damaged, the database is not empty, a role is missing, or the restore failed.
        ProgramMissing: No ``pg_restore`` here fits backup and server.
        ServerUnavailable: Waiting can cure it; nothing was kept.
    """
    started = time.monotonic()
    run_id = request.run_id or new_run_id()
    try:
        manifest = read_manifest(request.path)
    except ValueError as error:
        raise RestoreRefused(
            f"{request.path}: {error}", "Take another backup; this one is not what was made."
        ) from error
    application_name = f"pgrollout/{run_id}/restore"[:63]
    with explained("restoring"), connect(request.database, application_name=application_name) as connection:
        pg_restore = _check(connection, manifest, request)
        dbname, before = connection.info.dbname, _count(connection)
        single = _has_locks_for(connection, manifest)
        if not request.dry_run:
            with reporting(f"restoring {request.path.name}"):
                _restore(connection, pg_restore, request, application_name, single)
        tables = _count(connection) - before
    duration_ms = round((time.monotonic() - started) * 1000)
    what = f"{len(manifest.tables)} tables, {in_words(manifest.size_bytes)}, taken {manifest.taken_at}"
    if not single:
        what += ", not in one transaction: more tables than the server has locks for"
    if not request.dry_run:
        log.info('backup restored path="%s" tables=%d duration_ms=%d', request.path, tables, duration_ms)
    return RestoreReport(
        summary=f"dry run: would restore {what}" if request.dry_run else f"restored into {dbname}: {what}",
        duration_ms=duration_ms,
        run_id=run_id,
        path=str(request.path),
        digest=manifest.digest,
        dbname=dbname,
        policy=manifest.policy,
        tables=tables,
        toc_entries=manifest.toc_entries,
        size_bytes=manifest.size_bytes,
        taken_at=manifest.taken_at,
        wal_position=manifest.wal_position,
    )


# What somebody made in this database; extensions, which a template may bring along, do not count.
_MADE_HERE = """
SELECT kind, found.name FROM (
    SELECT 1, 'schema', nspname::text, 'pg_namespace'::regclass, oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname <> 'public'
    UNION ALL
    SELECT 2, CASE relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname || '.' || relname,
           'pg_class'::regclass, c.oid, n.nspname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    UNION ALL
    SELECT 3, 'function', n.nspname || '.' || proname, 'pg_proc'::regclass, p.oid, n.nspname
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = pronamespace
    UNION ALL
    SELECT 4, 'type', n.nspname || '.' || typname, 'pg_type'::regclass, t.oid, n.nspname
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = typnamespace
    WHERE typelem = 0 AND (typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = typrelid AND relkind = 'c'))
    UNION ALL
    SELECT 5, 'large object', oid::text, 'pg_largeobject_metadata'::regclass, oid, 'public'
    FROM pg_catalog.pg_largeobject_metadata
    UNION ALL
    SELECT 6, kind, identity, class, oid, coalesce(schema, 'public') FROM (
        SELECT 'publication', 'pg_publication'::regclass, oid FROM pg_catalog.pg_publication
        UNION ALL SELECT 'foreign server', 'pg_foreign_server'::regclass, oid FROM pg_catalog.pg_foreign_server
        UNION ALL SELECT 'operator', 'pg_operator'::regclass, oid FROM pg_catalog.pg_operator
        UNION ALL SELECT 'collation', 'pg_collation'::regclass, oid FROM pg_catalog.pg_collation
        UNION ALL SELECT 'cast', 'pg_cast'::regclass, oid FROM pg_catalog.pg_cast
        UNION ALL SELECT 'text search configuration', 'pg_ts_config'::regclass, oid FROM pg_catalog.pg_ts_config
        UNION ALL SELECT 'default privileges', 'pg_default_acl'::regclass, oid FROM pg_catalog.pg_default_acl
    ) other (kind, class, oid), pg_catalog.pg_identify_object(class, oid, 0)
    WHERE oid >= 16384  -- not made by initdb
) found (rank, kind, name, class, oid, schema)
WHERE schema !~ '^pg_' AND schema <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = found.class AND d.objid = found.oid AND d.deptype = 'e')
ORDER BY rank <> 2, rank, 2
LIMIT 1
"""

_COUNT = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

_MISSING_ROLES = """
SELECT needed FROM unnest(%s::text[]) WITH ORDINALITY AS roles (needed, position)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = needed) ORDER BY position
"""


def _check(connection: Connection, manifest: Manifest, request: RestoreRequest) -> Program:
    """Return the ``pg_restore`` to use, if nothing speaks against restoring here."""
    dbname, major = connection.info.dbname, connection.info.server_version // 10000
    found = connection.execute(_MADE_HERE).fetchone()
    if found is not None:
        raise RestoreRefused(
            f"database {dbname} is not empty: there is {found[0]} {found[1]}.",
            "Restore into a new database (`createdb NAME`) and name that one with --url.",
        )
    if major < manifest.server_major:
        raise RestoreRefused(
            f"the backup is from PostgreSQL {manifest.server_version}, and this server is {major}.",
            f"Restore into a server of version {manifest.server_major} or newer.",
        )
    if not request.no_owner:
        _check_roles(connection, manifest)
    return programs.fitting(
        "pg_restore", at_least=manifest.pg_dump_major, near=major, tls=bool(connection.pgconn.ssl_in_use)
    )


def _check_roles(connection: Connection, manifest: Manifest) -> None:
    missing = [role for (role,) in connection.execute(_MISSING_ROLES, [list(manifest.roles)]).fetchall()]
    if missing:
        statements = "".join(f"\n    CREATE ROLE {name(role)} NOLOGIN;" for role in missing)
        raise RestoreRefused(
            f"the backup names roles that this server does not have: {', '.join(missing)}.",
            f"Make them, or leave owners and grants out with --no-owner:{statements}",
        )


def _count(connection: Connection) -> int:
    row = connection.execute(_COUNT).fetchone()
    return int(row[0]) if row else 0


_LOCKS = """
SELECT current_setting('max_locks_per_transaction')::bigint
       * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)
"""


def _has_locks_for(connection: Connection, manifest: Manifest) -> bool:
    """Whether the server can hold a lock on everything in the backup at once."""
    row = connection.execute(_LOCKS).fetchone()
    return row is None or manifest.toc_entries * _LOCKS_PER_ENTRY < row[0]


def _restore(
    connection: Connection, pg_restore: Program, request: RestoreRequest, application_name: str, single: bool
) -> None:
    with programs.environment(connection, application_name) as environment:
        ended = dump.restore(
            pg_restore,
            request.path / DUMP_NAME,
            environment,
            dbname=connection.info.dbname,
            role=request.database.role,
            no_owner=request.no_owner,
            single=single,
        )
    if ended.status != 0:
        left = "Nothing of it was kept: the database is empty."
        if not single:
            left = "Part of it is there: drop the database and make it again before the next try."
        raise dump.failure(request.database.name, ended, None) or RestoreRefused(
            ended.last_words,
            f"{dump.advice(ended, 'Settle that, then run this again.')} {left}",
        )
