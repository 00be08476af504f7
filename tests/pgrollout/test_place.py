"""Places in a file, and how they are shown."""

import pytest

from pgrollout.place import place_at


@pytest.mark.parametrize(
    ("offset", "line", "column", "text"),
    [(0, 1, 1, "SELECT é;"), (8, 1, 9, "SELECT é;"), (10, 2, 1, "\tSELECT 2"), (99, 2, 10, "\tSELECT 2")],
)
def test_lines_and_columns_count_characters_from_one(offset: int, line: int, column: int, text: str) -> None:
    """A place counts lines and characters from 1; an offset behind the end is the end."""
    place = place_at("1_a.sql", "SELECT é;\n\tSELECT 2", offset)

    assert (place.line, place.column, place.text) == (line, column, text)
    assert str(place) == f"1_a.sql:{line}:{column}"


def test_the_caret_stands_under_the_column() -> None:
    """Tabs before the column stay tabs, so that the caret stands under it on any terminal."""
    place = place_at("1_a.sql", "\tSELECT nope", 8)

    assert place.excerpt() == "    \tSELECT nope\n    \t       ^"


def test_a_long_line_is_cut_around_the_column() -> None:
    """The excerpt of a line of 10,000 characters is short, and its caret is under the right one."""
    place = place_at("1_a.sql", "x" * 5000 + "!" + "x" * 5000, 5000)

    shown, caret = place.excerpt().splitlines()

    assert len(shown) < 130
    assert shown[caret.index("^")] == "!"


def test_a_secret_in_the_line_is_not_shown() -> None:
    """Hidden character by character, so that the caret still stands where it did; also one that begins on another line."""
    text = "CREATE ROLE r PASSWORD\n    'S3cret' oops;\n"

    place = place_at("1_a.sql", text, text.index("oops"))

    assert place.excerpt() == "        ******** oops;\n                 ^"
