"""
Connections: from a database's settings to an open connection.

Whatever libpq understands works: URL, service file, PG* variables, TLS up to ``verify-full``, several hosts. URL
parameters that libpq does not know become server settings, as Atlas's driver has it. Knows nothing of migrations.

Source: PostgreSQL manual, "Connection URIs", "Environment Variables".
"""

import logging
import os
import re
import select
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote

import psycopg
from psycopg import waiting
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from pgrollout.errors import ConfigurationError, LoginFailed, NoConnectionLeft, PgrolloutError, ServerUnavailable
from pgrollout.quoting import name
from pgrollout.settings import Database, Target, masked, target

log = logging.getLogger(__name__)

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
_Answer = TypeVar("_Answer")
_Answering: TypeAlias = Generator[waiting.Wait, waiting.Ready | int, _Answer]

WAKE_SECONDS = 0.1
"""How often a wait for an answer looks up."""
TCP = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 15_000}
"""Else a wait for an answer would outlive a server that lost its power by hours: nothing is sent while it lasts."""
_SCHEMES = ("postgresql://", "postgres://")
_PERMANENT = re.compile(
    r"authentication failed|no password supplied|does not exist|pg_hba\.conf|certificate|"
    r"SSL(?! SYSCALL| connection has been closed)|not permitted to log in|role .* is not|"
    r"invalid (connection option|port|sslmode|integer)|definition of service|service file"
)
_FULL = re.compile(
    r"too many (clients|connections)|connection slots are reserved|no more connections allowed|query_wait_timeout"
)
"""What the server says, and PgBouncer; libpq gives no SQLSTATE."""


class WatchedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which an answer is not waited for when it cannot come any more."""

    given_up: Callable[[float], str | None] = staticmethod(lambda _: None)
    """Asked again and again why an answer will not come that was waited for since then, by ``time.monotonic``; None: it may."""

    def wait(self, gen: _Answering[_Answer], interval: float = WAKE_SECONDS, timeout: float | None = None) -> _Answer:
        """Wait as psycopg does, for as long as an answer may come."""
        return super().wait(until_given_up(self, gen), interval, timeout)


def until_given_up(connection: Connection, answering: _Answering[_Answer]) -> _Answering[_Answer]:
    """
    Wait for an answer, as long as it may come; then close the connection.

    Raises:
        psycopg.OperationalError: It is given up.
    """
    since = time.monotonic()
    try:
        wait = next(answering)
        while True:
            if wait != waiting.WAIT_R:
                since = time.monotonic()  # not all is sent
            ready = yield wait
            if not ready and isinstance(connection, WatchedConnection) and (reason := connection.given_up(since)):
                connection.close()
                raise psycopg.OperationalError(reason)
            wait = answering.send(ready)
    except StopIteration as ended:
        answer: _Answer = ended.value
        return answer


def libpq_url(url: str) -> str:
    """
    Return the URL as libpq takes it: parameters it does not know are moved into ``options``.

    Raises:
        ConfigurationError: The text is no PostgreSQL URL.
    """
    if not url.startswith(_SCHEMES):
        shown = masked(url) if "://" in url else "a text that does not begin with postgresql://"
        raise ConfigurationError("the database URL", f"is {shown}.", "Write postgresql://user@host:5432/database.")
    base, query = _parts(url)
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} | {"ssl"}
    kept: list[str] = []
    options: list[str] = []
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key == "options":
            options.insert(0, unquote(value))
        elif key in known:
            kept.append(pair)
        else:
            options.append("-c " + unquote(key) + "=" + re.sub(r"([\\\s])", r"\\\1", unquote(value)))
    if options:
        kept.append("options=" + quote(" ".join(options), safe=""))
    moved = base + ("?" + "&".join(kept) if kept else "")
    _check(moved, base)
    return moved


def _parts(url: str) -> tuple[str, str]:
    """Return what stands before the parameters, and those; a ``?`` in the password begins none, as libpq has it."""
    start = url.find("://") + 3
    slash = url.find("/", start)
    login_end = url.rfind("@", start, slash if slash >= 0 else len(url)) + 1
    mark = url.find("?", login_end)
    return (url, "") if mark < 0 else (url[:mark], url[mark + 1 :])


def _check(url: str, base: str) -> None:
    """Refuse a URL that libpq cannot read, or would read otherwise than meant; its own words quote the password."""
    advice = "In user and password write @ as %40, / as %2F, : as %3A, % as %25 and a space as %20."
    try:
        conninfo_to_dict(url)
    except psycopg.Error as error:
        problem = re.sub(r'"[^"]*"', "…", str(error).strip()).partition("\n")[0].rstrip(":. …")
        raise ConfigurationError("the database URL", f"cannot be read: {problem}.", advice) from None
    if "@" in base.partition("://")[2].partition("/")[2]:
        raise ConfigurationError("the database URL", "has an @ behind its first /.", advice)


def url_search_path(database: Database) -> str | None:
    """Return the URL's ``search_path`` parameter, which binds Atlas to one schema; None without one."""
    where = target(database)
    if where.kind != "url":
        return None
    for pair in _parts(where.value.get_secret_value())[1].split("&"):
        key, _, value = pair.partition("=")
        if key == "search_path" and value:
            return unquote(value)
    return None


