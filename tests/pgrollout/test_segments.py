"""Segments: what of a file commits together, and explicit transactions that nobody could finish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout.content import Content, read_content
from pgrollout.errors import PgrolloutError, UnreadableFile
from pgrollout.migration import Migration
from pgrollout.segments import Kind, Segment, rolls_back, segments

NONE = "-- atlas:txmode none\n\n"


def content(text: str) -> Content:
    """The content of a file of this text."""
    return read_content(Migration("1_a.sql", text.encode()))


def cut(text: str, start: int = 0) -> list[tuple[Kind, int, int]]:
    """The segments of a file of this text."""
    return [(segment.kind, segment.first, segment.last) for segment in segments(content(text), start)]


def test_a_wrapped_file_is_one_segment() -> None:
    """All statements, or what is left of them, in one transaction."""
    text = "SELECT 1; SELECT 2; SELECT 3;"

    assert cut(text) == [(Kind.TRANSACTION, 0, 2)]
    assert cut(text, 2) == [(Kind.TRANSACTION, 2, 2)]
    assert cut(text, 3) == []


@pytest.mark.parametrize("text", ["", "-- Nothing yet.\n"])
def test_a_file_without_statements_is_a_segment(text: str) -> None:
    """Its row has to be written all the same."""
    assert segments(content(text)) == (Segment(Kind.TRANSACTION, 0, -1),)


def test_txmode_none_makes_each_statement_a_segment() -> None:
    """What came before stays when a later one fails."""
    assert cut(NONE + "SELECT 1; SELECT 2;") == [(Kind.STATEMENT, 0, 0), (Kind.STATEMENT, 1, 1)]
    assert cut(NONE + "SELECT 1; SELECT 2;", 1) == [(Kind.STATEMENT, 1, 1)]
    assert cut(NONE) == []


@pytest.mark.parametrize(
    "block",
    [
        "BEGIN; SELECT 1; COMMIT;",
        "begin transaction; select 1; commit work;",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1; END TRANSACTION;",
        "BEGIN; SELECT 1; ROLLBACK;",
        "BEGIN; SELECT 1; ABORT;",
        "/* it */ BEGIN; SELECT 1; -- done\nCOMMIT;",
    ],
)
def test_an_explicit_transaction_is_one_segment(block: str) -> None:
    """Statements before and after it stand alone."""
    expected = [(Kind.STATEMENT, 0, 0), (Kind.BLOCK, 1, 3), (Kind.STATEMENT, 4, 4)]

    assert cut(f"{NONE}SELECT 0; {block} SELECT 2;") == expected


def test_savepoints_do_not_end_a_block() -> None:
    """Neither do two-phase commands about another transaction."""
    text = "BEGIN; SAVEPOINT a; ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a; RELEASE a; COMMIT;"

    assert cut(NONE + text) == [(Kind.BLOCK, 0, 5)]
    assert cut(NONE + "COMMIT PREPARED 'x'; ROLLBACK PREPARED 'y';") == [(Kind.STATEMENT, 0, 0), (Kind.STATEMENT, 1, 1)]


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        ("SELECT 1;\nBEGIN;\nSELECT 2;\n", "this transaction is never ended", "1_a.sql:4:1"),
        ("SELECT 1;\nCOMMIT;\n", "it ends a transaction that was not begun", "1_a.sql:4:1"),
        ("BEGIN;\nCOMMIT;\nROLLBACK;\n", "it ends a transaction that was not begun", "1_a.sql:5:1"),
        ("BEGIN;\nSELECT 1;\nCOMMIT AND CHAIN;\n", "it leaves a transaction behind", "1_a.sql:5:1"),
        ("BEGIN;\nPREPARE TRANSACTION 'x';\n", "it leaves a transaction behind", "1_a.sql:4:1"),
    ],
)
def test_a_transaction_that_cannot_be_finished_is_refused(text: str, problem: str, place: str) -> None:
    """The statement is named by its place, before anything has run."""
    with pytest.raises(UnreadableFile, match=problem) as refused:
        segments(content(NONE + text))
    assert str(refused.value).startswith(place)


@pytest.mark.parametrize("end", ["COMMIT AND NO CHAIN;", 'COMMIT /* "AND CHAIN" is not meant */;', "COMMIT; -- chain"])
def test_a_block_that_ends_without_a_chain_is_fine(end: str) -> None:
    """Only ``AND CHAIN`` leaves a transaction behind."""
    assert cut(f"{NONE}BEGIN; SELECT 1; {end}")[0] == (Kind.BLOCK, 0, 2)


def test_a_transaction_inside_one_statement_is_refused() -> None:
    """With a delimiter of the file's own, our row could not be put before its COMMIT."""
    text = "-- atlas:delimiter \\n---\n-- atlas:txmode none\n\nBEGIN; SELECT 1; COMMIT;\n---\nSELECT 2;\n"
    file = content(text)
    if file.transactional:
        pytest.fail("the directive was not read")

    with pytest.raises(UnreadableFile, match="it has a transaction inside one statement"):
        segments(file)


@pytest.mark.parametrize(
    ("piece", "problem"),
    [
        ("SELECT 1; COMMIT;", "it has a transaction inside one statement"),
        ("SELECT 1; BEGIN;", "it has a transaction inside one statement"),
        ("COMMIT", "it ends a transaction that was not begun"),
    ],
)
def test_half_a_transaction_inside_a_statement_is_refused(piece: str, problem: str) -> None:
    """Behind a delimiter of the file's own, a COMMIT without BEGIN would end the transaction that has our row."""
    file = content(f"-- atlas:delimiter \\n---\n-- atlas:txmode none\n\nSELECT 0;\n---\n{piece}\n---\n")

    with pytest.raises(UnreadableFile, match=problem) as refused:
        segments(file)

    assert str(refused.value).startswith("1_a.sql:6:1: ")


def test_the_end_says_whether_the_block_is_undone() -> None:
    """ROLLBACK and ABORT undo, COMMIT and END keep."""
    ends = content(NONE + "COMMIT; END; ROLLBACK; ABORT;").statements

    assert [rolls_back(statement) for statement in ends] == [False, False, True, True]


@given(
    st.lists(st.sampled_from(["SELECT 1", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a"]), max_size=8), st.integers(0, 8)
)
def test_segments_cover_the_file(statements: list[str], start: int) -> None:
    """Whatever a file has, its statements are in one segment each, in order, or the file is refused."""
    file = content(NONE + "; ".join(statements) + ("; " if statements else ""))
    try:
        found = segments(file, start)
    except PgrolloutError:
        return
    covered = [index for segment in found for index in range(segment.first, segment.last + 1)]

    assert covered == list(range(start, len(file.statements)))
