"""
Shadow databases: empty, thrown away after use, for replaying the migration directory.

Either on an embedded server of its own, or on a server that the configuration says may be filled. On the latter, what a
replay made can be kept as a *template*, a database that others are copied from; ``template`` fills and uses them. What is run
on a shadow, and what it means when something cannot run, is left to the caller.
"""

import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from pgrollout.errors import ConfigurationError, EmbeddedServerFailed, LockNotAcquired, ShadowUnavailable
from pgrollout.place import place_at
from pgrollout.postgres.connection import Connection, connect, libpq_url, url_search_path
from pgrollout.postgres.embedded_binaries import USER, Embedded
from pgrollout.postgres.throwaway import throwaway
from pgrollout.settings import Database, masked, shadow_url, target

log = logging.getLogger(__name__)

PREFIX = "pgrollout_shadow_"
APPLICATION = "pgrollout shadow"
LOCK_KEY = int.from_bytes(b"pgrshado", "big", signed=True)
"""Advisory lock of whoever has a shadow database on a server that is not its own."""
TEMPLATES_KEPT = 4
"""How many templates stay on a server of others: those used last."""
_NAME_BYTES = 63
_USED = "pgrollout: used last at "
_MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
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
    owner: str
    """Who logs in there, and owns what is made: on an embedded server the role that migrates on the target, by name."""
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
    ``setup_sql`` runs. On an embedded server, the database has the target's name, so that statements which name it run, and
    its owner, who runs them, the name of the role that migrates there.

    Args:
        database: Settings of the database that the shadow stands for.
        roles: More roles, as GRANT statements name them.

    Raises:
        ShadowUnavailable: The server does not let us make it, or the embedded one cannot be started.
        LockNotAcquired: Somebody else had a shadow database on the same server all the time.
        ConfigurationError: ``setup_sql`` cannot be read or run.
        LoginFailed, ServerUnavailable: The server cannot be reached.
    """
    match database.shadow.server:
        case "none":
            yield None
        case "embedded":
            with said_of_the_shadow(throwaway()) as own:
                yield on_embedded(database, own, names(database), roles)
        case "url":
            with turn(database) as server:
                server.drop_templates_with_roles()
                with server.made() as made:
                    yield prepared(database, made.url, [*wanted(database), *roles], made.mark_roles)


def wanted(database: Database) -> list[str]:
    """Return the roles that the settings say must be there."""
    return [*database.shadow.roles, *([database.role] if database.role else [])]


_T = TypeVar("_T")


@contextmanager
def said_of_the_shadow(context: AbstractContextManager[_T]) -> Iterator[_T]:
    """Enter the context; if there is no embedded server, that is said of the shadow, not of the target."""
    with ExitStack() as stack:
        with shadow_unavailable():
            entered = stack.enter_context(context)
        yield entered


@contextmanager
def shadow_unavailable() -> Iterator[None]:
    """
    Say of the shadow what goes wrong with the embedded server in the block.

    Raises:
        ShadowUnavailable: It is not there, or failed.
    """
    try:
        yield
    except EmbeddedServerFailed as error:
        raise ShadowUnavailable("the embedded server", "\n    ".join([error.problem, *error.lines])) from error
    except ConfigurationError as error:
        raise ShadowUnavailable("the embedded server", error.problem) from error


@dataclass(frozen=True, slots=True)
class Names:
    """What is called on an embedded shadow as it is on the target."""

    dbname: str
    """The database."""
    login: str | None
    """Who logs in; None if that is not known here."""
    owner: str
    """Who runs the migrations, and owns what they make; ``postgres`` if that is not known, or no role can be made for it."""


def names(database: Database) -> Names:
    """Return the names that the target's settings, or libpq's variables, say."""
    dbname, login = _target_names(database)
    owner = database.role or login
    return Names(dbname, login, owner if owner and _can_be_made(owner) else USER)


def _can_be_made(role: str) -> bool:
    return not (
        role.lower() in ("public", "none") or role.startswith("pg_") or "\0" in role or len(role.encode()) > _NAME_BYTES
    )


def on_embedded(database: Database, server: Embedded, names: Names, roles: Iterable[str] = ()) -> ShadowDatabase:
    """Make the shadow database on an embedded server of its own."""
    url = server.database(names.dbname)
    if names.owner != USER:
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            # A superuser, as the one that made the cluster: nothing here says what the role may do on the target.
            connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(sql.Identifier(names.owner)))
        url = replace(server, user=names.owner).url(names.dbname)
    return prepared(database, url, [*wanted(database), *roles, *([names.login] if names.login else [])])


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


def at(database: Database, url: str) -> Database:
    """Return settings of the database that the URL leads to, for what the shadow of ``database`` needs."""
    return database.model_copy(update={"name": f"{database.name}'s shadow", "url": SecretStr(url), "role": None})


def prepared(
    database: Database, url: str, roles: Iterable[str], mark_roles: Callable[[], None] = lambda: None
) -> ShadowDatabase:
    """Make the roles and run ``setup_sql`` on an empty database."""
    made = at(database, url)
    with connect(made, application_name=APPLICATION) as connection:
        _make_roles(connection, url, roles)
        mark_roles()
        if text := setup_text(database):
            _set_up(connection, database, text)
    return opened(made, url, mark_roles)


def bound_schemas(database: Database) -> list[str]:
    """Return the schemas of the target URL's ``search_path``, in which the target's migrations make what has no schema."""
    try:
        path = url_search_path(database) or ""
    except ConfigurationError:
        return []  # a replay does not need the target
    return [part.strip().strip('"') for part in path.split(",") if part.strip()]


def bind(made: ShadowDatabase, schemas: Sequence[str]) -> None:
    """Let sessions on the shadow database have the target's search path, and make its schemas."""
    if not schemas:
        return
    with connect(made.database, application_name=APPLICATION) as connection:
        for schema in schemas:
            if not schema.startswith(("pg_", "$")):
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        path = sql.SQL(", ").join(map(sql.Identifier, schemas))
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = {}").format(sql.Identifier(made.name), path))


