"""
Mentions: the names in a text of SQL or code, as words with what stands before their dots.

For what no parser reads: bodies of functions, code in strings, definitions as the server prints them. Says too much rather
than too little: keywords and columns are among the words.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pgrollout.nodes import Name

_WORD = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_DOTTED = re.compile(rf"{_WORD}(?:\s*\.\s*{_WORD})*")
_PART = re.compile(_WORD)


def in_text(text: str) -> frozenset[Name]:
    """Return every name in a text: ``a.b.c`` is ``a.b``, ``b.c``, and ``a``, ``b`` without a schema."""
    found: set[Name] = set()
    for dotted in _DOTTED.findall(text):
        found.update(of_parts([_plain(part) for part in _PART.findall(dotted)]))
    return frozenset(found)


def of_parts(parts: Sequence[str]) -> Iterator[Name]:
    """Yield what a dotted name may mean: an object of a schema, or a part of an object."""
    if len(parts) == 1:
        yield Name("", parts[0])
    for schema, name in pairwise(parts):
        yield Name(schema, name)
        yield Name("", schema)


def _plain(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
