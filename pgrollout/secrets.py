"""
Secrets in statements: password literals are masked wherever a statement is shown or stored.

Covers what PostgreSQL's own grammar has: ``PASSWORD '…'`` of roles, options of user mappings, and ``password=…`` or
URLs in the connection strings of subscriptions and dblink; also inside functions and ``DO`` blocks, where quotes are
doubled. Where a password is put together by a program, all literals are masked: rather too much than too little.
The statement that is executed is never changed.
"""

import re
from typing import NamedTuple

WORDS = ("password", "passwd", "passphrase", "client_secret", "client_key", "server_key")
"""What names of secrets end with in PostgreSQL, libpq and foreign-data wrappers: ``sslpassword``, ``oauth_client_secret``."""
MASK = "***"
_SECRET_NAME = re.compile(rf"pas+w|pwd|secret|token|(?:{'|'.join(WORDS)})$", re.IGNORECASE)


class _Secret(NamedTuple):
    """A secret in a text."""

    first: int
    """Where it begins."""
    end: int
    """Where it ends."""
    shown: str = MASK
    """What is shown instead; empty if there is none."""
    is_composed: bool = False
    """Whether a program puts it together: nobody can tell which literal of the statement holds it."""


_START = re.compile(rf"(?P<word>(?:{'|'.join(WORDS)})(?![\w-])\"?)|://[^\s:/@']*:", re.IGNORECASE)
_OPERATOR = re.compile(r":=|=>|=|:(?!:)")
_SPACE = re.compile(r"\s*")
_QUOTES = re.compile(r"'+")
_DOLLARS = re.compile(r"\$\w*\$")
_STRING = re.compile(r"(?:(?P<escaped>e)|u&)?(?=')", re.IGNORECASE)
_COMPOSED = re.compile(r"%|'+\s*(?:\|\||,|\))")
_BARE = re.compile(r"(?:''|\\.|[^\s'\\])+", re.DOTALL)
_QUOTE = re.compile(r"'|\$\w*\$")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_QUOTED = re.compile(r'"[^"]*"')
_NOT_A_LINE_BREAK = re.compile(r"[^\r\n]")
_TOKEN_END = re.compile(r"\s|(?<!')'(?!')|\Z")


def is_secret_name(name: str) -> bool:
    """Whether an option of that name has a secret for its value; also where the name has a typo."""
    return bool(_SECRET_NAME.search(name))


def mask_statement(text: str) -> str:
    """Return the text with every password literal replaced by ``***``."""
    shown, pieces = 0, []
    for secret in _secrets(text):
        pieces += [text[shown : secret.first], secret.shown]
        shown = secret.end
    return "".join([*pieces, text[shown:]]) if pieces else text


def blank_secrets(text: str) -> str:
    """
    Return a whole file with every character of its password literals replaced by ``*``.

    Lines and columns stay where they are, so that a place of the file can be shown.
    """
    if not _START.search(text):
        return text
    from pgrollout import splitter  # only an error is worth its import

    try:
        ends = [end for _, end in splitter.spans(text).statements]
    except splitter.Unclosed:
        ends = []
    blanked, start = [], 0
    for end in [*ends, len(text)]:
        statement = text[start:end]
        shown = 0
        for secret in _secrets(statement):
            blanked += [
                statement[shown : secret.first],
                _NOT_A_LINE_BREAK.sub("*", statement[secret.first : secret.end]),
            ]
            shown = secret.end
        blanked.append(statement[shown:])
        start = end
    return "".join(blanked)


def mask_message(message: str, text: str, offset: int | None) -> str:
    """Return an error's message without what it quotes, if it points at a secret of ``text``."""
    if offset is not None and blank_secrets(text)[offset : offset + 1] != text[offset : offset + 1]:
        message = _QUOTED.sub(f'"{MASK}"', message)
    return mask_statement(message)


def _secrets(text: str) -> list[_Secret]:
    found: list[_Secret] = []
    lowered = text.lower()
    if not ("://" in text or any(word in lowered for word in WORDS)):
        return found  # nearly always, and ten times as fast as the pattern
    at = 0
    while start := _START.search(text, at):
        secret = _secret(text, start.end()) if start["word"] else _in_url(text, start.end())
        at = max(start.end(), secret.end)
        if secret.is_composed:
            # What it is put together from may stand before it, too.
            first = _first_literal(text, secret.first)
            return [*(each for each in found if each.end <= first), secret._replace(first=first)]
        if secret.shown:
            found.append(secret)
    return found


