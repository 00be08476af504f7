"""
Settling: what became of statements outside a transaction whose end an earlier run has not recorded.

The catalog is compared with what the intent kept of it: the statement took effect, then that is recorded; it did not, then
what it left is cleared away, and it runs again in its turn; or nobody can tell, then a person is asked. Runs when every
backend of earlier attempts is gone, before anything is decided.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence

from pgrollout import directives, splitter
from pgrollout.errors import HistoryChanged, UnresolvedIntent
from pgrollout.outside import outside
from pgrollout.postgres import effects
from pgrollout.postgres.alone import Alone
from pgrollout.postgres.effects import Effect, Verdict
from pgrollout.postgres.executing import Executing
from pgrollout.postgres.ledger import OpenIntent
from pgrollout.postgres.records import File
from pgrollout.statement import Statement

log = logging.getLogger(__name__)


def settle(executing: Executing, alone: Alone, intents: Sequence[OpenIntent], files: Mapping[str, File]) -> None:
    """
    Settle the open intents.

    Args:
        executing: The executing connection.
        alone: Clears away what is left.
        intents: What no end is recorded of, oldest first.
        files: The files they are of, by version.

    Raises:
        UnresolvedIntent: Only a person can tell whether one of them took effect; nothing was done.
        HistoryChanged: One took effect, and its file has another statement in its place now.
        IndexNotDropped, DetachNotFinished: Somebody was in the way until the deadline.
        IndexBuildUnderWay: An invalid index may be somebody else's, who is building one.
    """
    verdicts = [(intent, _verdict(executing, intent, files.get(intent.version))) for intent in intents]
    for intent, verdict in verdicts:
        if verdict.effect is Effect.UNKNOWN:
            since = f"{intent.since:%Y-%m-%d %H:%M:%S %Z}"
            advice = verdict.advice or f"{verdict.says[:1].upper()}{verdict.says[1:]}."
            raise UnresolvedIntent(intent.version, intent.position, intent.statement, since, advice)
    for intent, verdict in verdicts:
        alone.drop(verdict.left)
        alone.finalize(verdict)
        ended = _end(executing, intent, files.get(intent.version), verdict)
        executing.transaction("settling what an earlier run left", ended)
        log.warning(
            'statement of an earlier run settled version=%s statement=%d effect="%s" seen="%s"',
            intent.version, intent.position, verdict.effect, verdict.says,
        )  # fmt: skip


def _verdict(executing: Executing, intent: OpenIntent, file: File | None) -> Verdict:
    statement = _statement(intent, file)
    text = statement.text if statement else intent.statement
    first = splitter.split(text).statements
    what = outside(text, first[0].keywords, refused=True) if first else None
    if statement is not None and file is not None:
        # Its names mean what they meant then.
        executing.set_again(file, statement.index)
    verdict = effects.settle(executing.connection, what, text, intent.before)
    executing.is_used()
    executing.clean()
    if verdict.effect is Effect.UNKNOWN and statement is not None and is_repeatable(statement):
        return Verdict(Effect.RUN_AGAIN, "pgrollout:repeatable")
    return verdict


def _statement(intent: OpenIntent, file: File | None) -> Statement | None:
    """Return the statement that was started, if the file still has it there."""
    found = file.content.statements[intent.position - 1 : intent.position] if file else ()
    return next((each for each in found if hashlib.sha256(each.text.encode()).hexdigest() == intent.hash), None)


def _end(executing: Executing, intent: OpenIntent, file: File | None, verdict: Verdict) -> list[str]:
    records = executing.records
    took_effect = verdict.effect is Effect.TOOK_EFFECT or verdict.detach is not None
    outcome = "done" if took_effect else "run again"
    end = records.end_intent(intent.version, intent.position, outcome, verdict.says)
    if not took_effect:
        return [end]
    if file is None or _statement(intent, file) is None:
        name = file.name if file else intent.version
        now = file.content.statements[intent.position - 1 : intent.position] if file else ()
        raise HistoryChanged(
            name, intent.position, intent.statement, now[0].text if now else "there is no such statement"
        )
    return [records.row(file, intent.position), end]


def is_repeatable(statement: Statement) -> bool:
    """Whether its author says that it may run again: ``-- pgrollout:repeatable``."""
    written = (each for comment in statement.comments for each in directives.ours(0, comment))
    return any(each.name == directives.REPEATABLE for each in written)
