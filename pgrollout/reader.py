"""
Reader: goes through the tokens of one statement, word by word, name by name.

For the few commands of a fixed form that must be recognised where no parser is to be had, and for changing a text at a
token so that all other positions stay. Knows words, names, strings and parentheses; what they mean is left to others.
"""

import re

from pgrollout import splitter
from pgrollout.nodes import Name

NAME_BYTES = 63
"""How much of a name the server keeps. Source: ``NAMEDATALEN``."""

_UPPER_CASE = re.compile(r"[A-Z]+")
_UNICODE_ESCAPE = re.compile(r"\\(?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4})|\\)")


class Reader:
    """One statement, and how far it has been read."""

    def __init__(self, text: str) -> None:
        """
        Begin at the first token.

        Raises:
            Unclosed: Something in the text opens and never closes.
        """
        self.text = text
        self._spans = list(splitter.tokens(text))
        self._at = 0

    @property
    def start(self) -> int:
        """Offset where the next token begins; the end of the text behind the last one."""
        return self._spans[self._at][0] if self._at < len(self._spans) else len(self.text)

    @property
    def end(self) -> int:
        """Offset where the last token that was read ended; 0 before the first."""
        return self._spans[self._at - 1][1] if self._at else 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left, or the semicolon."""
        return self.see() in ("", ";")

    def see(self, ahead: int = 0) -> str:
        """Return the next token, or one after it, without taking it; empty at the end."""
        index = self._at + ahead
        if index >= len(self._spans):
            return ""
        start, end = self._spans[index]
        return self.text[start:end]

    def take(self, *words: str) -> bool:
        """Step over these words, given in upper case, if they are the next ones; tell whether they were."""
        if any(self.see(ahead).upper() != word for ahead, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def token(self) -> str:
        """Step over the next token, whatever it is, and return it; empty at the end."""
        found = self.see()
        self._at = min(self._at + 1, len(self._spans))
        return found

    def name(self) -> Name:
        """Step over a name, its schema before it if there is one, and return it as the server would find it."""
        parts = [self.part()]
        while self.take("."):
            parts.append(self.part())
        return Name(parts[-2] if len(parts) > 1 else "", parts[-1])

    def part(self) -> str:
        """Step over a name without dots: in lower case unless quoted, and cut to what the server keeps."""
        if self.see().upper() == "U" and self.see(1) == "&" and self.see(2).startswith('"'):
            self._at += 2
            return _cut(_UNICODE_ESCAPE.sub(_character, _unquoted(self.token(), '"')))
        token = self.token()
        if token.startswith('"'):
            return _cut(_unquoted(token, '"'))
        return _cut(_UPPER_CASE.sub(lambda match: match[0].lower(), token))

    def string(self) -> str:
        """Step over a string and return what it says, of one with escapes what is written."""
        token = self.token()
        return _unquoted(token[token.find("'") :], "'") if token.endswith("'") else ""

    def group(self) -> str:
        """Step over what stands in parentheses, which are next, and return it with them."""
        start, depth = self.start, 0
        while token := self.token():
            depth += {"(": 1, ")": -1}.get(token, 0)
            if depth == 0:
                break
        return self.text[start : self.end]

    def options(self) -> dict[str, str]:
        """
        Step over ``(name value, name = value, …)``, and return the values, empty where there is none.

        Nothing, where no parenthesis is next.
        """
        found: dict[str, str] = {}
        if not self.take("("):
            return found
        while self.see() not in (")", ""):
            name, value = self.part(), ""
            self.take("=")
            while self.see() not in (",", ")", ""):
                value += self.group() if self.see() == "(" else self.token()
            found[name] = value
            self.take(",")
        self.take(")")
        return found


def is_on(options: dict[str, str], name: str, default: bool) -> bool:
    """Whether an option is on; named without a value it is. Source: ``defGetBoolean``."""
    if name not in options:
        return default
    return options[name].strip("'\"").lower() not in ("false", "off", "0")


def _unquoted(token: str, quote: str) -> str:
    return token[1:-1].replace(quote * 2, quote)


def _character(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2]
    return chr(int(digits, 16)) if digits else "\\"


def _cut(name: str) -> str:
    return name.encode()[:NAME_BYTES].decode("utf-8", "ignore")