@contextmanager
def conninfo(database: Database, *, start: bool = True) -> Iterator[str]:
    """
    Give the libpq connection string of the database while the block lasts; it may hold a password.

    The embedded server is started for the block when it is the target and not running, unless ``start`` is false.
    """
    where = target(database)
    match where.kind:
        case "url":
            yield libpq_url(where.value.get_secret_value())
        case "service":
            yield make_conninfo(service=where.value.get_secret_value())
        case "libpq":
            yield ""
        case "embedded":
            from pgrollout.postgres import embedded

            with embedded.server(database.root, start=start) as server:
                yield server.database(database.name)


@contextmanager
def connect(database: Database, *, application_name: str, start: bool = True) -> Iterator[Connection]:
    """
    Open a connection in autocommit mode, as the configured role, and close it after the block.

    Args:
        database: Its settings.
        application_name: How ``pg_stat_activity`` shows it, at most 63 bytes; set in the start-up packet.
        start: Whether the embedded server may be started.

    Raises:
        LoginFailed: The server, or libpq, refuses for a reason that waiting does not cure.
        ServerUnavailable: No host answered.
        NoConnectionLeft: Others have all that there are.
    """
    with connecting(database, start=start) as open_connection, open_connection(application_name) as connection:
        yield connection


Connecting: TypeAlias = Callable[[str], AbstractContextManager[WatchedConnection]]
"""Opens one more connection to the same database, by its ``application_name``, for a block."""


@contextmanager
def connecting(database: Database, *, start: bool = True) -> Iterator[Connecting]:
    """
    Give what opens connections while the block lasts, all by one reading of the settings: a file with the URL may change.

    Arguments and errors as for ``connect``.
    """
    with conninfo(database, start=start) as text:
        yield partial(_connection, database, text)


@contextmanager
def _connection(database: Database, text: str, application_name: str) -> Iterator[WatchedConnection]:
    with _open(database, text, application_name) as connection:
        if database.pooler != "auto":
            _check_answers(connection, database)
        if database.role:
            try:
                connection.execute("SET ROLE " + name(database.role))
            except psycopg.Error as error:
                raise LoginFailed(_shown(database), f"role {database.role}: {_first_line(error)}.") from error
        yield connection


def _open(database: Database, text: str, application_name: str) -> WatchedConnection:
    try:
        return WatchedConnection.connect(
            text,
            **_tcp(text),
            **_primary(text),
            autocommit=True,
            prepare_threshold=None,
            client_encoding="UTF8",  # the files are; a database of another encoding converts
            application_name=application_name,
            connect_timeout=max(1, round(database.connect_timeout_ms / 1000)),
        )
    except psycopg.Error as error:
        raise _unavailable(database, error) from error


def _check_answers(connection: Connection, database: Database) -> None:
    """Raise NoConnectionLeft if a query is not answered in time: a pooler lets everybody in, and keeps the query waiting."""
    pgconn, deadline = connection.pgconn, time.monotonic() + database.connect_timeout_ms / 1000
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    try:
        pgconn.send_query(b"SELECT")
        while pgconn.is_busy():
            if not poll.poll(max(0, (deadline - time.monotonic()) * 1000)):
                connection.close()
                waited = (
                    f"no connection to the server within {database.connect_timeout_ms / 1000:.0f} s from the pooler."
                )
                raise NoConnectionLeft(_shown(database), waited)
            pgconn.consume_input()
        while pgconn.get_result() is not None:
            pass
    except psycopg.Error as error:
        connection.close()
        raise _unavailable(database, error) from error


def _unavailable(database: Database, error: psycopg.Error) -> PgrolloutError:
    if _PERMANENT.search(str(error)):
        return LoginFailed(_shown(database), _first_line(error))
    if _FULL.search(str(error)):
        return NoConnectionLeft(_shown(database), _first_line(error) + ".")
    return ServerUnavailable(_shown(database), _first_line(error))


def _tcp(text: str) -> dict[str, Any]:
    """Notice within seconds that the server's host is gone, or the way to it, unless the URL says otherwise."""
    given = conninfo_to_dict(text)
    return {key: value for key, value in TCP.items() if key not in given}


def as_login(connection: Connection, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """
    Return the rows of a query that runs as who logged in, whatever role was set since.

    A backend belongs to who logged in: the role that it has set may neither see its state nor end it.
    """
    # One message is one transaction, and SET LOCAL ends with it.
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(f"SET LOCAL ROLE NONE;\n{query}".encode(), values)
    cursor.nextset()
    return cursor.fetchall()


def _primary(text: str) -> dict[str, Any]:
    """Among several hosts ask for the primary, unless the settings say otherwise: after a failover it is another."""
    given = conninfo_to_dict(text)
    hosts = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    is_said = given.get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
    return {"target_session_attrs": "primary"} if "," in str(hosts) and not is_said else {}


def _shown(database: Database) -> str:
    """Describe the target without its password: where it is, and who says so."""
    where: Target = target(database)
    text = masked(where.value.get_secret_value()) if where.kind == "url" else ""
    if where.kind == "libpq":
        host, name = (os.environ.get(key, "") for key in ("PGHOST", "PGDATABASE"))
        text = f"{host}/{name}".strip("/")
    return f"database {database.name} ({f'{text}, from ' if text else ''}{where.source})"


def _first_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # With several hosts psycopg lists each attempt; all of them tell more than the last.
    return "; ".join(lines) if len(lines) <= 6 else "; ".join(lines[:6]) + " …"
