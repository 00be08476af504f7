"""Statements that are held in their middle and killed there: what the tests of settling share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from pgrollout.outside import Outside, outside
from pgrollout.splitter import keywords
from tests.project import Project, eventually, is_gone
from tests.servers import Database


def what(text: str) -> Outside:
    """Read a statement that cannot run in a transaction."""
    found = outside(text, keywords(text), refused=True)
    assert found is not None
    return found


@contextmanager
def holding(database: Database, *statements: str) -> Iterator[None]:
    """Keep a transaction open that has run these statements."""
    with database.connect() as connection:
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement.encode())
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def running(database: Database, *statements: str, name: str = "") -> Iterator[int]:
    """Run statements in schema ``app`` on a connection of their own, and give its pid; with the block, they end."""
    with database.connect(options="-c search_path=app", application_name=name) as connection:

        def run() -> None:
            with suppress(psycopg.Error):
                for statement in statements:
                    connection.execute(statement.encode())

        thread = threading.Thread(target=run, daemon=True)
        pid = connection.info.backend_pid
        thread.start()
        try:
            yield pid
        except BaseException:
            connection.cancel_safe()
            raise
        finally:
            thread.join(60)


@contextmanager
def orphaned_build(project: Project) -> Iterator[int]:
    """Let a backend of a run that died build an index of table ``a`` online as long as the block lasts; give its pid."""
    database, build = project.database, "CREATE INDEX CONCURRENTLY orphaned ON public.a (id)"
    with (
        holding(database, "LOCK TABLE a IN ROW EXCLUSIVE MODE"),
        running(database, build, name="pgrollout/orphan/1") as pid,
    ):
        eventually(lambda: waits(database, pid), "the build of a dead run")
        # As if the lease of the run before were that run's, which did not give it back.
        database.execute("UPDATE pgrollout.lease SET run = 'orphan', heartbeat = now() - interval '1 hour'")
        try:
            yield pid
        finally:
            database.execute("SELECT pg_cancel_backend(%s)", pid)


def waits(database: Database, pid: int) -> bool:
    """Whether the backend waits for another transaction, or for a lock."""
    return bool(database.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", pid))


def kill(database: Database, pid: int) -> None:
    """Terminate a backend, and wait until it is gone."""
    database.execute("SELECT pg_terminate_backend(%s)", pid)
    eventually(lambda: is_gone(database, pid), "the end of a backend")


def interrupt(database: Database, statement: str, held_by: str, is_reached: Callable[[], object]) -> None:
    """Kill a statement while an open transaction holds it up, at the point where something is reached."""
    with holding(database, held_by), running(database, statement) as pid:
        eventually(lambda: is_reached() and waits(database, pid), f"{statement} half done")
        kill(database, pid)


def invalid(database: Database) -> list[str]:
    """Return the invalid indexes."""
    rows = database.execute(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid ORDER BY 1"
    )
    return [row[0] for row in rows]
