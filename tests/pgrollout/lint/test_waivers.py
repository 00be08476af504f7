"""Waivers: what they cover, their reasons, and the ones that cover nothing."""

import pytest

from pgrollout.lint import RULES
from tests.pgrollout.lint.linting import lint_files

DROP = "ALTER TABLE t DROP COLUMN a;\n"


@pytest.mark.parametrize(
    "comment",
    [
        "-- atlas:nolint DS103",
        "--atlas:nolint DS103",
        "/* atlas:nolint DS103 */",
        "-- atlas:nolint",
        "-- atlas:nolint destructive",
        "-- atlas:nolint PG101 DS103",
        "-- atlas:nolint DS103, PG101",
        "-- atlas:nolint DS103: nobody reads it",
    ],
)
def test_a_waiver_at_its_statement(comment: str) -> None:
    """A comment in front of a statement accepts that statement's findings: all, or those it names."""
    report = lint_files(f"SELECT 1;\n\n{comment}\n{DROP}\n{DROP}")

    assert [finding.place.line for finding in report.findings] == [6]
    assert [(waived.finding.place.line, waived.place.line) for waived in report.waived] == [(4, 3)]


@pytest.mark.parametrize("words", ["", " DS103", " destructive", " data_depend DS103"])
def test_a_waiver_in_the_header(words: str) -> None:
    """In the header it is for all statements of the file."""
    report = lint_files(f"-- atlas:nolint{words}\n\n{DROP}{DROP}")

    assert report.findings == ()
    assert len(report.waived) == 2
    assert report.unused_waivers == ()


@pytest.mark.parametrize("words", ["PG101", "DS", "destrutive", "data_depend", "ds103"])
def test_other_words_waive_nothing(words: str) -> None:
    """Another code, half a code, or a typo does not waive, least of all everything."""
    report = lint_files(f"-- atlas:nolint {words}\n{DROP}")

    assert [finding.code for finding in report.findings] == ["DS103"]
    assert report.waived == ()


@pytest.mark.parametrize(
    "comments",
    [
        "-- Nobody has read it since release 2.3.\n-- atlas:nolint DS103",
        "-- atlas:nolint DS103\n-- Nobody has read it\n-- since release 2.3.",
        "-- atlas:nolint DS103 -- Nobody has read it since release 2.3.",
        "-- atlas:nolint DS103 Nobody has read it since release 2.3.",
    ],
)
def test_the_reason_is_the_rest_of_the_comment(comments: str) -> None:
    """What else the comment says is the reason, before, behind or beside the codes."""
    (waived,) = lint_files(f"{comments}\n{DROP}").waived

    assert waived.reason == "Nobody has read it since release 2.3."


def test_the_reason_of_a_header() -> None:
    """In a header, other directives are no reason."""
    (waived,) = lint_files(f"-- atlas:txmode none\n-- The column is empty.\n-- atlas:nolint DS103\n\n{DROP}").waived

    assert (waived.reason, waived.place.line) == ("The column is empty.", 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (" PG101", "This waiver of PG101 waives nothing."),
        ("", "This waiver waives nothing."),
        (" destrutive", "This waiver waives nothing: there is no rule or analyzer destrutive."),
        (" TX101", "TX101 cannot be waived."),
    ],
)
@pytest.mark.parametrize("gap", ["", "\n"])
def test_a_waiver_of_nothing_is_reported(words: str, message: str, gap: str) -> None:
    """A waiver that nothing needs is reported as RB204, at its own place, for the file and for a statement."""
    (finding,) = lint_files(f"-- atlas:nolint{words}\n{gap}SELECT 1;\n").unused_waivers

    assert (finding.code, finding.severity, finding.message) == ("RB204", "info", message)
    assert str(finding.place) == "1_a.sql:1:1"


@pytest.mark.parametrize("words", ["MF104", "destructive", "naming PG110"])
def test_a_waiver_for_atlas_is_left_alone(words: str) -> None:
    """A code or group with checks that only Atlas has may well be needed there."""
    assert lint_files(f"-- atlas:nolint {words}\nSELECT 1;\n").unused_waivers == ()


def test_a_syntax_error_cannot_be_waived() -> None:
    """What cannot be run stays an error, whatever the file says; and its waivers are not judged."""
    report = lint_files("-- atlas:nolint\n\nSELEC 1;\n")

    assert [finding.code for finding in report.findings] == ["SP101"]
    assert report.unused_waivers == ()


@pytest.mark.parametrize("gap", ["", "\n"], ids=["statement", "file"])
@pytest.mark.parametrize(("words", "unused"), [("DS103 PG101", "PG101"), ("PG101 DS103", "PG101")])
def test_a_term_that_waives_nothing_is_reported_beside_one_that_does(words: str, unused: str, gap: str) -> None:
    """Each code of a waiver must be needed, whatever the others do."""
    report = lint_files(f"-- atlas:nolint {words}\n{gap}{DROP}")

    assert [waived.finding.code for waived in report.waived] == ["DS103"]
    assert [finding.message for finding in report.unused_waivers] == [f"This waiver of {unused} waives nothing."]


UNWAIVABLE = ["SP101", "SP102", "SP103", "SP104", "SP105", "SP106", "SP108", "TX101", "TX301", "RB204"]


@pytest.mark.parametrize("code", UNWAIVABLE)
def test_what_cannot_be_run_cannot_be_waived(code: str) -> None:
    """A waiver of a rule about files that cannot be run as they were meant waives nothing, and that is said."""
    (finding,) = lint_files(f"-- atlas:nolint {code}\nSELECT 1;\n").unused_waivers

    assert finding.message == f"{code} cannot be waived."


def test_all_other_rules_can_be_waived() -> None:
    """A new rule is of one kind or the other, and its test says which."""
    assert sorted(rule.code for rule in RULES if not rule.can_be_waived) == sorted(UNWAIVABLE)


@pytest.mark.parametrize("words", ["SP106", ""])
def test_an_empty_file_is_found_whatever_it_waives(words: str) -> None:
    """A finding that cannot be waived stands beside the waiver."""
    assert "SP106" in [finding.code for finding in lint_files(f"-- atlas:nolint {words}\n\n").findings]
