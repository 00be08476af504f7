"""
Server log: what a server says took effect, whatever anybody has written into a table.

The server logs every message when it has ended well, and every error with its message. A command took effect if its
message ended well and its transaction committed: COMMIT came in the same message or in a later one of the session, or
there was no BEGIN. An error undoes what is open; so does the end of the session. Between a commit and its line in the log
nothing can interrupt a backend, but ``immediate`` can end it: only after that way to die a line may be missing.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kill_matrix.sql import commands
from tests.kill_matrix.waiting import until
from tests.servers import Database

SETTINGS = {
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "log",
    "log_filename": "server.log",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_min_duration_statement": "0",
    "log_error_verbosity": "terse",
}
_DONE = re.compile(r"duration: [\d.]+ ms  (?:statement|execute [^:]*): (?P<text>.*)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """One message of a session."""

    session: str
    application: str
    text: str
    ended_well: bool


class ServerLog:
    """The log of one server."""

    def __init__(self, data: Path) -> None:
        self._path = data / "log" / "server.json"
        self._offset = 0
        self._rest = b""

    def skip(self) -> None:
        """Leave out what is there by now."""
        self._offset = self._path.stat().st_size if self._path.exists() else 0
        self._rest = b""

    def read(self, database: Database) -> list[Entry]:
        """Return what the sessions of pgrollout in this database did since the last ``skip``."""
        mark = f"mark {database.name} {self._offset}"
        database.execute(f"SELECT '{mark}'")
        found: list[dict[str, Any]] = []

        def is_complete() -> bool:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                added = file.read()
            self._offset += len(added)
            *lines, self._rest = (self._rest + added).split(b"\n")
            found.extend(json.loads(line) for line in lines)
            return any(mark in entry.get("message", "") for entry in found)

        until(is_complete, "the server's log up to now")
        return list(_entries(found, database.name))


def _entries(found: Iterable[dict[str, Any]], database: str) -> Iterable[Entry]:
    for entry in found:
        application = entry.get("application_name", "")
        if entry.get("dbname") != database or not application.startswith("pgrollout/"):
            continue
        if done := _DONE.match(entry.get("message", "")):
            yield Entry(entry["session_id"], application, done["text"], ended_well=True)
        elif entry["error_severity"] in ("ERROR", "FATAL", "PANIC"):
            yield Entry(entry["session_id"], application, entry.get("statement", ""), ended_well=False)


def took_effect(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return the commands that took effect, each in one spelling, and the application that ran it."""
    effects: list[tuple[str, str]] = []
    opened: dict[str, list[tuple[str, str]]] = defaultdict(list)
    in_transaction: dict[str, bool] = {}
    for entry in entries:
        pending = opened[entry.session]
        if not entry.ended_well:
            pending.clear()
            continue
        for command in commands(entry.text):
            first = command.partition(" ")[0].upper()
            if first in ("BEGIN", "START"):
                in_transaction[entry.session] = True
            elif first in ("COMMIT", "END"):
                in_transaction[entry.session] = False
                effects += pending
                pending.clear()
            elif first in ("ROLLBACK", "ABORT") and " TO " not in command.upper():
                in_transaction[entry.session] = False
                pending.clear()
            else:
                pending.append((command, entry.application))
        if not in_transaction.get(entry.session):
            effects += pending
            pending.clear()
    return effects
