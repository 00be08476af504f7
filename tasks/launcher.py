"""
Launchers: where a stage runs.

One protocol; today there is one launcher, which runs the stage in the flow's own process.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TypeVar

from prefect.utilities import engine

from pgrollout import interrupts
from pgrollout.stages.stage import Report, Request

RequestT = TypeVar("RequestT", bound=Request)
ReportT = TypeVar("ReportT", bound=Report)


_PREFECTS = "_prefect_sigterm_handler"


class Launcher(Protocol):
    """Runs a stage somewhere, and brings its report back."""

    def run(self, stage: Callable[[RequestT], ReportT], request: RequestT) -> ReportT:
        """
        Run ``stage``, the function of its module, with ``request``.

        Raises:
            PgrolloutError: As the stage does.
        """
        ...


class Inline:
    """Runs stages in this process."""

    def run(self, stage: Callable[[RequestT], ReportT], request: RequestT) -> ReportT:
        """Call the function."""
        with _sigterm_interrupts():
            return stage(request)


def launcher() -> Launcher:
    """Return the launcher that the process is set up for."""
    return Inline()


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """
    Let SIGTERM interrupt a stage as Ctrl-C does, and hand it on once the stage has come to a safe point.

    Prefect's own handler raises what no stage knows; an interrupt cancels the statement under way. Prefect must have the
    signal afterwards: it tells a run that was cancelled from one that crashed. And before, when a worker announces that it
    will cancel, Prefect agrees only if the handler is the one it knows as its own: so ours goes by that name meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        interrupts.interrupt(number, frame)

    setattr(interrupt, "holds_back", True)  # noqa: B010  a function has no such attribute by its type
    before = signal.signal(signal.SIGTERM, interrupt)
    is_prefects = before is not None and before is getattr(engine, _PREFECTS, None)
    if is_prefects:
        setattr(engine, _PREFECTS, interrupt)
    try:
        yield
    finally:
        if is_prefects:
            setattr(engine, _PREFECTS, before)
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(signal.SIGTERM)
