"""
Launchers: where a stage runs.

One protocol, two launchers: in the flow's own process, or in a Job on Kubernetes. ``PGROLLOUT_LAUNCHER`` chooses; else it
is Jobs where the chart has put a pod template.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Protocol, TypeVar, get_type_hints

from prefect import runtime
from prefect.utilities import engine

from pgrollout import interrupts
from pgrollout.errors import ConfigurationError
from pgrollout.kubernetes import launcher as kubernetes
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


class Kubernetes:
    """Runs stages as Jobs of the migration image."""

    def run(self, stage: Callable[[RequestT], ReportT], request: RequestT) -> ReportT:
        """Run the Job of this stage, this run and this try of the task, and return its report."""
        name = stage.__module__.rpartition(".")[2]
        report: type[ReportT] = get_type_hints(stage)["return"]
        # Prefect counts the tries of a task; the same try in a process started anew finds the Job of the first.
        attempt = int(runtime.task_run.run_count or 1)
        with _sigterm_interrupts():
            return kubernetes.from_environment().run(name, request, report, attempt=attempt, image=_image.get())


_image: ContextVar[str] = ContextVar("image", default="")


@contextmanager
def using(image: str) -> Iterator[None]:
    """Run stages in this image while the block lasts, where they run as Jobs; empty is that of the pod template."""
    token = _image.set(image)
    try:
        yield
    finally:
        _image.reset(token)


def launcher() -> Launcher:
    """
    Return the launcher that the process is set up for.

    Raises:
        ConfigurationError: ``PGROLLOUT_LAUNCHER`` names none.
    """
    chosen = os.environ.get("PGROLLOUT_LAUNCHER") or _default()
    if chosen not in ("inline", "kubernetes"):
        raise ConfigurationError(
            "PGROLLOUT_LAUNCHER", f"there is no launcher {chosen!r}.", "Known: inline, kubernetes."
        )
    if chosen == "kubernetes":
        return Kubernetes()
    if image := _image.get():
        raise ConfigurationError(
            f"image {image}", "stages run in this process, not in an image.", "Leave it out, or run in a cluster."
        )
    return Inline()


def _default() -> str:
    template = Path(os.environ.get("PGROLLOUT_POD_TEMPLATE") or kubernetes.TEMPLATE)
    return "kubernetes" if template.is_dir() else "inline"


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
