"""Crossing: what a file leaves for its later statements must not be lost where it is cut, or continued."""

import pytest

from pgrollout.content import Content, read_content
from pgrollout.crossing import check_crossing, lost_on_resume
from pgrollout.errors import StateCrosses
from pgrollout.migration import Migration
from pgrollout.segments import enum_cuts, segments

NONE = "-- atlas:txmode none\n\n"
CUT = "VACUUM other"


def content(text: str) -> Content:
    """The content of a file of this text."""
    return read_content(Migration("1_a.sql", text.encode()))


def check(text: str, start: int = 0) -> None:
    """Check a file that is cut where its text says so, and continued at a statement."""
    file = content(text)
    check_crossing(file, segments(file, start))


LOST = [
    ("SET LOCAL search_path = app", "SELECT 1", "what SET LOCAL sets ends with its transaction"),
    ("DO $$ BEGIN SET LOCAL search_path = app; END $$", "SELECT 1", "what SET LOCAL sets ends"),
    ("SET TRANSACTION READ ONLY", "SELECT 1", "what SET TRANSACTION sets ends with its transaction"),
    ("SET CONSTRAINTS ALL DEFERRED", "SELECT 1", "what SET CONSTRAINTS sets ends with its transaction"),
    ("SELECT set_config('a.b', 'c', true)", "SELECT 1", "what set_config() sets ends with its transaction"),
    ("SELECT set_config('a.b', current_user, false)", "SELECT 1", "what set_config() sets ends with its connection"),
    ("LOCK TABLE t IN SHARE MODE", "SELECT 1", "the lock of LOCK TABLE ends with its transaction"),
    ("LOCK t", "SELECT 1", "the lock of LOCK TABLE ends with its transaction"),
    ("DO $$ BEGIN LOCK TABLE t; END $$", "SELECT 1", "the lock of LOCK TABLE ends with its transaction"),
    ("SELECT pg_advisory_xact_lock(1)", "SELECT 1", "the advisory lock ends with its transaction"),
    ("SELECT pg_catalog.pg_try_advisory_lock_shared(1, 2)", "SELECT 1", "the advisory lock ends with its connection"),
    ("SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(2)", "SELECT 1", "the advisory lock ends"),
    ("CREATE TEMP TABLE x (a int)", "INSERT INTO t SELECT a FROM x", "temporary table x ends with its connection"),
    ("CREATE LOCAL TEMPORARY TABLE IF NOT EXISTS x (a int)", "TABLE x", "temporary table x ends"),
    ("CREATE OR REPLACE TEMP VIEW x AS SELECT 1", "SELECT * FROM pg_temp.X", "temporary table x ends"),
    ("CREATE TABLE pg_temp.x (a int)", "DROP TABLE x", "temporary table x ends"),
    ('SELECT 1 AS a INTO TEMP TABLE "My x"', 'SELECT a FROM "My x"', "temporary table My x ends"),
    ("WITH y AS (SELECT 1) SELECT * INTO TEMPORARY x FROM y", "SELECT * FROM x", "temporary table x ends"),
    ("DO $$ BEGIN CREATE TEMP TABLE x (a int); END $$", "DO $$ BEGIN DELETE FROM x; END $$", "temporary table x ends"),
    ("CREATE TEMP TABLE x (a int)", "CALL work()", "temporary table x ends"),
    ("PREPARE p AS SELECT 1", "EXECUTE p", "prepared statement p ends with its connection"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "FETCH c", "cursor c ends with its connection"),
    ("SAVEPOINT s", "ROLLBACK TO s", "savepoint s ends with its transaction"),
    ("INSERT INTO t DEFAULT VALUES", "INSERT INTO u SELECT currval('t_id_seq')", "what currval() gives ends"),
    ("SELECT nextval('s')", "SELECT lastval()", "what lastval() gives ends with its connection"),
    ("INSERT INTO t VALUES (now())", "UPDATE t SET a = CURRENT_TIMESTAMP", "the time of now() ends with its transaction"),
    ("CREATE TABLE t AS SELECT localtime AS a", "DELETE FROM t WHERE a < now()", "the time of localtime ends"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "relies", "problem"), LOST)
def test_what_is_lost_at_a_cut_is_refused(made: str, relies: str, problem: str) -> None:
    """With both places, and what to do; without the cut, the same file is fine."""
    with pytest.raises(StateCrosses) as refused:
        check(f"{made};\n{CUT};\nSELECT 0;\n{relies};\n")

    assert refused.value.problem.startswith(problem)
    assert str(refused.value).startswith(f"1_a.sql:{refused.value.place.line}:1: ")
    assert refused.value.later.line > 1
    check(f"{made};\nSELECT 0;\n{relies};\n")


