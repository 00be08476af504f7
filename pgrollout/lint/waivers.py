"""
Waivers: ``-- atlas:nolint`` comments, which accept findings, with the reason beside them.

In the file header one covers the file, or, with names or codes, those findings of all its statements; in front of a
statement, that statement's. The rest of the comment is the reason. Words after the codes belong to the reason, too:
Atlas would take them for names that nothing has.

Source: Atlas manual, "Verifying Migration Safety".
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pgrollout.content import Content
from pgrollout.directives import header, header_lines
from pgrollout.lint.rule import Finding, Rule
from pgrollout.place import Place, place_at
from pgrollout.statement import Statement

ANALYZERS = {
    "concurrent_index": ("PG101", "PG102", "PG103"),
    "condrop": ("CD",),
    "data_depend": ("MF",),
    "destructive": ("DS",),
    "incompatible": ("BC",),
    "naming": ("NM",),
    "nestedtx": ("TX",),
}
"""Atlas's names for groups of checks, and how the codes of each begin."""

CODE = re.compile(r"[A-Z]{2}\d{3}$")
IN_STATEMENT = re.compile(r"(?:--|#|/\*) ?atlas:nolint(?P<words>(?: +.+?)?)(?: *\*/)?$")
MARKS = re.compile(r"^(?:--+|#+|/\*+)\s*|\s*\*+/$")
DIRECTIVE = re.compile(r"(?:atlas|pgrollout):\w+")


@dataclass(slots=True)
class Waiver:
    """One ``atlas:nolint`` comment."""

    place: Place
    statement: int
    """Number of the statement it stands at, from 1; 0 for the file's."""
    terms: tuple[str, ...]
    """Codes and analyzers it names; none waives all."""
    reason: str
    used: set[str] = field(default_factory=set)
    """Terms that waived something; the empty one for a waiver of all."""

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is waived; if so, remember it."""
        if self.statement not in (0, finding.statement):
            return False
        terms = {term for term in self.terms if _means(term, finding.code)} if self.terms else {""}
        self.used |= terms
        return bool(terms)

    def complaints(self, rules: Iterable[Rule]) -> Iterator[str]:
        """
        Yield what is wrong with it, once all findings are known.

        A code or a group that we have no rule for may be meant for Atlas, so nothing is said about those.
        """
        if not self.terms:
            if "" not in self.used:
                yield "This waiver waives nothing."
            return
        can_be_waived = {rule.code: rule.can_be_waived for rule in rules}
        for term in self.terms:
            if term in self.used or term in ANALYZERS:
                continue
            if not CODE.match(term):
                yield f"This waiver waives nothing: there is no rule or analyzer {term}."
            elif can_be_waived.get(term) is False:
                yield f"{term} cannot be waived."
            elif term in can_be_waived:
                yield f"This waiver of {term} waives nothing."


def waivers(content: Content) -> list[Waiver]:
    """Return the waivers of a file, in its order."""
    if "atlas:nolint" not in content.text:
        return []
    of_file = list(header_lines(content.text)) if content.directives.nolint else []
    header_end = max((offset + len(line) for offset, line in of_file), default=0)
    found = list(_of_file(content, [line for _, line in of_file]))
    for statement in content.statements:
        found += _of_statement(content, statement, header_end)
    return found


def _of_file(content: Content, lines: list[str]) -> Iterator[Waiver]:
    for directive in header(content.text) if lines else ():
        if directive.name == "nolint":
            terms, rest = _terms(directive.argument)
            place = place_at(content.migration.name, content.text, directive.offset)
            yield Waiver(place, 0, terms, _reason(lines, rest))


def _of_statement(content: Content, statement: Statement, header_end: int) -> Iterator[Waiver]:
    lines = [line.strip() for comment in statement.comments for line in comment.splitlines()]
    for line in lines:
        if found := IN_STATEMENT.match(line):
            start = content.text.rfind(line, header_end, statement.start)
            if start < 0:
                continue  # it stands in the header, and counts there
            terms, rest = _terms(found["words"])
            place = place_at(content.migration.name, content.text, start)
            yield Waiver(place, statement.index + 1, terms, _reason(lines, rest))


def _terms(words: str) -> tuple[tuple[str, ...], str]:
    """Split what follows ``nolint`` into codes and names, and the reason; a typo must not become a waiver of all."""
    rest, terms = words.split(), []
    while rest and (CODE.match(term := rest[0].rstrip(",:;")) or term in ANALYZERS):
        terms.append(term)
        if rest.pop(0).endswith((":", ";")):
            break
    if rest and not terms:
        terms.append(rest.pop(0))
    return tuple(terms), " ".join(rest).lstrip("-–—:; ")


def _reason(lines: Iterable[str], rest: str) -> str:
    cleaned = (MARKS.sub("", line.strip()) for line in lines if not DIRECTIVE.search(line))
    return " ".join([*(line for line in cleaned if line), *([rest] if rest else [])])


def _means(term: str, code: str) -> bool:
    return term == code or code.startswith(ANALYZERS.get(term, ("\0",)))
