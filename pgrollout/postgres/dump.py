"""
Dumps: what ``pg_dump`` and ``pg_restore`` are asked for, and what their failures mean.

A dump is taken at one moment: a snapshot that a connection of ours holds, in which the tables are listed too, so that
the dump can be read back against exactly what was there. Folders, manifests and policies are left to ``stages.backup``.

Source: PostgreSQL manual, "pg_dump", "pg_restore", "Snapshot Synchronization Functions".
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from pgrollout.errors import PgrolloutError, ServerUnavailable, TableNotReadable
from pgrollout.postgres import programs
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.programs import Ended, Program

log = logging.getLogger(__name__)

LOCK_WAIT_MS = 60_000
"""How long a dump may wait for one table. Whoever has it locked may itself wait for ever; the release would too."""

_COLUMN_VERSION = re.compile(rb", pg_attver='?\d+'?|(?<=\()pg_attver='?\d+'?(?:, )?")
_LOST = re.compile(
    r"connection to server|server closed the connection|no connection to the server|terminating connection|"
    r"could not (?:receive|send) data|SSL SYSCALL|SSL connection has been closed|the database system is"
)
_LOCKED = re.compile(r"could not obtain lock on relation|due to (?:statement|lock) timeout")
_ADVICE = {
    "permission denied for large object": (
        "pg_read_all_data does not cover large objects: dump as their owner or as a superuser, or have a superuser set "
        "lo_compat_privileges = on for the role."
    ),
    "permission denied": (
        "The role must be able to read every table: GRANT pg_read_all_data TO it, or name the owner with `role` in "
        "pgrollout.toml."
    ),
    "row-level security": "The role must bypass row-level security: ALTER ROLE … BYPASSRLS, or dump as the owner.",
    "No space left on device": "Free some, or point backup_dir to a larger disk.",
    "out of shared memory": "Every table takes a lock: raise max_locks_per_transaction on the server.",
    "already exists": "The database is not as empty as it must be: restore into one made from template0.",
    "must be superuser": "Restore as a superuser, or make those objects before with a superuser's help.",
}


@dataclass(frozen=True, slots=True)
class Frozen:
    """A database at one moment."""

    snapshot: str
    """Name under which other connections see the same moment."""
    dbname: str
    size_bytes: int
    """What it takes on the server, indexes and dead rows included."""
    wal_position: str
    """Position in the write-ahead log, or of its replay on a standby."""
    tables: tuple[str, ...]
    """All tables, ``schema.table``, without the system's, temporary ones and those of extensions."""
    entries: Mapping[bytes, str]
    """What a dump's table of contents says about each, and about its rows, with the table's name."""
    roles: tuple[str, ...]
    """Roles that own something, are granted something or are named by a policy."""


_FREEZE = """
SELECT pg_catalog.pg_export_snapshot(), pg_catalog.current_database(),
       pg_catalog.pg_database_size(pg_catalog.current_database()),
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_insert_lsn() END::text,
       pg_catalog.pg_is_in_recovery()
"""

# The names are compared as bytes: in the table of contents they stand in the database's encoding, line breaks as spaces.
_TABLES = r"""
SELECT n.nspname || '.' || c.relname, c.relkind = 'r' AND NOT (%(standby)s AND c.relpersistence = 'u'),
       pg_catalog.convert_to(e.entry, pg_catalog.getdatabaseencoding())
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.regexp_replace(
        n.nspname || ' ' || c.relname || ' ' || pg_catalog.pg_get_userbyid(c.relowner), '[\n\r]', ' ', 'g') AS entry
) e
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""

_FOREIGN = """
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f'
"""

# The superuser that initdb made is in no dependency: it is found as an owner. Owners of extensions' insides do not count.
_ROLES = """
SELECT r.rolname FROM pg_catalog.pg_roles r
WHERE r.rolname !~ '^pg_' AND (
    EXISTS (SELECT FROM pg_catalog.pg_shdepend d
            WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype IN ('o', 'a', 'r')
              AND d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                              WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'))
    OR EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relowner = r.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                                 WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid
                                   AND e.deptype = 'e')))
ORDER BY 1
"""


@contextmanager
def frozen(connection: Connection) -> Iterator[Frozen]:
    """Hold one moment of the database while the block lasts, and say what is there."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        timeouts = ["statement_timeout", "idle_in_transaction_session_timeout"]
        if connection.info.server_version >= 170000:
            timeouts.append("transaction_timeout")
        for timeout in timeouts:
            connection.execute(f"SET LOCAL {timeout} = 0")
        row = connection.execute(_FREEZE).fetchone()
        assert row is not None  # noqa: S101  a SELECT without FROM
        snapshot, dbname, size_bytes, position, standby = row
        rows = connection.execute(_TABLES, {"standby": standby}).fetchall()
        foreign = {name for (name,) in connection.execute(_FOREIGN).fetchall()}
        entries: dict[bytes, str] = {}
        for name, has_rows, entry in rows:
            entries[(b"FOREIGN TABLE " if name in foreign else b"TABLE ") + entry] = name
            if has_rows:
                entries[b"TABLE DATA " + entry] = name
        roles = tuple(name for (name,) in connection.execute(_ROLES).fetchall())
        tables = tuple(name for name, _, _ in rows)
        yield Frozen(snapshot, dbname, size_bytes, position, tables, entries, roles)


def pg_dump_argv(
    program: Program, target: Path, *, jobs: int, schema_only: bool, snapshot: str, role: str | None
) -> list[str]:
    """Return the command that dumps a database in directory format; the environment says which one."""
    return [
        str(program.path),
        "--no-password",
        "--format=directory",
        f"--file={target}",
        f"--jobs={jobs}",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={LOCK_WAIT_MS}",
        *(["--schema-only"] if schema_only else []),
        *([f"--role={role}"] if role else []),
    ]


