"""
Statements: one SQL command of a migration, and where it stands in its file.

Both splitters, the server's rules (``splitter``) and Atlas's (``atlas_splitter``), give these. The text
is never changed: ``source[start:end]`` is the statement, a delimiter that belongs to it included.
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
