"""
Delivery: how the outcome of a stage leaves the pod that it ran in.

Twice. The termination message is small and sure: how it ended, in a line, and the digest of the whole. The log has the
whole: the report, or the error, as its last lines; it is believed only with that digest. Values in, values out; who
writes the lines and who reads them is left to others.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pgrollout import __version__
from pgrollout.errors import ExitCode, PgrolloutError

REQUEST = "PGROLLOUT_STAGE_REQUEST"
"""Variable with what a stage in a pod is asked, as JSON."""
MESSAGE = "PGROLLOUT_TERMINATION_MESSAGE"
"""Variable with the file that becomes the pod's termination message."""
MARK = "pgrollout-outcome"
FAILED = "stage failed"
"""Event in the log of a stage that failed, for who reads that alone: the outcome says the same."""
LINE_BYTES = 8 * 1024
"""Longest line. A container's log cuts at 16 KiB, and with time stamps puts another one into the middle."""
MESSAGE_BYTES = 4096
"""Longest termination message. Source: Kubernetes, ``terminationMessagePath``."""
_SUMMARY_CHARACTERS = 1200
_PART = re.compile(rf"{MARK} (\d+)/(\d+) (\S+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stage ended, with everything that it has to say."""

    exit_code: int
    summary: str
    """One line of the report, or the error's sentence."""
    error: str = ""
    """Class of the error; empty where there is none."""
    report: str = ""
    """The report as JSON; empty where there is an error."""
    version: str = __version__
    """Version of pgrollout that ran it."""

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """The termination message: what is known even where the log is lost."""

    exit_code: int
    summary: str
    """As the outcome's, cut where it is long."""
    error: str
    sha256: str
    """Digest of the outcome in the log, in hexadecimal."""

    def to_json(self) -> str:
        """Return it as a pod's termination message."""
        return json.dumps(asdict(self), ensure_ascii=False)


def failed(error: BaseException) -> Outcome:
    """Return the outcome of a stage that raised."""
    if isinstance(error, PgrolloutError):
        return Outcome(int(error.code), str(error), type(error).__name__)
    if isinstance(error, KeyboardInterrupt):
        text = "Interrupted. What was committed stays; the next run continues from there."
        return Outcome(int(ExitCode.WAIT), text, "Interrupted")
    return Outcome(int(ExitCode.FAILED), f"{type(error).__name__}: {error}", type(error).__name__)


def notice(outcome: Outcome) -> Notice:
    """Return the termination message of an outcome, at most ``MESSAGE_BYTES`` of JSON."""
    summary = outcome.summary
    room = _SUMMARY_CHARACTERS
    while True:
        cut = summary if len(summary) <= room else f"{summary[:room]} …"
        found = Notice(outcome.exit_code, cut, outcome.error, digest(outcome.to_json()))
        if len(found.to_json().encode()) <= MESSAGE_BYTES:
            return found
        room //= 2


def digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def lines(outcome: Outcome) -> list[str]:
    """Return the outcome as lines of a log: readable if it fits into one, else compressed, in numbered parts."""
    text = outcome.to_json()
    if len(text.encode()) <= LINE_BYTES - len(MARK) - 1:
        return [f"{MARK} {text}"]
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    size = LINE_BYTES - len(MARK) - 32
    parts = [packed[start : start + size] for start in range(0, len(packed), size)]
    return [f"{MARK} {number}/{len(parts)} {part}" for number, part in enumerate(parts, start=1)]


def is_part(line: str) -> bool:
    """Whether a line of the log belongs to an outcome, and is not for people."""
    return line.startswith(f"{MARK} ")


def read_notice(message: str) -> Notice | None:
    """Return the notice of a termination message; None if it is none, as when the process was killed."""
    try:
        found = json.loads(message)
        return Notice(**found)
    except (ValueError, TypeError):
        return None


def read_outcome(log: Iterable[str], sha256: str) -> Outcome | None:
    """Return the outcome that a log has under this digest; None if it has none, or not all of it."""
    parts: dict[int, str] = {}
    count = 0
    for line in log:
        if not is_part(line):
            continue
        if (found := _PART.fullmatch(line)) is None:
            text = line.removeprefix(f"{MARK} ")
            if digest(text) == sha256:
                return _outcome(text)
            continue
        number, count = int(found[1]), int(found[2])
        parts[number] = found[3]
        if number == count and (whole := _unpacked(parts, count)) and digest(whole) == sha256:
            return _outcome(whole)
    return None


def _unpacked(parts: dict[int, str], count: int) -> str | None:
    try:
        packed = "".join(parts[number] for number in range(1, count + 1))
        return gzip.decompress(base64.b64decode(packed)).decode()
    except (KeyError, ValueError, OSError, EOFError):
        return None


def _outcome(text: str) -> Outcome | None:
    try:
        return Outcome(**json.loads(text))
    except (ValueError, TypeError):
        return None
