"""
Schemas by name: a run, a database, a directory, a dump or a file, each read as a catalog.

What ``pgrollout schema`` shows and compares. Databases are only read; directories and dumps are made on the shadow, which
is thrown away. Both sides of a comparison are looked at in the same scope, the chosen database's.
"""

import gzip
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import psycopg
from psycopg import sql
from pydantic import SecretStr

from pgrollout import settings as configured
from pgrollout import splitter
from pgrollout.backup_manifest import DUMP_NAME, MANIFEST_NAME, Manifest
from pgrollout.catalog.difference import Difference, difference
from pgrollout.catalog.exported import exported, imported, masked_catalog
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import REVISIONS_TABLE, Scope
from pgrollout.content import read_content
from pgrollout.errors import ConfigurationError, ProgramMissing, SchemaUnavailable, StoredCatalogUnreadable
from pgrollout.place import place_at
from pgrollout.postgres import dump, fingerprints, programs, revisions
from pgrollout.postgres.catalog import read_catalog
from pgrollout.postgres.chunk import MISSING_ROLE
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.fingerprints import Recorded
from pgrollout.postgres.shadow import ShadowDatabase, shadow
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.template import replayed_shadow
from pgrollout.progress import reporting
from pgrollout.secrets import mask_message
from pgrollout.settings import Database, masked
from pgrollout.stages.backup import read_manifest
from pgrollout.stages.reviewed import new_run_id, read_reviewed

log = logging.getLogger(__name__)

FORMS = (
    "Write run:ID, run:ID:before, last, live, database:NAME, a postgresql:// URL, dir:PATH, dump:PATH, or the path of a "
    "folder, a dump or a file that `pgrollout schema show --format json` wrote."
)
_NEWEST_RUNS = 5
_SYNTAX_ERROR = "42601"
_ARCHIVE = b"PGDMP"
_GZIP = b"\x1f\x8b"
_TAR_NAME = b"toc.dat\0"
_STATEMENTS_AT_ONCE = 100
"""What is sent in one message is one transaction; each object takes a few of the server's locks."""

