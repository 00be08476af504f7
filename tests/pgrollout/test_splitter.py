"""The server's splitter: what the server receives, found without asking it."""

import re
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgrollout import splitter
from pgrollout.parser import SyntaxProblem, is_available, statement_count
from pgrollout.splitter import Split, Unclosed, comments, is_blank, keywords, split
from tests.servers import missing
from tests.sql_cases import CASES, COUNTS, LONG, Case

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.number))

PIECES = st.sampled_from(
    [
        "select",
        "1",
        ";",
        " ",
        "\n",
        "'",
        '"',
        "(",
        ")",
        "--",
        "-",
        "/*",
        "*/",
        "/",
        "$$",
        "$a$",
        "$",
        "$1",
        "é",
        "ü",
        "\\",
        "\\;",
        "\\g",
        "e'",
        "E'a\\'b'",
        "'a'\n'b\\'",
        "begin",
        "end",
        "case",
        "end;",
        "b$a$",
        "create function f()",
        "create procedure p()",
        "begin atomic",
        "copy t from stdin;\n",
        "\\.\n",
        "\r\n",
        "\t",
        ":a",
        ",",
        "x1",
        "U&'",
        "1e'",
    ]
)
files = st.lists(PIECES, max_size=25).map("".join)


def outcome(text: str) -> Split | Unclosed:
    """The file split, or why it cannot be."""
    try:
        return split(text)
    except Unclosed as error:
        return error


def texts(found: Split) -> list[str]:
    """The statements' texts."""
    return [statement.text for statement in found.statements]


@every_case
def test_tricky_case(case: Case) -> None:
    """The server receives as many statements as its log showed."""
    if case.server < 0:
        with pytest.raises(Unclosed):
            split(case.text)
        return

    found = split(case.text)

    assert len(found.statements) == case.server
    assert len(found.psql_commands) == case.psql_commands
    assert len(found.copy_data) == case.copy_data


@every_case
def test_every_prefix_ends(case: Case) -> None:
    """A file that breaks off anywhere is split or refused."""
    for length in range(len(case.text)):
        match outcome(case.text[:length]):
            case Unclosed(offset=offset):
                assert 0 <= offset < length
            case Split(statements=statements):
                assert len(statements) <= length


def check_places(text: str, found: Split) -> None:
    """Every statement stands where it says, in order, and nothing but gaps is left."""
    for before, after in pairwise(found.statements):
        assert before.end <= after.start
    position, parts = 0, []
    for index, statement in enumerate(found.statements):
        assert statement.index == index
        assert text[statement.start : statement.end] == statement.text == statement.text.strip()
        assert statement.text
        assert statement.start_byte == len(text[: statement.start].encode())
        assert statement.line == text.count("\n", 0, statement.start) + 1
        assert statement.column == statement.start - text.rfind("\n", 0, statement.start)
        for comment in statement.comments:
            assert comment in text[position : statement.start]
        parts += [text[position : statement.start], statement.text]
        position = statement.end
    assert "".join([*parts, text[position:]]) == text
    if not found.copy_data and not found.psql_commands:
        for part in [*parts[::2], text[position:]]:
            assert is_blank(part)


@every_case
def test_places_of_cases(case: Case) -> None:
    """Statements and the gaps between them make up the file."""
    if case.server >= 0:
        check_places(case.text, split(case.text))


@settings(max_examples=400)
@given(files)
def test_places(text: str) -> None:
    """Statements and the gaps between them make up any file."""
    found = outcome(text)

    if isinstance(found, Unclosed):
        assert 0 <= found.offset < len(text)
    else:
        check_places(text, found)


@settings(max_examples=400)
@given(files)
def test_statement_stays_whole(text: str) -> None:
    """Splitting a statement again gives that statement."""
    found = outcome(text)
    if isinstance(found, Unclosed) or found.psql_commands or found.copy_data:
        return

    for statement in found.statements:
        assert texts(split(statement.text)) == [statement.text]


def needs_parser() -> None:
    """Skip the test where the parser does not load."""
    if not is_available():
        missing("parser", "postgast, PostgreSQL's own grammar, does not load here: `pip install postgast` says why")


@settings(max_examples=400)
@given(files)
def test_parser_agrees(text: str) -> None:
    """Whatever PostgreSQL's own grammar accepts has as many statements as we find."""
    needs_parser()
    try:
        count = statement_count(text)
    except SyntaxProblem:
        return
    found = split(text)
    if found.copy_data:
        return  # the parser takes rows for SQL

    assert len(found.statements) == count


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_long_statement_is_one(text: str) -> None:
    """A statement that is read in several goes is one, before others and after them."""
    assert texts(split(text)) == [text]
    assert texts(split(f"{text}\nselect 2; {text}")) == [text, "select 2;", text]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("escaped", [r"\';", "'';", r"\\", ";'\n'\\'", "' -- ;'\n '"])
