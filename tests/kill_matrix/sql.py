"""
SQL as the harness sees it: commands of a text, each in one spelling.

A text on the wire, or in the server's log, holds commands of a migration and commands around them, and quotes some of the
former in literals of the latter; only commands count. Written anew rather than taken from pgrollout: it judges that.
"""

import re

_PIECE = re.compile(
    r"'(?:[^']++|'')*+'|\"[^\"]*\"|(\$\w*\$).*?\1|(--[^\n]*|/\*.*?\*/)|(;)|[^'\"$;/-]+|.",
    re.DOTALL,
)


def commands(text: str) -> list[str]:
    """Return the commands of a text, without comments, one space between words."""
    found = [""]
    for piece in _PIECE.finditer(text):
        if piece[3]:
            found.append("")
        elif piece[2]:
            found[-1] += " "
        else:
            found[-1] += piece[0]
    return [spelled for command in found if (spelled := one_spelling(command))]


def one_spelling(command: str) -> str:
    """Return the command with one space between words; CONCURRENTLY of a build is left out, for small tables go without."""
    spelled = " ".join(command.split())
    return re.sub(r"^(CREATE (?:UNIQUE )?INDEX) CONCURRENTLY\b", r"\1", spelled)
