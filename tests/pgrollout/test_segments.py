"""Segments: what of a file commits together, and explicit transactions that nobody could finish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout.content import Content, read_content
from pgrollout.errors import PgrolloutError, UnreadableFile
from pgrollout.migration import Migration
from pgrollout.segments import (
    Kind,
    enum_cuts,
    in_plain_form,
    made_here,
    online_builds,
    outside_of,
    rolls_back,
    segments,
)

NONE = "-- atlas:txmode none\n\n"


def content(text: str) -> Content:
    """The content of a file of this text."""
    return read_content(Migration("1_a.sql", text.encode()))


def cut(text: str, start: int = 0, **chosen: set[int]) -> list[tuple[Kind, int, int]]:
    """The segments of a file of this text."""
    return [(segment.kind, segment.first, segment.last) for segment in segments(content(text), start, **chosen)]


def test_a_wrapped_file_is_one_segment() -> None:
    """All statements, or what is left of them, in one transaction."""
    text = "SELECT 1; SELECT 2; SELECT 3;"

    assert cut(text) == [(Kind.TRANSACTION, 0, 2)]
    assert cut(text, 2) == [(Kind.TRANSACTION, 2, 2)]
    assert cut(text, 3) == []


@pytest.mark.parametrize("text", ["", "-- Nothing yet.\n"])
def test_a_file_without_statements_is_a_segment(text: str) -> None:
    """Its row has to be written all the same."""
    assert cut(text) == [(Kind.TRANSACTION, 0, -1)]


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
    assert cut(NONE + "COMMIT PREPARED 'x'; ROLLBACK PREPARED 'y';") == [(Kind.ALONE, 0, 0), (Kind.ALONE, 1, 1)]


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


BUILD = "CREATE INDEX CONCURRENTLY i ON t (x)"


def test_what_cannot_run_in_a_transaction_is_alone() -> None:
    """What stands between stays together."""
    text = f"SELECT 1; SELECT 2; {BUILD}; VACUUM t; SELECT 3;"

    assert cut(text) == [
        (Kind.TRANSACTION, 0, 1),
        (Kind.ALONE, 2, 2),
        (Kind.ALONE, 3, 3),
        (Kind.TRANSACTION, 4, 4),
    ]
    assert cut(NONE + text)[2:4] == [(Kind.ALONE, 2, 2), (Kind.ALONE, 3, 3)]


@pytest.mark.parametrize("start", range(6))
def test_a_file_that_is_cut_continues_anywhere(start: int) -> None:
    """Also inside what would have been one segment, for the text below it may have been edited."""
    whole = [(Kind.TRANSACTION, 0, 1), (Kind.ALONE, 2, 2), (Kind.TRANSACTION, 3, 4)]

    assert cut(f"SELECT 1; SELECT 2; {BUILD}; SELECT 3; SELECT 4;", start) == [
        (kind, max(first, start), last) for kind, first, last in whole if last >= start
    ]


def test_a_small_table_needs_no_cut() -> None:
    """The caller says which tables are small; in txmode none, the statement then is tried as any other."""
    text = f"SELECT 1; {BUILD}; SELECT 2; {BUILD}; SELECT 3;"

    assert cut(text, plain={1, 3}) == [(Kind.TRANSACTION, 0, 4)]
    assert cut(text, plain={3}) == [(Kind.TRANSACTION, 0, 0), (Kind.ALONE, 1, 1), (Kind.TRANSACTION, 2, 4)]
    assert [kind for kind, _, _ in cut(NONE + text, plain={1})] == [
        Kind.STATEMENT, Kind.STATEMENT, Kind.STATEMENT, Kind.ALONE, Kind.STATEMENT,
    ]  # fmt: skip


def test_online_builds_are_what_the_caller_may_choose_of() -> None:
    """By index, with the table whose size decides; those of a file's own block are not among them."""
    wrapped = content(f"SELECT 1; {BUILD}; CREATE TABLE t (x int); {BUILD};")
    none = content(f"{NONE}{BUILD}; BEGIN; {BUILD}; COMMIT; {BUILD};")

    assert {index: str(what.table) for index, what in online_builds(wrapped).items()} == {1: "t"}
    assert list(online_builds(none)) == [0, 4]
    assert list(online_builds(none, 1)) == [4]