def test_long_string_with_escapes(escaped: str, count: int) -> None:
    """A string with many escapes, or on many lines, ends where it ends."""
    text = f"select E'{escaped * count}', (E'{escaped * count}') - 1;"

    assert texts(split(f"{text} select 2;")) == [text, "select 2;"]
    with pytest.raises(Unclosed, match="unclosed string"):
        split(f"select E'{escaped * count}\\'; select 2;")


@settings(max_examples=400)
@given(files)
def test_any_file_is_read_by_hand(text: str) -> None:
    """Wherever the patterns stop, what they leave to be read by hand comes to the same."""
    expected = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PLAIN", "PLAIN_IN_ROUTINE"):
            pattern: re.Pattern[str] = getattr(splitter, name)
            short = pattern.pattern.replace(splitter.AT_MOST, "{0,2}").replace(splitter.AT_MOST_INSIDE, "{0,1}")
            patch.setattr(splitter, name, re.compile(short, pattern.flags))

        found = outcome(text)

    if isinstance(expected, Unclosed):
        assert str(found) == str(expected)
    else:
        assert found == expected


def test_no_group_is_possessive() -> None:
    """Python 3.11.0 to 3.11.4 match possessive groups wrongly, and few of us would see it: there are none."""
    for file in Path("pgrollout").rglob("*.py"):
        assert not re.search(r"\)(?:[*+?]|\{[\w,]+\})\+", file.read_text()), file


@every_case
def test_parser_agrees_on_cases(case: Case) -> None:
    """PostgreSQL's own grammar sees as many statements in the cases that are valid."""
    needs_parser()
    try:
        count = statement_count(case.text)
    except SyntaxProblem:
        assert case.psql_commands or case.copy_data or case.number in (23, 35)
        return

    assert count == case.server


@pytest.mark.parametrize("file", sorted(Path("migrations").glob("*.sql")), ids=lambda file: file.stem[:14])
def test_parser_agrees_on_example(file: Path) -> None:
    """PostgreSQL's own grammar sees as many statements in the example's files."""
    needs_parser()
    text = file.read_text()

    assert statement_count(text) == len(split(text).statements)


def test_offsets_count_characters_and_bytes() -> None:
    """Letters of two bytes move bytes, not characters."""
    second = split("select 'é;ü' as \"naïve;\"; select 2;").statements[1]

    assert (second.start, second.start_byte, second.line, second.column) == (26, 29, 1, 27)


@pytest.mark.parametrize(
    ("text", "offset", "what"),
    [
        ("select 'abc", 7, "string"),
        ("select 1; select E'a\\'", 17, "string"),
        ("select E'a'\n'b\\'", 7, "string"),
        ('select "abc', 7, "quoted name"),
        ("select $a$ $$ $b$", 7, "dollar quote $a$"),
        ("/* a /* b */ select 1;", 0, "comment"),
        ("select (1 + (2; select 3;", 7, "parenthesis"),
        ("select ((((1 + 2; select (3);", 7, "parenthesis"),
    ],
)
def test_unclosed(text: str, offset: int, what: str) -> None:
    """What never closes is named where it opened."""
    with pytest.raises(Unclosed, match=f"unclosed {re.escape(what)}") as caught:
        split(text)

    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select E'a'\n'b\\'; c'; select 2", ["select E'a'\n'b\\'; c';", "select 2"]),
        ("select E'a' -- x\n 'b\\'; c'; select 2", ["select E'a' -- x\n 'b\\'; c';", "select 2"]),
        ("select nameE'a\\'; select 2", ["select nameE'a\\';", "select 2"]),
        ("select 1 -- a\r; select 2", ["select 1 -- a\r;", "select 2"]),
        ("select a$b$c; select $b$;$b$", ["select a$b$c;", "select $b$;$b$"]),
        ("select é$a$; select 2", ["select é$a$;", "select 2"]),
        ("select (((((';'))))); select 2", ["select (((((';')))));", "select 2"]),
        ("select 1); select 2", ["select 1);", "select 2"]),
        ("select 1 -- the last", ["select 1 -- the last"]),
        (
            "create function f() begin atomic select (case when (1) then 1 end); end; x",
            ["create function f() begin atomic select (case when (1) then 1 end); end;", "x"],
        ),
        ("create function begin() as 'select 1'; x", ["create function begin() as 'select 1'; x"]),
    ],
)
def test_rules_of_psql(text: str, expected: list[str]) -> None:
    """Corners of psql's lexer."""
    assert texts(split(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create index concurrently i on t (a);", ("CREATE", "INDEX", "CONCURRENTLY", "I")),
        ("/* a /* b */ c */ -- d\n begin;", ("BEGIN",)),
        ('drop table "T" cascade', ("DROP", "TABLE")),
        ("do $$ begin end $$", ("DO",)),
        ("rollback/**/to--x\nsavepoint s", ("ROLLBACK", "TO", "SAVEPOINT", "S")),
        (f"rollback /* {'* ' * 1000} /* */ */ to -- e\n\tsavepoint/* open", ("ROLLBACK", "TO", "SAVEPOINT")),
        ("(select 1)", ()),
        ("-- only this", ()),
        ("", ()),
        ("/* open", ()),
        ("e'x'", ()),
        ("explain select", ("EXPLAIN", "SELECT")),
    ],
)
def test_keywords(text: str, expected: tuple[str, ...]) -> None:
    """The first words are those before anything that is no word."""
    assert keywords(text) == expected
    assert keywords(text, 1) == expected[:1]