def opened(made: Database, url: str, mark_roles: Callable[[], None] = lambda: None) -> ShadowDatabase:
    """Describe the shadow database that the settings lead to."""
    with connect(made, application_name=APPLICATION) as connection:
        [(owner,)] = connection.execute("SELECT current_user").fetchall()
        info = connection.info
        return ShadowDatabase(info.dbname, info.server_version, url, made, owner, mark_roles)


def _make_roles(connection: Connection, url: str, roles: Iterable[str]) -> None:
    have = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in dict.fromkeys(roles):
        if role in have or not _can_be_made(role):
            continue
        try:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        except psycopg.errors.DuplicateObject:
            continue
        except psycopg.Error as error:
            problem = f"role {role} is missing and cannot be made: {_first_line(error)}."
            raise ShadowUnavailable(masked(url), problem) from error
        log.debug("role created role=%s", role)


def setup_text(database: Database) -> str:
    """
    Return what ``setup_sql`` says; empty if there is none.

    Raises:
        ConfigurationError: It cannot be read.
    """
    if not database.shadow.setup_sql:
        return ""
    path = database.path(database.shadow.setup_sql)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("shadow.setup_sql", f"{path} cannot be read: {error}.") from error


def _set_up(connection: Connection, database: Database, text: str) -> None:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        path = f"{database.path(database.shadow.setup_sql or '')}"
        position = error.diag.statement_position
        where = f"{place_at(path, text, int(position) - 1)}" if position else path
        raise ConfigurationError(
            "shadow.setup_sql", f"{where}: {_first_line(error)}.", "It runs once, on an empty shadow database."
        ) from error


