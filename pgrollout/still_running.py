"""
Still running: a log line at least every ten seconds while something takes long, so that nobody wonders.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0


@contextmanager
def still_running(doing: str, every_seconds: float = EVERY_SECONDS) -> Iterator[Callable[[str], None]]:
    """
    Log what is being done, and for how long, every ``every_seconds`` until the block ends.

    Gives a function that says what is being done now; the time counts from there.
    """
    ended = threading.Event()
    now = (doing, time.monotonic())

    def say(doing: str) -> None:
        nonlocal now
        now = (doing, time.monotonic())

    def report() -> None:
        while not ended.wait(every_seconds):
            current, since = now
            log.info('still running elapsed_s=%d doing="%s"', time.monotonic() - since, current.replace('"', "'"))

    # The context goes along: it tells a handler which flow run the line belongs to.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(report,), daemon=True)
    thread.start()
    try:
        yield say
    finally:
        ended.set()
        thread.join()
