"""
Schema dumps: a database's schema as text, object by object, for comparing the live one with the shadow's.

Both sides are dumped by the same ``pg_dump``, cut at its headers and freed of what may differ although the schema does
not: comments, settings, owners, tablespaces, secrets of foreign servers, the server's own marks. Other major versions
word the same thing differently; they are not compared.

Source: PostgreSQL manual, "pg_dump"; Atlas, "exclude" patterns; ``src/bin/pg_dump/pg_backup_archiver.c``, ``_printTocEntry``.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pgrollout.catalog.scope import Scope
from pgrollout.errors import BackupImpossible, ProgramMissing
from pgrollout.postgres import dump, programs
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.dump import LOCK_WAIT_MS, Waiting
from pgrollout.postgres.programs import Program
from pgrollout.quoting import name as quoted
from pgrollout.schema_difference import Difference, differences
from pgrollout.secrets import mask_statement

OWNER = "OWNER"
"""Stands for the owner of an object, whoever that is."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One table, view or sequence."""

    schema: str
    name: str
    parent: tuple[str, str] | None
    """The partitioned table that it is a partition of."""
    owner: tuple[str, str] | None
    """The table whose column the sequence belongs to."""

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name


@dataclass(frozen=True, slots=True)
class Comparison:
    """The live schema beside the one that the directory makes."""

    objects: int
    """How many objects were compared."""
    differences: tuple[Difference, ...]
    """The tolerated ones among them."""
    partitions: Collection[tuple[str, str]] = ()
    """Schemas and names of the partitions made at run time, which only the live database has."""
    not_compared: str = ""
    """Why the schemas were not compared; empty if they were."""