FINE = [
    ("SET search_path = app; SET ROLE app; RESET ROLE", "SELECT 1"),
    ("SELECT pg_catalog.set_config('search_path', '', false)", "SELECT 1"),
    ("-- SET LOCAL is not meant\nSELECT 1", "SELECT 1"),
    ("SELECT pg_advisory_lock( 1 ); SELECT pg_advisory_unlock(1)", "SELECT 1"),
    ("CREATE TEMP TABLE x (a int)", "SELECT 1 /* x */"),
    ("CREATE TEMP TABLE x (a int); DROP TABLE x", "CREATE TABLE x (a int)"),
    ("CREATE TEMP TABLE x (a int) ON COMMIT DROP", "SELECT 1"),
    ("PREPARE p AS SELECT 1; EXECUTE p; DEALLOCATE ALL", "PREPARE p AS SELECT 2"),
    ("SAVEPOINT s; RELEASE s", "SELECT s FROM t"),
    ("DECLARE c CURSOR FOR SELECT 1; CLOSE c", "SELECT c FROM t"),
    ("CREATE FUNCTION f() RETURNS void LANGUAGE sql SET LOCAL AS 'CREATE TEMP TABLE x (a int)'", "SELECT 1 AS x"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(1)'", "SELECT 1"),
    ("COMMENT ON TABLE t IS 'SELECT pg_advisory_lock(1)'", "SELECT 1"),
    ("INSERT INTO t DEFAULT VALUES", "INSERT INTO t DEFAULT VALUES; SELECT lastval()"),
    ("SELECT 1", "SELECT lastval()"),
    ("INSERT INTO t VALUES (now())", "INSERT INTO t VALUES ('it is now() or never')"),
    ("INSERT INTO t VALUES (now())", "INSERT INTO t VALUES (clock_timestamp())"),
    ("CREATE TABLE t (a timestamptz DEFAULT now())", "INSERT INTO t VALUES (now())"),
    ("CREATE VIEW v AS SELECT now()", "INSERT INTO t VALUES (now())"),
]


@pytest.mark.parametrize(("made", "later"), FINE)
def test_what_is_not_lost_is_not_refused(made: str, later: str) -> None:
    """Settings of the session are set again; what is ended, not mentioned or only defined is nothing to lose."""
    check(f"{made}; {CUT}; {later};")


def test_what_a_statement_leaves_must_have_somebody_who_misses_it() -> None:
    """At the end of a file, or within what stays together, nothing is lost."""
    check(f"{CUT}; SET LOCAL a.b = 'c'; SELECT 1;")
    check(f"SELECT 1; {CUT}; LOCK TABLE t; INSERT INTO t VALUES (now()), (now());")


def test_the_refusal_says_it_all() -> None:
    """The statement, the one that relies on it, and the way out."""
    with pytest.raises(StateCrosses) as refused:
        check("SET LOCAL search_path = app;\nALTER TABLE ev ADD a int;\nCREATE INDEX CONCURRENTLY i ON ev (a);\n")

    assert str(refused.value) == (
        "1_a.sql:1:1: what SET LOCAL sets ends with its transaction, and line 3 runs in another one.\n"
        "    SET LOCAL search_path = app;\n"
        "    ^\n"
        "    CREATE INDEX CONCURRENTLY i ON ev (a);\n"
        "    ^\n"
        "Use SET, which is set again after each cut, or put what follows into a file of its own."
    )


def test_a_cut_after_an_enum_value_is_a_cut() -> None:
    """Only once the server has asked for it."""
    file = content("LOCK TABLE t; ALTER TYPE m ADD VALUE 'x'; INSERT INTO t VALUES ('x');")

    check_crossing(file, segments(file))
    with pytest.raises(StateCrosses, match="the lock of LOCK TABLE"):
        check_crossing(file, segments(file, cuts=enum_cuts(file)))


def test_a_wrapped_file_that_is_continued_lost_its_transaction_too() -> None:
    """What ran cannot be edited any more, so the way out is another one."""
    text = f"LOCK TABLE t; {CUT}; SELECT 1;"

    for start in (1, 2):
        with pytest.raises(StateCrosses) as refused:
            check(text, start)
        assert refused.value.advice.startswith("What ran stays as it is. Rewrite what is left")
    check(text, 3)


@pytest.mark.parametrize(
    ("made", "relies"),
    [
        ("CREATE TEMP TABLE x (a int)", "TABLE x"),
        ("PREPARE p AS SELECT 1", "EXECUTE p"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "FETCH c"),
        ("SELECT pg_advisory_lock(1)", "SELECT 1"),
        ("SELECT set_config('a.b', current_user, false)", "SELECT 1"),
        ("INSERT INTO t DEFAULT VALUES", "SELECT lastval()"),
    ],
)
def test_a_file_with_txmode_none_loses_its_connection_only_when_it_is_continued(made: str, relies: str) -> None:
    """In one run all of it is on one connection."""
    file = content(f"{NONE}{made}; SELECT 0; {relies};")

    check_crossing(file, segments(file))
    lost_on_resume(file, 0)
    for start in (1, 2):
        with pytest.raises(StateCrosses, match="may run on another one"):
            lost_on_resume(file, start)
    lost_on_resume(file, 3)


def test_a_file_with_txmode_none_has_no_transaction_to_lose() -> None:
    """What ends with a transaction ended in the first run, too."""
    file = content(
        f"{NONE}BEGIN; LOCK TABLE t; SAVEPOINT s; INSERT INTO t VALUES (now()); COMMIT; UPDATE t SET a = now();"
    )

    lost_on_resume(file, 5)


def test_commands_of_one_statement_are_looked_at_one_by_one() -> None:
    """With a delimiter of the file's own, a statement may have several."""
    text = "-- atlas:delimiter \\n---\n\nSELECT 1; SET LOCAL a.b = 'c';\n---\nVACUUM t\n---\n"

    with pytest.raises(StateCrosses, match="what SET LOCAL sets"):
        check(text)