def test_comments_are_found_outside_quotes() -> None:
    """A comment inside quotes is none; a nested one is one."""
    text = "-- a\nselect '-- b', $$ -- c $$, \"/* d */\" /* e /* f */ g */; -- h"

    assert [comment for _, comment in comments(text)] == ["-- a", "/* e /* f */ g */", "-- h"]
    assert all(text.startswith(comment, offset) for offset, comment in comments(text))


def test_comments_in_front_belong_to_the_statement() -> None:
    """The comments between two statements come with the second."""
    statements = split("-- a\n\n/* b */ select 1; -- c\nselect 2;").statements

    assert [statement.comments for statement in statements] == [("-- a", "/* b */"), ("-- c",)]


def test_psql_command_is_its_line() -> None:
    """A command of psql's reaches to the end of its line."""
    found = split("select 1;\n\\restrict abc\r\nselect 2;")

    assert [(each.offset, each.text) for each in found.psql_commands] == [(10, "\\restrict abc")]
    assert texts(found) == ["select 1;", "select 2;"]


def test_copy_data_is_stepped_over() -> None:
    """Rows are no SQL, quotes in them are no quotes."""
    found = split("copy t (a) from stdin with (format text);\nit's\t(\n\\.\nselect 2;")

    assert texts(found)[1:] == ["select 2;"]
    assert found.copy_data[0].offset == 42


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("copy t from stdin", True),
        ('COPY t (a, "from stdin") FROM /* it\'s */ -- (\n PSTDIN WITH (FORMAT csv)', True),
        ("copy (select 'from stdin' from stdin) to stdout", False),
        ("copy t from 'stdin'", False),
        ("copy t from /* stdin */ program 'stdin'", False),
        (f"copy ({'(a), ' * 1000}(select a from stdin)) to stdout", False),
    ],
)
def test_copy_that_asks_for_rows(statement: str, expected: bool) -> None:
    """Rows follow FROM STDIN, which is not looked for in quotes, comments and parentheses."""
    assert bool(split(f"{statement};").copy_data) is expected


def test_semicolon_of_psql_is_no_line() -> None:
    """What comes after a psql semicolon is SQL."""
    assert [each.text for each in split("select 1\\; select 2;").psql_commands] == ["\\;"]


def rows(count: int) -> str:
    """A seed file, one INSERT per line."""
    return "".join(
        f"INSERT INTO articles (id, title, body) VALUES ({number}, 'It''s number {number}', 'a; b', NULL);\n"
        for number in range(count)
    )


def test_large_file() -> None:
    """A file of 5 MB has its 60,000 statements, the last where it should be."""
    text = rows(60_000)

    last = split(text).statements[-1]

    assert (last.index, last.line, last.column, last.end) == (59_999, 60_000, 1, len(text) - 1)


def test_one_long_line() -> None:
    """All on one line is no worse."""
    text = rows(20_000).replace("\n", " ")

    last = split(text).statements[-1]

    assert (last.index, last.line, last.column) == (19_999, 1, last.start + 1)


NASTY = {
    "values": "insert into t values " + "(1, 'it''s', (2 - 1)),\n" * 100_000 + "(2);",
    "one parenthesis": "insert into t select * from (values " + "(1, 'it''s', E'\\n'),\n" * 100_000 + "(2));",
    "nested": "select " + "(" * 100_000 + "1" + ")" * 100_000 + ";",
    "comment": "select /*" + " * /" * 500_000 + " */ 1;",
    "string": "select E'" + "\\n''" * 200_000 + "';",
    "string on many lines": "select E''" + "\n'\\n'" * 100_000 + ";",
    "operators": "select 1" + " - 1" * 500_000 + ";",
    "words": "select" + " a" * 1_000_000 + ";",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_memory_and_time_are_linear(text: str) -> None:
    """One statement of megabytes takes no more memory than its text a few times over; broken off, it ends, too."""
    tracemalloc.start()
    try:
        found = splitter.spans(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.statements == [(0, len(text))]
    assert peak < 30_000_000
    for broken in (text[:-3], text[: len(text) // 2]):
        outcome(broken)
