"""Quoting: any text comes back from the server as it went in, whatever a migration has set."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgrollout.quoting import literal, name
from tests.servers import Database


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (3, "3"),
        (-3, "-3"),
        ("", "''"),
        ("it's", "'it''s'"),
        ("a\\b", r"E'a\\b'"),
        ("\\'", r"E'\\'''"),
        ("$$;--", "'$$;--'"),
        ("é\n", "'é\n'"),
    ],
)
def test_literals(value: str | int | None, sql: str) -> None:
    """Quotes are doubled; a backslash makes it an ``E''`` string."""
    assert literal(value) == sql


def test_nul_cannot_be_quoted() -> None:
    """No text of PostgreSQL has it."""
    with pytest.raises(ValueError, match="cannot hold NUL"):
        literal("a\0b")


@pytest.mark.parametrize(
    ("parts", "sql"),
    [(("app", "orders"), '"app"."orders"'), (("a.b",), '"a.b"'), (('x"; DROP', "é"), '"x""; DROP"."é"')],
)
def test_names(parts: tuple[str, ...], sql: str) -> None:
    """Each part quoted for itself, quotes doubled."""
    assert name(*parts) == sql


def test_the_server_reads_what_was_written(database: Database) -> None:
    """Any text, with standard_conforming_strings on and off, as literal and as name."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")

    with database.connect() as connection:

        @settings(max_examples=100, database=None)
        @given(st.text(characters), st.sampled_from(["on", "off"]))
        def the_same(text: str, conforming: str) -> None:
            connection.execute(f"SET standard_conforming_strings = {conforming}".encode())
            connection.execute("SET escape_string_warning = off")
            row = connection.execute(f"SELECT {literal(text)} AS {name('x' + text[:9])}".encode()).fetchone()
            assert row == (text,)

        the_same()
