"""Directives: which lines count, and what they say."""

import re

import pytest

from pgrollout.directives import (
    DirectiveError,
    FileDirectives,
    apparent_header,
    duration_ms,
    file_directives,
    header,
    ours,
)


def test_nothing_said() -> None:
    """A file without directives says nothing."""
    assert file_directives("1.sql", "-- Why\n\nSELECT 1;") == FileDirectives()


@pytest.mark.parametrize(
    "text",
    [
        "-- atlas:txmode none\n\nSELECT 1;",
        "-- Why.\n-- atlas:txmode none\n \t\nSELECT 1;",
        "#atlas:txmode none\n\n",
        "--atlas:txmode none\n",
        "-- note: atlas:txmode   none  \n\n",
    ],
)
def test_header_counts(text: str) -> None:
    """Comment lines from the first byte on, with an empty line or nothing after them, are the file's own."""
    assert file_directives("1.sql", text).tx_mode == "none"


@pytest.mark.parametrize(
    "text",
    [
        "-- atlas:txmode none\nSELECT 1;",
        "\n-- atlas:txmode none\n\nSELECT 1;",
        " -- atlas:txmode none\n\nSELECT 1;",
        "/* atlas:txmode none */\n\nSELECT 1;",
        "-- atlas:txmode none\r\n\r\nSELECT 1;",
        "-- atlas:txmode none",
        "-- ATLAS:txmode none\n\n",
        "SELECT 1;\n-- atlas:txmode none\n\n",
    ],
)
def test_header_does_not_count(text: str) -> None:
    """Everything else is ignored by Atlas, and so is no directive."""
    assert file_directives("1.sql", text).tx_mode is None
    assert not [each for each in header(text) if each.name == "txmode"]


def test_all_of_atlas() -> None:
    """Each directive that says how a file is treated has its field; others are read where they matter."""
    text = (
        "-- atlas:sum ignore\n-- atlas:checkpoint v1\n-- atlas:nolint DS101 destructive\n-- atlas:nolint\n"
        "-- atlas:txtar\n-- atlas:txmode file\n\nSELECT 1;"
    )

    assert file_directives("1.sql", text) == FileDirectives(
        tx_mode="file",
        nolint=(("DS101", "destructive"), ()),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "-- atlas:txmode none\n-- atlas:txmode file\n\n",
            'multiple txmode values found in file "1.sql": ["none" "file"]',
        ),
        ("-- atlas:txmode x\n\n", 'unknown txmode "x" found in file directive "1.sql"'),
        ("-- atlas:txmode\n\n", 'unknown txmode "" found in file directive "1.sql"'),
        ("-- atlas:txmode all\n\n", 'txmode "all" is not allowed in file directive "1.sql". Use "file" instead'),
    ],
)
def test_tx_mode_error(text: str, sentence: str) -> None:
    """A tx mode that cannot be is refused in Atlas's words."""
    with pytest.raises(DirectiveError, match=re.escape(sentence)):
        file_directives("1.sql", text)


def test_apparent_header_sees_what_atlas_does_not() -> None:
    """Directives above the first statement are seen however they are written."""
    text = "\r\n -- atlas:txmode none\r\n/* atlas:checkpoint */\n\n# atlas:nolint DS101\nSELECT 1; -- atlas:nolint"

    found = list(apparent_header(text))

    assert [(each.name, each.argument) for each in found] == [
        ("txmode", "none"),
        ("checkpoint", "*/"),
        ("nolint", "DS101"),
    ]
    assert [text[each.offset : each.offset + 2] for each in found] == ["--", "/*", "# "]


@pytest.mark.parametrize(
    ("comment", "name", "argument", "as_meant"),
    [
        ("-- pgrollout:stall_budget 30s", "stall_budget", "30s", True),
        ("--pgrollout:stall_budget 30s \r", "stall_budget", "30s", True),
        ("/* pgrollout:repeatable */", "repeatable", "", True),
        ("/* Why.\n * pgrollout:repeatable\n */", "repeatable", "", True),
        ("-- pgrollout: stall_budget 30s", "stall_budget", "30s", False),
        ("-- PGROLLOUT:stall_budget 30s", "stall_budget", "30s", False),
        ("-- pgrollout:", "", "", True),
    ],
)
def test_ours(comment: str, name: str, argument: str, as_meant: bool) -> None:
    """A comment that begins with our name is a directive, and it is known whether it is written as one."""
    (found,) = ours(10, comment)

    assert (found.name, found.argument, found.as_meant) == (name, argument, as_meant)
    assert comment[found.offset - 10 :].lower().startswith("pgrollout")


@pytest.mark.parametrize(
    "comment", ["-- see pgrollout:stall_budget", "-- pgrollout is a tool", "/* the pgrollout: thing */"]
)
def test_prose_is_no_directive(comment: str) -> None:
    """A comment that only mentions us is prose."""
    assert list(ours(0, comment)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("2m", 120_000),
        ("1.5s", 1500),
        ("0s", None),
        ("30", None),
        ("1h", None),
        ("", None),
    ],
)
def test_duration(text: str, expected: int | None) -> None:
    """A duration has a unit, and is not nothing."""
    assert duration_ms(text) == expected
