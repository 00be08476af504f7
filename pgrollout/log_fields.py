"""
Log fields: what the log events of this process are about while something lasts: run, stage, database, version.

Kept for the process, not for a thread: those that watch a run log about it, too. A process runs one stage at a time.
Who writes them into a line is left to ``commands.logs``.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_current: Mapping[str, str] = {}


def current() -> Mapping[str, str]:
    """Return what is known now."""
    return _current


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """Add fields while the block lasts; an empty one says nothing."""
    global _current
    before = _current
    _current = {**before, **{key: value for key, value in fields.items() if value}}
    try:
        yield
    finally:
        _current = before