Kind = Literal["run", "last", "live", "database", "url", "directory", "dump", "file"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a schema is to be had."""

    kind: Kind
    value: str = ""
    """The run's id, the database's name, the URL or the path."""
    moment: Literal["before", "after"] = "after"
    """Of a run: before its first statement, or after its last."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was had."""

    catalog: Catalog
    label: str
    """What it is, in a few words, without secrets: ``the live database``."""
    scope: str
    """What was looked at, as ``fingerprints.scope_text`` has it."""
    is_masked: bool = False
    """Whether secrets in its texts are masked, so that texts with one can only be compared masked."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two schemas and what they differ in."""

    before: Schema
    after: Schema
    difference: Difference
    notes: tuple[str, ...] = ()
    """What a person must know to judge the differences."""


def source_of(text: str) -> Source:
    """
    Return the source that a text names.

    Raises:
        SchemaUnavailable: It names none.
    """
    word, colon, rest = text.partition(":")
    if text in ("last", "live"):
        return Source("last" if text == "last" else "live")
    if text.startswith(("postgresql://", "postgres://")):
        return Source("url", text)
    if colon and word == "run" and rest:
        name, _, moment = rest.rpartition(":")
        if name and moment in ("before", "after"):
            return Source("run", name, "before" if moment == "before" else "after")
        return Source("run", rest)
    if colon and rest and word in ("database", "dir", "dump"):
        return Source("directory" if word == "dir" else "database" if word == "database" else "dump", rest)
    path = Path(unquote(text.removeprefix("file://")) if text.startswith("file://") else text).expanduser()
    try:
        return _by_content(path)
    except OSError as error:
        problem = f"there is no such file or folder: {path}." if not path.exists() else f"{error.strerror}."
        raise SchemaUnavailable(masked(text), masked(problem), FORMS) from error


def _by_content(path: Path) -> Source:
    if path.is_dir():
        is_dump = (path / MANIFEST_NAME).exists() or (path / "toc.dat").exists()
        return Source("dump" if is_dump else "directory", str(path))
    with path.open("rb") as file:
        return Source("file" if file.read(1) == b"{" else "dump", str(path))


def read_schema(database: Database, source: Source) -> Schema:
    """
    Return a schema.

    Args:
        database: Settings of the chosen database: its scope, its ledger, its shadow.
        source: Which schema.

    Raises:
        SchemaUnavailable: There is no such run, file or table, or the shadow cannot make it.
        PgrolloutError: A server cannot be reached, or does not answer.
    """
    match source.kind:
        case "run" | "last":
            return _recorded(database, source)
        case "live":
            return _live(database, "the live database", database)
        case "database":
            return _live(_other(database, source.value), f"database {source.value}", database)
        case "url":
            shown = masked(source.value)
            changed = {"name": shown, "url": SecretStr(source.value), "role": None}
            return _live(database.model_copy(update=changed), shown, database)
        case "directory":
            return _replayed(database, source.value)
        case "dump":
            return _restored(database, Path(source.value))
        case _:
            return _from_file(database, Path(source.value))


def compare(database: Database, before: Source, after: Source) -> Compared:
    """
    Return what two schemas differ in.

    Raises:
        SchemaUnavailable: One of them cannot be had.
    """
    one, other = read_schema(database, before), read_schema(database, after)
    catalogs = [one.catalog, other.catalog]
    if one.is_masked != other.is_masked:
        catalogs = [masked_catalog(catalog) for catalog in catalogs]
    notes = []
    if one.scope != other.scope:
        notes.append(f"{one.label} was looked at with {one.scope}, {other.label} with {other.scope}")
    label = other.label if other.label != one.label else f"{other.label}, again"
    return Compared(one, replace(other, label=label), difference(catalogs[0], catalogs[1]), tuple(notes))


# What is in the ledger.

_RUNS = "SELECT DISTINCT run, max(id) OVER (PARTITION BY run) FROM {} WHERE run IS NOT NULL ORDER BY 2 DESC"


def _recorded(database: Database, source: Source) -> Schema:
    ledger = database.ledger_schema
    with _reading(database) as connection:
        if not fingerprints.exist(connection, ledger):
            raise SchemaUnavailable(
                _said(source),
                f"database {database.name} has no ledger with schemas: no run of this version of pgrollout was there.",
                "Compare with `live`, a directory or a dump instead.",
            )
        if source.kind == "last":
            history = revisions.locate(connection, database).schema
            found = fingerprints.last_of_a_run(connection, ledger, history)
            if found is None:
                raise SchemaUnavailable("last", f"no run has recorded a schema of {database.name} yet.", FORMS)
        else:
            found = _of_run(connection, ledger, source, database.name)
        catalog = fingerprints.catalog_of(connection, ledger, found)
    return Schema(catalog, f"run {found.run}, {found.moment}", found.scope)


def _of_run(connection: Connection, ledger: str, source: Source, name: str) -> Recorded:
    known = [run for run, _ in connection.execute(_RUNS.format(sql.Identifier(ledger, "fingerprint").as_string()))]
    meant = [run for run in known if run == source.value] or [run for run in known if run.startswith(source.value)]
    if len(meant) != 1:
        listed = ", ".join((meant or known)[:_NEWEST_RUNS]) or "none"
        problem = f"runs of {name} that begin so: {len(meant)}." if meant else f"{name} has no such run with a schema."
        raise SchemaUnavailable(_said(source), problem, f"The newest{' of them' if meant else ''}: {listed}.")
    recorded = {found.moment: found for found in fingerprints.of_run(connection, ledger, meant[0])}
    if source.moment not in recorded:
        raise SchemaUnavailable(
            _said(source),
            f"it recorded no schema {source.moment} it, only {', '.join(recorded)}: it did not come so far.",
            f"Write run:{meant[0]}:{next(iter(recorded))}.",
        )
    return recorded[source.moment]


def _said(source: Source) -> str:
    return source.kind if source.kind != "run" else f"run:{source.value}"


# What a server has.


def _live(database: Database, label: str, chosen: Database) -> Schema:
    with _reading(database) as connection, reporting(f"reading the schema of {label}"):
        scope = _scope(chosen, database.ledger_schema, revisions.locate(connection, database).schema)
        return Schema(read_catalog(connection, scope), label, fingerprints.scope_text(scope))


def _other(database: Database, name: str) -> Database:
    if name == database.name:
        return database
    known = configured.database_names(start=database.root)
    if name not in known:
        raise SchemaUnavailable(
            f"database:{name}", f"pgrollout.toml has no [database.{name}].", f"There are: {', '.join(known)}."
        )
    # What the environment says of the database chosen says nothing of another one.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PGROLLOUT_")}
    if config := os.environ.get("PGROLLOUT_CONFIG"):
        environ["PGROLLOUT_CONFIG"] = config
    try:
        return configured.load(name, environ=environ, start=database.root)
    except ConfigurationError as error:
        raise SchemaUnavailable(f"database:{name}", error.problem, error.advice) from error


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    name = f"pgrollout/{new_run_id()}/schema"
    with explained("reading the schema"), connect(database, application_name=name) as connection:
        yield connection


def _scope(chosen: Database, ledger_schema: str, revisions_schema: str) -> Scope:
    return Scope(chosen.schemas, chosen.exclude, ledger_schema, revisions_schema)


# What is made on the shadow.


@contextmanager
def _shadow(database: Database, what: str) -> Iterator[ShadowDatabase]:
    with shadow(database) as made:
        if made is None:
            raise SchemaUnavailable(what, _NO_SHADOW)
        yield made


def _replayed(database: Database, path: str) -> Schema:
    label = f"directory {path}"
    reviewed = read_reviewed(database.model_copy(update={"migrations": str(Path(path).expanduser().absolute())}))
    migrations = reviewed.migrations
    # A new database begins with the newest checkpoint.
    newest = max((at for at, one in enumerate(migrations) if one.name in reviewed.checkpoints), default=0)
    contents = [read_content(migration) for migration in migrations[newest:]]
    with reporting(f"replaying {path} on the shadow"), replayed_shadow(database, contents) as made:
        if made is None:
            raise SchemaUnavailable(label, _NO_SHADOW)
        if (failed := made.replayed.not_analysed) is not None:
            raise SchemaUnavailable(
                label, f"the shadow's server cannot run {failed.place}: {failed.message}.", _OTHER_SHADOW
            )
        with _reading(made.shadow.database) as connection:
            scope = _scope(database, database.ledger_schema, database.revisions_schema or revisions.DEFAULT_SCHEMA)
            owners = [made.shadow.owner, *([database.role] if database.role else [])]
            return Schema(read_catalog(connection, scope, owners=owners), label, fingerprints.scope_text(scope))


_NO_SHADOW = 'it must be made on the shadow, and the configuration says shadow.server = "none".'
_OTHER_SHADOW = 'Give the shadow a server that can: shadow.server = "url" in pgrollout.toml.'


def _restored(database: Database, path: Path) -> Schema:
    label = f"dump {path}"
    text = _schema_sql(path, label)
    with _shadow(database, label) as made, reporting(f"restoring the schema of {path.name} on the shadow"):
        with connect(made.database, application_name="pgrollout/shadow") as connection:
            _run_dump(connection, text, label, made.mark_roles)
        with _reading(made.database) as connection:
            owner, schema = connection.execute(_OWNER, [REVISIONS_TABLE, REVISIONS_TABLE]).fetchall()[0]
            scope = _scope(database, database.ledger_schema, schema or revisions.DEFAULT_SCHEMA)
            catalog = read_catalog(connection, scope, owners=[owner] if owner else ())
            for (name,) in connection.execute(_SUBSCRIPTIONS).fetchall():
                # Nobody can drop a database that has one.
                connection.execute(sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(sql.Identifier(name)))
                connection.execute(sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(name)))
    return Schema(catalog, label, fingerprints.scope_text(scope))


