"""
The expected schema: what the live database must have, by the files that the history says were applied.

They are replayed on a shadow database, from nothing, or, where the database had a schema before its history began and it
was kept, on a copy of that.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pgrollout.catalog.difference import Change, ObjectDifference
from pgrollout.catalog.model import Catalog, Identity
from pgrollout.catalog.scope import Scope
from pgrollout.content import read_content
from pgrollout.migration import Migration
from pgrollout.postgres import fingerprints
from pgrollout.postgres.catalog import read_catalog
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.fingerprints import Baseline
from pgrollout.postgres.shadow import names
from pgrollout.postgres.state import State
from pgrollout.postgres.template import copied_shadow, replayed_shadow
from pgrollout.progress import reporting
from pgrollout.settings import Database

_PUBLIC = Identity("SCHEMA", "public")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the live database must have."""

    catalog: Catalog | None
    """The schema; None where it cannot be told."""
    reason: str = ""
    """Why it cannot."""
    baseline: str | None = None
    """Version of the baseline whose schema was copied; None where all was made by the directory."""


def expected_files(
    migrations: Sequence[Migration], state: State, checkpoints: Collection[str]
) -> tuple[Migration, ...]:
    """
    Return the files whose replay gives the schema that the history says there is.

    Those with a row; and, where the history began with a baseline, the ordinary files before it, for the database had
    what they make. A history that began with a checkpoint began with nothing.
    """
    rows = {revision.version: revision for revision in state.revisions if not revision.is_partial}
    if not rows:
        return ()
    first = min(rows)
    began_at_checkpoint = any(m.version == first and m.name in checkpoints for m in migrations)
    return tuple(
        migration
        for migration in migrations
        if migration.version in rows
        or (migration.version < first and migration.name not in checkpoints and not began_at_checkpoint)
    )


def expected_schema(
    database: Database,
    files: Sequence[Migration],
    scope: Scope,
    *,
    owner: str,
    server_version: int,
    baseline: Baseline | None = None,
    application_name: str = "pgrollout",
) -> Expected:
    """
    Return what the files make.

    Args:
        database: Settings of the live database.
        files: What was applied, as ``expected_files`` has it.
        scope: What is read.
        owner: Role that migrations run as on the live database; the shadow's is another, and means the same.
        server_version: The live server's ``server_version_num``: what only it knows is not analysed, rather than wrong.
        baseline: The schema that the database had before its history began, if it was kept.
        application_name: How the shadow's server shows the connection.

    Raises:
        ReplayFailed: A file does not run, and not for lack of something on the shadow's server.
        ShadowUnavailable: There is no shadow.
    """
    version = baseline.version if baseline else None
    if names(database).owner != owner:
        # Who looks may be another than who migrates: grants to either mean on the shadow what they mean there.
        database = database.model_copy(update={"role": owner})
    if baseline:
        files = [file for file in files if file.version > baseline.version]
    contents = [read_content(migration) for migration in files]
    filled = (
        copied_shadow(database, baseline.schema_sql.encode(), contents, target_version=server_version)
        if baseline
        else replayed_shadow(database, contents, target_version=server_version)
    )
    with reporting("replaying the directory on the shadow"), filled as made:
        if made is None:
            return Expected(None, 'the configuration says shadow.server = "none"')
        if (lacking := made.replayed.not_analysed) is not None:
            return Expected(None, f"the shadow's server cannot run {lacking.place}: {lacking.message}", version)
        with connect(made.shadow.database, application_name=application_name) as connection:
            catalog = read_catalog(connection, scope, owners=[owner, made.shadow.owner])
    return Expected(catalog, baseline=version)


def kept_baseline(live: Connection, state: State) -> Baseline | None:
    """Return the schema that the database had before its history began, or at some version, if the history still has it."""
    if not state.revisions or not state.ledger.exists or not fingerprints.exist(live, state.ledger.schema):
        return None
    kept = fingerprints.baseline_of(live, state.ledger.schema, state.table.schema)
    return kept if kept and any(revision.version == kept.version for revision in state.revisions) else None


def idle_patterns(scope: Scope, live: Catalog) -> list[str]:
    """Return a note for each pattern of ``schemas`` that matches nothing."""
    schemas = [identity.schema for identity in live.objects if identity.kind == "SCHEMA"]
    return [f"schemas: the pattern {pattern!r} matches no schema" for pattern in scope.idle(schemas)]


def tolerated(found: ObjectDifference) -> str:
    """Return why a difference from what is expected is reported and no failure; empty if it is one."""
    identity = found.identity
    if found.change is Change.ADDED and found.after and "partition of" in found.after.properties:
        return "a partition made at run time"
    if found.change is Change.ADDED and found.after and found.after.properties.get("made for"):
        return "made for the history"
    if identity == _PUBLIC and {change.name for change in found.properties} <= {"owner", "grants", "comment"}:
        return "as the cluster was made or upgraded"
    if identity.kind == "EXTENSION" and {change.name for change in found.properties} == {"version"}:
        return "as the server's packages have it"
    return ""
