"""
Templates: shadow databases that already hold what given files make, replayed once and copied ever after.

What the same files make on the same server, under the same names, is the same; so it is kept under a digest of all that goes
in. On an embedded server that is the whole cluster, shut down, for roles belong to it; on a server of others a database,
``pgrollout_shadow_<oid>_template_<key>``. Only what ran to its end is kept. What is kept holds no rows but those that the
files insert.
"""

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psycopg

from pgrollout import __version__
from pgrollout.content import Content
from pgrollout.postgres.connection import connect
from pgrollout.postgres.embedded_binaries import Embedded, identity, installed_wheel
from pgrollout.postgres.replay import Replayed, replay, replayed_before, restore
from pgrollout.postgres.shadow import (
    APPLICATION,
    PREFIX,
    OtherServer,
    ShadowDatabase,
    at,
    bind,
    bound_schemas,
    close_database,
    copy_database,
    drop,
    names,
    on_embedded,
    opened,
    prepared,
    said_of_the_shadow,
    setup_text,
    shadow_unavailable,
    turn,
    wanted,
    with_dbname,
)
from pgrollout.postgres.throwaway import can_keep, cloned, throwaway
from pgrollout.settings import Database

log = logging.getLogger(__name__)

_FORMAT = 2
"""To be raised when a replay of the same files comes to mean something else."""
_EMBEDDED_TEMPLATE = f"{PREFIX}template"

WORTH_KEEPING_MS = 200
"""A replay on an embedded server that took less is run again: to keep a cluster and to copy it takes about as long."""

Fill = Callable[[ShadowDatabase], Replayed]
"""Makes on an empty shadow database what is to be there."""


@dataclass(frozen=True, slots=True)
class ReplayedShadow:
    """A shadow database that holds what files make, and more of the same on demand."""

    shadow: ShadowDatabase
    replayed: Replayed
    """How far the replay came; it is the same whether it ran now or earlier."""
    template: str
    """Database on the same server with the same content, to which nobody connects; on an embedded one if clones are asked for."""
    prefix: str
    """Begins the names of databases that are dropped, if not by us, then by the next run."""
    maintenance: Database = field(repr=False)
    """Settings of a connection that may make databases there."""

    @contextmanager
    def clone(self) -> Iterator[ShadowDatabase]:
        """Give another database with what the files made, whatever was done to the first one meanwhile."""
        name = self.prefix + secrets.token_hex(4)
        with connect(self.maintenance, application_name=APPLICATION) as connection:
            copy_database(connection, self.template, name)
            try:
                url = with_dbname(self.shadow.url, name)
                yield replace(self.shadow, name=name, url=url, database=at(self.maintenance, url))
            finally:
                drop(connection, name)


@contextmanager
def replayed_shadow(
    database: Database,
    contents: Sequence[Content],
    *,
    roles: Iterable[str] = (),
    target_version: int | None = None,
    clones: bool = False,
) -> Iterator[ReplayedShadow | None]:
    """
    Make a shadow database that holds what the files make, and drop it after the block; None where settings say ``none``.

    A replay that ran to its end on the same server, of the same files and under the same names, is not run again. On a server
    of others, only one shadow exists at a time: use ``clone`` for more, not another block inside this one.

    Args:
        database: Settings of the database that the shadow stands for.
        contents: The files, in order.
        roles: More roles, as GRANT statements name them.
        target_version: ``server_version_num`` of the live database's server; None if it is not known.
        clones: Whether ``clone`` will be asked for more of the same.

    Raises:
        ReplayFailed: A statement does not run, and not for lack of something on the shadow's server.
        ShadowUnavailable, LockNotAcquired, ConfigurationError, LoginFailed, ServerUnavailable: As for ``shadow``.
    """

    def fill(made: ShadowDatabase) -> Replayed:
        bind(made, bound_schemas(database))
        return replay(made, contents, target_version=target_version)

    with _filled(
        database,
        list(roles),
        fill,
        _source(contents),
        len(contents),
        clones=clones,
    ) as filled:
        yield filled


@contextmanager
def copied_shadow(
    database: Database,
    schema_sql: bytes,
    contents: Sequence[Content],
    *,
    roles: Iterable[str] = (),
    target_version: int | None = None,
    clones: bool = False,
) -> Iterator[ReplayedShadow | None]:
    """
    Make a shadow database that is a copy of a live schema, on which the files have run; as ``replayed_shadow`` otherwise.

    Roles that the schema names are made NOLOGIN. It is not kept: a schema comes from production, and is no release.

    Args:
        database: Settings of the database that the shadow stands for.
        schema_sql: A plain dump, ``pg_dump --schema-only``.
        contents: The files, in order.
        roles: More roles, as GRANT statements name them.
        target_version: ``server_version_num`` of the live database's server; None if it is not known.
        clones: Whether ``clone`` will be asked for more of the same.
    """

    def fill(made: ShadowDatabase) -> Replayed:
        if lacking := restore(made, schema_sql):
            return Replayed(0, lacking)
        bind(made, bound_schemas(database))
        return replay(made, contents, target_version=target_version)

    with _filled(database, list(roles), fill, None, len(contents), clones=clones) as filled:
        yield filled


