"""Atlas's splitter: the same statements, texts and hashes as Atlas's own scanner."""

import re
import tracemalloc
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgrollout.atlas_splitter import DIRECTIVE, AtlasSplit, AtlasSplitError, partial_hashes, split
from tests.atlas_oracle import Oracle
from tests.sql_cases import CASES, LONG, Case

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.number))

PLAIN = [
    *["select 1", ";", " ", "\n", "'", '"', "`", "(", ")", "--", "-", "/*", "*/", "/", "$$", "$a$", "$È_1$", "$", "$1"],
    *[
        "é",
        "ü",
        "\t",
        "END",
        "end",
        "end;",
        " end ;",
        "END\n;",
        "case ",
        "//",
        "\n\n",
        "-- c\n",
        "/* c */",
        "/* c */\n\n",
    ],
    *[
        "\\",
        "\\n",
        "x",
        "_",
        "\r\n",
        "\u00a0",
        "\x1c",
        "\u2003",
        "e'",
        "E'a\\'b'",
        "#c\n",
        "B",
        "beginx",
        "\x85",
        "\v",
        "\f",
    ],
    *["a$b$c", "ſ", "İ", "delimiter", "-- end"],
]
BEGINS = [
    "begin ",
    "BEGIN\n",
    "begin atomic ",
    "xbegin ",
    "create function f() begin atomic select 1; end;",
    "begin\t;",
]
DELIMITERS = [
    *["delimiter ", "DELIMITER //\n", "delimiter ;\n", "delimiter -- end\n", "delimiter $$\n", "delimiter 'x'\n"],
    *["delimiter b\n", "delimiter (\n", "delimiter ''\n", "delimiter '\n", "delimiter \\n\\n\n"],
    *["-- atlas:delimiter \\n\\n\n", "-- atlas:delimiter //\n", "-- atlas:delimiter é\n", "-- atlas:delimiter\n"],
    *["-- atlas:delimiter x atlas:delimiter y\n", "-- atlas:delimiter -\n", "-- atlas:delimiter \\n-- end\n"],
]
# Atlas's time doubles with each BEGIN that has no END, so there are not many.
files = st.tuples(
    st.lists(st.sampled_from(PLAIN + DELIMITERS), max_size=12),
    st.lists(st.sampled_from(BEGINS), max_size=8),
    st.lists(st.sampled_from(PLAIN), max_size=20),
    st.randoms(use_true_random=False),
).map(lambda parts: shuffled(parts[0], parts[1] + parts[2], parts[3]))


def shuffled(first: list[str], others: list[str], random: Any) -> str:
    """A file of all pieces, the first one in front."""
    rest = first[1:] + others
    random.shuffle(rest)
    return "".join(first[:1] + rest)


def outcome(text: str) -> AtlasSplit | AtlasSplitError:
    """The file split, or why it cannot be."""
    try:
        return split(text)
    except AtlasSplitError as error:
        return error


def agree(oracle: Oracle, text: str) -> None:
    """Atlas and we have the same statements, at the same places, with the same hashes, or the same complaint."""
    theirs = oracle.ask("split", text=text)
    complaint = re.sub(r"^\d+:\d+: ", "", theirs["error"])
    if complaint.startswith("panic"):
        return
    found = outcome(text)
    if isinstance(found, AtlasSplitError):
        # The one exception: Atlas goes on in the middle of a character, and we refuse to.
        assert found.what in (complaint, "delimiter directive inside BEGIN")
        return

    directive = DIRECTIVE.match(text)
    first_line = directive is not None and directive[1] == "-- " and directive[2] == "delimiter"
    dropped = len(text.split("\n")[0].encode()) + 1 if first_line else 0
    assert not complaint
    assert [
        (statement.start_byte - dropped, statement.text, list(statement.comments), partial)
        for statement, partial in zip(found.statements, partial_hashes(found.statements), strict=True)
    ] == [
        (statement["position"], statement["text"], statement["comments"], statement["hash"])
        for statement in theirs.get("statements", [])
    ]


@every_case
def test_tricky_case(case: Case) -> None:
    """Atlas's answers to the tricky cases are ours."""
    if isinstance(case.atlas, str):
        with pytest.raises(AtlasSplitError, match=f"^{re.escape(case.atlas)}$"):
            split(case.text)
    else:
        assert len(split(case.text).statements) == case.atlas


