"""Waiting for what can be observed."""

import time
from collections.abc import Callable

SECONDS = 30.0


def until(condition: Callable[[], object], what: str) -> None:
    """
    Look until the condition holds.

    Raises:
        AssertionError: It never did.
    """
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not observed: {what}")
        time.sleep(0.005)
