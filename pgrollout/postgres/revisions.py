"""
The revisions table: ``atlas_schema_revisions``, exactly as Atlas makes, fills and reads it.

Says where the table is, reads its rows, and gives the SQL that makes it and writes a row. The SQL is text, because a
row travels in the same simple query as the statements it vouches for. When to write what is left to ``writer``.

Source: Atlas, ``cmd/atlas/internal/migrate/ent/schema/revision.go``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pgrollout import __version__
from pgrollout.errors import AmbiguousRevisions
from pgrollout.history import CLOUD_IDENTIFIER, Revision, RevisionType
from pgrollout.postgres.connection import Connection, url_search_path
from pgrollout.quoting import literal, name
from pgrollout.settings import Database

TABLE = "atlas_schema_revisions"
DEFAULT_SCHEMA = "atlas_schema_revisions"
OPERATOR_VERSION = f"pgrollout {__version__}"


@dataclass(frozen=True, slots=True)
class RevisionsTable:
    """Where the history of one directory is."""

    schema: str
    """Schema of the table."""
    schema_exists: bool
    """Whether that schema is there."""
    exists: bool
    """Whether the table is there."""

    @property
    def qualified(self) -> str:
        """The table's quoted name."""
        return name(self.schema, TABLE)


_LOCATE = """
SELECT n.nspname, c.oid IS NOT NULL
FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = %s AND c.relkind IN ('r', 'p')
WHERE n.nspname = ANY (%s)
"""


def locate(connection: Connection, database: Database) -> RevisionsTable:
    """
    Return where the history is: the configured schema, else the URL's ``search_path``, else Atlas's own.

    Raises:
        AmbiguousRevisions: The URL names a schema without the table, and Atlas's own schema has one.
    """
    bound = url_search_path(database)
    schema = database.revisions_schema or bound or DEFAULT_SCHEMA
    found: dict[str, bool] = dict(connection.execute(_LOCATE, [TABLE, [schema, DEFAULT_SCHEMA]]).fetchall())
    if not database.revisions_schema and bound and not found.get(schema) and found.get(DEFAULT_SCHEMA):
        raise AmbiguousRevisions(schema, DEFAULT_SCHEMA)
    return RevisionsTable(schema, schema in found, bool(found.get(schema)))


def read(connection: Connection, table: RevisionsTable) -> tuple[Revision, ...]:
    """Return all rows in byte order of their versions, without the one that Atlas keeps for itself."""
    if not table.exists:
        return ()
    rows = connection.execute(
        "SELECT version, description, type, applied, total, executed_at, execution_time, coalesce(error, ''), "
        "coalesce(error_stmt, ''), hash, partial_hashes, operator_version "
        f'FROM {table.qualified} WHERE version <> %s ORDER BY version COLLATE "C"',
        [CLOUD_IDENTIFIER],
        binary=True,  # as text, times are in the DateStyle of the database
    ).fetchall()
    return tuple(
        Revision(
            version=row[0],
            description=row[1],
            type=RevisionType(row[2]),
            applied=row[3],
            total=row[4],
            executed_at=row[5],
            execution_time_ns=row[6],
            error=row[7],
            error_stmt=row[8],
            hash=row[9],
            partial_hashes=tuple(partial.removeprefix("h1:") for partial in row[10] or ()),
            operator_version=row[11],
        )
        for row in rows
    )


def create_sql(table: RevisionsTable) -> str:
    """Return the SQL that makes the schema and the table where they are missing; empty if nothing is."""
    if table.exists:
        return ""
    schema = "" if table.schema_exists else f"CREATE SCHEMA IF NOT EXISTS {name(table.schema)};\n"
    return (
        f"{schema}CREATE TABLE IF NOT EXISTS {table.qualified} ("
        '"version" character varying NOT NULL, "description" character varying NOT NULL, '
        '"type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0, '
        '"executed_at" timestamptz NOT NULL, "execution_time" bigint NOT NULL, "error" text NULL, '
        '"error_stmt" text NULL, "hash" character varying NOT NULL, "partial_hashes" jsonb NULL, '
        '"operator_version" character varying NOT NULL, PRIMARY KEY ("version"));\n'
    )


def write_sql(
    table: RevisionsTable,
    *,
    version: str,
    description: str,
    type: RevisionType,
    applied: int,
    total: int,
    hash: str,
    execution_time: str = "0",
    error: str = "",
    error_stmt: str = "",
    partial_hashes: Sequence[str] | None = None,
) -> str:
    """
    Return the SQL that writes one row; on a row that is there, all but version, description and first time.

    Args:
        table: Where the history is.
        version: Version of the migration.
        description: Its description.
        type: How the row came about.
        applied: Statements that took effect.
        total: Statements of the file.
        hash: The file's entry of the sum file, without ``h1:``.
        execution_time: An SQL expression for nanoseconds, or ``execution_time`` of the row to leave it.
        error: What the server said.
        error_stmt: The statement it said it of.
        partial_hashes: Running hashes of the statements that took effect; None is JSON ``null``, as Atlas writes.
    """
    if partial_hashes is None:
        hashes = "'null'"
    else:
        hashes = literal("[" + ", ".join(f'"h1:{partial}"' for partial in partial_hashes) + "]")
    kept = execution_time == "execution_time"
    columns = "type, applied, total, execution_time, error, error_stmt, hash, partial_hashes, operator_version"
    replaced = ", ".join(
        f"{column} = EXCLUDED.{column}" for column in columns.split(", ") if not (kept and column == "execution_time")
    )
    values = ", ".join(
        [
            literal(version),
            literal(description),
            "pg_catalog.now()",
            literal(int(type)),
            literal(applied),
            literal(total),
            "0" if kept else execution_time,
            literal(error),
            literal(error_stmt),
            literal(hash),
            hashes,
            literal(OPERATOR_VERSION),
        ]
    )
    return (
        f"INSERT INTO {table.qualified} (version, description, executed_at, {columns}) "
        f"VALUES ({values}) ON CONFLICT (version) DO UPDATE SET {replaced}"
    )


def delete_sql(table: RevisionsTable, versions: Sequence[str]) -> str:
    """Return the SQL that deletes the rows of these versions."""
    listed = ", ".join(literal(version) for version in versions)
    return f"DELETE FROM {table.qualified} WHERE version OPERATOR(pg_catalog.=) ANY (ARRAY[{listed}])"