@every_case
def test_oracle_agrees_on_every_prefix(case: Case, oracle: Oracle) -> None:
    """A tricky file that breaks off anywhere is split as Atlas would."""
    for length in range(len(case.text) + 1):
        agree(oracle, case.text[:length])


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_long_statement_is_one(text: str) -> None:
    """A statement that is read in several goes is one, before others and after them."""
    for file in (text, f"{text}\nselect 2; {text}", f"-- atlas:delimiter \\n\\n\n{text}\n\nselect 2;\n\n{text}\n\n"):
        statements = outcome(file)
        assert isinstance(statements, AtlasSplit)
        assert [each.text for each in statements.statements] in ([text], [text, "select 2;", text])


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_oracle_agrees_on_long_statement(text: str, oracle: Oracle) -> None:
    """Atlas reads long statements the same, whole and broken off."""
    for file in (text, f"-- atlas:delimiter -\n{text}", text[: len(text) // 2], text[:-2]):
        agree(oracle, file)


@settings(max_examples=3000)
@given(files)
def test_oracle_agrees(oracle: Oracle, text: str) -> None:
    """Any file made of what splitters trip over is split as Atlas would."""
    agree(oracle, text)


@pytest.mark.parametrize("file", sorted(Path("migrations").glob("*.sql")), ids=lambda file: file.stem[:14])
def test_oracle_agrees_on_example(file: Path, oracle: Oracle) -> None:
    """The example's files are split as Atlas would."""
    agree(oracle, file.read_text())


@settings(max_examples=300)
@given(files)
def test_places(text: str) -> None:
    """Every statement stands where it says, in order."""
    found = outcome(text)
    if isinstance(found, AtlasSplitError):
        assert 0 <= found.offset <= len(text)
        return

    position = 0
    for statement in found.statements:
        assert position <= statement.start
        assert text[statement.start : statement.end] == statement.text
        assert statement.start_byte == len(text[: statement.start].encode())
        assert statement.line == text.count("\n", 0, statement.start) + 1
        assert statement.column == statement.start - text.rfind("\n", 0, statement.start)
        position = statement.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-- atlas:delimiter \\n\\n\nselect 1;\nselect 2\n\nselect 3", ["select 1;\nselect 2", "select 3"]),
        ("-- atlas:delimiter -- end\nselect 1; -- end\nselect 2 -- end\n", ["select 1;", "select 2"]),
        ("delimiter //\nselect 1; select 2//\ndelimiter ;\nselect 3;", ["select 1; select 2", "select 3;"]),
        ("delimiter 'a''b'\nselect 1a'b select 2", ["select 1", "select 2"]),
        ("-- atlas:delimiter //\n////", ["", ""]),
    ],
)
def test_custom_delimiter(text: str, expected: list[str]) -> None:
    """A delimiter of the file's own ends a statement and is no part of it."""
    found = split(text)

    assert found.custom_delimiter
    assert [statement.text for statement in found.statements] == expected


@pytest.mark.parametrize("text", ["select 1;", "delimiter;", "-- delimiter //\nselect 1;", "select 'delimiter //';"])
def test_default_delimiter(text: str) -> None:
    """The word alone chooses nothing."""
    assert not split(text).custom_delimiter


@pytest.mark.parametrize("text", ["-- atlas:delimiter //", "-- atlas:delimiter\nselect 1;", "delimiter  \n"])
def test_delimiter_error(text: str) -> None:
    """A delimiter that cannot be is refused, and that the file chose one is known."""
    with pytest.raises(AtlasSplitError) as caught:
        split(text)

    assert caught.value.custom_delimiter
    assert re.search("empty delimiter|no input found after delimiter", str(caught.value))


def test_partial_hashes() -> None:
    """The hashes of a partly applied file are those seen in Atlas's own table."""
    statements = split("CREATE TABLE c (id int);\n-- not hashed\nSELECT pg_sleep(0.4);").statements

    assert partial_hashes(statements) == (
        "hk5GMR1OtYzxY65LCR84rTc8WR/aI/PdKG1oufqdOgk=",
        "+FjrOhKwtQvmVIKZGH/FhXGvQbSpLA/s3BWsCuNldss=",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("begin transaction; select 1; end; select 2;", 2),
        ("begin transaction; select 1; commit; select 2;", 4),
        ("begin; select 1; end;", 3),
        ("begin ; select 1; commit; create function f() begin atomic select 1; end; select 2;", 5),
        ("begin ; begin ; end ; end; select 1;", 2),
        ("select 1 -- the last", 1),
        ("select 1;\n-- the last", 2),
        ("select 1;\n-- the last\n", 1),
    ],
)
def test_oddities(text: str, expected: int) -> None:
    """What Atlas makes of BEGIN and of comments at the end."""
    assert len(split(text).statements) == expected


def test_many_begins_without_end() -> None:
    """Where Atlas's time would double with each BEGIN, ours does not; every file comes to an end."""
    blocks = "BEGIN TRANSACTION; UPDATE t SET a = 1; COMMIT;\n" * 2000

    assert len(split(blocks).statements) == 6000
    assert len(split(blocks + "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; END;").statements) == 6001
    assert len(split("begin " * 2000 + "end; " * 1000).statements) == 1
    assert len(split("begin " * 2000 + "end; " * 2000).statements) == 1


def test_large_file() -> None:
    """A file of 5 MB has its 60,000 statements, the last where it should be."""
    text = "".join(
        f"INSERT INTO articles (id, title, body) VALUES ({number}, 'It''s number {number}', 'a; b', NULL);\n"
        for number in range(60_000)
    )

    for file in (text, text.replace("\n", " ")):
        statements = split(file).statements
        assert len(statements) == 60_000
        assert statements[-1].line == (60_000 if file is text else 1)
    assert len(set(chain(partial_hashes(statements)))) == 60_000


NASTY = {
    "values": "insert into t values " + "(1, 'it''s', (2 - 1)),\n" * 100_000 + "(2);",
    "one parenthesis": "insert into t select * from (values " + "(1, 'it''s'),\n" * 100_000 + "(2));",
    "nested": "select " + "(" * 100_000 + "1" + ")" * 100_000 + ";",
    "comment": "select /*" + " * /" * 500_000 + " */ 1;",
    "comments that never end": "select 1" + " /*" * 30_000,
    "last line": "select 1" + " --" * 100_000,
    "operators": "select 1" + " - 1" * 500_000 + ";",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_memory_and_time_are_linear(text: str) -> None:
    """One statement of megabytes takes no more memory than its text a few times over; broken off, it ends, too."""
    tracemalloc.start()
    try:
        found = split(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [statement.text for statement in found.statements] == [text]
    assert peak < 30_000_000
    for broken in (text[:-3], text[: len(text) // 2]):
        outcome(broken)
