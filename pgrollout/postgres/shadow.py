"""
Shadow databases: empty, thrown away after use, for replaying the migration directory.

Either on an embedded server of its own, or on a server that the configuration says may be filled. What is run there,
and what it means when something cannot run, is left to the caller.
"""

import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from pgrollout.errors import ConfigurationError, EmbeddedServerFailed, LockNotAcquired, ShadowUnavailable
from pgrollout.place import place_at
from pgrollout.postgres.connection import Connection, connect, libpq_url
from pgrollout.postgres.embedded_binaries import Embedded
from pgrollout.postgres.throwaway import throwaway
from pgrollout.settings import Database, masked, shadow_url, target

log = logging.getLogger(__name__)

PREFIX = "pgrollout_shadow_"
_APPLICATION = "pgrollout shadow"
LOCK_KEY = int.from_bytes(b"pgrshado", "big", signed=True)
"""Advisory lock of whoever has a shadow database on a server that is not its own."""
_MARK = "made by pgrollout for "
"""Begins the comment on a role that is to go with the shadow database that the comment names."""


@dataclass(frozen=True, slots=True)
class ShadowDatabase:
    """An empty database that is thrown away."""

    name: str
    version: int
    """The server's ``server_version_num``: 180006."""
    url: str = field(repr=False)
    """Its URL, which may hold a password."""
    database: Database
    """Settings that lead to it, for ``connect`` and PostgreSQL's own programs; no role is set after login."""
    mark_roles: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)
    """Marks the roles made meanwhile, so that the run after a killed one drops them; idle on a server of our own."""

    @property
    def conninfo(self) -> str:
        """The same as a libpq connection string."""
        return make_conninfo(self.url)


@contextmanager
def shadow(database: Database, *, roles: Iterable[str] = ()) -> Iterator[ShadowDatabase | None]:
    """
    Make a shadow database as the settings say, and drop it after the block; None where they say ``none``.

    Missing roles are made NOLOGIN: those of the settings, ``roles``, and the one that the migrations run as. Then
    ``setup_sql`` runs. On an embedded server, the database has the target's name, so that statements which name it run.

    Args:
        database: Settings of the database that the shadow stands for.
        roles: More roles, as GRANT statements name them.

    Raises:
        ShadowUnavailable: The server does not let us make it, or the embedded one cannot be started.
        LockNotAcquired: Somebody else had a shadow database on the same server all the time.
        ConfigurationError: ``setup_sql`` cannot be read or run.
        LoginFailed, ServerUnavailable: The server cannot be reached.
    """
    wanted = [*database.shadow.roles, *roles, *([database.role] if database.role else [])]
    match database.shadow.server:
        case "none":
            yield None
        case "embedded":
            name, login = _target_names(database)
            with _embedded() as server:
                yield _prepared(database, server.database(name), [*wanted, *([login] if login else [])])
        case "url":
            url = shadow_url(database).get_secret_value()
            with connect(_at(database, url), application_name=_APPLICATION) as connection:
                _take_turn(connection, database)
                with _filled(connection, url) as (made, mark_roles):
                    prepared = _prepared(database, made, wanted)
                    mark_roles()
                    yield replace(prepared, mark_roles=mark_roles)


