"""
Fingerprints in the ledger: what the schema was before and after each run, and at each check for drift.

A catalog is kept once, whoever finds it again; of a database that was not empty when its history began, the schema of
that moment is kept as SQL too. The rows of a run are written under its fence; a check writes its own,
which nobody else depends on.
"""

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import Scope
from pgrollout.catalog.stored import loaded, stored
from pgrollout.postgres.connection import Connection
from pgrollout.quoting import literal, name

Moment = Literal["before", "after", "check"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One fingerprint of the ledger."""

    run: str | None
    """The run that left it; None for a check for drift."""
    moment: Moment
    """Before the run's first statement, after its last, or at a check."""
    taken_at: datetime
    digest: str
    """Of the whole schema."""
    scope: str
    """What was looked at, as ``scope_text`` has it."""
    without_drift: str | None = None
    """After a run: digest of the schema without the drift that it found and passed over; None if there was none."""

    @property
    def reviewed(self) -> str:
        """Digest of what migrations made of the schema: drift that a run passes over is drift still."""
        return self.without_drift or self.digest


def scope_text(scope: Scope) -> str:
    """Return what is looked at, so that fingerprints of different scopes are not taken for comparable."""
    return json.dumps({"exclude": sorted(scope.exclude), "schemas": sorted(scope.schemas)}, sort_keys=True)


def exist(connection: Connection, schema: str) -> bool:
    """Whether the ledger has fingerprints: one that an older version of us made has none yet."""
    row = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", [name(schema, "fingerprint")]).fetchone()
    return bool(row and row[0])


def record_sql(
    schema: str,
    history: str,
    run: str | None,
    moment: Moment,
    catalog: Catalog,
    scope: Scope,
    without_drift: Catalog | None = None,
) -> str:
    """Return the SQL that records a fingerprint, and its catalogs unless the ledger has them."""
    of = literal(scope_text(scope))
    digests, texts = [], []
    for each in (catalog, without_drift):
        digests.append(literal(None if each is None else fingerprint(each)))
        if each is not None:
            texts.append(
                f"INSERT INTO {name(schema, 'catalog')} (digest, scope, server_version, objects, content) "
                f"VALUES ({digests[-1]}, {of}, {each.server_version}, {len(each.objects)}, "
                f"pg_catalog.decode('{stored(each).hex()}', 'hex')) ON CONFLICT DO NOTHING"
            )
    texts.append(
        f"INSERT INTO {name(schema, 'fingerprint')} (history, run, moment, digest, without_drift, scope) "
        f"VALUES ({literal(history)}, {literal(run)}, {literal(moment)}, {', '.join(digests)}, {of})"
    )
    return ";\n".join(texts)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The schema that a database had when its history began."""

    version: str
    """The version that it had by then."""
    server_version: int
    """The server's ``server_version_num`` then."""
    schema_sql: str
    """What ``pg_dump`` wrote, without secrets."""


def baseline_sql(schema: str, history: str, baseline: Baseline) -> str:
    """Return the SQL that keeps the schema of a baseline; a history has one."""
    content = zlib.compress(baseline.schema_sql.encode(), 9).hex()
    return (
        f"INSERT INTO {name(schema, 'baseline')} (history, version, server_version, content) VALUES ({literal(history)}, "
        f"{literal(baseline.version)}, {baseline.server_version}, pg_catalog.decode('{content}', 'hex')) "
        "ON CONFLICT (history) DO UPDATE SET version = excluded.version, taken_at = excluded.taken_at, "
        "server_version = excluded.server_version, content = excluded.content"
    )


def baseline_of(connection: Connection, schema: str, history: str) -> Baseline | None:
    """Return the schema of a history's baseline, if it was kept."""
    row = connection.execute(
        f"SELECT version, server_version, content FROM {name(schema, 'baseline')} WHERE history = %s",
        [history],
        binary=True,
    ).fetchone()
    return Baseline(row[0], row[1], zlib.decompress(bytes(row[2])).decode()) if row else None


_COLUMNS = "run, moment, taken_at, digest, scope, without_drift"


def last_of_a_run(connection: Connection, schema: str, history: str) -> Recorded | None:
    """Return the last fingerprint that a run left, before it or after it; None if none did."""
    return _one(connection, schema, "history = %s AND run IS NOT NULL ORDER BY id DESC", [history])


def last_check(connection: Connection, schema: str, history: str) -> Recorded | None:
    """Return what the last check for drift saw; None if nobody has looked, or not since the ledger has fingerprints."""
    if not exist(connection, schema):
        return None
    return _one(connection, schema, "history = %s AND moment = 'check' ORDER BY id DESC", [history])


def of_run(connection: Connection, schema: str, run: str) -> list[Recorded]:
    """Return the fingerprints of a run, in the order in which it left them."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM {name(schema, 'fingerprint')} WHERE run = %s ORDER BY id", [run], binary=True
    ).fetchall()
    return [Recorded(*row) for row in rows]


def catalog_of(connection: Connection, schema: str, recorded: Recorded, *, reviewed: bool = False) -> Catalog:
    """
    Return the catalog that a fingerprint stands for; of ``reviewed``, without the drift that the run passed over.

    Raises:
        StoredCatalogUnreadable: Its content is of a later version, or damaged.
    """
    row = connection.execute(
        f"SELECT content FROM {name(schema, 'catalog')} WHERE digest = %s AND scope = %s",
        [recorded.reviewed if reviewed else recorded.digest, recorded.scope],
        binary=True,
    ).fetchone()
    return loaded(bytes(row[0]) if row else b"")


def _one(connection: Connection, schema: str, where: str, parameters: list[str]) -> Recorded | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM {name(schema, 'fingerprint')} WHERE {where} LIMIT 1", parameters, binary=True
    ).fetchone()
    return Recorded(*row) if row else None
