"""SP106: a file without a statement."""

import pytest

from tests.pgrollout.lint.linting import hits


@pytest.mark.parametrize("text", ["", "\n", "-- nothing\n/* here */\n", ";;\n"])
def test_nothing_to_run_is_found(text: str) -> None:
    """An empty file, comments and semicolons are found."""
    assert hits(text) == [("SP106", "")]


def test_a_statement_is_enough() -> None:
    """A file with a statement is fine."""
    assert hits("-- why\nSELECT 1") == []
