"""
Deciding: what is pending, and whether the history still belongs to the directory.

Between what was read (the directory, the database's state) and what will be done (a plan). Status, plan, validate, hash
and apply decide with the same functions, so they cannot disagree. Nothing here talks to a server.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pgrollout.atlas_splitter import partial_hashes
from pgrollout.audit import Audit, audit
from pgrollout.content import Content
from pgrollout.errors import AppliedFileEdited, AppliedFileGone, HistoryChanged
from pgrollout.history import ExecOrder, Pending, Revision, pending
from pgrollout.plan import Plan, make_plan
from pgrollout.postgres.state import State
from pgrollout.settings import Database
from pgrollout.stages.reviewed import Reviewed, read_contents


@dataclass(frozen=True, slots=True)
class Choice:
    """What the caller asks for among the pending files."""

    order: ExecOrder = ExecOrder.LINEAR
    baseline: str | None = None
    """Version that the database already has."""
    to_version: str | None = None
    """Last version to apply, inclusive."""
    amount: int | None = None
    """How many files at most."""
    allow_dirty: bool = False
    """Whether a database with tables and without history will do."""

    def needs_clean(self, state: State) -> bool:
        """Whether the database must have no tables: there is no history, and nobody said what is there."""
        return not (state.revisions or self.baseline or self.allow_dirty)


def decide(reviewed: Reviewed, state: State, choice: Choice) -> Pending:
    """
    Return what is pending, once history and directory are found to agree.

    Raises:
        HistoryError: A file that ran is not what it was, or Atlas's rules refuse the directory.
        UnknownVersion: No such version.
    """
    check_history(reviewed, state)
    todo = pending(
        reviewed.migrations,
        state.revisions,
        checkpoints=reviewed.checkpoints,
        order=choice.order,
        baseline=choice.baseline,
    )
    if todo.baseline is not None and todo.baseline.version == choice.to_version:
        return Pending((), baseline=todo.baseline)
    if any(revision.version == choice.to_version and not revision.is_partial for revision in state.revisions):
        return Pending(())
    return todo.up_to(choice.to_version, choice.amount)


def check_history(reviewed: Reviewed, state: State) -> Audit:
    """
    Return what was found when every revision was compared with its file; nothing that is wrong.

    Raises:
        AppliedFileEdited: A file gives another hash than the history has.
        AppliedFileGone: A file in the middle of the history is not there.
    """
    finished = [revision for revision in state.revisions if not revision.is_partial]
    found = audit(reviewed.migrations, reviewed.sum_file, finished, reviewed.checkpoints)
    edited, gone = found.edited[:1], found.gone[:1]
    # A file that is gone changes the entries of all files after it: the first of both is the cause.
    if gone and not (edited and edited[0].version < gone[0].version):
        raise AppliedFileGone(gone[0].file_name, gone[0].version)
    if edited:
        raise AppliedFileEdited(edited[0].file, edited[0].version, edited[0].recorded, edited[0].computed)
    return found


def resumed_by(todo: Pending, version: str) -> Revision | None:
    """Return the partial row that the pending file of this version continues."""
    return next((revision for revision in todo.resumes if revision.version == version), None)


def check_prefix(content: Content, resumes: Revision) -> None:
    """
    Raise HistoryChanged unless the statements that ran are still the file's first ones.

    Later statements may be edited: that is how a failed migration is mended.
    """
    name = content.migration.name
    computed = partial_hashes(content.statements[: resumes.applied])
    if resumes.applied > len(content.statements):
        raise HistoryChanged(
            name, len(content.statements) + 1, f"{resumes.applied} statements ran", "the file has fewer"
        )
    for number, (recorded, now) in enumerate(zip(resumes.partial_hashes, computed, strict=False), 1):
        if recorded != now:
            raise HistoryChanged(name, number, recorded, now)


def plan_of(
    database: Database, reviewed: Reviewed, state: State, todo: Pending, contents: Mapping[str, Content] | None = None
) -> Plan:
    """
    Return the plan for what is pending.

    Raises:
        UnreadableFile: A pending file cannot be run.
        StateCrosses: A pending file relies on what is lost where it is cut, or continued.
        HistoryChanged: Statements that ran are no longer the first ones of their file.
    """
    contents = read_contents(todo.migrations) if contents is None else contents
    for content in contents.values():
        if resumes := resumed_by(todo, content.migration.version):
            check_prefix(content, resumes)
    return make_plan(
        database=database.name,
        release=reviewed.release.digest,
        current=state.current,
        backup=database.backup,
        pending=todo,
        contents=contents,
        hashes={migration.name: reviewed.hash_of(migration) for migration in todo.migrations},
        stall_budget_ms=database.stall_budget_ms,
        small_table_bytes=database.small_table_bytes,
    )