@contextmanager
def _filled(
    database: Database, roles: list[str], fill: Fill, source: dict[str, object] | None, files: int, *, clones: bool
) -> Iterator[ReplayedShadow | None]:
    match database.shadow.server:
        case "none":
            yield None
        case "embedded":
            with _on_embedded(database, roles, fill, source, files, clones=clones) as filled:
                yield filled
        case "url":
            with turn(database) as server, _on_server(database, server, roles, fill, source, files) as filled:
                yield filled


@contextmanager
def _on_embedded(
    database: Database, roles: list[str], fill: Fill, source: dict[str, object] | None, files: int, *, clones: bool
) -> Iterator[ReplayedShadow]:
    started = time.monotonic()
    called = names(database)
    with shadow_unavailable():
        programs = identity(installed_wheel())
    key = None
    if source is not None and can_keep():
        key = embedded_key(database, roles, programs, source)
        with said_of_the_shadow(cloned(key)) as clone:
            if clone is not None:
                url = replace(clone, user=called.owner).url(called.dbname)
                shadow = opened(at(database, url), url)
                log.debug("shadow cloned key=%s duration_ms=%d", key, (time.monotonic() - started) * 1000)
                if clones:
                    _make_template(clone, shadow)
                yield ReplayedShadow(
                    shadow, replayed_before(shadow, files), _EMBEDDED_TEMPLATE, PREFIX, at(database, clone.url())
                )
                return
    with said_of_the_shadow(throwaway()) as server:
        shadow = on_embedded(database, server, called, roles)
        began = time.monotonic()
        replayed = fill(shadow)
        took_ms = (time.monotonic() - began) * 1000
        if key is not None and replayed.is_complete and took_ms >= WORTH_KEEPING_MS:
            with shadow_unavailable():
                server.keep(key)
            log.debug("shadow made key=%s duration_ms=%d", key, (time.monotonic() - started) * 1000)
        if clones:
            _make_template(server, shadow)
        yield ReplayedShadow(shadow, replayed, _EMBEDDED_TEMPLATE, PREFIX, at(database, server.url()))


def _make_template(server: Embedded, shadow: ShadowDatabase) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        copy_database(connection, shadow.name, _EMBEDDED_TEMPLATE)
        close_database(connection, _EMBEDDED_TEMPLATE)


@contextmanager
def _on_server(
    database: Database,
    server: OtherServer,
    roles: list[str],
    fill: Fill,
    source: dict[str, object] | None,
    files: int,
) -> Iterator[ReplayedShadow]:
    started = time.monotonic()
    template = server.new_name()
    if source is not None:
        info = server.connection.info
        parts = [info.parameter_status("server_version"), info.user]
        template = server.template_prefix + _digest(database, roles, parts, source)[:16]
        if template in server.templates():
            server.use_template(template)
            with server.made(template) as made:
                shadow = opened(at(database, made.url), made.url, made.mark_roles)
                log.debug("shadow cloned name=%s duration_ms=%d", template, (time.monotonic() - started) * 1000)
                yield ReplayedShadow(
                    shadow, replayed_before(shadow, files), template, server.prefix, at(database, server.url)
                )
            return
    server.drop_templates_with_roles()
    with server.made() as made:
        shadow = prepared(database, made.url, [*wanted(database), *roles], made.mark_roles)
        replayed = fill(shadow)
        is_kept = source is not None and replayed.is_complete and server.keep_as_template(made, template)
        if not is_kept:
            template = server.new_name()
            copy_database(server.connection, made.name, template)
            close_database(server.connection, template)
        try:
            yield ReplayedShadow(shadow, replayed, template, server.prefix, at(database, server.url))
        finally:
            if not is_kept:
                drop(server.connection, template)


def embedded_key(database: Database, roles: list[str], programs: str, source: dict[str, object]) -> str:
    """Return the key of what a replay makes on an embedded server; ``programs`` tells its version and build."""
    called = names(database)
    return "replayed-" + _digest(database, roles, [programs, called.dbname, called.login, called.owner], source)


def _source(contents: Sequence[Content]) -> dict[str, object]:
    """Return what tells these files, in this order, from all others."""
    files = [content.migration for content in contents]
    return {
        "files": [
            {"name": file.name, "size_bytes": len(file.content), "sha256": hashlib.sha256(file.content).hexdigest()}
            for file in files
        ]
    }


def _digest(database: Database, roles: list[str], server: list[str | None], source: dict[str, object]) -> str:
    """Return a digest of all that a replay depends on, as a release's is made."""
    said = {
        "format": _FORMAT,
        "tool_version": __version__,
        "server": server,
        "roles": sorted({*wanted(database), *roles}),
        "setup_sql": setup_text(database),
        "search_path": bound_schemas(database),
        **source,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
