"""The parser's adapter: positions, limits, and what it makes of commands."""

import logging
from importlib import import_module
from typing import NoReturn

import pytest

from pgrollout import parser
from pgrollout.nodes import (
    AddColumn,
    AlterTable,
    ColumnDefinition,
    CreateIndex,
    CreateTable,
    DropTable,
    Name,
    Node,
    Other,
    RunCode,
    SetSearchPath,
    TypeName,
)
from pgrollout.parser import CannotAnalyse, SyntaxProblem, names_in, parse_statement, statement_count


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("SELECT 1 frm t", 13, 'syntax error at or near "t"'),
        ("SELECT 'é', 'ü' frm t", 20, 'syntax error at or near "t"'),
        ("SELECT '\N{GRINNING FACE}' frm t", 15, 'syntax error at or near "t"'),
        ("SELECT (", 8, "syntax error at end of input"),
    ],
)
def test_a_syntax_error_has_an_offset_in_characters(text: str, offset: int, message: str) -> None:
    """The position counts characters, whatever stands before it."""
    with pytest.raises(SyntaxProblem, match=message) as caught:
        parse_statement(text)

    assert caught.value.offset == offset


def test_a_message_is_one_line() -> None:
    """The parser would quote an unclosed text up to its end."""
    with pytest.raises(SyntaxProblem) as caught:
        parse_statement("SELECT $a$\nmuch\nmore")

    assert str(caught.value) == 'unterminated dollar-quoted string at or near "$a$ …"'


def test_nul_is_refused() -> None:
    """The C library would stop at a NUL and call the rest fine."""
    with pytest.raises(SyntaxProblem, match="NUL byte") as caught:
        parse_statement("SELECT 1\0; DROP TABLE t")

    assert caught.value.offset == 8


def test_deep_nesting_is_parsed() -> None:
    """What a generated view may well have is not too deep."""
    assert parse_statement("SELECT " + " || ".join(["'a'"] * 5000)) == (Other("select_stmt"),)


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE t ADD CHECK (" + "a IS NOT NULL AND (" * 600 + "b" + ")" * 601,
        "ALTER TABLE t ALTER a TYPE text USING a" + "::text" * 5000,
        "CREATE TABLE t (a text DEFAULT NULL" + "::text" * 5000 + ")",
    ],
)
def test_what_is_nested_too_deeply_is_not_analysed(text: str) -> None:
    """An expression that is deeper than Python's stack is SQL all the same."""
    with pytest.raises(CannotAnalyse, match="nested too deeply"):
        parse_statement(text)


def test_what_cannot_be_decoded_is_not_a_syntax_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that protobuf refuses to read is reported as not analysed, not as an error of the user."""
    postgast = parser._postgast()
    assert postgast is not None
    decode_error = import_module("google.protobuf.message").DecodeError

    def refuse(_text: str) -> NoReturn:
        raise decode_error("too deep")

    monkeypatch.setattr(postgast, "parse", refuse)

    with pytest.raises(CannotAnalyse, match="nested too deeply"):
        parse_statement("SELECT 1")


def test_a_missing_wheel_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Without a wheel for the platform there is no parser, and the log says so once."""

    def missing(name: str) -> NoReturn:
        raise OSError("libpg_query shared library not found")

    monkeypatch.setattr(parser, "import_module", missing)
    parser._postgast.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert not parser.is_available()
            assert not parser.is_available()
            with pytest.raises(CannotAnalyse, match="no parser for this platform"):
                parse_statement("SELECT 1")
    finally:
        parser._postgast.cache_clear()

    assert [record.message for record in caplog.records] == [
        "parser missing, lint rules do not run reason='libpg_query shared library not found'"
    ]