@contextmanager
def _embedded() -> Iterator[Embedded]:
    """Use an embedded server of one's own; that there is none is said of the shadow, not of the target."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(throwaway())
        except EmbeddedServerFailed as error:
            raise ShadowUnavailable("the embedded server", "\n    ".join([error.problem, *error.lines])) from error
        except ConfigurationError as error:
            raise ShadowUnavailable("the embedded server", error.problem) from error
        yield server


def _target_names(database: Database) -> tuple[str, str | None]:
    """Return the names of the target's database and login, as far as its URL, or libpq's variables, say them."""
    try:
        where = target(database)
    except ConfigurationError:
        return database.name, None  # a replay does not need the target
    match where.kind:
        case "url":
            parameters = conninfo_to_dict(libpq_url(where.value.get_secret_value()))
        case "libpq":
            parameters = {"dbname": os.environ.get("PGDATABASE"), "user": os.environ.get("PGUSER")}
        case _:
            return database.name, None
    login = parameters.get("user")
    name = str(parameters.get("dbname") or login or database.name)
    return name, str(login) if login else None


def _at(database: Database, url: str) -> Database:
    return database.model_copy(update={"name": f"{database.name}'s shadow", "url": SecretStr(url), "role": None})


def _prepared(database: Database, url: str, roles: Iterable[str]) -> ShadowDatabase:
    made = _at(database, url)
    with connect(made, application_name=_APPLICATION) as connection:
        _make_roles(connection, url, roles)
        if database.shadow.setup_sql:
            _set_up(connection, database.path(database.shadow.setup_sql))
        return ShadowDatabase(connection.info.dbname, connection.info.server_version, url, made)


def _make_roles(connection: Connection, url: str, roles: Iterable[str]) -> None:
    have = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in dict.fromkeys(roles):
        if role in have or role.lower() in ("public", "none") or role.startswith("pg_"):
            continue
        try:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        except psycopg.errors.DuplicateObject:
            continue
        except psycopg.Error as error:
            problem = f"role {role} is missing and cannot be made: {_first_line(error)}."
            raise ShadowUnavailable(masked(url), problem) from error
        log.debug("role created role=%s", role)


def _set_up(connection: Connection, path: Path) -> None:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("shadow.setup_sql", f"{path} cannot be read: {error}.") from error
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        position = error.diag.statement_position
        where = f"{place_at(str(path), text, int(position) - 1)}" if position else str(path)
        raise ConfigurationError(
            "shadow.setup_sql", f"{where}: {_first_line(error)}.", "It runs once, on an empty shadow database."
        ) from error


_OUR_PREFIX = "SELECT %s || oid || '_' FROM pg_database WHERE datname = current_database()"
_LEFTOVERS = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
_ROLES = "SELECT rolname FROM pg_roles WHERE NOT starts_with(rolname, 'pg_')"
_MARKED = "SELECT rolname FROM pg_roles WHERE starts_with(shobj_description(oid, 'pg_authid'), %s)"
_NOT_MARKED = f"{_ROLES} AND rolname <> ALL (%s) AND shobj_description(oid, 'pg_authid') IS DISTINCT FROM %s"


def _take_turn(connection: Connection, database: Database) -> None:
    """
    Wait for the lock that keeps two shadow databases of one server apart; the end of the connection frees it.

    They take turns because roles belong to the server: each replay makes the migrations' roles, and finds none made.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{database.wait_for_run_ms}ms",))
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
    except psycopg.errors.LockNotAvailable as error:
        raise LockNotAcquired(database.wait_for_run_ms, "another shadow database on the same server") from error
    connection.execute("SELECT set_config('lock_timeout', '0', false)")


@contextmanager
def _filled(connection: Connection, url: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """
    Make a database on a server that is not ours alone; drop it afterwards, and every role made meanwhile.

    Roles must go, or a migration that makes one could be replayed only once. Who lets us fill a server makes no roles of
    their own there during a replay; one that something else depends on stays. A run that is killed drops nothing: the
    next one drops its database, and the roles that it marked. Gives the URL, and the function that marks them.
    """
    # The lock is one of the database that the URL names. Only what was made from there is certainly left over.
    [(prefix,)] = connection.execute(_OUR_PREFIX, (PREFIX,)).fetchall()
    for (leftover,) in connection.execute(_LEFTOVERS, (prefix,)).fetchall():
        log.info("shadow database of a killed run dropped name=%s", leftover)
        _drop(connection, leftover)
    for (role,) in connection.execute(_MARKED, (_MARK + prefix,)).fetchall():
        log.info("role of a killed run dropped role=%s", role)
        _drop_role(connection, role)
    before = {role for (role,) in connection.execute(_ROLES)}
    name = prefix + secrets.token_hex(4)
    try:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise ShadowUnavailable(masked(url), f"{_first_line(error)}.") from error
    try:
        yield _with_dbname(url, name), partial(_mark_roles, connection, name, before)
    finally:
        _clear(connection, name, before)


def _mark_roles(connection: Connection, name: str, before: Collection[str]) -> None:
    mark = _MARK + name
    with suppress(psycopg.Error):  # who may not comment on a role may not drop it either
        for (role,) in connection.execute(_NOT_MARKED, (list(before), mark)).fetchall():
            connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(mark)))


def _clear(connection: Connection, name: str, before: Collection[str]) -> None:
    try:
        _drop(connection, name)
        for (role,) in connection.execute(_ROLES).fetchall():
            if role not in before:
                _drop_role(connection, role)
    except psycopg.Error as error:
        # The next run drops it; what happened in the block is more important than this.
        log.warning("shadow database left behind name=%s problem=%s", name, _first_line(error))


def _drop(connection: Connection, name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _drop_role(connection: Connection, role: str) -> None:
    try:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
    except psycopg.Error as error:
        log.warning("role of a shadow database left behind role=%s problem=%s", role, _first_line(error))


def _with_dbname(url: str, name: str) -> str:
    parameters = conninfo_to_dict(libpq_url(url)) | {"dbname": name}
    pairs = (f"{key}={quote(str(value), safe='')}" for key, value in parameters.items() if value is not None)
    return "postgresql:///?" + "&".join(pairs)


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().partition("\n")[0]