_SUBSCRIPTIONS = (
    "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid AND datname = current_database()"
)
# Who migrates where the dump was taken: the owner of Atlas's table, else whoever owns most.
_OWNER = """
SELECT (
    SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    GROUP BY c.relowner ORDER BY max((c.relname = %s)::integer) DESC, count(*) DESC LIMIT 1
), (
    SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = %s AND c.relkind IN ('r', 'p') LIMIT 1
)
"""


def _schema_sql(path: Path, label: str) -> str:
    """Return a dump's schema as SQL, without rows and without what only psql understands."""
    least, source = 1, path
    if (path / MANIFEST_NAME).exists():
        manifest = _manifest(path, label)
        least, source = manifest.pg_dump_major, path / DUMP_NAME
    try:
        with source.open("rb") if source.is_file() else (source / "toc.dat").open("rb") as file:
            head = file.read(512)
        if source.is_dir() or head.startswith((_ARCHIVE, _TAR_NAME)):
            text = _without_rows(_as_script(source, least, label).splitlines(keepends=True))
        else:
            with gzip.open(source) if head.startswith(_GZIP) else source.open("rb") as file:
                text = _without_rows(file)
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SchemaUnavailable(
            label, f"it cannot be read: {reason}.", "Name what pg_dump wrote, or a folder of `pgrollout backup`."
        ) from error
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SchemaUnavailable(label, "it is no text in UTF-8.", "Make it with pg_dump --encoding=UTF8.") from error


