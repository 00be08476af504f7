"""
Watching: what a run finds of the schema and what it leaves, and whether somebody changed what it is about to touch.

Imported by who has something to do: it knows all kinds of objects, and the parser.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgrollout.catalog.difference import difference
from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.ignored import sift
from pgrollout.catalog.model import Catalog, Identity
from pgrollout.catalog.scope import Scope
from pgrollout.content import Content
from pgrollout.errors import DriftInTheWay
from pgrollout.postgres import fingerprints
from pgrollout.postgres.catalog import read_catalog, scope_of
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.ledger import Run
from pgrollout.postgres.readable import tables_readable
from pgrollout.postgres.state import State
from pgrollout.progress import reporting
from pgrollout.settings import Database
from pgrollout.stages.baseline import keep_schema
from pgrollout.stages.drift_gate import in_the_way, touched
from pgrollout.stages.last_run import (
    catalog_of,
    is_mended,
    is_partition_that_came_or_went,
    last_run,
    without_drift,
)

log = logging.getLogger(__name__)

_SHOWN = 10
"""How many objects a line of the log names."""


@dataclass(frozen=True)
class _Drift:
    """What had drifted before the run."""

    was: Catalog
    """What the run before left."""
    before: Catalog
    """What this one found."""
    taken_in: frozenset[Identity]
    """What of it the files touch: how it is afterwards is what was wanted."""

    def without(self, after: Catalog) -> Catalog:
        """Return what the run left, without the drift that it passed over."""
        return without_drift(self.was, self.before, after, self.taken_in)


@dataclass
class Watching:
    """One run's look at the schema, before its first statement and after its last."""

    connection: Connection
    database: Database
    state: State
    run: Run
    _drift: _Drift | None = field(default=None, init=False)

    @property
    def scope(self) -> Scope:
        """What is looked at."""
        return scope_of(self.database, self.state.table)

    def before(self, contents: Mapping[str, Content]) -> str:
        """
        Return the SQL that records the schema before the run; compare it with what the last run left.

        Raises:
            DriftInTheWay: Somebody has changed what a pending file touches, and the settings say to refuse.
            TableNotReadable: Somebody has a table locked.
        """
        live = self._catalog()
        self._drift = self._check(live, contents)
        return fingerprints.record_sql(
            self.state.ledger.schema, self.run.history, self.run.id, "before", live, self.scope
        )

    def baseline(self, version: str) -> Sequence[str]:
        """Return the SQL that keeps the schema for what the database has at this version."""
        return keep_schema(self.connection, self.database, self.state, version, self.run.id)

    def after(self) -> str:
        """Return the SQL that records the schema after the run, and what it is without the drift that was passed over."""
        live = self._catalog()
        without = self._drift.without(live) if self._drift else None
        return fingerprints.record_sql(
            self.state.ledger.schema, self.run.history, self.run.id, "after", live, self.scope, without
        )

    def _catalog(self) -> Catalog:
        with reporting("reading the schema"), tables_readable(self.connection):
            return read_catalog(self.connection, self.scope)

    def _check(self, live: Catalog, contents: Mapping[str, Content]) -> _Drift | None:
        """Return what has drifted since the last run, if anything."""
        database = self.database
        last = last_run(self.connection, self.state, self.scope, live)
        if last.recorded is None:
            return None
        if last.not_comparable:
            log.info('drift not looked for reason="%s"', last.not_comparable)
            return None
        if last.recorded.reviewed == fingerprint(live):
            return None
        was = catalog_of(self.connection, self.state, last.recorded)
        found = difference(was, live)
        today = datetime.now(UTC).date()
        lines = in_the_way(found, live, contents.values(), database.drift_ignore, today)
        if lines and database.drift_gate == "refuse":
            raise DriftInTheWay(database.name, lines)
        for one in lines:
            log.warning('drift in the way object="%s"', one)
        named = touched(found.objects, live, contents.values())
        # As jobs make and drop them, and as the last run asked for: no drift.
        taken_in = [
            one
            for one in found.objects
            if one.identity in named or is_mended(one) or is_partition_that_came_or_went(one)
        ]
        left = sift(found, database.drift_ignore, today).left.objects
        passed_over = [str(one.identity) for one in left if one not in taken_in]
        if passed_over:
            log.warning('drift passed over count=%d objects="%s"', len(passed_over), ", ".join(passed_over[:_SHOWN]))
        names = {name for one in taken_in for name in (one.identity, one.renamed_to) if name is not None}
        return _Drift(was, live, frozenset(names))