def pg_restore_argv(program: Program, source: Path, *, role: str | None, no_owner: bool, single: bool) -> list[str]:
    """Return the command that writes a dump as a script, of one transaction if ``single``."""
    return [
        str(program.path),
        *(["--single-transaction"] if single else []),
        "--file=-",
        *([f"--role={role}"] if role else []),
        *(["--no-owner", "--no-privileges"] if no_owner else []),
        str(source),
    ]


def psql_argv(program: Program, dbname: str) -> list[str]:
    """Return the command that runs such a script; the environment says on which server."""
    return [
        str(program.sibling("psql")),
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        # A connection string, so that no character of the name means anything else.
        "--dbname=" + make_conninfo(dbname=dbname),
    ]


@dataclass
class Waiting:
    """Who a dump waits for, asked from a connection beside it while it runs."""

    connection: Connection
    application_name: str
    holders: str = ""
    """The sessions that it waited for when it was last asked; empty if it did not wait."""

    _HOLDERS = """
        SELECT DISTINCT h.pid, h.application_name, h.state, pg_catalog.clock_timestamp() - h.xact_start
        FROM pg_catalog.pg_stat_activity w
        CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(w.pid)) AS blocking (pid)
        JOIN pg_catalog.pg_stat_activity h ON h.pid = blocking.pid
        WHERE w.application_name = %s AND w.datname = pg_catalog.current_database() AND w.wait_event_type = 'Lock'
        ORDER BY h.pid
    """

    def look(self) -> None:
        """Ask, and log it when the dump begins to wait."""
        with suppress(psycopg.Error):
            # Within a transaction the server shows the activity as it first was, unless it is told to forget that.
            self.connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
            rows = self.connection.execute(self._HOLDERS, [self.application_name]).fetchall()
            holders = "; ".join(_holder(*row) for row in rows)
            if holders and not self.holders:
                log.info("dump waits for a lock holders=%r", holders)
            self.holders = holders


def _holder(pid: int, application: str | None, state: str | None, age: object) -> str:
    seconds = f", in a transaction for {str(age).partition('.')[0]}" if age is not None else ""
    return f"pid {pid} ({application or 'no application name'}, {state or 'state unknown'}{seconds})"


def failure(database: str, ended: Ended, waiting: Waiting | None) -> PgrolloutError | None:
    """Return the error that waiting can cure, if that is why the program failed; the others are the caller's to word."""
    if _LOCKED.search(ended.errors) or (waiting is not None and waiting.holders):
        holders = (waiting.holders if waiting else "") or "a session that has ended meanwhile"
        return TableNotReadable(ended.duration_ms, holders)
    if _LOST.search(ended.errors):
        return ServerUnavailable(f"database {database}", ended.last_words)
    return None


def advice(ended: Ended, otherwise: str) -> str:
    """Return what to do about a failed program."""
    return next((advice for sign, advice in _ADVICE.items() if sign in ended.errors), otherwise)


def contents(program: Program, source: Path) -> tuple[bytes, ...]:
    """
    Return the dump's table of contents, an entry each: ``TABLE public orders reader_owner``.

    Args:
        program: A ``pg_restore`` no older than the ``pg_dump``.
        source: The dump.

    Raises:
        ValueError: It cannot be read; with the program's words.
    """
    ended = programs.run([program.path, "--list", source], programs.plain())
    if ended.status != 0:
        raise ValueError(ended.last_words)
    lines = [line for line in ended.output.splitlines() if line and not line.startswith(b";")]
    return tuple(line.split(b" ", 3)[3] for line in lines)


def missing(frozen: Frozen, entries: Sequence[bytes], *, schema_only: bool) -> tuple[str, ...]:
    """Return the tables that were there and are not in the dump, or not with their rows."""
    there = set(entries)
    return tuple(
        dict.fromkeys(
            name
            for entry, name in frozen.entries.items()
            if entry not in there and not (schema_only and entry.startswith(b"TABLE DATA "))
        )
    )


def restore(
    program: Program,
    source: Path,
    environment: Mapping[str, str],
    *,
    dbname: str,
    role: str | None,
    no_owner: bool,
    single: bool,
) -> Ended:
    """
    Restore a dump; in a single transaction all of it, or nothing.

    As a script through ``psql`` rather than by ``pg_restore`` itself, because some of what a dump holds must be left out
    for a server of another version to take it; see ``without_what_servers_refuse``.
    """
    script = pg_restore_argv(program, source, role=role, no_owner=no_owner, single=single)
    return programs.run_piped(script, psql_argv(program, dbname), environment, without_what_servers_refuse)


def without_what_servers_refuse(lines: Iterable[bytes]) -> Iterator[bytes]:
    """
    Leave out what only some servers know, and no schema needs: outside of rows, which are passed on as they are.

    ``transaction_timeout``, which ``pg_restore`` sets from version 17 on, before the first object, and servers know from
    17 on; ``pg_attver``, a counter that servers with the security fixes of 2026 keep among the column options, and that a
    ``pg_dump`` without them takes for an option.
    """
    in_rows, in_objects = False, False
    for line in lines:
        if in_rows:
            in_rows = line != b"\\.\n"
        elif line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            in_rows = True
        elif line.startswith((b"-- Name: ", b"-- Data for Name: ")):
            in_objects = True
        elif line == b"SET transaction_timeout = 0;\n" and not in_objects:
            continue
        elif line.startswith(b"ALTER ") and b"pg_attver=" in line:
            line = _COLUMN_VERSION.sub(b"", line)
            if line.endswith(b" SET ();\n"):
                continue
        yield line