def _manifest(path: Path, label: str) -> Manifest:
    try:
        return read_manifest(path)
    except ValueError as error:
        raise SchemaUnavailable(label, str(error), "Take another backup; this one is not what was made.") from error


def _as_script(source: Path, least: int, label: str) -> bytes:
    try:
        program = programs.fitting("pg_restore", at_least=least, near=max(least, _NEWEST), tls=False)
    except ProgramMissing as error:
        raise SchemaUnavailable(label, str(error), "") from error
    ended = programs.run([program.path, "--schema-only", "--file=-", source], programs.plain())
    if ended.status != 0:
        raise SchemaUnavailable(
            label, f"pg_restore {program.version} cannot read it: {ended.last_words}", "Is a newer pg_restore on PATH?"
        )
    return ended.output


_NEWEST = 99
_PSQL_ONLY = re.compile(rb"\\(?:un)?restrict ")


def _without_rows(lines: Iterable[bytes]) -> bytes:
    """Return a plain dump without its rows, and without the two commands of psql that guard it; rows are never held."""
    kept, in_rows = [], False
    for line in dump.without_what_servers_refuse(lines):
        if in_rows:
            in_rows = line.rstrip(b"\r\n") != b"\\."
        elif line.startswith(b"COPY ") and line.rstrip().endswith(b" FROM stdin;"):
            in_rows = True
        elif not _PSQL_ONLY.match(line):
            kept.append(line)
    return b"".join(kept)


def _run_dump(connection: Connection, text: str, label: str, mark_roles: Callable[[], None]) -> None:
    """Run a dump's SQL on the shadow; roles that it names and nobody made are made NOLOGIN."""
    try:
        found = splitter.spans(text)
    except splitter.Unclosed as error:
        raise SchemaUnavailable(label, f"it is no SQL: {error}.", "") from error
    if found.psql_commands:
        where = place_at(label, text, found.psql_commands[0].offset)
        raise SchemaUnavailable(
            f"{where}", f"{found.psql_commands[0].text.split()[0]} is for psql only.",
            "Dump one database, without --create.",
        )  # fmt: skip
    try:
        connection.execute("SET lc_messages = 'C'")  # the name of a missing role is only in the message
    except psycopg.errors.InsufficientPrivilege:
        log.debug("messages of the shadow stay in the server's language")
    made: set[str] = set()
    spans = found.statements
    for first in range(0, len(spans), _STATEMENTS_AT_ONCE):
        start, end = spans[first][0], spans[min(first + _STATEMENTS_AT_ONCE, len(spans)) - 1][1]
        while True:
            try:
                connection.execute(text[start:end].encode())
                break
            except psycopg.Error as error:
                role = MISSING_ROLE.search(str(error)) if error.sqlstate == "42704" else None
                if role is None or role[1] in made:
                    raise _refused(error, text, start, label) from error
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role[1])))
                made.add(role[1])
                mark_roles()


def _refused(error: psycopg.Error, text: str, start: int, label: str) -> SchemaUnavailable:
    message = error.diag.message_primary or str(error).strip()
    position = error.diag.statement_position
    offset = start + int(position) - 1 if position else None
    where = str(place_at(label, text, offset)) if offset is not None else label
    said = mask_message(message, text, offset)
    advice = "Is it what pg_dump wrote?" if error.sqlstate == _SYNTAX_ERROR else _OTHER_SHADOW
    return SchemaUnavailable(where, f"the shadow's server cannot run it: {said}.", advice)


# What was kept in a file.


def _from_file(database: Database, path: Path) -> Schema:
    label = f"file {path}"
    try:
        catalog, scope = imported(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SchemaUnavailable(label, f"it cannot be read: {reason}.", FORMS) from error
    except StoredCatalogUnreadable as error:
        raise SchemaUnavailable(
            label, f"{error.problem}.", "Write it anew with `pgrollout schema show --format json`."
        ) from error
    return Schema(catalog, label, scope or fingerprints.scope_text(_scope(database, "", "")), is_masked=True)


def as_file(schema: Schema, pattern: str | None = None) -> str:
    """Return a schema as ``read_schema`` reads it from a file; with a pattern only a part, which it refuses."""
    return exported(schema.catalog, schema.label, schema.scope, pattern)
