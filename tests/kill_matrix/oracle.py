"""
Oracle: whether a database is as if nobody had ever disturbed anything.

Compares schema, data and history with those of a run that nobody disturbed, counts in the server's log what took effect,
and looks for what a dead run may leave behind. Each function returns the problems it finds, as sentences.
"""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.kill_matrix.scenarios import Scenario
from tests.kill_matrix.server_log import Entry, took_effect
from tests.project import Project
from tests.servers import Database

LEAVING_SECONDS = 10.0
"""How long a backend may take to notice that its client has gone."""
_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('pgrollout', 'atlas_schema_revisions') ORDER BY 1
"""
_HISTORY = (
    "SELECT (version, description, type, applied, total, error, error_stmt, partial_hashes)::text "
    "FROM atlas_schema_revisions.atlas_schema_revisions ORDER BY version"
)
_CARCASSES = """
SELECT 'the index ' || indexrelid::regclass || ' is invalid' FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)
UNION ALL SELECT 'the index ' || oid::regclass || ' is left' FROM pg_class WHERE relkind = 'i' AND relname ~ '_cc(new|old)\\d*$'
UNION ALL SELECT 'the partition ' || inhrelid::regclass || ' waits to be detached' FROM pg_inherits WHERE inhdetachpending
"""
_LEFT = """
SELECT 'the backend ' || application_name || ' (pid ' || pid || ', ' || coalesce(state, '') || ') is left'
FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgrollout/%'
UNION ALL SELECT 'an advisory lock is held by pid ' || pid FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT 'a transaction is prepared: ' || gid FROM pg_prepared_xacts WHERE database = current_database()
"""
_LEDGER = """
SELECT 'the intent of ' || version || ', statement ' || position || ' is open' FROM pgrollout.step WHERE ended_at IS NULL
UNION ALL SELECT 'the run ' || id || ' has no end' FROM pgrollout.run WHERE ended_at IS NULL OR outcome IS NULL
UNION ALL SELECT 'the lease of ' || run || ' was not given back' FROM pgrollout.lease WHERE isfinite(heartbeat)
UNION ALL SELECT 'statement ' || position || ' of ' || version || ' was done ' || count(*) || ' times, says the ledger'
FROM pgrollout.step WHERE outcome = 'done' AND kind <> 'resolve' GROUP BY version, position HAVING count(*) > 1
UNION ALL SELECT 'the history has ' || applied || ' of ' || total || ' statements of ' || version || ': ' || error
FROM atlas_schema_revisions.atlas_schema_revisions WHERE applied <> total OR error <> ''
"""

_DETACH = re.compile(r"DETACH PARTITION (\w+) CONCURRENTLY$")
_FINALIZE = re.compile(r'DETACH PARTITION "?\w+"?\."?(\w+)"? FINALIZE$')
LOST = "SELECT 1 FROM pgrollout.lease WHERE isfinite(heartbeat)"
"""The lease was not given back: its run died when all was done."""
IS_DEAD = "SELECT 1 FROM pgrollout.lease WHERE heartbeat < clock_timestamp() - interval '1.1 s'"
"""Longer ago than the runs here let a lease live."""


@dataclass(frozen=True)
class Picture:
    """What a database has."""

    schema: str
    data: str
    history: str

    def differences(self, other: "Picture") -> Iterator[str]:
        """Tell what differs, an undisturbed run's first."""
        for what, wanted, got in (
            ("schema", self.schema, other.schema),
            ("data", self.data, other.data),
            ("history", self.history, other.history),
        ):
            if wanted != got:
                yield f"the {what} is not an undisturbed run's: {changes(wanted, got)}"


