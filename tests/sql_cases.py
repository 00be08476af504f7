r"""
The tricky cases: files that splitters get wrong, and how many statements the server receives.

The server's numbers were seen in the log of a PostgreSQL 18 fed by psql; Atlas's are those of its own scanner, and an
error's text stands for a file that it refuses.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """A file and what becomes of it."""

    number: int
    """Its number in the table that the cases come from."""
    text: str
    """The file."""
    server: int
    """Statements that the server receives."""
    atlas: int | str
    """Statements that Atlas runs, empty ones included, or why it refuses."""
    psql_commands: int = 0
    """Commands that only psql knows."""
    copy_data: int = 0
    """Blocks of rows."""


CASES = [
    Case(1, "select 'a;b'; select 2;", 2, 2),
    Case(2, "select 'it''s; ok'; select 2;", 2, 2),
    Case(3, "select E'it\\'s; ok'; select 2;", 2, "unclosed quote '\\''"),
    Case(4, "select 'C:\\'; select 2; select 'x';", 3, 3),
    Case(5, 'create table "a;b"(x int); select 2;', 2, 2),
    Case(6, 'select 1 as U&"d\\0061;t"; select 2;', 2, 2),
    Case(7, "select 1 -- a; b\n; select 2;", 2, 2),
    Case(8, "/* a; /* b; */ c; */ select 1; select 2;", 2, 3),
    Case(9, "select $$a;b$$; select 2;", 2, 2),
    Case(10, "do $a$ begin execute $b$ select 1; $b$; end $a$; select 2;", 2, 2),
    Case(11, "create table t1$x(a int); create table t2$x(a int);", 2, 2),
    Case(12, "prepare q as select $1::int; execute q(1);", 2, 2),
    Case(
        13,
        "create function f(a int) returns int begin atomic select a; select case when a>0 then 1 else 2 end; end; select 2;",
        2,
        2,
    ),
    Case(
        14,
        "create or replace procedure p() language sql begin atomic insert into t values (1); delete from t; end; select 2;",
        2,
        2,
    ),
    Case(15, "create function g(a int) returns int return a+1; select 2;", 2, 2),
    Case(
        16,
        "create rule r as on insert to t do also (insert into l values (1); insert into l values (2)); select 2;",
        2,
        2,
    ),
    Case(17, "create schema s create table a(x int) create view v as select 1; select 2;", 2, 2),
    Case(
        18,
        "create function h() returns trigger language plpgsql as 'begin new.x := 1; return new; end'; select 2;",
        2,
        2,
    ),
    Case(19, "begin isolation level serializable; insert into t values (1); commit; select 2;", 4, 4),
    Case(20, "begin transaction; select 1; end;", 3, 1),
    Case(21, 'create table iv("end" int, begin int); insert into iv(begin) values (1); select 2;', 3, 3),
    Case(22, "select 5 # 3; select 2;", 2, 2),
    Case(23, "select '{}'::jsonb #>> '{a}'; select '{}'::jsonb ?| array['b'];", 2, 2),
    Case(24, "grant set on parameter begin to public; select 2;", 2, 2),
    Case(25, ";; select 1;;; -- c\n;", 1, 6),
    Case(26, "-- nothing\n/* here */", 0, 0),
    Case(27, "select 'a'\n';b'; select 2", 2, 2),
    Case(28, "select 'é;ü' as \"naïve;\"; select 2;", 2, 2),
    Case(29, "select 1;\r\nselect 2;\r\n", 2, 2),
    Case(
        30,
        "create trigger g before update on t for each row when (old.a is distinct from new.a) execute function h(); select 2;",
        2,
        2,
    ),
    Case(31, "copy t from stdin;\n1;a\n2;b\n\\.\nselect 2;", 2, 4, copy_data=1),
    Case(32, "\\set ON_ERROR_STOP on\nselect 1;\n\\echo done; really\nselect 2;", 2, 3, psql_commands=2),
    Case(33, "select 1\\; select 2; select 3;", 2, 3, psql_commands=1),
    Case(34, "select 'select 1;'\\gexec\nselect 2;", 2, 1, psql_commands=1),
    Case(35, "select 'abc", -1, "unclosed quote '\\''"),
    Case(
        36,
        "insert into t values ('gn', E'A\\'e'); insert into t values ('x');",
        2,
        "unclosed quote '\\''",
    ),
]

COUNTS = (59, 60, 61, 499, 500, 501, 1001)
LINE = "- 1 -- ; it's (\n"
QUOTED = ";''"

LONG = [
    text
    for count in COUNTS
    for text in (
        f"select 1{' - x' * count};",
        f"select 1 {LINE * count};",
        f"select ({'(a),' * count}(b));",
        f"select ({LINE * count});",
        f"select {'(' * count}';'{')' * count};",
        f"select ({'1 - ' * count} $$;)$$ - (';'));",
        f"select (1 - /*{' * ;' * count}*/ ';');",
        f"select 1 - '{QUOTED * count}' - \"{';' * count}\";",
        f"create function f() begin atomic {'select (1) - 2; ' * count}end;",
    )
]
"""Statements longer than a splitter's groups are repeated, and so read by hand from some point on; one by both rules."""
