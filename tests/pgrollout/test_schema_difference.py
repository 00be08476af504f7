"""Schema differences."""

from dataclasses import replace

import pytest

from pgrollout.schema_difference import Difference, differences


def test_equal_schemas_have_no_difference() -> None:
    """Equal is equal."""
    assert differences({"TABLE a.t": "x"}, {"TABLE a.t": "x"}) == ()


def test_each_kind_is_found_in_order_of_names() -> None:
    """Missing, unexpected and different objects are found, sorted by name."""
    found = differences({"VIEW a.v": "1", "TABLE a.t": "1"}, {"TABLE a.t": "2", "INDEX a.i": "3"})

    assert [(difference.object, difference.kind) for difference in found] == [
        ("INDEX a.i", "unexpected"),
        ("TABLE a.t", "different"),
        ("VIEW a.v", "missing"),
    ]


def test_sentence_shows_what_differs() -> None:
    """A difference says in one line what is there and what should be."""
    difference = Difference(
        "TABLE a.t", "different", "CREATE TABLE a.t (\n    id bigint\n);", "CREATE TABLE a.t (\n    id int\n);"
    )

    assert str(difference) == "TABLE a.t: not as the directory makes it (- id bigint; + id int)"
    assert difference.diff().splitlines()[2:] == ["@@ -2 +2 @@", "-    id bigint", "+    id int"]


def test_long_differences_are_cut_short() -> None:
    """One line stays one line."""
    difference = Difference("FUNCTION a.f()", "different", "1\n2\n3", "4\n5\n6")

    assert str(difference).endswith("(-1; -2; -3; … 3 more)")


def test_tolerated_difference_says_why() -> None:
    """What is reported without being a failure says so."""
    difference = replace(Difference("TABLE a.p1", "unexpected", "", "x"), tolerated="made at run time")

    assert str(difference) == "TABLE a.p1: not made by the directory [made at run time]"


@pytest.mark.parametrize(
    ("expected", "actual", "shown"),
    [
        (
            "BEGIN\n  PERFORM dblink('password=expected9');\nEND",
            "BEGIN\n  PERFORM dblink('password=actual9');\n  PERFORM 1;\nEND",
            "(+ PERFORM 1;)",
        ),
        ("PASSWORD\n'expected9'\nLOGIN", "PASSWORD\n'actual9'\nNOLOGIN", "(-LOGIN; +NOLOGIN)"),
        ("PASSWORD 'expected9'", "PASSWORD 'actual9'", "(in what is masked as a password)"),
    ],
)
def test_passwords_are_not_shown(expected: str, actual: str, shown: str) -> None:
    """A password in a function's body is compared, and neither side's is in what is shown."""
    [difference] = differences({"FUNCTION a.f()": expected}, {"FUNCTION a.f()": actual})

    assert str(difference).endswith(shown)
    assert "9" not in str(difference) + difference.diff()
