"""Content: what a migration says, and what is refused before anything runs."""

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgrollout.content import Content, read_content
from pgrollout.errors import (
    ExitCode,
    PgrolloutError,
    SplitDiffers,
    TransactionControl,
    UnknownDirective,
    UnreadableFile,
)
from pgrollout.migration import Migration
from pgrollout.postgres.atlas_lock import LOCK_KEY

NONE = "-- atlas:txmode none\n\n"


def read(text: str | bytes) -> Content:
    """The content of a file of this text."""
    return read_content(Migration("1_a.sql", text.encode() if isinstance(text, str) else text))


def outcome(text: str) -> Content | PgrolloutError:
    """The content of a file of this text, or why it is refused."""
    try:
        return read(text)
    except PgrolloutError as error:
        return error


def refusal(text: str | bytes) -> PgrolloutError:
    """Why a file of this text is refused."""
    with pytest.raises(PgrolloutError) as caught:
        read(text)
    return caught.value


def texts(content: Content) -> list[str]:
    """The statements' texts."""
    return [statement.text for statement in content.statements]


def test_plain_file() -> None:
    """An ordinary file is split, wrapped, and without problems."""
    content = read("-- Why.\nCREATE TABLE t (id int);\nINSERT INTO t VALUES (1), (2);\n")

    assert texts(content) == ["CREATE TABLE t (id int);", "INSERT INTO t VALUES (1), (2);"]
    assert content.transactional
    assert not content.custom_delimiter
    assert content.problems == ()
    assert content.directives.tx_mode is None


def test_empty_statements_are_kept() -> None:
    """What Atlas counts is kept: empty statements, and a last comment without a line break."""
    assert texts(read(";;\nSELECT 1;\n;-- the end")) == [";", ";", "SELECT 1;", ";", "-- the end"]
    assert texts(read("")) == []
    assert texts(read("-- nothing\n/* here */")) == []
    assert texts(read("SELECT 1 -- the end")) == ["SELECT 1 -- the end"]


CODES = {"SP101": ExitCode.FAILED, "SP103": ExitCode.REFUSED, "SP104": ExitCode.REFUSED}
"""Exit codes by rule: what is no SQL failed, what a rule forbids is refused, the rest cannot be used."""


@pytest.mark.parametrize(
    ("content", "place", "sentence"),
    [
        (b"SELECT 1;\nSELECT '\xe9';", "1_a.sql:2:9", "byte 0xe9 is not UTF-8"),
        ("SELECT 'é';\nSELECT \0 2;".encode(), "1_a.sql:2:8", "NUL byte"),
        (b"\xef\xbb\xbfSELECT 1;", "1_a.sql:1:1", "byte order mark"),
        ("-- atlas:txtar\n\n-- migration.sql --\nSELECT 1;", "1_a.sql:1:1", "several parts"),
        ("-- atlas:txtar\n-- migration.sql --\nSELECT 1;", "1_a.sql:1:1", "several parts"),
        ("SELECT 1;\n  \\echo it's\n", "1_a.sql:2:3", r"\\echo is a command of psql"),
        ("SELECT 1 \\gexec\n", "1_a.sql:1:10", r"\\gexec is a command of psql"),
        ("COPY t FROM STDIN;\n1\tit's\n\\.\n", "1_a.sql:2:1", "expects rows"),
        ("COPY t FROM STDIN;", "1_a.sql:1:1", "expects rows"),
        ("SELECT 1;\nSELECT 'a;\n", "1_a.sql:2:8", "this string is never closed"),
        ("SELECT $a$;", "1_a.sql:1:8", re.escape("this dollar quote $a$ is never closed")),
        ("/* a", "1_a.sql:1:1", "this comment is never closed"),
        ("SELECT (1;\n", "1_a.sql:1:8", "this parenthesis is never closed"),
        ("-- atlas:txmode x\n\n", "1_a.sql:1:1", 'unknown txmode "x"'),
        ("-- atlas:txmode none\n-- atlas:txmode none\n\n", "1_a.sql:2:1", "multiple txmode"),
        ("-- atlas:delimiter //\nSELECT 'a;", "1_a.sql:2:8", "unclosed quote"),
        ("-- atlas:delimiter //\nSELECT $a$;//", "1_a.sql:2:8", "dollar quote"),
        ("-- atlas:delimiter //", "1_a.sql:1:1", "no input found after delimiter"),
        ("SELECT 1;\nDISCARD ALL;", "1_a.sql:2:1", "drop the lock"),
        (NONE + "DISCARD ALL;", "1_a.sql:3:1", "drop the lock"),
        ("SELECT pg_catalog.Pg_Advisory_Unlock_All ();", "1_a.sql:1:19", "drop the lock"),
        ("DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$;", "1_a.sql:1:21", "drop the lock"),
        (f"SELECT pg_advisory_unlock( {LOCK_KEY} );", "1_a.sql:1:8", "drop the lock"),
        ("SET standard_conforming_strings = off;", "1_a.sql:1:5", "what a string holds"),
        (NONE + "SET LOCAL standard_conforming_strings TO 'off';", "1_a.sql:3:11", "what a string holds"),
        ("SELECT set_config('standard_conforming_strings', 'off', false);", "1_a.sql:1:20", "what a string holds"),
    ],
)
def test_unreadable_file(content: str | bytes, place: str, sentence: str) -> None:
    """What cannot be run as it was meant is refused with its place, a caret and the way out."""
    error = refusal(content)

    assert isinstance(error, UnreadableFile)
    assert error.code is CODES.get(error.rule, ExitCode.USAGE)
    assert str(error).startswith(f"{place}: ")
    assert re.search(sentence, str(error))
    lines = str(error).split("\n")
    assert lines[2].strip() == "^"
    assert lines[3]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("\\d", "SP103"),
        ("COPY t FROM stdin;", "SP104"),
        (b"\0", "SP105"),
        (b"\xff", "SP105"),
        (b"\xef\xbb\xbf", "SP105"),
    ],
)
def test_rule_is_named(content: str | bytes, rule: str) -> None:
    """What is a rule's finding, too, names the rule."""
    error = refusal(content)

    assert isinstance(error, UnreadableFile)
    assert error.rule == rule


