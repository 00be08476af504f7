"""
Audit: whether the files that were applied are still what they were.

Every revision holds its file's entry of the sum file as it was then. An entry vouches for all files before it too, so a
file that was added later, before the applied one, changes it without anybody having edited anything. Such files are
left out and the entry is computed again before a file is called edited. Atlas writes these hashes and never reads them.
"""

import hashlib
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, combinations
from typing import TypeVar

from pgrollout.history import Revision
from pgrollout.migration import Migration, directory_order
from pgrollout.sum_file import SumFile, is_sum_ignored

MOST_UNCERTAIN = 8
"""So many files that may have come late or not are tried in every combination."""
MOST_ALONE = 100
"""So many are tried one by one, the others taken to have come together."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edited:
    """A file that is not what was applied, nor are all files before it."""

    file: str
    version: str
    recorded: str
    """Hash in the history."""
    computed: str
    """Hash of the directory."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of the files of the history."""

    compared: int
    """Revisions whose file gives the recorded hash."""
    edited: tuple[Edited, ...]
    """Files that give another one."""
    gone: tuple[Revision, ...]
    """Revisions in the middle of the history whose file is not there."""
    pruned: tuple[Revision, ...]
    """Revisions older than the directory's first file; a team removes those once nobody starts from them."""
    not_comparable: tuple[str, ...]
    """Files whose recorded hash vouches for pruned ones, so nobody can compute it any more."""


def audit(
    migrations: Sequence[Migration],
    sum_file: SumFile,
    revisions: Sequence[Revision],
    checkpoints: Collection[str] = (),
) -> Audit:
    """Compare the hash of every revision with the directory."""
    files = {migration.version: migration for migration in migrations}
    oldest = migrations[0].version if migrations else None
    missing = [revision for revision in revisions if revision.version not in files]
    pruned = tuple(revision for revision in missing if oldest is not None and revision.version < oldest)
    gone = tuple(revision for revision in missing if revision not in pruned)
    entries = {entry.name: entry.hash for entry in sum_file.entries}
    compared = 0
    edited: list[Edited] = []
    unknown: list[str] = []
    explanations = _Explanations(migrations, revisions, checkpoints)
    for revision in revisions:
        migration = files.get(revision.version)
        if migration is None or not revision.hash:
            continue
        recorded = revision.hash.removeprefix("h1:")
        computed = entries.get(migration.name, "")
        if recorded == computed or explanations.give(revision, migration, recorded, thorough=not edited):
            compared += 1
        elif pruned:
            unknown.append(migration.name)
        else:
            edited.append(Edited(migration.name, revision.version, recorded, computed))
    return Audit(compared, tuple(edited), gone, pruned, tuple(unknown))


class _Explanations:
    """Entries of the sum file as it may have been when a revision was written."""

    def __init__(
        self, migrations: Sequence[Migration], revisions: Sequence[Revision], checkpoints: Collection[str]
    ) -> None:
        self._migrations = migrations
        self._position = {migration.name: index for index, migration in enumerate(migrations)}
        self._written: dict[str, datetime] = {revision.version: revision.executed_at for revision in revisions}
        self._first = min(self._written, default="")
        self._checkpoints = checkpoints
        self._uncertain = self._files_that_may_have_come_late()
        # How far a set of left-out files has been hashed: consecutive revisions mostly leave out the same.
        self._reached: dict[int, tuple[frozenset[int], int, hashlib._Hash]] = {}

    def _files_that_may_have_come_late(self) -> list[int]:
        """Return the files without a row, and those that ran after one behind them had run."""
        found = []
        earliest: datetime | None = None
        for index in reversed(range(len(self._migrations))):
            written = self._written.get(self._migrations[index].version)
            if written is None or (earliest is not None and written > earliest):
                found.append(index)
            elif earliest is None or written < earliest:
                earliest = written
        return found[::-1]

    def give(self, revision: Revision, migration: Migration, recorded: str, *, thorough: bool) -> bool:
        """Whether leaving out files that were added later explains the recorded hash; every combination, if thorough."""
        end = self._position[migration.name]
        return any(
            left_out and self._entry(number, left_out, end) == recorded
            for number, left_out in enumerate(self._candidates(revision, end, thorough))
        )

    def _candidates(self, revision: Revision, end: int, thorough: bool) -> Iterator[frozenset[int]]:
        """Yield what may be left out of the files before ``end``, the likely first: files that ran later came later."""
        later: set[int] = set()
        # Those without a row: older than the history, checkpoints, and skipped or yet to run.
        groups: tuple[set[int], set[int], set[int]] = (set(), set(), set())
        for index in self._uncertain[: bisect_left(self._uncertain, end)]:
            earlier = self._migrations[index]
            written = self._written.get(earlier.version)
            if written is None:
                is_checkpoint, is_older = earlier.name in self._checkpoints, earlier.version < self._first
                groups[1 if is_checkpoint else 0 if is_older else 2].add(index)
            elif written > revision.executed_at:
                later.add(index)
        together = [later.union(*chosen) for chosen in _combinations([group for group in groups if group])]
        yield from map(frozenset, together)
        # Each may have come at a time of its own.
        one_by_one = sorted(later.union(*groups)) if thorough else []
        if len(one_by_one) <= MOST_UNCERTAIN:
            yield from (frozenset(later.symmetric_difference(chosen)) for chosen in _combinations(one_by_one))
        elif len(one_by_one) <= MOST_ALONE:
            yield from (frozenset(left_out ^ {index}) for left_out in together for index in one_by_one)

    def _entry(self, number: int, left_out: frozenset[int], end: int) -> str:
        known, start, running = self._reached.get(number, (left_out, 0, hashlib.sha256()))
        if start > end or {i for i in left_out if i < start} != {i for i in known if i < start}:
            start, running = 0, hashlib.sha256()
        for index in range(start, end + 1):
            if index not in left_out:
                migration = self._migrations[index]
                running.update(directory_order(migration.name))
                if not is_sum_ignored(migration.content):
                    running.update(migration.content)
        self._reached[number] = (left_out, end + 1, running)
        return b64encode(running.copy().digest()).decode()


def _combinations(of: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Yield every choice, from none to all."""
    return chain.from_iterable(combinations(of, count) for count in range(len(of) + 1))