@pytest.mark.parametrize(
    "before",
    [
        "CREATE TABLE t (x int)",
        "CREATE TABLE t AS SELECT 1 AS x",
        "CREATE TABLE t PARTITION OF u DEFAULT",
        "CREATE TEMP TABLE t (x int)",
        "CREATE MATERIALIZED VIEW t AS SELECT 1 AS x",
        "SELECT 1 AS x INTO t",
        "SET search_path = app; CREATE TABLE t (x int); ALTER TABLE t ADD y int",
        "CREATE TABLE new (x int); ALTER TABLE t RENAME TO old; ALTER TABLE new RENAME TO t",
        "CREATE TABLE t (x int); DO $$ BEGIN PERFORM 1; END $$",
    ],
)
def test_an_index_on_a_table_that_the_transaction_makes_is_plain(before: str) -> None:
    """Nobody else sees that table yet, so nobody waits."""
    file = content(f"{before}; {BUILD}; SELECT 1;")
    build = len(file.statements) - 2

    (segment,) = segments(file)
    assert segment.kind is Kind.TRANSACTION
    assert segment.reason == (
        f"the file is one transaction; statement {build + 1} builds its index in plain form, for its table is made here"
    )
    assert made_here(file) == {build}
    assert in_plain_form(file, segment) == (build,)
    assert online_builds(file) == {}


@pytest.mark.parametrize(
    "before",
    [
        "CREATE TABLE app.t (x int)",
        "CREATE TABLE IF NOT EXISTS t (x int)",
        "CREATE TABLE t (x int) PARTITION BY LIST (x)",
        "CREATE TABLE t (x int); DROP TABLE t",
        "CREATE TABLE t (x int); ALTER TABLE t RENAME TO u",
        "CREATE TABLE public.t (x int); ALTER TABLE t RENAME TO u",
        "CREATE TABLE t (x int); ALTER TABLE t SET SCHEMA app",
        "CREATE TABLE t (x int); SET search_path = app",
        "CREATE TABLE t (x int); SET ROLE app",
        "CREATE TABLE t (x int); SELECT set_config('search_path', 'app', true)",
        "CREATE TABLE t (x int); DO $$ BEGIN ALTER TABLE t RENAME TO u; END $$",
        "CREATE TABLE t (x int); ALTER SCHEMA public RENAME TO old",
        "CREATE TABLE t (x int); VACUUM u",
    ],
)
def test_an_index_on_another_table_is_not(before: str) -> None:
    """One that may be older, that others may see already, or that has no CONCURRENTLY, as a partitioned one."""
    file = content(f"{before}; {BUILD};")

    assert segments(file)[-1].kind is Kind.ALONE
    assert segments(file)[-1].reason == "CREATE INDEX CONCURRENTLY cannot run in a transaction"
    assert made_here(file) == frozenset()


@pytest.mark.parametrize(
    "before",
    [
        "CREATE TABLE app.t (x int)",
        "CREATE SCHEMA app CREATE TABLE t (x int)",
        "CREATE TABLE t (x int); ALTER TABLE t SET SCHEMA app",
        "CREATE TABLE app.t (x int); SET search_path = ''",
    ],
)
def test_a_table_with_its_schema_is_the_same_whatever_the_search_path(before: str) -> None:
    """The name has to be written as where it was made."""
    assert len(segments(content(f"{before}; CREATE INDEX CONCURRENTLY ON app.t (x);"))) == 1


