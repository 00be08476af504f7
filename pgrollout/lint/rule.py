"""
Rules: what a rule is, and what it yields.

A rule is a value with a code, texts that teach, and one pure check. The codes are those of the catalogue of rules;
where Atlas has the same check, it is Atlas's code.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pgrollout.content import Content
from pgrollout.lint.facts import Facts
from pgrollout.nodes import Node
from pgrollout.place import Place


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """Validate refuses the directory."""
    WARNING = "warning"
    """Somebody should know before it runs."""
    INFO = "info"


class Fact(StrEnum):
    """What a rule looks at beside the statement itself."""

    FILE = "file"
    """The statements before it in the same file."""
    DIRECTORY = "directory"
    """The files before it: what they made is known."""
    CATALOG = "catalog"
    """The database itself. Where the directory does not say enough, the finding says "may"."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One hit of a rule."""

    code: str
    """The rule's: ``PG101``."""
    severity: Severity
    place: Place
    """Where the statement starts, or what is wrong in it."""
    statement: int
    """The statement's number in its file, from 1; 0 if the finding is about the file."""
    subject: str
    """What it is about: ``orders``, ``orders.customer_id``; may be empty."""
    message: str
    """What happens to a busy database."""
    remedy: str
    """What to write instead; may be empty where the message says so."""
    source: str
    """Where that can be read."""

    def __str__(self) -> str:
        subject = f" {self.subject}:" if self.subject else ""
        return f"{self.place}: {self.code}{subject} {self.message} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class Command:
    """A statement of a migration, parsed: what rules look at."""

    number: int
    """The statement's number in its file, from 1."""
    node: Node


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule's check yields: the subject, and the texts where they differ from the rule's own."""

    subject: str
    effect: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    code: str
    severity: Severity
    effect: str
    """What happens, in one sentence; the finding's message."""
    remedy: str
    """What to write instead."""
    source: str
    findings: Callable[[Command, Facts], Iterator[Hit]] | None = None
    """The check of one statement; None where the rule is about a whole file, or about reading it."""
    in_file: Callable[[Content], Iterator[tuple[int, Hit]]] | None = None
    """The check of a file's statements together, which needs no parser: hits, each with its statement's index."""
    needs: tuple[Fact, ...] = ()
    can_be_waived: bool = True

    def finding(self, hit: Hit, place: Place, statement: int) -> Finding:
        """Return the finding that a hit at a place is."""
        message, remedy = hit.effect or self.effect, hit.remedy or self.remedy
        return Finding(self.code, self.severity, place, statement, hit.subject, message, remedy, self.source)
