"""Ctrl-C and SIGTERM wait until a block that must not be cut has ended."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pgrollout.interrupts import held_back, let_through


@pytest.fixture(autouse=True)
def _sigterm_interrupts() -> Iterator[None]:
    """Both interrupts raise KeyboardInterrupt, as in the command line."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def kill(number: signal.Signals) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_comes_after_the_block(number: signal.Signals) -> None:
    """The block sees that somebody wants an end, and goes on to its own."""
    steps = []

    def work() -> None:
        with held_back() as wants_end:
            steps.append(wants_end())
            kill(number)
            steps.append(wants_end())

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == [False, True]


def test_a_third_one_comes_at_once() -> None:
    """The second says that it is urgent; who asks three times does not want to wait for a record."""
    steps = []

    def work() -> None:
        with held_back() as wants_end:
            kill(signal.SIGINT)
            kill(signal.SIGTERM)
            steps.append(wants_end())
            kill(signal.SIGTERM)
            steps.append(3)

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == [2]


def test_what_needs_no_record_is_cut() -> None:
    """A block inside lets interrupts through, and they are held back again behind it."""
    steps = []

    def work() -> None:
        with held_back() as wants_end:
            with pytest.raises(KeyboardInterrupt), let_through():
                kill(signal.SIGINT)
            steps.append(wants_end())
            kill(signal.SIGTERM)
            steps.append(wants_end())

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == [0, 1]


def test_an_error_of_the_block_is_more_important() -> None:
    """What went wrong is told; the end has come anyway."""

    def work() -> None:
        with held_back():
            kill(signal.SIGINT)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()


def test_handlers_are_as_before() -> None:
    """Also when nothing came; and who ignores Ctrl-C, as in the background of a script, goes on ignoring it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back() as wants_end:
            kill(signal.SIGINT)
            assert not wants_end()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def test_other_threads_have_no_signals() -> None:
    """There the block just runs."""
    seen: list[int] = []

    def run() -> None:
        with held_back() as wants_end:
            seen.append(wants_end())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert seen == [0]
