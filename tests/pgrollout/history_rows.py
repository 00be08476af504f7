"""What tests of the history share: files and rows in one line."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pgrollout.history import Revision, RevisionType
from pgrollout.migration import Migration, directory_order

BEGAN = datetime(2026, 3, 14, 9, 15, tzinfo=UTC)


def files(*names: str) -> list[Migration]:
    """Return migrations of these names, in directory order, each with a statement of its own."""
    return [Migration(name, f"SELECT '{name}';\n".encode()) for name in sorted(names, key=directory_order)]


def row(
    version: str,
    applied: int = 1,
    total: int = 1,
    *,
    type: RevisionType = RevisionType.EXECUTE,
    minute: int = 0,
    error: str = "",
    description: str = "a",
    hash: str = "",
) -> Revision:
    """Return a row that was made in that minute; complete unless ``applied`` says otherwise."""
    return Revision(
        version, description, type, applied, total, BEGAN + timedelta(minutes=minute), 1000, error, "", hash, (), "test"
    )  # fmt: skip


def in_time(rows: Sequence[Revision]) -> list[Revision]:
    """Return the rows as if each had been made a minute after the one before it."""
    return [replace(each, executed_at=BEGAN + timedelta(minutes=minute)) for minute, each in enumerate(rows)]