_OUR_PREFIX = "SELECT %s || oid || '_' FROM pg_database WHERE datname = current_database()"
_DATABASES = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
_ORPHANS = """
SELECT d.datname FROM pg_database d WHERE d.datname ~ ('^' || %(prefix)s || '[0-9]+_') AND NOT EXISTS (
    SELECT FROM pg_database p WHERE p.oid::text = substring(d.datname FROM '^' || %(prefix)s || '([0-9]+)_'))
"""
_USED_LAST = """
SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY shobj_description(oid, 'pg_database') DESC NULLS LAST
"""
_ROLES = "SELECT rolname FROM pg_roles WHERE NOT starts_with(rolname, 'pg_')"
_MARKED = """
SELECT rolname, substr(shobj_description(oid, 'pg_authid'), length(%(mark)s) + 1) FROM pg_roles
WHERE starts_with(shobj_description(oid, 'pg_authid'), %(mark)s || %(prefix)s)
"""
_NOT_MARKED = f"{_ROLES} AND rolname <> ALL (%s) AND shobj_description(oid, 'pg_authid') IS DISTINCT FROM %s"
_TERMINATE_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
"""
_SETTINGS_OF = """
SELECT r.rolname, unnest(s.setconfig) FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)
"""
_GRANTS_OF = """
SELECT CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, privilege_type, is_grantable, grantee = datdba
FROM pg_database, aclexplode(datacl) WHERE datname = %s
"""


@contextmanager
def turn(database: Database) -> "Iterator[OtherServer]":
    """
    Have the server that may be filled for oneself while the block lasts; what killed runs left there is gone.

    Shadows of one server take turns because roles belong to the server: each replay makes the migrations' roles, and
    finds none made. Who needs several databases at once clones one.
    """
    url = shadow_url(database).get_secret_value()
    with connect(at(database, url), application_name=APPLICATION) as connection:
        _take_turn(connection, database)
        # The lock is one of the database that the URL names. Only what was made from there is certainly left over.
        [(prefix,)] = connection.execute(_OUR_PREFIX, (PREFIX,)).fetchall()
        server = OtherServer(connection, url, prefix)
        server.sweep()
        yield server


def _take_turn(connection: Connection, database: Database) -> None:
    """Wait for the lock that keeps two shadow databases of one server apart; the end of the connection frees it."""
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{database.wait_for_run_ms}ms",))
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
    except psycopg.errors.LockNotAvailable as error:
        raise LockNotAcquired(database.wait_for_run_ms, "another shadow database on the same server") from error
    connection.execute("SELECT set_config('lock_timeout', '0', false)")


@dataclass(frozen=True, slots=True)
class Made:
    """A database made on a server of others."""

    name: str
    url: str = field(repr=False)
    mark_roles: Callable[[], None] = field(repr=False)
    """Marks the roles made since the database was, so that the run after a killed one drops them."""
    before: set[str]
    """Roles that were there before, or are to stay; all others are dropped with the database."""


@dataclass(frozen=True, slots=True)
class OtherServer:
    """
    A server that is not ours alone, while it is our turn.

    What is made there is dropped afterwards: the database, and every role made meanwhile. Roles must go, or a migration that
    makes one could be replayed only once. Who lets us fill a server makes no roles of their own there during a replay; one
    that something else depends on stays. A run that is killed drops nothing: the next one drops its database, and the
    roles that it marked. Templates stay, with their roles, until another replay begins that must not find those roles.
    """

    connection: Connection
    url: str = field(repr=False)
    prefix: str
    """Begins the names of all databases that are made from the URL's."""

    @property
    def template_prefix(self) -> str:
        """Begins the names of templates."""
        return f"{self.prefix}template_"

    def sweep(self) -> None:
        """Drop the databases and roles that killed runs left."""
        templates = set(self.templates())
        for (name,) in self.connection.execute(_DATABASES, (self.prefix,)).fetchall():
            if name not in templates:
                log.info("shadow database of a killed run dropped name=%s", name)
                drop(self.connection, name)
        # Made from a database that is no more: nobody's turn is theirs.
        orphans = {name for (name,) in self.connection.execute(_ORPHANS, {"prefix": PREFIX}).fetchall()}
        for name in orphans:
            log.info("shadow database of a database that is gone dropped name=%s", name)
            drop(self.connection, name)
        for role, name in self._marked(PREFIX):
            if name in orphans or (name.startswith(self.prefix) and name not in templates):
                log.info("role of a killed run dropped role=%s", role)
                _drop_role(self.connection, role)

    def templates(self) -> list[str]:
        """Return the templates, those used last first."""
        return [name for (name,) in self.connection.execute(_USED_LAST, (self.template_prefix,))]

    def drop_templates_with_roles(self) -> None:
        """Drop the templates that have roles of their own, for a replay must not find them."""
        roles = self._marked()
        for name in {name for _, name in roles if name.startswith(self.template_prefix)}:
            drop(self.connection, name)
        for role, _ in roles:
            _drop_role(self.connection, role)

    @contextmanager
    def made(self, template: str = "template0") -> Iterator[Made]:
        """Make a database, empty or a copy of another, and drop it and all roles made meanwhile after the block."""
        before = {role for (role,) in self.connection.execute(_ROLES)}
        name = self.new_name()
        try:
            copy_database(self.connection, template, name)
        except psycopg.Error as error:
            raise ShadowUnavailable(masked(self.url), f"{_first_line(error)}.") from error
        try:
            yield Made(name, with_dbname(self.url, name), partial(self.mark_roles, name, before), before)
        finally:
            self._clear(name, before)

    def new_name(self) -> str:
        """Return a name for a database; the next run drops it if this one is killed."""
        return self.prefix + secrets.token_hex(4)

    def mark_roles(self, name: str, before: Collection[str]) -> None:
        """Mark the roles made since as those of the database of that name."""
        mark = _MARK + name
        with suppress(psycopg.Error):  # who may not comment on a role may not drop it either
            for (role,) in self.connection.execute(_NOT_MARKED, (list(before), mark)).fetchall():
                self.connection.execute(
                    sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(mark))
                )

    def keep_as_template(self, made: Made, template: str) -> bool:
        """Keep a copy of the database, and the roles made with it; false if it cannot be kept."""
        self.mark_roles(template, made.before)
        if self.connection.execute(_NOT_MARKED, (list(made.before), _MARK + template)).fetchall():
            made.mark_roles()
            return False  # somebody else's role, or one that we may not comment on: nobody would drop it
        copied = self.new_name()
        try:
            copy_database(self.connection, made.name, copied)
            close_database(self.connection, copied)
            self.connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(copied), sql.Identifier(template))
            )
        except psycopg.Error as error:
            log.debug("template not kept name=%s problem=%s", template, _first_line(error))
            made.mark_roles()
            drop(self.connection, copied)
            return False
        made.before.update(role for role, name in self._marked() if name == template)
        self.use_template(template)
        return True

    def use_template(self, template: str) -> None:
        """Note that it was used, and drop those that were not for longest."""
        with suppress(psycopg.Error):
            [(now,)] = self.connection.execute("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', %s)", (_MOMENT,))
            self.connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(template), sql.Literal(_USED + now))
            )
            for name in self.templates()[TEMPLATES_KEPT:]:
                drop(self.connection, name)

    def _marked(self, prefix: str | None = None) -> list[tuple[str, str]]:
        parameters = {"mark": _MARK, "prefix": prefix or self.prefix}
        return [(role, name) for role, name in self.connection.execute(_MARKED, parameters).fetchall()]

    def _clear(self, name: str, before: Collection[str]) -> None:
        try:
            drop(self.connection, name)
            for (role,) in self.connection.execute(_ROLES).fetchall():
                if role not in before:
                    _drop_role(self.connection, role)
        except psycopg.Error as error:
            # The next run drops it; what happened in the block is more important than this.
            log.warning("shadow database left behind name=%s problem=%s", name, _first_line(error))


