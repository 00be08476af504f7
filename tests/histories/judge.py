"""
Judge: what is wrong with what many runs did, as the server's log has it. What the kill matrix judges is judged there.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from tests.kill_matrix.server_log import Entry, took_effect

_RUN = re.compile(r"pgrollout/(?P<run>[^/]+)/(?P<token>\d+)")


def strangers(statements: Collection[str], may_repeat: str, entries: Sequence[Entry]) -> list[str]:
    """Return which statements took effect that somebody had edited away."""
    return [
        f"took effect, and is in no file any more: {command}"
        for command, _ in took_effect(entries)
        if command in statements and not re.match(may_repeat, command)
    ]


def turns(entries: Sequence[Entry]) -> Iterator[str]:
    """Tell where a run wrote after another one had taken over, or two runs with the same token did."""
    newest, writer = -1, ""
    for command, application in took_effect(entries):
        found = _RUN.match(application)
        if found is None or not command.startswith(("INSERT", "UPDATE", "CREATE", "ALTER", "DROP", "CALL", "DO")):
            continue
        token, run = int(found["token"]), found["run"]
        if token < newest or (token == newest and run != writer):
            yield f"{application} wrote after the run {writer} with the token {newest}: {command}"
        newest, writer = max(newest, token), run
