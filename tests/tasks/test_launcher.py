"""Launchers: the stage's own report and errors come back, and a signal ends it in order."""

import os
import signal
import threading
import time
from types import FrameType

import pytest

from pgrollout.errors import Interrupted, PlanChanged
from pgrollout.settings import Database
from pgrollout.stages.stage import Report, Request
from tasks.launcher import Inline, launcher

REQUEST = Request(database=Database())
"""What is asked for does not matter here."""


def test_inline_calls_the_stage() -> None:
    """The report is the stage's own."""
    asked: list[Request] = []

    def stage(request: Request) -> Report:
        asked.append(request)
        return Report(summary="done")

    assert launcher().run(stage, REQUEST) == Report(summary="done")
    assert asked == [REQUEST]


def test_inline_passes_errors_on() -> None:
    """What the stage raises reaches the task, and with it Prefect's retries."""

    def stage(_request: Request) -> Report:
        raise PlanChanged("sha256:1", "sha256:2")

    with pytest.raises(PlanChanged):
        Inline().run(stage, REQUEST)


def test_sigterm_interrupts_the_stage_and_is_handed_on() -> None:
    """The stage sees an interrupt, as of Ctrl-C; afterwards the handler that was there before gets the signal."""
    handed_on: list[int] = []

    def before(number: int, _frame: FrameType | None) -> None:
        handed_on.append(number)

    def stage(_request: Request) -> Report:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)  # where the interrupt arrives
        except KeyboardInterrupt as interrupt:
            assert handed_on == []
            raise Interrupted(0, 1) from interrupt
        return Report(summary="not reached")

    own = signal.signal(signal.SIGTERM, before)
    try:
        with pytest.raises(Interrupted):
            Inline().run(stage, REQUEST)

        assert handed_on == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, own)


def test_handler_is_put_back() -> None:
    """After a stage that nobody interrupted the process's own handler is in place, and was not called."""
    own = signal.getsignal(signal.SIGTERM)

    Inline().run(lambda _: Report(summary="done"), REQUEST)

    assert signal.getsignal(signal.SIGTERM) is own


def test_threads_run_stages_too() -> None:
    """Only the main thread may set handlers: in another one the stage runs without."""
    ended: list[Report] = []

    thread = threading.Thread(target=lambda: ended.append(Inline().run(lambda _: Report(summary="done"), REQUEST)))
    thread.start()
    thread.join()

    assert ended == [Report(summary="done")]
