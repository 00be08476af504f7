"""What a person sees on a terminal: log lines, and below them what is being done now."""

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from pgrollout import progress
from pgrollout.commands.logs import set_up_logging
from pgrollout.progress import Display, Progress


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Leave the package's logger, and who draws, as other tests expect it."""
    logger = logging.getLogger("pgrollout")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before
    progress.display = None


def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[_Tty, Display]:
    """Put a terminal of 100 columns in the place of stderr; return it, and who draws on it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    tty = _Tty()
    monkeypatch.setattr(sys, "stderr", tty)
    set_up_logging(None, verbose=False)
    assert progress.display is not None
    return tty, progress.display


def test_what_is_done_is_drawn_with_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What, how many of how many, and for how long."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    tty, display = watched(monkeypatch)

    display.draw(Progress("applying 2_b.sql", 75.2, 1, 8))

    assert "applying 2_b.sql" in tty.getvalue()
    assert "1 of 8" in tty.getvalue()
    assert "1 min 15 s" in tty.getvalue()
    display.clear()


def test_lines_come_above_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, unchanged and without markup; in the end nothing but the lines is left."""
    tty, display = watched(monkeypatch)
    line = "a line of [bold]more[/bold] than a hundred characters, which " + "goes on and " * 8 + "ends"

    display.draw(Progress("replaying", 1.0))
    logging.getLogger("pgrollout.x").info("%s", line)
    display.clear()

    assert line + "\n" in tty.getvalue()
    assert tty.getvalue().endswith("\x1b[2K")


def test_colour_is_left_out_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR: the bar moves, and has none."""
    monkeypatch.setenv("NO_COLOR", "1")
    tty, display = watched(monkeypatch)

    display.draw(Progress("replaying", 1.0, 1, 2))
    display.clear()

    assert "replaying" in tty.getvalue()
    assert "\x1b[3" not in tty.getvalue()
    assert "38;5" not in tty.getvalue()


@pytest.mark.parametrize("log_format", ["json", None])
def test_nothing_is_drawn_into_a_file(log_format: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where lines are JSON: a program reads them."""
    monkeypatch.setattr(sys, "stderr", _Tty() if log_format else io.StringIO())

    set_up_logging(log_format, verbose=False)

    assert progress.display is None