def _first_literal(text: str, before: int) -> int:
    """Return where the first string begins that ends before ``before``, or that one is in the middle of."""
    at = 0
    while quote := _QUOTE.search(text, at):
        if quote[0] != "'":
            end = text.find(quote[0], quote.end())
            if end < 0 or end >= before:
                at = quote.end()  # the body that all of it stands in
                continue
        return quote.start()
    return before


def _secret(text: str, at: int) -> _Secret:
    """Return where the secret behind its name begins and ends, and what to show instead; nothing if there is none."""
    at = _after_blanks(text, at)
    operator = _OPERATOR.match(text, at)
    if operator:
        at = _after_blanks(text, operator.end())
    if _COMPOSED.match(text, at):
        # EXECUTE format('… PASSWORD %L', …), '… PASSWORD ' || …: any literal may be it.
        return _Secret(at, len(text), is_composed=True)
    if string := _STRING.match(text, at):
        end = _after_quoted(text, string.end(), escapes=bool(string["escaped"]), parameter=operator is not None)
        return _Secret(at, end, f"'{MASK}'")
    if dollars := _DOLLARS.match(text, at):
        found = text.find(dollars[0], dollars.end())
        return _Secret(at, found + len(dollars[0]) if found >= 0 else len(text), f"'{MASK}'")
    for quote in ("\\'", '"') if operator else ():
        if text.startswith(quote, at):
            return _Secret(at, _after_escaped(text, at + len(quote), quote))
    if operator and (bare := _BARE.match(text, at)):
        # password = crypt('…'): what the function is called with, is it.
        return _Secret(at, len(text), is_composed=True) if "(" in bare[0] else _Secret(at, bare.end())
    return _Secret(at, at, "")


def _in_url(text: str, at: int) -> _Secret:
    """Return where the password of ``user:password@host`` begins and ends: the last ``@`` counts."""
    end = _TOKEN_END.search(text, at)
    last = text.rfind("@", at, end.start() if end else len(text))
    return _Secret(at, last) if last > at else _Secret(at, at, "")


def _after_blanks(text: str, at: int) -> int:
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        if text.startswith("/*", at) and (end := _comment_end(text, at)) >= 0:
            at = end
        elif text.startswith("--", at) and (end := text.find("\n", at)) >= 0:
            at = end + 1
        else:
            return at


def _comment_end(text: str, at: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1


def _after_quoted(text: str, at: int, *, escapes: bool, parameter: bool) -> int:
    """
    Return the end of the string that begins with the quotes at ``at``.

    Inside other strings its quotes are doubled, once or more: as many as it begins with, it ends with; twice as many are
    one quote of its content. A part on the next line continues it.
    """
    opening = _QUOTES.match(text, at)
    if opening is None:
        return at
    count = len(opening[0]) & -len(opening[0])
    escapes = escapes or (parameter and count > 1)
    scan = at + count
    while quotes := _QUOTES.search(text, scan):
        length = len(quotes[0])
        if escapes and _is_escaped(text, quotes.start(), at + count):
            # What the backslash escapes is one quote, however often that is doubled.
            length -= min(count, length)
        if length % (2 * count) >= count:
            end = quotes.end() - length + length // (2 * count) * 2 * count + count
            following = _after_blanks(text, end)
            if "\n" in text[end:following] and text.startswith("'" * count, following):
                scan = following + count
                continue
            return end
        scan = quotes.end()
    return at + count if count == 2 and len(opening[0]) == 2 else len(text)


def _is_escaped(text: str, at: int, first: int) -> bool:
    backslashes = 0
    while at - backslashes > first and text[at - backslashes - 1] == "\\":
        backslashes += 1
    return backslashes % 2 == 1


def _after_escaped(text: str, at: int, quote: str) -> int:
    while (found := text.find(quote, at)) >= 0:
        if text[found - 1] != "\\":
            return found + len(quote)
        at = found + len(quote)
    return len(text)