def test_made_here_ends_with_the_transaction() -> None:
    """What is plain on a small table keeps the transaction open, and so the table unseen."""
    text = f"CREATE TABLE t (x int); CREATE INDEX CONCURRENTLY j ON u (x); {BUILD};"

    assert [kind for kind, _, _ in cut(text)] == [Kind.TRANSACTION, Kind.ALONE, Kind.ALONE]
    assert cut(text, plain={1}) == [(Kind.TRANSACTION, 0, 2)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER TYPE m ADD VALUE 'x'; SELECT 1;", {0}),
        ("ALTER TYPE m ADD VALUE 'x';", set()),
        (
            "ALTER TYPE m ADD VALUE 'x'; COMMENT ON TYPE m IS 'y'; alter type app.m add value 'z'; SELECT 1; SELECT 2;",
            {2},
        ),
        (
            "SELECT 1; ALTER TYPE \"My m\" /* add */ ADD VALUE IF NOT EXISTS 'x'; SELECT 1; ALTER TYPE m ADD VALUE 'y';",
            {1},
        ),
        ("ALTER TYPE m ADD VALUE 'x'; COMMENT ON TYPE m IS 'y'; SELECT 1;", {1}),
        ("ALTER TYPE m ADD ATTRIBUTE value int; SELECT 1;", set()),
        ("ALTER TYPE m RENAME VALUE 'x' TO 'ADD VALUE'; SELECT 1;", set()),
        ("COMMENT ON TYPE m IS 'y'; SELECT 1;", set()),
        (f"{NONE}ALTER TYPE m ADD VALUE 'x'; SELECT 1;", set()),
    ],
)
def test_where_new_enum_values_can_be_committed(text: str, expected: set[int]) -> None:
    """After each run of ADD VALUE that something else follows, in a file that is one transaction."""
    assert enum_cuts(content(text)) == expected


def test_a_file_is_cut_where_the_server_asks_for_it() -> None:
    """Only then; until it asks, the file is one transaction."""
    text = "ALTER TYPE m ADD VALUE 'x'; SELECT 1; SELECT 2;"
    file = content(text)

    assert cut(text) == [(Kind.TRANSACTION, 0, 2)]
    first, second = segments(file, cuts=enum_cuts(file))
    assert (first.last, second.first) == (0, 1)
    assert "cut after statement 1, for the server wants a new enum value committed before it is used" in first.reason


def test_several_commands_in_one_statement_are_no_segment_of_their_own() -> None:
    """Sent alone they would still be a transaction, with a delimiter of the file's own."""
    delimiter = "-- atlas:delimiter \\n---\n\n"

    assert cut(f"{delimiter}{BUILD};\n---\nSELECT 1;\n---\n") == [(Kind.ALONE, 0, 0), (Kind.TRANSACTION, 1, 1)]
    assert cut(f"{delimiter}{BUILD}; SELECT 2;\n---\nSELECT 1;\n---\n") == [(Kind.TRANSACTION, 0, 1)]


SOME = [
    "SELECT 1",
    BUILD,
    "VACUUM t",
    "CREATE TABLE t (x int)",
    "ALTER TYPE m ADD VALUE 'x'",
    "COMMENT ON TYPE m IS 'y'",
]


@given(st.lists(st.sampled_from(SOME), min_size=1, max_size=8), st.integers(0, 8), st.data())
def test_whatever_is_cut_every_statement_is_run_once(statements: list[str], start: int, data: st.DataObject) -> None:
    """In order, from where the run begins; nothing that cannot run in a transaction gets into one."""
    file = content("; ".join(statements) + ";")
    builds = online_builds(file, start)
    plain = data.draw(st.sets(st.sampled_from(sorted(builds)))) if builds else set()
    cuts = data.draw(st.sampled_from([frozenset[int](), enum_cuts(file)]))

    found = segments(file, start, plain=plain, cuts=cuts)

    covered = [index for segment in found for index in range(segment.first, segment.last + 1)]
    assert covered == list(range(start, len(statements)))
    assert all(segment.reason for segment in found)
    for segment in found:
        if segment.kind is Kind.ALONE:
            assert segment.first == segment.last
            assert segment.first not in plain
            continue
        inside = {index for index in range(segment.first, segment.last + 1) if outside_of(file, index)}
        assert inside == set(in_plain_form(file, segment))
        for index in inside - plain:
            assert "CREATE TABLE t (x int)" in statements[segment.first : index]
        assert not cuts.intersection(range(segment.first, segment.last))


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
