"""
Statements: one SQL command of a migration, and where it stands in its file.

Both splitters, the server's rules (``splitter``) and Atlas's (``atlas_splitter``), give these. The text
is never changed: ``source[start:end]`` is the statement, a delimiter that belongs to it included. What begins or ends a
transaction is told here by the words that a statement begins with.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL command of a migration."""

    index: int
    """Position among the statements of its file, from 0."""
    text: str
    """The command, trimmed, with its ``;`` if it has one; comments before it are not part of it."""
    start: int
    """Offset of its first character in the file's text, from 0."""
    end: int
    """Offset after its last character."""
    start_byte: int
    """Offset of its first byte in the file, from 0."""
    line: int
    """Line of its first character, from 1."""
    column: int
    """Column of its first character in characters, from 1."""
    comments: tuple[str, ...] = ()
    """The comments in front of it, as written: directives stand there."""
    keywords: tuple[str, ...] = ()
    """Its first four words in upper case, comments left out: ``("CREATE", "INDEX", "CONCURRENTLY", "I")``."""


def begins_transaction(keywords: tuple[str, ...]) -> bool:
    """Whether a statement with these first words begins an explicit transaction."""
    return keywords[:1] == ("BEGIN",) or keywords[:2] == ("START", "TRANSACTION")


def ends_transaction(keywords: tuple[str, ...]) -> bool:
    """Whether a statement with these first words ends an explicit transaction."""
    match keywords:
        case ("ROLLBACK", "TO", *_) | ("ROLLBACK", "WORK" | "TRANSACTION", "TO", *_):
            return False
        case ("COMMIT" | "ROLLBACK", "PREPARED", *_):
            return False
        case ("COMMIT" | "END" | "ROLLBACK" | "ABORT", *_) | ("PREPARE", "TRANSACTION", *_):
            return True
    return False