def picture(database: Database) -> Picture:
    """Return schema, data and history, without what differs from one database to the next."""
    schema = _dump(database, "--schema-only", "--exclude-schema=pgrollout")
    with database.connect() as connection:
        tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
        data = [
            f"{name} {row}"
            for name in tables
            for row in _column(connection, f"SELECT t::text FROM {name} t ORDER BY 1")
        ]
        data += _column(
            connection, "SELECT 'database ' || datname FROM pg_database WHERE datname LIKE 'case%' ORDER BY 1"
        )
        history = _column(connection, _HISTORY)
    return Picture(*(text.replace(database.name, "{db}") for text in (schema, "\n".join(data), "\n".join(history))))


def everything(database: Database) -> str:
    """Return everything in the database, the ledger included."""
    return _dump(database)


def carcasses(database: Database) -> list[str]:
    """Return what an interrupted statement has left in the catalog."""
    return [text for (text,) in database.execute(_CARCASSES)]


def left_behind(database: Database) -> list[str]:
    """Return backends, locks and transactions that are still there, once those on their way out have gone."""
    deadline = time.monotonic() + LEAVING_SECONDS
    with database.connect() as connection:
        while (left := connection.execute(_LEFT).fetchall()) and time.monotonic() < deadline:
            time.sleep(0.01)
    return [text for (text,) in left]


def records(project: Project) -> list[str]:
    """Return where the ledger is not at its end, or contradicts the history, or that the directory."""
    problems = [text for (text,) in project.database.execute(_LEDGER)]
    hashes = dict(line.split(" h1:") for line in (project.migrations / "atlas.sum").read_text().splitlines()[1:])
    wanted = sorted((name.partition("_")[0], sum) for name, sum in hashes.items())
    got = project.database.execute("SELECT version, hash FROM atlas_schema_revisions.atlas_schema_revisions ORDER BY 1")
    return problems + ([] if got == wanted else [f"the history has the hashes {got}, the directory {wanted}"])


def token(database: Database) -> int:
    """Return the newest token of the ledger; 0 without one."""
    if database.execute("SELECT to_regclass('pgrollout.lease') IS NULL") == [(True,)]:
        return 0
    return int(database.execute("SELECT coalesce(max(token), 0) FROM pgrollout.lease")[0][0])


def waits_for_lock(database: Database, but: str) -> bool:
    """Whether a run other than this one asks for Atlas's lock."""
    return bool(
        database.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgrollout/%%' "
            "AND application_name NOT LIKE %s AND query LIKE '%%pg_try_advisory_lock%%'",
            f"pgrollout/{but}/%",
        )
    )


def changes(before: str, after: str) -> str:
    """Return the lines that are gone, and those that are new."""
    old, now = (Counter(line for line in text.splitlines() if line.strip("- ")) for text in (before, after))
    gone, new = sorted((old - now).elements()), sorted((now - old).elements())
    return f"gone {gone}, new {new}"


def effects(scenario: Scenario, database: Database, entries: Iterable[Entry], *, may_be_lost: bool) -> list[str]:
    """Return which statements did not take effect exactly once, as the server's log has it."""
    counts = Counter(command for command, _ in took_effect(entries))
    # A detach that was interrupted when its first half was committed is finished, not done again.
    finished = Counter(found[1] for command in counts.elements() if (found := _FINALIZE.search(command)))
    problems = []
    for statement in sorted(scenario.named(database.name)):
        detach = _DETACH.search(statement)
        times = counts[statement] or (finished[detach[1]] if detach else 0)
        is_right = (
            times == 1 or (times == 0 and may_be_lost) or (times > 1 and re.match(scenario.may_repeat, statement))
        )
        if not is_right:
            problems.append(f"took effect {times} times, says the server's log: {statement}")
    return problems


def _column(connection: psycopg.Connection[tuple[Any, ...]], query: str) -> list[str]:
    return [str(value) for (value,) in connection.execute(query.encode()).fetchall()]


def _dump(database: Database, *options: str) -> str:
    program = database.server.bin / "pg_dump"
    done = subprocess.run([program, database.url, *options], check=True, capture_output=True, text=True)
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