@pytest.mark.parametrize(("text", "count"), [("", 0), ("-- nothing", 0), (";;SELECT 1;; SELECT ';';", 2)])
def test_statements_of_a_file_are_counted(text: str, count: int) -> None:
    """Empty statements do not count."""
    assert statement_count(text) == count


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("CREATE INDEX CONCURRENTLY i ON ONLY s.t (a)", CreateIndex(Name("s", "t"), "i", concurrently=True, only=True)),
        ('DROP TABLE "A;b", s.c', DropTable((Name("", "A;b"), Name("s", "c")))),
        ("CREATE TEMP TABLE t AS SELECT 1", CreateTable(Name("pg_temp", "t"))),
        ("SELECT 1 AS a INTO t", CreateTable(Name("", "t"))),
        ("SELECT pg_catalog.set_config('search_path', '', false)", SetSearchPath(())),
        ("SET LOCAL search_path = app, public", SetSearchPath(("app", "public"))),
        ("RESET ALL", SetSearchPath(("public",))),
        ("DO 'BEGIN Drop x; END'", RunCode("DO", frozenset({"begin", "drop", "x", "end"}))),
        ("INSERT INTO t VALUES (1)", Other("insert_stmt")),
        (
            "ALTER TABLE t ADD c serial",
            AlterTable(
                Name("", "t"),
                (AddColumn(ColumnDefinition("c", TypeName("int4"), not_null=True, has_default=True)),),
            ),
        ),
    ],
)
def test_a_command_becomes_a_node(text: str, node: Node) -> None:
    """Commands become values that rules can match on."""
    assert parse_statement(text) == (node,)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("int", "int4"),
        ("character varying(20)", "varchar(20)"),
        ("numeric(10, 2)[]", "numeric(10,2)[]"),
        ("timestamp(3) with time zone", "timestamptz(3)"),
        ("interval(3)", "interval(3)"),
        ("app.mood", "app.mood"),
    ],
)
def test_types_have_one_name(written: str, shown: str) -> None:
    """However a type is written, it has the server's name for it."""
    (node,) = parse_statement(f"CREATE TABLE t (c {written})")

    assert isinstance(node, CreateTable)
    assert str(node.columns[0].type) == shown


def test_no_text_ends_the_process() -> None:
    """An expression of 50,000 terms, in which the C library would run out of stack, is not analysed."""
    with pytest.raises(CannotAnalyse, match="nested too deeply"):
        parse_statement("SELECT " + " + ".join(["1"] * 50_000))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER TABLE shop.a ADD b app.mood", {"shop.a", "app.mood", "app"}),
        ("CREATE INDEX i ON a (b)", {"i", "a"}),
        ("DROP TABLE shop.a, b", {"shop.a", "shop", "b"}),
        ("DROP SCHEMA a, b", {"a", "b", "a.", "b."}),
        ("ALTER SCHEMA a RENAME TO b", {"b", "a."}),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA a TO r", {"a", "a."}),
        ("REINDEX SCHEMA a", {"a", "a."}),
        ("SELECT x.b FROM shop.a x WHERE b = 'shop.c'", {"shop.a", "="}),
        ("SELECT nextval('shop.s')", {"nextval", "shop.s", "shop"}),
        ("SELECT 'shop.a'::regclass", {"regclass", "shop.a", "shop"}),
        ("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION shop.f()", {"t", "a", "shop.f", "shop"}),
        ("ALTER PUBLICATION p ADD TABLE shop.a, TABLES IN SCHEMA s", {"p", "shop.a", "s"}),
    ],
)
def test_names_in(text: str, expected: set[str]) -> None:
    """Every name of an object, with its schema as written; columns, literals, roles and keywords are none."""
    assert {str(name) for name in names_in(text)} == expected


def test_names_in_code() -> None:
    """Of code every word counts."""
    found = {str(name) for name in names_in("DO $$ BEGIN EXECUTE 'DROP TABLE ' || 'Shop.A'; END $$")}

    assert {"shop.a", "execute"} <= found
    with pytest.raises(SyntaxProblem):
        names_in("NO SQL")
