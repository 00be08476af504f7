"""Something that takes long says so, to the log or to who draws it, and stops saying so when it ends."""

import contextvars
import logging
import queue
import re
import threading
from collections.abc import Iterator

import pytest

from pgrollout import progress
from pgrollout.progress import Progress, reporting

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


class _Display:
    def __init__(self) -> None:
        self.drawn: queue.Queue[Progress | None] = queue.Queue()

    def draw(self, progress: Progress) -> None:
        self.drawn.put(progress)

    def clear(self) -> None:
        self.drawn.put(None)

    def next(self) -> Progress | None:
        """Wait for what is drawn; None when it is taken away."""
        return self.drawn.get(timeout=30)


@pytest.fixture
def lines() -> Iterator[_Lines]:
    """What is logged."""
    logger, handler = logging.getLogger("pgrollout.progress"), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line every millisecond, and as often a drawing."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.001)
    monkeypatch.setattr(progress, "DRAW_SECONDS", 0.001)


@pytest.fixture
def display(often: None, monkeypatch: pytest.MonkeyPatch) -> _Display:
    """What is drawn."""
    display = _Display()
    monkeypatch.setattr(progress, "display", display)
    return display


@pytest.mark.usefixtures("often")
def test_a_long_block_is_reported_again_and_again(lines: _Lines) -> None:
    """With what is being done, and for how long."""
    with reporting("backing up reader"):
        assert [lines.next(), lines.next()] == ['still running elapsed_seconds=0 doing="backing up reader"'] * 2


@pytest.mark.usefixtures("often")
def test_what_is_being_done_can_change(lines: _Lines) -> None:
    """A line after the change names the new thing."""
    with reporting("one") as reporter:
        lines.next()
        reporter.say("two")
        while '"one"' in (line := lines.next()):
            pass
    assert line.endswith('doing="two"')


@pytest.mark.usefixtures("often")
def test_a_note_says_how_far_it_is(lines: _Lines) -> None:
    """Until something else is done."""
    with reporting("dumping") as reporter:
        reporter.note("3 MB written")
        while 'doing="dumping"' in (line := lines.next()):
            pass
        assert line.endswith('doing="dumping, 3 MB written"')
        reporter.say("reading back")
        while "dumping" in (line := lines.next()):
            pass
    assert line.endswith('doing="reading back"')


@pytest.mark.usefixtures("often")
def test_quotes_do_not_break_the_line(lines: _Lines) -> None:
    """The value is one field, whatever is in it."""
    with reporting('dumping "a b"'):
        assert re.fullmatch(r"still running elapsed_seconds=0 doing=\"[^\"]*\"", lines.next())


def test_a_short_block_says_nothing(lines: _Lines) -> None:
    """Ten seconds is the default."""
    with reporting("short"):
        pass

    assert lines.lines.empty()


@pytest.mark.usefixtures("often")
def test_the_lines_stop_with_the_block(lines: _Lines) -> None:
    """Also when it fails: no thread is left behind."""
    before = threading.active_count()

    def fail() -> None:
        with reporting("failing"):
            lines.next()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert threading.active_count() == before


@pytest.mark.usefixtures("often")
def test_the_lines_belong_to_the_run_that_they_are_about(lines: _Lines) -> None:
    """The context of the caller goes along: Prefect finds the flow run in it."""
    SEEN.set("run 1")

    with reporting("x"):
        assert lines.lines.get(timeout=30)[1] == "run 1"


def test_who_watches_sees_it_drawn_instead(display: _Display, lines: _Lines) -> None:
    """What is being done and how many of how many are done, without a log line, and nothing is left of it."""
    with reporting("applying 1_a.sql", total=2) as reporter:
        first = display.next()
        reporter.say("applying 2_b.sql", done=1)
        while (second := display.next()) is not None and second.done == 0:
            pass

    assert isinstance(first, Progress)
    assert isinstance(second, Progress)
    assert (first.doing, first.done, first.total) == ("applying 1_a.sql", 0, 2)
    assert (second.doing, second.done, second.total) == ("applying 2_b.sql", 1, 2)
    assert list(display.drawn.queue)[-1] is None
    assert lines.lines.empty()
