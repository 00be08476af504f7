"""
Messages: what is sent to the server at once, commands of ours around and between pieces of a migration.

The server answers a failure with the number of commands that ended well before it, and often with a position in the text;
a message knows which of its parts that is. What the failure then means is for the writer to say.
"""

from dataclasses import dataclass, field

from pgrollout import splitter
from pgrollout.postgres.chunk import Chunk
from pgrollout.postgres.execute import Failure


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message."""

    text: str
    """Its SQL."""
    start: int
    """Where it begins in the message."""
    piece: Chunk | None
    """The piece of the migration that it is; None for a command of ours."""
    what: str
    """What a command of ours is for; empty for a piece."""


@dataclass
class Message:
    """Collects the parts of one message, in order."""

    _parts: list[Part] = field(default_factory=list)
    _length: int = 0

    @property
    def text(self) -> str:
        """All of it, as it is sent."""
        return "".join(part.text for part in self._parts)

    def __len__(self) -> int:
        return self._length

    def ours(self, what: str, *commands: str) -> None:
        """Add commands of ours; ``what`` tells what they are for if one fails."""
        for command in commands:
            self._add(Part(f"{command};\n", self._length, None, what))

    def theirs(self, piece: Chunk) -> None:
        """Add a piece of the migration, which may end in a comment."""
        self._add(Part(f"{piece.text}\n;\n", self._length, piece, ""))

    def failed(self, failure: Failure) -> tuple[Part, int]:
        """
        Return the part that the server refused, and the offset of what it refused in it.

        A syntax error is found before anything runs, and so has a position in any part; other failures are found by the
        number of commands that ended well.
        """
        if failure.position is not None:
            for part in self._parts:
                if part.start <= failure.position < part.start + len(part.text):
                    return part, failure.position - part.start
        left = failure.finished
        for part in self._parts:
            statements = splitter.split(part.text).statements
            if left < len(statements):
                return part, statements[left].start
            left -= len(statements)
        return self._parts[-1], 0

    def _add(self, part: Part) -> None:
        self._parts.append(part)
        self._length += len(part.text)
