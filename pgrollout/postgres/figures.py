"""
Figures: what the ledger tells of a database's runs, as numbers for a monitoring system.

Reads only. Times are seconds since 1970 by the server's clock. What the numbers are called, and when they are read, is
left to others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pgrollout.postgres import fingerprints
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.state import State
from pgrollout.quoting import name


@dataclass(frozen=True, slots=True)
class Run:
    """The newest run of a history."""

    started_at: float
    seconds: float | None
    """How long it took; None while it has no end."""
    outcome: str | None
    """``done``, ``failed``, ``interrupted`` or ``lost``; None while it has no end."""
    slowest_step_seconds: float | None
    """The step of it that took longest; None if it has recorded none."""
    age_seconds: float
    """How long ago it began."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the ledger tells."""

    runs: Mapping[str, int]
    """How many runs have ended so, by outcome."""
    last_run: Run | None = None
    last_success_at: float | None = None
    last_backup_at: float | None = None
    last_backup_bytes: int | None = None
    last_check_at: float | None = None
    """When somebody looked for drift, whatever was found."""


def read(connection: Connection, state: State) -> Figures:
    """Return the figures of the history; nothing of them where there is no ledger yet."""
    schema, of = state.ledger.schema, {"history": state.table.schema}
    if not state.ledger.exists:
        return Figures({})
    run, step, backup = (name(schema, table) for table in ("run", "step", "backup"))
    counted = connection.execute(
        f"SELECT outcome, count(*) FROM {run} WHERE history = %(history)s AND outcome IS NOT NULL GROUP BY outcome", of
    ).fetchall()
    last = connection.execute(
        f"SELECT {_epoch('r.started_at')}, {_seconds('r.ended_at - r.started_at')}, r.outcome, "
        f"(SELECT {_seconds('max(s.ended_at - s.intent_at)')} FROM {step} s WHERE s.run = r.id), "
        f"{_seconds('pg_catalog.clock_timestamp() - r.started_at')} "
        f"FROM {run} r WHERE r.history = %(history)s ORDER BY r.started_at DESC, r.token DESC LIMIT 1",
        of,
    ).fetchone()
    success = connection.execute(
        f"SELECT {_epoch('max(ended_at)')} FROM {run} WHERE history = %(history)s AND outcome = 'done'", of
    ).fetchone()
    saved = connection.execute(
        f"SELECT {_epoch('b.taken_at')}, b.size_bytes FROM {backup} b JOIN {run} r ON r.id = b.run "
        "WHERE r.history = %(history)s ORDER BY b.taken_at DESC LIMIT 1",
        of,
    ).fetchone()
    check = fingerprints.last_check(connection, schema, state.table.schema)
    return Figures(
        runs=dict(counted),
        last_run=Run(*last) if last else None,
        last_success_at=success[0] if success else None,
        last_backup_at=saved[0] if saved else None,
        last_backup_bytes=saved[1] if saved else None,
        last_check_at=check.taken_at.timestamp() if check else None,
    )


def _epoch(what: str) -> str:
    return f"EXTRACT(EPOCH FROM {what})::float8"


_seconds = _epoch  # of an interval, the same question gives its length
