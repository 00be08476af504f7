"""Launchers: the stage's own report and errors come back, and a signal ends it in order."""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import pytest

from pgrollout.errors import ConfigurationError, Interrupted, PlanChanged
from pgrollout.settings import Database
from pgrollout.stages.stage import Report, Request
from tasks.launcher import Inline, Kubernetes, launcher, using

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


def test_the_environment_chooses_the_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name; else Jobs where there is a pod template, as the chart puts one, and this process where there is none."""
    monkeypatch.delenv("PGROLLOUT_LAUNCHER", raising=False)
    monkeypatch.setenv("PGROLLOUT_POD_TEMPLATE", str(tmp_path / "none"))
    assert isinstance(launcher(), Inline)
    monkeypatch.setenv("PGROLLOUT_POD_TEMPLATE", str(tmp_path))
    assert isinstance(launcher(), Kubernetes)
    monkeypatch.setenv("PGROLLOUT_LAUNCHER", "inline")
    assert isinstance(launcher(), Inline)
    monkeypatch.setenv("PGROLLOUT_LAUNCHER", "jobs")
    with pytest.raises(ConfigurationError, match="there is no launcher 'jobs'"):
        launcher()


def test_an_image_needs_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that names one is not to be run by the migrations that happen to be here."""
    monkeypatch.setenv("PGROLLOUT_LAUNCHER", "inline")

    with using("app:2"), pytest.raises(ConfigurationError, match="image app:2: stages run in this process"):
        launcher()
    with using(""):
        assert isinstance(launcher(), Inline)
