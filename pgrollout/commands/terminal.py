"""
The terminal: log lines for a person on stderr, and below them what is being done now, with a bar where its end is known.

``rich`` is imported when something is drawn for the first time, so that a command which ends at once does not pay for it.
"""

import logging
import sys
import threading
from typing import TYPE_CHECKING

from pgrollout.progress import Progress

if TYPE_CHECKING:
    import rich.progress


class Terminal:
    """What a person sees on stderr."""

    def __init__(self) -> None:
        self._drawn: rich.progress.Progress | None = None
        self._lock = threading.RLock()

    def line(self, text: str) -> None:
        """Write a line; what is drawn stays below it."""
        with self._lock:
            if self._drawn is None:
                print(text, file=sys.stderr, flush=True)
            else:
                self._drawn.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def draw(self, progress: Progress) -> None:
        """Show what is being done."""
        with self._lock:
            if self._drawn is None:
                self._drawn = _bar()
                self._drawn.add_task("")
            [task] = self._drawn.task_ids
            self._drawn.update(
                task,
                description=progress.doing,
                completed=progress.done,
                total=progress.total,
                count=f"{progress.done} of {progress.total}" if progress.total else "",
                elapsed=_elapsed(progress.elapsed_seconds),
            )
            self._drawn.start()  # does nothing the second time
            self._drawn.refresh()

    def clear(self) -> None:
        """Take away what is drawn."""
        with self._lock:
            if self._drawn is not None:
                self._drawn.stop()
                self._drawn = None


class TerminalHandler(logging.Handler):
    """Writes log lines to the terminal."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line."""
        try:
            self._terminal.line(self.format(record))
        except Exception:
            self.handleError(record)


def _bar() -> "rich.progress.Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[elapsed]}"),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
