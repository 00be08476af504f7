"""SP102: our splitter and PostgreSQL's parser count the statements of a file differently."""

from pgrollout import parser
from pgrollout.content import Content
from pgrollout.lint.rule import Hit, Rule, Severity
from pgrollout.splitter import is_blank


def disagreement(content: Content) -> Hit | None:
    """
    Return the disagreement about a file, if there is one.

    A file with a delimiter of its own is not SQL as a whole, so it is not asked about.
    """
    if content.custom_delimiter:
        return None
    ours = sum(not is_blank(statement.text) for statement in content.statements)
    try:
        parsers = parser.statement_count(content.text)
    except (parser.SyntaxProblem, parser.CannotAnalyse) as error:
        return Hit("", f"Each statement can be parsed, the file cannot: {error}.")
    if ours == parsers:
        return None
    return Hit("", f"pgrollout would run {ours} statements here, PostgreSQL's parser finds {parsers}.")


RULE = Rule(
    code="SP102",
    severity=Severity.ERROR,
    effect="The splitter and PostgreSQL's parser disagree.",
    remedy="Nothing of this file is run before that is settled: put the statements into files of their own to find the "
    "one that it is about, and report it.",
    source="https://www.postgresql.org/docs/current/sql-syntax-lexical.html",
    can_be_waived=False,
)
