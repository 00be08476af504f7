"""
Progress: what takes long says what it is doing, so that nobody wonders.

A log line at least every ten seconds; where a person watches, ``display`` draws it all the time. What draws, and where, is
left to the command line.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0
"""How often a line is logged."""
DRAW_SECONDS = 0.25
"""How often a display draws; what takes less is not drawn at all."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done at a moment."""

    doing: str
    """What: ``applying 20260314091500_create_orders.sql``."""
    elapsed_seconds: float
    """For how long."""
    done: int = 0
    """How many of ``total`` are done."""
    total: int | None = None
    """How many there are; None if that is not known."""


class Display(Protocol):
    """Shows a person what is being done."""

    def draw(self, progress: Progress) -> None:
        """Show this instead of what was drawn before."""
        ...

    def clear(self) -> None:
        """Take it away."""
        ...


display: Display | None = None
"""Who draws in this process; None where nobody watches."""


class Reporter:
    """What the block that takes long calls."""

    def __init__(self, doing: str, total: int | None) -> None:
        self._now = (doing, time.monotonic(), 0)
        self._note = ""
        self._total = total

    def say(self, doing: str, done: int = 0, total: int | None = None) -> None:
        """Say what is being done now, and how many of all are done; the time counts from here."""
        self._now, self._note = (doing, time.monotonic(), done), ""
        self._total = self._total if total is None else total

    def note(self, text: str) -> None:
        """Say how far that is, in other words than a count: ``312 MB written``."""
        self._note = f", {text}"

    def now(self) -> Progress:
        """Return what was said last."""
        doing, since, done = self._now
        return Progress(doing + self._note, time.monotonic() - since, done, self._total)


@contextmanager
def reporting(doing: str, total: int | None = None) -> Iterator[Reporter]:
    """
    Report what is being done until the block ends.

    Args:
        doing: What is done first.
        total: How many things there are to do, if that is known.
    """
    reporter, ended = Reporter(doing, total), threading.Event()
    # The context goes along: it tells a handler which flow run a line belongs to.
    report = contextvars.copy_context().run
    thread = threading.Thread(target=report, args=(_report, reporter, ended, display), daemon=True)
    thread.start()
    try:
        yield reporter
    finally:
        ended.set()
        thread.join()


def _report(reporter: Reporter, ended: threading.Event, watched: Display | None) -> None:
    next_line = time.monotonic() + LOG_SECONDS
    while not ended.wait(max(0.0, next_line - time.monotonic()) if watched is None else DRAW_SECONDS):
        now = reporter.now()
        if watched is not None:
            watched.draw(now)
        elif time.monotonic() >= next_line:
            log.info('still running elapsed_seconds=%d doing="%s"', now.elapsed_seconds, now.doing.replace('"', "'"))
            next_line += LOG_SECONDS
    if watched is not None:
        watched.clear()