@pytest.mark.parametrize(
    "text",
    [
        "COMMENT ON TABLE t IS 'DISCARD ALL';",
        "DISCARD TEMP;",
        "SELECT 1; -- not pg_advisory_unlock_all()\n",
        "SELECT 1; /* a */ -- not pg_advisory_unlock_all()\n",
        "SELECT pg_advisory_unlock(42);",
        "SET standard_conforming_strings = on;",
        "-- SET standard_conforming_strings = off;\nSELECT 1;",
        "SELECT pg_advisory_unlock(1);",
        "COPY t FROM '/dev/null';",
        'COPY (SELECT 1 AS "from stdin") TO STDOUT;',
        "SELECT E'a\\nb', '\\', $$\\d$$;",
    ],
)
def test_looks_alike(text: str) -> None:
    """What only looks like something refused is not."""
    assert len(read(text).statements) == 1


def test_dump_lines_are_blanked() -> None:
    r"""The ``\restrict`` lines of pg_dump are dropped without moving anything, except inside a string."""
    text = "\\restrict abcé\nSELECT '\n\\restrict abc\n';\n\\unrestrict abcé\n"

    content = read(text)

    assert len(content.text) == len(text)
    assert texts(content) == ["SELECT '\n\\restrict abc\n';"]
    assert content.text.startswith(" " * 14 + "\nSELECT")
    assert content.statements[0].line == 2
    assert [(problem.code, problem.place.line) for problem in content.problems] == [("SP103", 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN",
        "begin isolation level serializable",
        "START TRANSACTION",
        "/* x */ COMMIT",
        "COMMIT AND CHAIN",
        "END",
        "ROLLBACK",
        "ROLLBACK AND CHAIN",
        "ROLLBACK WORK",
        "ABORT",
        "PREPARE TRANSACTION 'x'",
    ],
)
def test_transaction_control(statement: str) -> None:
    """A file that is one transaction must not end it; a file without one may do as it likes."""
    error = refusal(f"SELECT 1;\n{statement};\nSELECT 2;")

    assert isinstance(error, TransactionControl)
    assert error.code is ExitCode.REFUSED
    assert str(error).startswith("1_a.sql:2:")
    assert "-- atlas:txmode none" in str(error)
    if not statement.startswith("begin"):
        assert not read(f"{NONE}{statement};").transactional


@pytest.mark.parametrize(
    "statement",
    [
        "SAVEPOINT s",
        "RELEASE s",
        "ROLLBACK TO s",
        "ROLLBACK TRANSACTION TO SAVEPOINT s",
        "COMMIT PREPARED 'x'",
        "ROLLBACK PREPARED 'x'",
        "PREPARE q AS SELECT 1",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
        "DO $$ BEGIN COMMIT; END $$",
        "COMMENT ON TABLE t IS 'x'",
    ],
)
def test_no_transaction_control(statement: str) -> None:
    """Savepoints, prepared things and bodies of functions end no transaction of ours."""
    assert len(read(f"{statement};").statements) == 1


