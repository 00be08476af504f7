"""
Places: where in a file something stands, and how that is shown to a person.

Lines and columns count from 1, columns in characters.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A character of a file."""

    file: str
    """File name, as the directory lists it."""
    line: int
    """Line, from 1."""
    column: int
    """Column in characters, from 1."""
    text: str
    """The line's text, without its line break."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self) -> str:
        """Return the line with a caret under the column; a long line is cut to what stands around it."""
        first = max(0, self.column - 61)
        shown = self.text[first : first + 120]
        before = "".join("\t" if character == "\t" else " " for character in shown[: self.column - 1 - first])
        return f"    {shown}\n    {before}^"


def place_at(file: str, text: str, offset: int) -> Place:
    """Return the place of the character at ``offset`` (from 0) of ``text``; secrets in its line are not to be seen."""
    from pgrollout.secrets import blank_secrets  # not for whoever only names an error

    offset = min(offset, len(text))
    text = blank_secrets(text)
    first = text.rfind("\n", 0, offset) + 1
    last = text.find("\n", offset)
    line = text[first : None if last < 0 else last].rstrip("\r")
    return Place(file, text.count("\n", 0, offset) + 1, offset - first + 1, line)
