"""SP103, SP104, SP105, SP108 and TX101: found where a file is read, and shown with their code."""

import pytest

from pgrollout.content import read_content
from pgrollout.errors import PgrolloutError, UnknownVersion
from pgrollout.lint import Severity, finding_of, lint
from pgrollout.migration import Migration


@pytest.mark.parametrize(
    ("code", "content", "line"),
    [
        ("SP103", b"SELECT 1;\n\\set x 1\n", 2),
        ("SP104", b"COPY t FROM STDIN;\n1\n\\.\n", 2),
        ("SP105", b"SELECT 1;\nSELECT '\xff';\n", 2),
        ("SP105", b"SELECT 1;\nSELECT 2\0;\n", 2),
        ("SP105", b"\xef\xbb\xbfSELECT 1;\n", 1),
        ("SP108", b"SELECT 1;\n/* a /* b; */ c; */ SELECT 2;\n", 2),
        ("TX101", b"SELECT 1;\nCOMMIT;\n", 2),
    ],
)
def test_a_refusal_is_a_finding(code: str, content: bytes, line: int) -> None:
    """An error of reading a file is the finding of its rule: code, place, message, remedy."""
    with pytest.raises(PgrolloutError) as caught:
        read_content(Migration("1_a.sql", content))

    finding = finding_of(caught.value)

    assert finding is not None
    assert (finding.code, finding.severity, finding.place.line) == (code, Severity.ERROR, line)
    assert finding.message
    assert finding.remedy


def test_a_directive_without_effect_is_a_warning() -> None:
    """What Atlas would not see, and the file can still be run with, is shown with its code and its own advice."""
    content = read_content(Migration("1_a.sql", b"-- atlas:txmode none\r\n\r\nSELECT 1;\r\n"))

    (finding,) = lint([content]).findings

    assert (finding.code, finding.severity, str(finding.place)) == ("SP105", Severity.WARNING, "1_a.sql:1:1")
    assert str(finding).startswith("1_a.sql:1:1: SP105 atlas:txmode has no effect here")


def test_other_errors_are_none() -> None:
    """An error that no rule is about stays an error."""
    assert finding_of(UnknownVersion("7", "--to")) is None