def test_transaction_control_behind_a_delimiter() -> None:
    """A statement of several commands is looked into."""
    error = refusal("-- atlas:delimiter //\nSELECT 1;\n COMMIT; //")

    assert isinstance(error, TransactionControl)
    assert str(error).startswith("1_a.sql:3:2: COMMIT")


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("SELECT E'it\\'s';", "1:15", r"it stops at unclosed quote '\\''"),
        ("SELECT 1;\n/* a /* b */ c; */ SELECT 2;", "2:14", "Atlas begins a statement here, the server does not"),
        (NONE + "BEGIN TRANSACTION; SELECT 1; END;", "3:18", "the server ends the statement here, Atlas does not"),
        ("SELECT 1); SELECT 2;", "1:9", re.escape("it stops at unexpected ')'")),
        ("SELECT a$b$c; SELECT 2;", "1:13", "the server ends the statement here, Atlas does not"),
        ("SELECT 1 -- a\r; SELECT 2;\n;", "1:15", "the server ends the statement here"),
        ("-- a\rDROP TABLE t;\n", "1:6", "the server has a statement here, Atlas has none"),
        ("SELECT 1;\n-- a\rDROP TABLE t;\n", "2:6", "the server has a statement here, Atlas has none"),
    ],
)
def test_split_differs(text: str, place: str, sentence: str) -> None:
    """Where Atlas would run something else than the server sees, nothing is run."""
    error = refusal(text)

    assert isinstance(error, SplitDiffers)
    assert error.code is ExitCode.REFUSED
    assert str(error).startswith(f"1_a.sql:{place}")
    assert re.search(sentence, str(error))
    assert "SP108" in str(error)


def test_custom_delimiter_is_atlas_alone() -> None:
    """With a delimiter of the file's own the server's rules say nothing about statements."""
    content = read("-- atlas:delimiter //\nSELECT 1; SELECT 2//SELECT 3//")

    assert content.custom_delimiter
    assert texts(content) == ["SELECT 1; SELECT 2", "SELECT 3"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("SELECT 1;\nCOMMIT;\n\\d\n", "2:1"),
        ("SELECT 1;\n\\d\nCOMMIT;\n", "2:1"),
        ("-- pgrollout:x\nSELECT 1; COMMIT;", "1:4"),
        ("COMMIT; SELECT 1; -- pgrollout:x", "1:1"),
        ("COMMIT; SELECT E'\\'';", "1:1"),
    ],
)
def test_first_place_is_named(text: str, place: str) -> None:
    """Of several things the first in the file is named."""
    assert str(refusal(text)).startswith(f"1_a.sql:{place}: ")


@pytest.mark.parametrize("unit", ["500ms", "30s", "2m"])
def test_stall_budget(unit: str) -> None:
    """A file may ask for a longer stall budget in its header."""
    content = read(f"-- pgrollout:stall_budget {unit}\n-- atlas:txmode none\n\nSELECT 1;")

    assert content.directives.stall_budget_ms == {"500ms": 500, "30s": 30_000, "2m": 120_000}[unit]
    assert content.directives.tx_mode == "none"


def test_repeatable() -> None:
    """A statement may be called repeatable in the comment above it."""
    content = read(f"{NONE}SELECT 1;\n\n-- Why.\n-- pgrollout:repeatable\nCALL p();")

    assert content.statements[1].comments[-1] == "-- pgrollout:repeatable\n"


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("-- pgrollout:stal_budget 30s\n\nSELECT 1;", "1:4", "Did you mean pgrollout:stall_budget"),
        ("-- pgrollout: stall_budget 30s\n\nSELECT 1;", "1:4", "there is no directive 'pgrollout: stall_budget 30s'"),
        ("-- PgRollout:stall_budget 30s\n\nSELECT 1;", "1:4", "there is no directive"),
        ("-- pgrollout:stall_budget 30\n\nSELECT 1;", "1:4", "'30' is no stall budget"),
        ("-- pgrollout:stall_budget\n\nSELECT 1;", "1:4", "'' is no stall budget"),
        ("-- pgrollout:stall_budget 1s\n-- pgrollout:stall_budget 2s\n\n", "2:4", "given twice"),
        ("-- pgrollout:stall_budget 30s\nSELECT 1;", "1:4", "has no effect here.*\n.*\n.*\n.*empty line after"),
        ("-- pgrollout:stall_budget 30s\r\n\r\nSELECT 1;", "1:4", "has no effect here(.*\n)*.*LF, not CRLF"),
        ("SELECT 1;\n-- pgrollout:stall_budget 30s\n\nSELECT 2;", "2:4", "has no effect here"),
        ("SELECT 1 /* pgrollout:repeatable */;", "1:13", "directly above its statement"),
        ("-- pgrollout:repeatable\n\nSELECT 1;", "1:4", "directly above its statement"),
        ("SELECT 1;\n-- pgrollout:repeatable", "2:4", "directly above its statement"),
        ("-- pgrollout:repeatable yes\nSELECT 1;", "1:4", "takes no value"),
        ("SELECT 1; -- pgrollout:other", "1:14", "there is no directive 'pgrollout:other'"),
        ("-- atlas:delimiter //\nSELECT 1//\n-- pgrollout:other\n", "3:4", "there is no directive"),
    ],
)
def test_unknown_directive(text: str, place: str, sentence: str) -> None:
    """A directive of ours that would have no effect is an error: a typo must not pass."""
    error = refusal(text)

    assert isinstance(error, UnknownDirective)
    assert error.code is ExitCode.USAGE
    assert str(error).startswith(f"1_a.sql:{place}: ")
    assert re.search(sentence, str(error))


