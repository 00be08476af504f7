"""
Logs of the command line: lines for a person on a terminal, JSON lines elsewhere, both on stderr.

How lines and progress share a terminal is left to ``terminal``.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime

from pgrollout import __version__, progress
from pgrollout.commands.terminal import Terminal, TerminalHandler
from pgrollout.log_fields import current

_FIELD = re.compile(r' (\w+)=("[^"]*"|\S+)')
_QUANTITY = re.compile(r"(_ms|_seconds|_bytes|statements?|files|pid)$")


class TextFormatter(logging.Formatter):
    """A line for a person; warnings and errors say so."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = record.getMessage()
        return text if record.levelno <= logging.INFO else f"{record.levelname.capitalize()}: {text}"


class JsonFormatter(logging.Formatter):
    """
    One JSON object: time, level, the event's fixed phrase, its fields, and what it is about: run, stage, database, version.

    An event reads ``phrase key=value key=value``; the values become fields of their own, numbers as numbers.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = record.getMessage()
        known = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _FIELD.sub("", text),
            "logger": record.name,
            "pgrollout": __version__,
        }
        fields = {f"{key}_" if key in known else key: _value(key, value) for key, value in _FIELD.findall(text)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # Prefect's events, and others', are about what they say themselves.
        told = current() if record.name.partition(".")[0] == "pgrollout" else {}
        return json.dumps({**known, **told, **fields}, ensure_ascii=False)


def _value(key: str, text: str) -> str | int:
    # A version is digits too, and yet a name.
    return int(text) if text.isdecimal() and _QUANTITY.search(key) else text.strip('"')


def set_up_logging(log_format: str | None, verbose: bool) -> None:
    """Send the log of the package to stderr, in the form asked for or the one that fits."""
    is_watched = sys.stderr.isatty()
    as_json = log_format == "json" if log_format else not is_watched
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    progress.display = None
    if is_watched and not as_json:
        progress.display = terminal = Terminal()
        handler = TerminalHandler(terminal)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logger = logging.getLogger("pgrollout")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
