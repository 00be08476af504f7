"""
Takeover: ends what earlier attempts have left running, so that the past can be read.

A transaction may commit after its client's death, and a frozen client may wake: no row and no catalog state of the past
counts before every backend of an older token is gone. Backends are told by the name in their start-up packet,
``pgrollout/<run>/<token>``, and ended by pid and start together, so that nobody else's is. An online build that is still at
work is not ended but waited for: it is what the dead run was asked to do.

Source: PostgreSQL manual, "Server Signaling Functions", "CREATE INDEX Progress Reporting".
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from pgrollout.errors import OrphanNotOurs
from pgrollout.postgres.connection import Connection, as_login
from pgrollout.postgres.execute import StatementLeft
from pgrollout.quoting import name

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
REPORT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """A backend of an earlier attempt."""

    pid: int
    application_name: str
    user: str
    build: str | None
    """The online build it is at, how far that is, and whom it waits for; None if it is at none."""

    @property
    def run(self) -> str:
        """The run that it is of."""
        return self.application_name.split("/")[1]

    @property
    def token(self) -> int | None:
        """The token that it writes with; None for a supervising connection."""
        last = self.application_name.split("/")[2]
        return int(last) if last.isdecimal() else None


# Supervising and executing connections, of any run; digits are a token.
_ATTEMPTS = r"""
SELECT a.pid, a.application_name, a.usename::text,
    CASE WHEN a.state = 'active' AND p.command IN ('CREATE INDEX CONCURRENTLY', 'REINDEX CONCURRENTLY') THEN
        pg_catalog.format('%%s of %%s, %%s%%s%%s', p.command, p.relid::pg_catalog.regclass, p.phase,
            CASE WHEN p.blocks_total > 0 THEN ', ' || 100 * p.blocks_done / p.blocks_total || ' %%' END,
            CASE WHEN p.current_locker_pid > 0 THEN ', waits for pid ' || p.current_locker_pid END)
    END
FROM pg_catalog.pg_stat_activity a
LEFT JOIN pg_catalog.pg_stat_progress_create_index p USING (pid)
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.application_name ~ '^pgrollout/[^/]+/([0-9]{1,18}|watch)$'
"""
# Of a run without a lease every sign of life is a query of its supervising connection.
_SILENT = r"""
SELECT e.pid, e.application_name, e.usename::text, NULL
FROM pg_catalog.pg_stat_activity e
LEFT JOIN pg_catalog.pg_stat_activity w
    ON w.datname = e.datname AND w.application_name = pg_catalog.regexp_replace(e.application_name, '/0$', '/watch')
WHERE e.datname = pg_catalog.current_database() AND e.application_name ~ '^pgrollout/[^/]+/0$'
  AND coalesce(w.state_change, e.state_change) < pg_catalog.clock_timestamp() - %(timeout)s * interval '1 millisecond'
"""
_TERMINATE = """
SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
WHERE a.pid = %(pid)s AND a.application_name = %(name)s
"""


def orphans(connection: Connection, schema: str, token: int, run: str) -> tuple[Orphan, ...]:
    """
    Return the backends of attempts with a token older than this one.

    Args:
        connection: The supervising connection.
        schema: The ledger's schema.
        token: The token; older ones are others'.
        run: The run that had the lease before, which may have written nothing else.
    """
    found = [Orphan(*row) for row in as_login(connection, _ATTEMPTS, {})]
    # Token 0 is of runs that began before there was a ledger, ``watch`` of supervising connections: of dead runs only if
    # they have come to write something. Those that wait for their turn have the same names, and no row.
    rows = connection.execute(
        f"SELECT id FROM {name(schema, 'run')} WHERE token < %s AND id = ANY (%s)",
        [token, [orphan.run for orphan in found]],
    ).fetchall()
    dead = {run} | {row[0] for row in rows}
    return tuple(
        orphan for orphan in found if (orphan.run in dead if orphan.token in (None, 0) else orphan.token < token)
    )


def silent(connection: Connection, timeout_ms: int) -> tuple[Orphan, ...]:
    """
    Return the executing backends of runs that began before there was a ledger, and have given no sign of life for so long.

    Args:
        connection: The supervising connection.
        timeout_ms: When a run counts as dead, in milliseconds.
    """
    return tuple(Orphan(*row) for row in as_login(connection, _SILENT, {"timeout": timeout_ms}))


def terminate(connection: Connection, found: tuple[Orphan, ...]) -> None:
    """
    End these backends, but for online builds that are at work.

    Raises:
        OrphanNotOurs: The role may not end one of them.
    """
    for orphan in found:
        if orphan.build is not None:
            continue
        try:
            as_login(connection, _TERMINATE, {"pid": orphan.pid, "name": orphan.application_name})
        except psycopg.errors.InsufficientPrivilege as error:
            raise OrphanNotOurs(orphan.pid, orphan.application_name, orphan.user, connection.info.user) from error
        log.warning('backend of an earlier run ended pid=%d run="%s"', orphan.pid, orphan.application_name)


def end_all(
    connection: Connection,
    schema: str,
    token: int,
    run: str,
    report: Callable[[str], None],
    deadline: float | None = None,
) -> None:
    """
    End every backend of an older token, and return when all are gone.

    An online build is adopted: waited for until its backend is no longer at it, and that then ended.

    Args:
        connection: The supervising connection.
        schema: The ledger's schema.
        token: The token that was taken; older ones are others'.
        run: The run that had the lease before.
        report: Told what is waited for.
        deadline: Until when an online build is waited for, by ``time.monotonic``; None is as long as it takes.

    Raises:
        OrphanNotOurs: The role may not end one of them.
        StatementLeft: The deadline has passed, and an online build goes on.
    """
    logged: float | None = None
    while found := orphans(connection, schema, token, run):
        terminate(connection, found)
        for orphan in found:
            if orphan.build is None:
                continue
            if deadline is not None and time.monotonic() >= deadline:
                raise StatementLeft(f" ({orphan.build})")
            report(f"waiting for pid {orphan.pid} of {orphan.application_name}: {orphan.build}")
            if logged is None or time.monotonic() - logged >= REPORT_SECONDS:
                log.info(
                    'online build adopted pid=%d run="%s" build="%s"', orphan.pid, orphan.application_name, orphan.build
                )
                logged = time.monotonic()
        time.sleep(POLL_SECONDS)
