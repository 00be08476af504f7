"""SP102: our splitter against PostgreSQL's parser."""

from dataclasses import replace

from pgrollout.content import read_content
from pgrollout.lint import lint
from pgrollout.migration import Migration
from tests.pgrollout.lint.linting import hits

FILE = Migration("1_a.sql", b"SELECT 1;\nSELECT 2;\n")


def test_agreement_is_silent() -> None:
    """Where both count the same statements there is nothing to say."""
    assert hits("SELECT ';';;; -- a;\n/* ; */ SELECT $$;$$; CREATE TABLE t (a int)") == []


def test_a_statement_too_few_is_an_error() -> None:
    """Had the splitter lost a statement, the whole-file parse would find it."""
    content = read_content(FILE)

    (finding,) = lint([replace(content, statements=content.statements[:1])]).findings

    assert finding.code == "SP102"
    assert finding.message == "pgrollout would run 1 statements here, PostgreSQL's parser finds 2."


def test_two_statements_in_one_are_an_error() -> None:
    """Had the splitter joined two statements, the parser would tell them apart."""
    content = read_content(FILE)
    joined = replace(content.statements[0], text=content.text, end=len(content.text))

    findings = lint([replace(content, statements=(joined,))]).findings

    assert {finding.code for finding in findings} == {"SP102"}
    assert findings[0].message == "PostgreSQL's parser finds 2 statements in this one."


def test_a_delimiter_of_its_own_may_join_statements() -> None:
    """With a delimiter directive a text may hold several commands, and rules see each of them."""
    assert hits("-- atlas:delimiter \\n\\n\n\nDROP TABLE a;\nDROP TABLE b;\n\nSELECT 1;") == [
        ("DS102", "a"),
        ("DS102", "b"),
    ]
