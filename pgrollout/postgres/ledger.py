"""
The ledger: how the history came about, in a schema of its own beside Atlas's table.

Reads what a run must know (the newest token, intents without an end) and gives the SQL that writes. Every write follows
the fence in the same transaction, so a run that lost its lease can write nothing. The ledger's own changes are the numbered
files of ``ledger_sql/``, applied under the run lock. What has been applied is never asked here: that is Atlas's table.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from pgrollout import __version__
from pgrollout.postgres import lease
from pgrollout.postgres.atlas_lock import LOCK_KEY
from pgrollout.postgres.connection import Connection
from pgrollout.quoting import literal, name

_IS = "OPERATOR(pg_catalog.=)"
"""With its schema: the search path, a migration's, may hold others."""


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """A statement that was started outside a transaction, and whose end nobody saw."""

    step: int
    """Its row in ``step``."""
    run: str
    """The run that started it."""
    version: str
    """Version of the migration."""
    position: int
    """Statement of the file, from 1."""
    statement: str
    """Its text, password literals masked."""
    hash: str
    """Digest of its text."""
    since: datetime
    """When it was started."""
    before: Mapping[str, Any] | None = None
    """What the catalog showed before; None if it was not asked."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the ledger says before a run."""

    schema: str
    """Its schema."""
    number: int
    """Newest of its numbered SQL files; 0 where there is no ledger yet."""
    token: int
    """The newest token; 0 where nobody has written yet."""
    open_intents: tuple[OpenIntent, ...] = ()
    """Of the same history, oldest first."""
    silent_ms: float | None = None
    """For how long the run that has the lease gave no sign of life; None if it gave the lease back."""
    newest: tuple[str, str] | None = None
    """The newest run of the same history, and the plan that it began with."""

    @property
    def exists(self) -> bool:
        """Whether the schema has the ledger's tables."""
        return self.number > 0


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of apply on one database, as the ledger keeps it."""

    id: str
    """Names its files, its connections and its rows."""
    history: str
    """Schema of the revisions table it works on."""
    token: int
    """The token it writes with."""
    release: str
    """Digest of the release."""
    plan: str
    """Digest of the plan."""
    server_version: int
    """As ``server_version_num``."""
    started_by: str
    """User and host."""
    source: str
    """Where it was started: ``cli``, or the Prefect flow run."""
    reason: str = ""
    """Why, in the operator's words."""


def read(connection: Connection, schema: str, history: str) -> Ledger:
    """Return the state of the ledger, and the open intents of one history."""
    row = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [name(schema, "upgrade")]).fetchone()
    if not row or not row[0]:
        return Ledger(schema, 0, 0)
    # A copy of the schema without rows has no number: what is there tells it.
    number = (
        f"coalesce((SELECT max(number) FROM {name(schema, 'upgrade')}), "
        f"1 + (pg_catalog.to_regclass({literal(name(schema, 'fingerprint'))}) IS NOT NULL)::integer + "
        f"(EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attname = 'before' AND attrelid = "
        f"pg_catalog.to_regclass({literal(name(schema, 'step'))})))::integer)"
    )
    rows = connection.execute(
        f"SELECT {number}, "
        f"l.token, {lease.AGE_MS}, "
        # Not s.before: a ledger that an older version made has no such column.
        "s.id, s.run, s.version, s.position, s.statement, s.hash, s.intent_at, pg_catalog.to_jsonb(s) -> 'before', "
        "r.id, r.plan "
        f"FROM (VALUES (1)) one LEFT JOIN {name(schema, 'lease')} l ON true "
        f"LEFT JOIN {name(schema, 'step')} s ON s.ended_at IS NULL AND s.history = %(history)s "
        f"LEFT JOIN (SELECT id, plan FROM {name(schema, 'run')} WHERE history = %(history)s "
        "ORDER BY token DESC LIMIT 1) r ON true ORDER BY s.id",
        {"history": history},
        binary=True,  # as text, times are in the DateStyle of the database
    ).fetchall()
    number, token, silent_ms = rows[0][:3]
    intents = tuple(OpenIntent(*row[3:11]) for row in rows if row[3] is not None)
    newest = rows[0][11:13]
    return Ledger(schema, number, token or 0, intents, silent_ms, newest if newest[0] is not None else None)


def upgrades(ledger: Ledger) -> Iterator[str]:
    """Yield the SQL that brings the ledger's own tables up to date; nothing where they are."""
    for number, text in _numbered_sql():
        if number > ledger.number:
            yield text.replace("{schema}", name(ledger.schema)).replace("{lock_key}", str(LOCK_KEY))
            yield f"INSERT INTO {name(ledger.schema, 'upgrade')} (number) VALUES ({number});\n"


