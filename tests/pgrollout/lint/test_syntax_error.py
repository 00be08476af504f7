"""SP101: what is not SQL."""

from tests.pgrollout.lint.linting import hits, lint_files


def test_the_place_counts_characters() -> None:
    """The finding stands where the parser gave up, in characters, on the right line."""
    (finding,) = lint_files("SELECT 'ü';\n\nSELECT 'é',\n  'è' frm t;\nSELECT 3;\n").findings

    assert (finding.code, str(finding.place), finding.statement) == ("SP101", "1_a.sql:4:11", 2)
    assert finding.message == 'syntax error at or near "t".'
    assert finding.place.excerpt() == "      'è' frm t;\n              ^"


def test_each_statement_is_looked_at() -> None:
    """One error does not hide the next one, nor the findings of other rules."""
    report = lint_files("SELEC 1;\nDROP TABLE t;\nSELECT 2 2;\n")

    assert [(finding.code, finding.place.line) for finding in report.findings] == [
        ("SP101", 1),
        ("DS102", 2),
        ("SP101", 3),
    ]


def test_sql_of_the_newest_server_is_none() -> None:
    """What PostgreSQL 18 accepts is SQL."""
    assert (
        hits("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a) VIRTUAL, CONSTRAINT n NOT NULL a NO INHERIT);") == []
    )
