"""
The walk over a migration directory: each file's statements in order, through parser, rules and waivers.

Files that are history are followed for what they made; the others are looked at. Which rules there are is said by the
caller.
"""

from collections.abc import Collection, Sequence

from pgrollout import parser
from pgrollout.content import Content
from pgrollout.lint import empty_file, split_disagrees, syntax_error, unused_waiver
from pgrollout.lint.facts import Facts
from pgrollout.lint.report import LintReport, NotAnalysed, Waived
from pgrollout.lint.rule import Command, Finding, Hit, Rule, Severity
from pgrollout.lint.schema import Schema
from pgrollout.lint.waivers import Waiver, waivers
from pgrollout.nodes import RunCode
from pgrollout.place import Place, place_at
from pgrollout.secrets import mask_message
from pgrollout.splitter import is_blank
from pgrollout.statement import Statement

SHAPING = frozenset({"ALTER", "CREATE", "DO", "DROP", "RESET", "SELECT", "SET"})
"""First words of the statements that can change what is known; in a file that is history, others are not parsed."""


def walk(contents: Sequence[Content], new: Collection[str] | None, rules: Sequence[Rule]) -> LintReport:
    """Follow ``contents`` in order, and return what ``rules`` say about the files named in ``new``; None means all."""
    schema = Schema()
    files = []
    for content in contents:
        schema.begin(content.migration.name)
        if new is None or content.migration.name in new:
            file = _File(content, schema, rules)
            file.look()
            files.append(file)
        else:
            _follow(content, schema)
    return LintReport(
        tuple(finding for file in files for finding in file.findings),
        tuple(waived for file in files for waived in file.waived),
        tuple(finding for file in files for finding in file.unused_waivers),
        tuple(missed for file in files for missed in file.not_analysed),
    )


def _follow(content: Content, schema: Schema) -> None:
    if not parser.is_available():
        return
    for statement in content.statements:
        if statement.keywords[:1] and statement.keywords[0] in SHAPING:
            try:
                nodes = parser.parse_statement(statement.text)
            except (parser.SyntaxProblem, parser.CannotAnalyse):
                continue  # it ran once; whoever reads it does not have to
            for node in nodes:
                schema.apply(node)


class _File:
    """One file, looked at: its findings sorted into those that stand and those that it waives."""

    def __init__(self, content: Content, schema: Schema, rules: Sequence[Rule]) -> None:
        self.findings: list[Finding] = []
        self.waived: list[Waived] = []
        self.unused_waivers: list[Finding] = []
        self.not_analysed: list[NotAnalysed] = []
        self._content = content
        self._schema = schema
        self._facts = Facts(schema)
        self._rules = {rule.code: rule for rule in rules}
        self._checks = [(rule, rule.findings) for rule in rules if rule.findings]
        self._waivers = waivers(content)
        self._opaque: set[int] = set()
        """Numbers of the statements that could not be parsed; nothing is known about their waivers."""

    def look(self) -> None:
        """Look at the whole file."""
        for problem in self._content.problems:
            if rule := self._rules.get(problem.code):
                self._add(Finding(rule.code, Severity.WARNING, problem.place, 0, "", problem.message, "", rule.source))
        if hit := empty_file.emptiness(self._content):
            self._add(empty_file.RULE.finding(hit, self._start(), 0))
        for rule in self._rules.values():
            for index, hit in rule.in_file(self._content) if rule.in_file else ():
                self._add(rule.finding(hit, self._place(self._content.statements[index]), index + 1))
        if parser.is_available():
            for statement in self._content.statements:
                if not is_blank(statement.text):
                    self._look_at(statement)
            if not self._opaque and (hit := split_disagrees.disagreement(self._content)):
                self._add(split_disagrees.RULE.finding(hit, self._start(), 0))
            self.unused_waivers += [finding for waiver in self._waivers for finding in self._complaints(waiver)]
        else:
            self.not_analysed.append(NotAnalysed(self._start(), "there is no parser for this platform"))
        self.findings.sort(key=lambda finding: (finding.place.line, finding.place.column))

    def _look_at(self, statement: Statement) -> None:
        number = statement.index + 1
        try:
            nodes = parser.parse_statement(statement.text)
        except parser.SyntaxProblem as problem:
            self._opaque.add(number)
            offset = statement.start + problem.offset
            place = place_at(self._content.migration.name, self._content.text, offset)
            message = mask_message(problem.message, self._content.text, offset)
            self._add(syntax_error.RULE.finding(Hit("", f"{message}."), place, number))
            return
        except parser.CannotAnalyse as problem:
            self._opaque.add(number)
            self.not_analysed.append(NotAnalysed(self._place(statement), str(problem)))
            return
        if len(nodes) != 1 and not self._content.custom_delimiter:
            hit = Hit("", f"PostgreSQL's parser finds {len(nodes)} statements in this one.")
            self._add(split_disagrees.RULE.finding(hit, self._place(statement), number))
        for node in nodes:
            self._check(statement, Command(number, node))
            self._schema.apply(node)

    def _check(self, statement: Statement, command: Command) -> None:
        if isinstance(command.node, RunCode):
            reason = f"what {command.node.what} runs is not looked into"
            self.not_analysed.append(NotAnalysed(self._place(statement), reason))
        for rule, findings in self._checks:
            for hit in findings(command, self._facts):
                self._add(rule.finding(hit, self._place(statement), command.number))

    def _add(self, finding: Finding) -> None:
        rule = self._rules[finding.code]
        covering = [waiver for waiver in self._waivers if rule.can_be_waived and waiver.covers(finding)]
        if covering:
            nearest = max(covering, key=lambda waiver: waiver.statement)
            self.waived.append(Waived(finding, nearest.place, nearest.reason))
        else:
            self.findings.append(finding)

    def _complaints(self, waiver: Waiver) -> list[Finding]:
        if waiver.statement in self._opaque or (waiver.statement == 0 and self._opaque):
            return []
        rule = unused_waiver.RULE
        return [
            rule.finding(Hit("", complaint), waiver.place, waiver.statement)
            for complaint in waiver.complaints(self._rules.values())
        ]

    def _place(self, statement: Statement) -> Place:
        return place_at(self._content.migration.name, self._content.text, statement.start)

    def _start(self) -> Place:
        return place_at(self._content.migration.name, self._content.text, 0)
