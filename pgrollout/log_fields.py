"""
Log fields: what the log events of this process are about while something lasts: run, stage, database, version.

Kept for the process, not for a thread: those that watch a run log about it, too. A process runs one stage at a time.
Who writes them into a line is left to ``commands.logs``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_told: list[Mapping[str, str]] = []
"""What each block that lasts has told, the newest last. Blocks of two threads may end in any order."""


def current() -> Mapping[str, str]:
    """Return what is known now."""
    return {key: value for fields in tuple(_told) for key, value in fields.items()}


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """Add fields while the block lasts; an empty one says nothing."""
    told = {key: value for key, value in fields.items() if value}
    _told.append(told)
    try:
        yield
    finally:
        _told[:] = [each for each in _told if each is not told]
