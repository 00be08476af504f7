"""
The last run: what it left, where the live schema can be compared with that.

What a run that was killed has committed, or the Atlas CLI has done since, is no drift: then there is nothing to compare
with until a run has ended again.
"""

from collections.abc import Set
from dataclasses import dataclass

from pgrollout.catalog.difference import Change, ObjectDifference
from pgrollout.catalog.model import Catalog, Identity
from pgrollout.catalog.rows import ordered
from pgrollout.catalog.scope import Scope
from pgrollout.postgres import fingerprints
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.fingerprints import Recorded, scope_text
from pgrollout.postgres.state import State
from pgrollout.quoting import name

_SHOWN = 3
_VERSION = "SELECT server_version FROM {catalog} WHERE digest = %s AND scope = %s"


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run that left a fingerprint."""

    recorded: Recorded | None
    """What it left; None if no run did."""
    not_comparable: str = ""
    """Why the live schema cannot be compared with it; empty if it can."""

    @property
    def is_comparable(self) -> bool:
        """Whether the live schema can be compared with what it left."""
        return self.recorded is not None and not self.not_comparable


def last_run(connection: Connection, state: State, scope: Scope, live: Catalog) -> LastRun:
    """Return the last run of the history, and whether the live schema can be compared with what it left."""
    schema = state.ledger.schema
    if not state.ledger.exists or not fingerprints.exist(connection, schema):
        return LastRun(None, "no run has left a fingerprint here yet")
    found = fingerprints.last_of_a_run(connection, schema, state.table.schema)
    if found is None:
        return LastRun(None, "no run has left a fingerprint here yet")
    return LastRun(found, _obstacle(connection, state, scope, live, found))


def catalog_of(connection: Connection, state: State, recorded: Recorded) -> Catalog:
    """Return the schema that the run left, without the drift that it passed over: that is drift still."""
    return fingerprints.catalog_of(connection, state.ledger.schema, recorded, reviewed=True)


def without_drift(was: Catalog, before: Catalog, after: Catalog, taken_in: Set[Identity]) -> Catalog:
    """
    Return what a run left, without the drift that it found.

    Args:
        was: What the run before left, without drift.
        before: The schema before the run's first statement.
        after: The schema after its last.
        taken_in: Drifted objects that its files touched: how they are now is what was wanted.
    """
    objects = dict(after.objects)
    for identity in was.objects.keys() | before.objects.keys():
        it = before.objects.get(identity)
        if was.objects.get(identity) == it or after.objects.get(identity) != it:
            continue
        of = it or was.objects[identity]
        if taken_in & {identity, *of.part_of}:
            continue
        if identity in was.objects:
            objects[identity] = was.objects[identity]
        else:
            del objects[identity]
    return Catalog(after.server_version, ordered(objects.values()), after.database)


def is_mended(one: ObjectDifference) -> bool:
    """Whether somebody removed, or built anew, an index that the run left invalid: that is what he was asked to do."""
    if one.before is None or not one.before.properties.get("invalid"):
        return False
    return one.change is Change.REMOVED or [change.name for change in one.properties] == ["invalid"]


def is_partition_that_came_or_went(one: ObjectDifference) -> bool:
    """Whether a partition was made or dropped, as jobs do at run time."""
    it = one.after or one.before
    came_or_went = one.change in (Change.ADDED, Change.REMOVED)
    return came_or_went and it is not None and "partition of" in it.properties


def _obstacle(connection: Connection, state: State, scope: Scope, live: Catalog, found: Recorded) -> str:
    run = f"run {found.run}"
    if found.moment != "after":
        return f"{run}, the last one, has not come to its end: it is under way, or was stopped"
    if found.scope != scope_text(scope):
        return f"{run}, the last one, looked at something else: `schemas` or `exclude` has changed since"
    query = _VERSION.format(catalog=name(state.ledger.schema, "catalog"))
    row = connection.execute(query, [found.digest, found.scope]).fetchone()
    if row and row[0] // 10000 != live.major:
        return f"{run}, the last one, saw PostgreSQL {row[0] // 10000}, now it is {live.major}; each words schemas its own way"
    later = [revision.version for revision in state.revisions if revision.executed_at > found.taken_at]
    if later:
        more = f" and {len(later) - _SHOWN} more" if len(later) > _SHOWN else ""
        who = "the Atlas CLI or `pgrollout set`"
        return f"the history has {', '.join(later[:_SHOWN])}{more}, recorded after {run} by {who}"
    return ""
