"""
Interrupts: Ctrl-C and SIGTERM, both taken as the wish to end in an orderly way.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
MOST_HELD = 2
"""The first asks for an end at a safe point, the second for one at once."""
_held: list[int] | None = None
"""What came while a block holds interrupts back; None where none does."""
_lets_through = False
"""Whether a block inside of that does not."""


def interrupt(number: int, _frame: FrameType | None = None) -> None:
    """Raise KeyboardInterrupt, or have the block that holds interrupts back know; a third one is not held back."""
    if _held is None or _lets_through or len(_held) >= MOST_HELD:
        raise KeyboardInterrupt
    _held.append(number)


def until_interrupted() -> None:
    """Return when one comes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        signal.sigwait(INTERRUPTS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held_back() -> Iterator[Callable[[], int]]:
    """
    Hold an interrupt back while the block lasts: it would come between what was done and the record of it.

    Gives a function that tells how many came, so that the block ends at its next safe point, or, with two, as soon as it
    can. The first is delivered after the block, unless that ends with an error of its own. A third is not held back. A
    handler that calls ``interrupt`` itself, and says so by an attribute ``holds_back``, stays: Prefect looks who has its signal.
    """
    global _held
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    came = _held = []
    # What is ignored, as SIGINT in the background of a script, stays so.
    before = {number: signal.getsignal(number) for number in INTERRUPTS}
    held = [
        number
        for number in INTERRUPTS
        if before[number] is not signal.SIG_IGN and not getattr(before[number], "holds_back", False)
    ]
    for number in held:
        signal.signal(number, interrupt)
    is_error = False
    try:
        yield lambda: len(came)
    except Exception:
        is_error = True
        raise
    finally:
        _held = None
        for number in held:
            signal.signal(number, before[number] or signal.SIG_DFL)
        if came and not is_error:
            signal.raise_signal(came[0])


@contextmanager
def let_through() -> Iterator[None]:
    """Hold no interrupt back while the block lasts, inside of one that does: nothing is done in it that needs a record."""
    global _lets_through
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _lets_through = True
    try:
        yield
    finally:
        _lets_through = False