def copy_database(connection: Connection, source: str, name: str) -> None:
    """
    Make a database as a copy of another, with what CREATE DATABASE leaves behind: its settings and grants.

    Whoever is connected to the other one loses the connection.
    """
    copied, target = sql.Identifier(source), sql.Identifier(name)
    if source != "template0":
        with suppress(psycopg.errors.InsufficientPrivilege):  # then it is to be hoped that nobody is connected
            connection.execute(_TERMINATE_OTHERS, (source,))
    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(target, copied))
    if source == "template0":
        return
    for role, setting in connection.execute(_SETTINGS_OF, (source,)).fetchall():
        whose = sql.SQL("ROLE {} IN ").format(sql.Identifier(role)) if role is not None else sql.SQL("")
        key, _, value = setting.partition("=")
        statement = sql.SQL("ALTER {}DATABASE {} SET {} FROM CURRENT")
        try:
            with connection.transaction():
                connection.execute("SELECT set_config(%s, %s, true)", (key, value))
                connection.execute(statement.format(whose, target, sql.Identifier(*key.split("."))))
        except psycopg.Error as error:
            log.debug("setting not copied setting=%s problem=%s", key, _first_line(error))
    grants = connection.execute(_GRANTS_OF, (source,)).fetchall()
    if grants:
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(target))
    for role, privilege, is_grantable, is_owners in grants:
        if not is_owners:
            to = sql.Identifier(role) if role is not None else sql.SQL("PUBLIC")
            option = sql.SQL(" WITH GRANT OPTION" if is_grantable else "")
            grant = sql.SQL("GRANT {} ON DATABASE {} TO {}{}")
            connection.execute(grant.format(sql.SQL(privilege), target, to, option))


def close_database(connection: Connection, name: str) -> None:
    """Let nobody connect to it, so that it stays as it is and can always be copied."""
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))


def drop(connection: Connection, name: str) -> None:
    """Drop a database, whoever is connected."""
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _drop_role(connection: Connection, role: str) -> None:
    try:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
    except psycopg.Error as error:
        log.warning("role of a shadow database left behind role=%s problem=%s", role, _first_line(error))


def with_dbname(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    parameters = conninfo_to_dict(libpq_url(url)) | {"dbname": name}
    pairs = (f"{key}={quote(str(value), safe='')}" for key, value in parameters.items() if value is not None)
    return "postgresql:///?" + "&".join(pairs)


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().partition("\n")[0]
