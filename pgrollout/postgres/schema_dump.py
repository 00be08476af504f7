"""
Schema dumps: a database's schema as SQL, to make a copy of it on a shadow.

For a database that had a schema before its first migration: what the directory does not make must come from somewhere.
Nothing is compared here, and no secret of foreign servers is in the text; subscriptions, which would connect, are not.

Source: PostgreSQL manual, "pg_dump"; ``src/bin/pg_dump/pg_backup_archiver.c``, ``_printTocEntry``.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pgrollout.catalog.scope import Scope
from pgrollout.errors import BackupImpossible
from pgrollout.postgres import dump, programs
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.dump import LOCK_WAIT_MS, Waiting
from pgrollout.postgres.programs import Program
from pgrollout.secrets import mask_statement


@dataclass(frozen=True, slots=True)
class Relation:
    """One table, view or sequence."""

    schema: str
    name: str
    owner: tuple[str, str] | None
    """The table whose column the sequence belongs to."""

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name


def schema_sql(
    connection: Connection,
    scope: Scope,
    program: Program,
    *,
    application_name: str = "pgrollout",
) -> str:
    """
    Return the plain dump of what is in scope.

    Args:
        connection: An open connection to the database; the dump gets one of its own to the same server.
        scope: What is dumped.
        program: The ``pg_dump``.
        application_name: How the server shows the dump's connection.

    Raises:
        TableNotReadable, ServerUnavailable: Waiting can cure it.
        BackupImpossible: A schema cannot be dumped, mostly for want of a right.
    """
    left_out = _left_out(_relations(connection), scope)
    schemas = [schema for schema in _schemas(connection) if not scope.has_schema(schema)]
    waiting = Waiting(connection, application_name)
    with programs.environment(connection, application_name) as environment:
        ended = programs.run(_argv(program, schemas, left_out), environment, watch=waiting.look)
    if ended.status != 0:
        raise dump.failure(connection.info.dbname, ended, waiting) or BackupImpossible(
            f"the schema of {connection.info.dbname} cannot be read: {ended.last_words}",
            dump.advice(ended, "Settle that, then run this again."),
        )
    lines = dump.without_what_servers_refuse(ended.output.splitlines(keepends=True))
    return _without_secrets(b"".join(lines).decode(errors="replace"))


def _argv(program: Program, schemas: Collection[str], relations: Collection[tuple[str, str]]) -> list[str]:
    return [
        str(program.path),
        "--no-password",
        "--schema-only",
        "--encoding=UTF8",
        "--no-subscriptions",
        "--no-tablespaces",
        f"--lock-wait-timeout={LOCK_WAIT_MS}",
        *(f"--exclude-schema={_exact(schema)}" for schema in schemas),
        *(f"--exclude-table={_exact(*relation)}" for relation in sorted(relations)),
    ]


_SECRETIVE = re.compile(
    r"^-- Name: [^\n]*; Type: (?:SERVER|USER MAPPING); .*?(?=^-- Name: |\Z)", re.MULTILINE | re.DOTALL
)


def _without_secrets(text: str) -> str:
    return _SECRETIVE.sub(lambda entry: mask_statement(entry[0]), text)


_RELATIONS = """
SELECT n.nspname, c.relname, o.nspname, t.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend d ON c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
LEFT JOIN pg_catalog.pg_namespace o ON o.oid = t.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

_SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"


def _relations(connection: Connection) -> Mapping[tuple[str, str], Relation]:
    relations = {}
    for schema, name, owner_schema, owner in connection.execute(_RELATIONS).fetchall():
        relations[schema, name] = Relation(
            schema,
            name,
            (owner_schema, owner) if owner is not None else None,
        )
    return relations


def _schemas(connection: Connection) -> list[str]:
    return sorted(name for (name,) in connection.execute(_SCHEMAS).fetchall())


def _left_out(relations: Mapping[tuple[str, str], Relation], scope: Scope) -> set[tuple[str, str]]:
    """Return what pg_dump must leave out, with the sequences of its columns, which pg_dump would keep."""

    def is_out(key: tuple[str, str]) -> bool:
        return not scope.has(*key)

    return {
        key
        for key, relation in relations.items()
        if is_out(key) or (relation.owner is not None and is_out(relation.owner))
    }


def _exact(*parts: str) -> str:
    """Return a name as a pattern that only this name matches."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
