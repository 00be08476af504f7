"""Something that takes long says so, and stops saying so when it ends."""

import contextvars
import logging
import queue
import re
import threading
from collections.abc import Iterator

import pytest

from pgrollout.still_running import still_running

SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: queue.Queue[tuple[str, str]] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put((record.getMessage(), SEEN.get()))

    def next(self) -> str:
        """Wait for a line."""
        return self.lines.get(timeout=30)[0]


@pytest.fixture
def lines() -> Iterator[_Lines]:
    """What is logged."""
    logger, handler = logging.getLogger("pgrollout.still_running"), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_long_block_is_reported_again_and_again(lines: _Lines) -> None:
    """With what is being done, and for how long."""
    with still_running("backing up reader", 0.001):
        assert [lines.next(), lines.next()] == ['still running elapsed_s=0 doing="backing up reader"'] * 2


def test_what_is_being_done_can_change(lines: _Lines) -> None:
    """A line after the change names the new thing."""
    with still_running("one", 0.001) as say:
        lines.next()
        say("two")
        while '"one"' in (line := lines.next()):
            pass
    assert line.endswith('doing="two"')


def test_quotes_do_not_break_the_line(lines: _Lines) -> None:
    """The value is one field, whatever is in it."""
    with still_running('dumping "a b"', 0.001):
        assert re.fullmatch(r"still running elapsed_s=0 doing=\"[^\"]*\"", lines.next())


def test_a_short_block_says_nothing(lines: _Lines) -> None:
    """Ten seconds is the default."""
    with still_running("short"):
        pass

    assert lines.lines.empty()


def test_the_lines_stop_with_the_block(lines: _Lines) -> None:
    """Also when it fails: no thread is left behind."""
    before = threading.active_count()

    def fail() -> None:
        with still_running("failing", 0.001):
            lines.next()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert threading.active_count() == before


def test_the_lines_belong_to_the_run_that_they_are_about(lines: _Lines) -> None:
    """The context of the caller goes along: Prefect finds the flow run in it."""
    SEEN.set("run 1")

    with still_running("x", 0.001):
        assert lines.lines.get(timeout=30)[1] == "run 1"