@pytest.mark.parametrize(
    "text",
    [
        "-- see pgrollout:stall_budget\nSELECT 1;",
        "SELECT '-- pgrollout:other';",
        "SELECT $$\n-- pgrollout:other\n$$;",
        "SELECT 1; -- pgrollout is named",
    ],
)
def test_mention_of_us_is_no_directive(text: str) -> None:
    """Prose and strings are no directives."""
    assert len(read(text).statements) >= 1


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("-- atlas:txmode none\nSELECT 1;", "1:1", "atlas:txmode has no effect here.*an empty line must follow"),
        ("-- atlas:txmode none\r\n\r\nSELECT 1;", "1:1", "CRLF"),
        ("\n-- atlas:checkpoint\n\nSELECT 1;", "2:1", "atlas:checkpoint has no effect"),
        (" -- atlas:nolint DS101\n\nSELECT 1;", "1:2", "atlas:nolint has no effect"),
        ("SELECT 1;\n-- atlas:txmode none\nSELECT 2;", "2:1", "atlas:txmode has no effect"),
    ],
)
def test_directive_without_effect(text: str, place: str, sentence: str) -> None:
    """A directive that Atlas ignores, though it looks like one, is pointed out."""
    (problem,) = read(text).problems

    assert str(problem.place) == f"1_a.sql:{place}"
    assert re.search(sentence, problem.message)
    assert problem.code == "SP105"


@pytest.mark.parametrize(
    "text",
    [
        "-- atlas:nolint DS101\nDROP TABLE t;",
        "-- atlas:nolint DS101\n\nDROP TABLE t;",
        "-- atlas:txmode none\n\n-- atlas:nolint\nSELECT 1;",
        "SELECT 1;\n-- atlas:nolint\nSELECT 2;",
        "-- atlas:txmode none\n-- Why.\n",
    ],
)
def test_directive_with_effect(text: str) -> None:
    """A directive that is where it belongs is nothing to talk about."""
    assert read(text).problems == ()


NASTY = st.lists(
    st.sampled_from(
        [
            "SELECT 1",
            ";",
            " ",
            "\n",
            "'",
            '"',
            "(",
            ")",
            "-- ",
            "/*",
            "*/",
            "$$",
            "$a$",
            "é",
            "\\",
            "\\restrict x\n",
            "COMMIT;",
            "begin ",
            "END;",
            "pgrollout:x",
            "-- pgrollout:repeatable\n",
            "-- atlas:txmode none\n",
            "\n\n",
            "-- atlas:delimiter //\n",
            "//",
            "COPY t FROM stdin;",
            "DISCARD ALL;",
            "\r\n",
            "e'",
            "\x00",
            "\ufeff",
        ]
    ),
    max_size=15,
).map("".join)


@settings(max_examples=600)
@given(NASTY)
def test_any_file_is_read_or_refused(text: str) -> None:
    """Whatever a file holds, it is either read, each statement in its place, or refused with a sentence."""
    content = outcome(text)

    if isinstance(content, PgrolloutError):
        assert content.code in (ExitCode.FAILED, ExitCode.USAGE, ExitCode.REFUSED)
        assert str(content).startswith("1_a.sql:")
        return
    for statement in content.statements:
        assert content.text[statement.start : statement.end] == statement.text


def test_import_is_light() -> None:
    """Reading content needs none of the heavy packages."""
    heavy = {"pydantic", "psycopg", "postgast", "click", "rich", "prefect"}
    program = "import sys, pgrollout.content; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert not heavy.intersection(loaded)
