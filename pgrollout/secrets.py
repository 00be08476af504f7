"""
Secrets in statements: password literals are masked wherever a statement is shown or stored.

Covers what PostgreSQL's own grammar has: ``PASSWORD '…'`` of roles, options of user mappings, and ``password=…`` or
URLs in the connection strings of subscriptions and dblink; also inside functions and ``DO`` blocks, where quotes are
doubled. Where a password is put together by a program, everything behind it is masked: rather too much than too little.
The statement that is executed is never changed.
"""

import re
from collections.abc import Iterator

WORDS = ("password", "passwd", "passphrase", "client_secret", "client_key", "server_key")
"""What names of secrets end with in PostgreSQL, libpq and foreign-data wrappers: ``sslpassword``, ``oauth_client_secret``."""
MASK = "***"

_START = re.compile(rf"(?P<word>(?:{'|'.join(WORDS)})(?![\w-])\"?)|://[^\s:/@']*:", re.IGNORECASE)
_OPERATOR = re.compile(r":=|=>|=|:(?!:)")
_SPACE = re.compile(r"\s*")
_QUOTES = re.compile(r"'+")
_DOLLARS = re.compile(r"\$\w*\$")
_STRING = re.compile(r"(?:(?P<escaped>e)|u&)?(?=')", re.IGNORECASE)
_COMPOSED = re.compile(r"%|'+\s*(?:\|\||,|\))")
_BARE = re.compile(r"(?:''|\\.|[^\s'\\])+", re.DOTALL)
_TOKEN_END = re.compile(r"\s|(?<!')'(?!')|\Z")


def mask_statement(text: str) -> str:
    """Return the text with every password literal replaced by ``***``."""
    return "".join(_masked(text))


def _masked(text: str) -> Iterator[str]:
    shown, at = 0, 0
    while start := _START.search(text, at):
        first, end, mask = _secret(text, start.end()) if start["word"] else _in_url(text, start.end())
        at = max(start.end(), end)
        if mask:
            yield text[shown:first] + mask
            shown = at = end
    yield text[shown:]


def _secret(text: str, at: int) -> tuple[int, int, str]:
    """Return where the secret behind its name begins and ends, and what to show instead; nothing if there is none."""
    at = _after_blanks(text, at)
    operator = _OPERATOR.match(text, at)
    if operator:
        at = _after_blanks(text, operator.end())
    if _COMPOSED.match(text, at):
        # EXECUTE format('… PASSWORD %L', …), '… PASSWORD ' || …: any literal from here on may be it.
        return at, len(text), MASK
    if string := _STRING.match(text, at):
        end = _after_quoted(text, string.end(), escapes=bool(string["escaped"]), parameter=operator is not None)
        return at, end, f"'{MASK}'"
    if dollars := _DOLLARS.match(text, at):
        found = text.find(dollars[0], dollars.end())
        return at, found + len(dollars[0]) if found >= 0 else len(text), f"'{MASK}'"
    for quote in ("\\'", '"') if operator else ():
        if text.startswith(quote, at):
            return at, _after_escaped(text, at + len(quote), quote), MASK
    if operator and (bare := _BARE.match(text, at)):
        # password = crypt('…'): what the function is called with, is it.
        return at, len(text) if "(" in bare[0] else bare.end(), MASK
    return at, at, ""


def _in_url(text: str, at: int) -> tuple[int, int, str]:
    """Return where the password of ``user:password@host`` begins and ends: the last ``@`` counts."""
    end = _TOKEN_END.search(text, at)
    last = text.rfind("@", at, end.start() if end else len(text))
    return (at, last, MASK) if last > at else (at, at, "")


def _after_blanks(text: str, at: int) -> int:
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        if text.startswith("/*", at) and (end := text.find("*/", at)) >= 0:
            at = end + 2
        elif text.startswith("--", at) and (end := text.find("\n", at)) >= 0:
            at = end + 1
        else:
            return at


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