def start_run_sql(ledger: Ledger, run: Run) -> str:
    """Return the SQL that takes the lease with the run's token, unconditionally, and records the run."""
    table, holder = name(ledger.schema, "lease"), literal(run.started_by)
    if ledger.token:
        take = (
            f"UPDATE {table} SET token = {run.token}, run = {literal(run.id)}, holder = {holder}, "
            "heartbeat = pg_catalog.clock_timestamp();\n"
        )
    else:
        take = (
            f"INSERT INTO {table} (token, run, holder, heartbeat) "
            f"VALUES ({run.token}, {literal(run.id)}, {holder}, pg_catalog.clock_timestamp());\n"
        )
    return take + record_run_sql(ledger.schema, run)


def record_run_sql(schema: str, run: Run) -> str:
    """Return the SQL that records a run which has the lease; one that was tried before goes on under its name and plan."""
    values = ", ".join(
        literal(value)
        for value in (
            run.id, run.history, run.token, run.release, run.plan, __version__, run.server_version, run.started_by,
            run.source, run.reason,
        )
    )  # fmt: skip
    return (
        # Whoever has the lock is the only one: what has no end yet was killed.
        f"UPDATE {name(schema, 'run')} SET ended_at = pg_catalog.clock_timestamp(), outcome = 'lost' "
        "WHERE ended_at IS NULL;\n"
        f"INSERT INTO {name(schema, 'run')} (id, history, token, release, plan, tool_version, "
        f"server_version, started_by, source, reason, started_at) VALUES ({values}, pg_catalog.now()) "
        "ON CONFLICT (id) DO UPDATE SET token = excluded.token, release = excluded.release, "
        "tool_version = excluded.tool_version, server_version = excluded.server_version, "
        "started_by = excluded.started_by, ended_at = NULL, outcome = NULL, error = NULL;\n"
    )


def end_run_sql(schema: str, run: Run, outcome: str, error: str | None = None) -> str:
    """Return the SQL that records how the run ended."""
    return (
        f"UPDATE {name(schema, 'run')} SET ended_at = pg_catalog.clock_timestamp(), "
        f"outcome = {literal(outcome)}, error = {literal(error)} WHERE ended_at IS NULL AND id {_IS} {literal(run.id)}"
    )


def fence_sql(schema: str, token: int) -> str:
    """Return the SQL that fails the transaction when the token is not the newest (``PR001``) or the lock is gone (``PR002``)."""
    return f"SELECT {name(schema, 'fence')}({token})"


def step_sql(
    schema: str,
    run: Run,
    *,
    version: str,
    position: int,
    kind: str,
    statement: str,
    hash: str,
    backend: tuple[int, str],
    is_intent: bool = False,
    before: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> str:
    """
    Return the SQL that records a step: done, or as an intent whose end is recorded later.

    Args:
        schema: The ledger's schema.
        run: The run.
        version: Version of the migration.
        position: First statement it covers, from 1; 0 for the whole file.
        kind: As the column's check has it.
        statement: Its text, password literals masked; empty for a whole file.
        hash: Digest of its text.
        backend: Pid and start of the executing backend.
        is_intent: Whether its end is still to come.
        before: What the catalog shows before it.
        reason: Why, where a person decided.
    """
    ended, outcome = ("NULL", "NULL") if is_intent else ("pg_catalog.clock_timestamp()", "'done'")
    pid, start = backend
    return (
        f"INSERT INTO {name(schema, 'step')} (run, history, version, position, kind, statement, hash, "
        "intent_at, ended_at, outcome, reason, backend_pid, backend_start, before) VALUES ("
        f"{literal(run.id)}, {literal(run.history)}, {literal(version)}, {position}, {literal(kind)}, "
        f"{literal(statement)}, {literal(hash)}, pg_catalog.now(), {ended}, {outcome}, {literal(reason)}, "
        f"{pid}, {literal(start)}, {literal(None if before is None else json.dumps(before))})"
    )


def end_intent_sql(schema: str, run: Run, version: str, position: int, outcome: str, reason: str | None = None) -> str:
    """Return the SQL that records the end of every open intent of this statement."""
    return (
        f"UPDATE {name(schema, 'step')} SET ended_at = pg_catalog.clock_timestamp(), "
        f"outcome = {literal(outcome)}, reason = {literal(reason)} WHERE ended_at IS NULL "
        f"AND history {_IS} {literal(run.history)} AND version {_IS} {literal(version)} AND position {_IS} {position}"
    )


def backup_sql(
    schema: str, run: Run, *, place: str, size_bytes: int, digest: str, server_position: str, taken_at: str
) -> str:
    """Return the SQL that records the backup that was taken for this run."""
    values = ", ".join(literal(value) for value in (run.id, place, size_bytes, digest, server_position, taken_at))
    return (
        f"INSERT INTO {name(schema, 'backup')} (run, place, size_bytes, digest, server_position, taken_at) "
        f"VALUES ({values}) ON CONFLICT (run) DO NOTHING"
    )


@cache
def _numbered_sql() -> tuple[tuple[int, str], ...]:
    folder = files("pgrollout.postgres") / "ledger_sql"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple((int(entry.partition("_")[0]), (folder / entry).read_text("utf-8")) for entry in found)