def compare(live: Connection, shadow: Connection, scope: Scope, application_name: str = "pgrollout") -> Comparison:
    """
    Compare the live schema with the shadow's.

    Partitions that only the live database has are made at run time: they are reported, and no failure.

    Raises:
        TableNotReadable, ServerUnavailable: Waiting can cure it.
        BackupImpossible: A schema cannot be dumped, mostly for want of a right.
    """
    made = _partitions_of_its_own(_relations(live), _relations(shadow), scope)
    major, other = (connection.info.server_version // 10000 for connection in (live, shadow))
    if major != other:
        reason = f"the server is PostgreSQL {major}, the shadow {other}, and each words the same schema its own way"
        return Comparison(0, (), made, reason)
    tls = any(connection.pgconn.ssl_in_use for connection in (live, shadow))
    try:
        program = programs.fitting("pg_dump", at_least=major, near=major, tls=tls)
    except ProgramMissing as error:
        return Comparison(0, (), made, str(error))
    there = schema_sql(shadow, scope, program, application_name=application_name)
    here = schema_sql(live, scope, program, without=made, application_name=application_name)
    expected, actual = cut(there, scope, owners(here)), cut(here, scope, owners(there))
    found = [_judged(difference) for difference in differences(expected, actual)]
    found += [
        Difference(f"TABLE {schema}.{name}", "unexpected", "", "", "a partition made at run time")
        for schema, name in sorted(made)
    ]
    return Comparison(len(expected.keys() | actual.keys()) + len(made), tuple(found), made)


def schema_sql(
    connection: Connection,
    scope: Scope,
    program: Program,
    *,
    without: Collection[tuple[str, str]] = (),
    application_name: str = "pgrollout",
) -> str:
    """
    Return the plain dump of what is in scope.

    Args:
        connection: An open connection to the database; the dump gets one of its own to the same server.
        scope: What is dumped.
        program: The ``pg_dump``; the same for what is compared.
        without: Tables left out beside those that the scope leaves out.
        application_name: How the server shows the dump's connection.
    """
    left_out = _left_out(_relations(connection), scope, without)
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
    return b"".join(lines).decode(errors="replace")


def _argv(program: Program, schemas: Collection[str], relations: Collection[tuple[str, str]]) -> list[str]:
    return [
        str(program.path),
        "--no-password",
        "--schema-only",
        "--encoding=UTF8",
        "--no-comments",
        "--no-security-labels",
        "--no-subscriptions",
        "--no-tablespaces",
        f"--lock-wait-timeout={LOCK_WAIT_MS}",
        *(f"--exclude-schema={_exact(schema)}" for schema in schemas),
        *(f"--exclude-table={_exact(*relation)}" for relation in sorted(relations)),
    ]


_HEADER = re.compile(
    r"^--\n-- Name: (?P<name>.*); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>.*?); Owner: ?(?P<owner>.*)\n--\n\n",
    re.MULTILINE,
)
_FOOTER = re.compile(r"^--\n-- PostgreSQL database dump complete\n--\n.*", re.MULTILINE | re.DOTALL)
_TRAILING_SETTINGS = re.compile(r"(?:^SET \w+ = [^\n]*;\n\s*)+\Z", re.MULTILINE)
_TRAILING_OWNER = re.compile(r"^ALTER [^\n]* OWNER TO [^\n]*;\s*\Z", re.MULTILINE)
_GRANTED_ON = re.compile(r'(?:[A-Z]+ )+("(?:[^"]|"")*"|[^".(]+)')
_TEXT = r"'(?:[^']|'')*'::(?:character varying|character|bpchar|text)(?:\(\d+\))?"
_CAST_ARRAY = re.compile(rf"\(ARRAY\[({_TEXT}(?:, {_TEXT})*)\]\)::text\[\]")


def owners(text: str) -> dict[tuple[str, str], set[str]]:
    """Return who owns what in a plain dump, by schema and name; of functions with one name, all their owners."""
    found: dict[tuple[str, str], set[str]] = {}
    for header in _HEADER.finditer(text):
        found.setdefault((header["schema"], _subject(header)), set()).add(header["owner"])
    return found


def cut(text: str, scope: Scope, elsewhere: Mapping[tuple[str, str], Collection[str]]) -> dict[str, str]:
    """
    Return a plain dump's objects in scope by kind and name, each with its SQL freed of what does not count.

    Args:
        text: The dump.
        scope: What is compared.
        elsewhere: The owners in the dump that this one is compared with.
    """
    text = _FOOTER.sub("", text)
    headers = list(_HEADER.finditer(text))
    found: dict[str, str] = {}
    ends = [*(header.start() for header in headers[1:]), len(text)]
    for header, end in zip(headers, ends, strict=False):
        sql = _normalised(text[header.end() : end], header["type"])
        if header["type"] in ("ACL", "DEFAULT ACL"):
            sql = _without_owners(sql, header["owner"], elsewhere.get((header["schema"], _subject(header)), ()))
        if sql and _in_scope(header, scope):
            schema = "" if header["schema"] == "-" else f"{header['schema']}."
            key = f"{header['type']} {schema}{header['name']}"
            found[key] = f"{found[key]}\n{sql}" if key in found else sql
    return found


def _in_scope(header: re.Match[str], scope: Scope) -> bool:
    schema, kind, name = header["schema"], header["type"], header["name"]
    if schema != "-":
        # What belongs to a table has the table's name before its own.
        return scope.has(schema, _subject(header))
    if kind == "SCHEMA" or (kind == "ACL" and name.startswith("SCHEMA ")):
        return scope.has_schema(_subject(header))
    return scope.has_global(_subject(header))


def _subject(header: re.Match[str]) -> str:
    """Return the name alone: an ACL's follows the object's kind and is quoted, a function's has arguments behind it."""
    name = header["name"]
    if header["type"] == "ACL" and (granted := _GRANTED_ON.match(name)):
        return granted[1][1:-1].replace('""', '"') if granted[1].startswith('"') else granted[1]
    return name if header["schema"] == "-" else name.partition("(")[0]


def _normalised(sql: str, kind: str) -> str:
    sql = _TRAILING_OWNER.sub("", _TRAILING_SETTINGS.sub("", sql.rstrip("\n") + "\n").rstrip() + "\n").strip()
    if sql.startswith("-- *not* creating schema"):
        return ""
    if "(ARRAY[" in sql:
        sql = _CAST_ARRAY.sub(_cast_each, sql)
    # Secrets are meant to differ from database to database.
    return mask_statement(sql) if kind in ("SERVER", "USER MAPPING") else sql


def _without_owners(sql: str, owner: str, elsewhere: Collection[str]) -> str:
    """
    Return grants with ``OWNER`` for the owner, and without those that give an owner nothing.

    A grant to the owner does not, unless something was revoked before; a grant to whom the object belongs elsewhere does
    not there, so that the other dump lacks it.
    """
    sql = re.sub(rf"( TO | FROM | FOR ROLE ){_role([owner])}(?=[ ;])", rf"\1{OWNER}", sql)
    idle = [*([] if owner in elsewhere else elsewhere), *([] if f" FROM {OWNER};" in sql else [OWNER])]
    is_idle = re.compile(rf" TO {_role(idle)}(?: WITH GRANT OPTION)?;$")
    return "\n".join(line for line in sql.splitlines() if not is_idle.search(line))


def _role(names: Collection[str]) -> str:
    """Return the pattern that matches any of the roles, quoted or not."""
    return "(?:" + "|".join(re.escape(written) for role in names for written in (role, quoted(role))) + ")"


def _cast_each(array: re.Match[str]) -> str:
    """A list that was dumped and restored has the cast on each member: the same to the server, another text."""
    return "ARRAY[" + ", ".join(f"({member})::text" for member in re.findall(_TEXT, array[1])) + "]"


_RELATIONS = """
SELECT n.nspname, c.relname, pn.nspname, p.relname, o.nspname, t.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
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
    for schema, name, parent_schema, parent, owner_schema, owner in connection.execute(_RELATIONS).fetchall():
        relations[schema, name] = Relation(
            schema,
            name,
            (parent_schema, parent) if parent is not None else None,
            (owner_schema, owner) if owner is not None else None,
        )
    return relations


def _schemas(connection: Connection) -> list[str]:
    return sorted(name for (name,) in connection.execute(_SCHEMAS).fetchall())


def _partitions_of_its_own(
    live: Mapping[tuple[str, str], Relation], shadow: Mapping[tuple[str, str], Relation], scope: Scope
) -> set[tuple[str, str]]:
    """Return the partitions that only the live database has, of tables that both have."""

    def is_own(relation: Relation) -> bool:
        if relation.parent is None or relation.key in shadow or not scope.has(*relation.key):
            return False
        return relation.parent in shadow or is_own(live[relation.parent])

    return {key for key, relation in live.items() if is_own(relation)}


def _left_out(
    relations: Mapping[tuple[str, str], Relation], scope: Scope, without: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return what pg_dump must leave out, with the sequences of its columns, which pg_dump would keep."""

    def is_out(key: tuple[str, str]) -> bool:
        return key in without or not scope.has(*key)

    return {
        key
        for key, relation in relations.items()
        if is_out(key) or (relation.owner is not None and is_out(relation.owner))
    }


def _judged(difference: Difference) -> Difference:
    """What comes with the cluster rather than with a migration is reported, and no failure."""
    if difference.kind == "unexpected" and difference.object == "ACL SCHEMA public":
        return Difference(difference.object, "unexpected", "", difference.actual, "as the cluster was made or upgraded")
    return difference


def _exact(*parts: str) -> str:
    """Return a name as a pattern that only this name matches."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
