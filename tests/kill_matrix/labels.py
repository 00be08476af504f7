"""
Labels: what each message of a run is for, told from its SQL alone.

A message without a label is a boundary that nobody has thought of: ``UNKNOWN`` fails every case that sees one.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from tests.kill_matrix.proxy import Side
from tests.kill_matrix.sql import commands

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Label:
    """A kind of message."""

    name: str
    pattern: re.Pattern[str]
    """Found in the message's commands, one in a line."""
    side: Side | None = None
    """On which connection; None is both."""
    is_boundary: bool = True
    """Whether runs are killed there; not at what is sent again and again by the clock."""
    only_reads: bool = False
    """Nothing outlasts the session: of such messages in a row, to die before the first one will do."""


def _label(name: str, pattern: str, **values: bool | Side | None) -> Label:
    return Label(name, re.compile(pattern, re.MULTILINE), **values)  # type: ignore[arg-type]


_LEDGER = r'"?pgrollout"?\.'
LABELS = (
    _label("start", rf"^INSERT INTO {_LEDGER}\"?run\b"),
    _label("end", rf"^UPDATE {_LEDGER}\"?run\"? SET ended_at"),
    _label("intent", rf"^INSERT INTO {_LEDGER}\"?step\b.*'alone'"),
    _label("record", r'^INSERT INTO "?\w+"?\."?atlas_schema_revisions\b'),
    _label("take", rf"^UPDATE {_LEDGER}\"?lease\"? SET token", side=Side.WATCH),
    _label(
        "beat", rf"^UPDATE {_LEDGER}\"?lease\"? SET heartbeat = pg_catalog\.clock", side=Side.WATCH, is_boundary=False
    ),
    _label("give back", rf"^UPDATE {_LEDGER}\"?lease\"?( l)? SET heartbeat = '-infinity'", side=Side.WATCH),
    _label("clean up", r"^(DROP INDEX (CONCURRENTLY )?IF EXISTS|ALTER TABLE .* FINALIZE)"),
    _label("trial", r"^CREATE (TEMPORARY TABLE|(UNIQUE )?INDEX) .*\"pg_temp\"", only_reads=True),
    _label("lock", r"^SELECT pg_catalog\.pg_try_advisory_lock\b"),
    _label("unlock", r"^SELECT pg_catalog\.pg_advisory_unlock\b"),
    _label("close", r"^Terminate$", is_boundary=False),
    _label("look", r"^(SELECT|WITH|SHOW|SET|RESET|BEGIN|COMMIT|ROLLBACK|CLOSE ALL)\b", only_reads=True),
)
SEGMENT = Label("segment", re.compile(""))
"""Commands of a migration in a transaction, with the rows about them."""
ALONE = Label("alone", re.compile(""))
"""A command of a migration that nothing goes with."""
WRITES = ("start", "intent", "segment", "alone", "record")
"""Messages by which a run begins to change something."""
BY_NAME = {label.name: label for label in (*LABELS, SEGMENT, ALONE, Label(UNKNOWN, re.compile(""), is_boundary=False))}


def label_of(side: Side, text: str, statements: Collection[str]) -> str:
    """Return the label of a message of a run over these statements of migrations."""
    found = commands(text)
    if any(command in statements for command in found):
        return ALONE.name if len(found) == 1 else SEGMENT.name
    lines = "\n".join(found)
    for label in LABELS:
        if label.side in (None, side) and label.pattern.search(lines):
            return label.name
    return UNKNOWN
