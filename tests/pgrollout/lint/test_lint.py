"""The walk over a directory, and the registry of rules."""

import subprocess
import sys

import pytest

from pgrollout import parser
from pgrollout.content import read_content
from pgrollout.lint import RULES, lint
from pgrollout.migration import Migration
from tests.pgrollout.lint.linting import hits, lint_files
from tests.servers import Database

FILES = [
    read_content(Migration("1_a.sql", b"CREATE TABLE t (a int);\n")),
    read_content(Migration("2_b.sql", b"DROP TABLE t;\n")),
    read_content(Migration("3_c.sql", b"CREATE TABLE t (b int);\nCREATE INDEX ON t (b);\n")),
]


def test_only_new_files_are_reported_on() -> None:
    """History is followed, not judged; without a word about what is new, all files are."""
    assert lint(FILES, new={"3_c.sql"}).findings == ()
    assert lint(FILES, new=()).findings == ()
    assert [finding.place.file for finding in lint(FILES).findings] == ["2_b.sql"]


def test_history_that_cannot_be_parsed_is_followed_on() -> None:
    """A file that ran once is not judged by a newer grammar."""
    old = read_content(Migration("0_old.sql", b"CREATE TABLE oops oops;\n"))

    assert lint([old, *FILES], new={"3_c.sql"}).findings == ()


@pytest.mark.parametrize(("sql", "what"), [("DO $$ BEGIN END $$;", "DO"), ("CALL tidy_up();", "CALL")])
def test_code_is_reported_as_not_analysed(sql: str, what: str) -> None:
    """What a block of code does is not known, and that is said."""
    (missed,) = lint_files(f"SELECT 1;\n{sql}").not_analysed

    assert str(missed) == f"1_a.sql:2:1: not analysed: what {what} runs is not looked into"


def test_without_a_parser_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the parser's wheel is missing, each file is reported as not analysed, and nothing fails."""
    monkeypatch.setattr(parser, "_postgast", lambda: None)

    report = lint(FILES)

    assert report.findings == report.unused_waivers == ()
    assert [str(missed) for missed in report.not_analysed] == [
        f"{content.migration.name}:1:1: not analysed: there is no parser for this platform" for content in FILES
    ]


def test_the_parser_is_imported_when_it_is_needed() -> None:
    """Importing the lint package leaves the parser, 0.1 s of it, alone."""
    code = "import sys, pgrollout.lint; sys.exit('postgast' in sys.modules or 'pydantic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_rule_teaches() -> None:
    """Codes are unique; each rule says what happens, what to write instead, and where to read on."""
    assert len({rule.code for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.effect.endswith(".")
        assert rule.remedy.endswith(".")
        assert rule.source.startswith("https://")


def test_a_file_starts_with_a_session_of_its_own() -> None:
    """Temporary tables and the search path of one file are gone in the next."""
    first = "CREATE TABLE app.t (a varchar(5)); SET search_path TO app; CREATE TEMP TABLE u (a int);"

    assert hits(first, "ALTER TABLE app.t ALTER a TYPE text;") == []
    assert hits(first, "ALTER TABLE t ALTER a TYPE text; DROP TABLE u;") == [("PG301", "t.a"), ("DS102", "u")]


FOREIGN = "CREATE FOREIGN TABLE app.f (a int) SERVER s;"
ON_FOREIGN = [
    ("ADD COLUMN b int NOT NULL", "MF103"),
    ("ALTER COLUMN a TYPE text", "PG301"),
    ("ALTER COLUMN a SET NOT NULL", "PG303"),
    ("ADD CHECK (a > 0)", "PG305"),
]


@pytest.mark.parametrize(("action", "code"), ON_FOREIGN)
def test_a_foreign_table_is_neither_read_nor_copied(action: str, code: str) -> None:
    """Rows that are elsewhere are left alone, however the command is written; a table in its place is one again."""
    alter = f"ALTER TABLE app.f {action};"

    assert hits(FOREIGN, alter) == hits(f"ALTER FOREIGN TABLE app.f {action};") == []
    assert hits(FOREIGN, "ALTER TABLE app.f RENAME TO g;", f"ALTER TABLE app.g {action};") == []
    assert [found for found, _ in hits(FOREIGN, "DROP FOREIGN TABLE app.f;", alter)] == [code]
    assert [found for found, _ in hits(FOREIGN, "ALTER TABLE app.f RENAME TO g;", alter)] == [code]


def test_a_server_leaves_the_rows_of_a_foreign_table_alone(database: Database) -> None:
    """The server carries such commands out without a driver that could read or copy a row."""
    database.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE SCHEMA app;")

    for action, _ in ON_FOREIGN:
        database.execute(FOREIGN + f"ALTER TABLE app.f {action}; DROP FOREIGN TABLE app.f;")
