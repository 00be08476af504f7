"""Outside: which statements cannot run in a transaction, and what they are about."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout.nodes import Name
from pgrollout.outside import NOTHING, Form, Outside, as_plain, outside
from pgrollout.splitter import keywords
from tests.servers import Database

T, I = Name("", "t"), Name("", "i")  # noqa: E741
BUILD, REINDEX = Form.ONLINE_BUILD, Form.ONLINE_REINDEX
NOT_FOUND = ("42601", "42P01", "42704", "3F000")
"""What this server says of a syntax, a table or another object that it does not know."""
LONG = "é" * 40
"""80 bytes, of which the server keeps 62."""


def read(text: str, *, refused: bool = False) -> Outside | None:
    """Read a statement as the stages do."""
    return outside(text, keywords(text), refused=refused)


OUTSIDE = [
    ("CREATE INDEX CONCURRENTLY i ON t (a)", Outside(BUILD, I, T)),
    ("create index concurrently i on t (a);", Outside(BUILD, I, T)),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", Outside(BUILD, I, T, unique=True)),
    ("CREATE INDEX CONCURRENTLY ON t (a)", Outside(BUILD, NOTHING, T)),
    ("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.t (a)", Outside(BUILD, I, Name("app", "t"), if_exists=True)),
    ("CREATE INDEX CONCURRENTLY if ON t (a)", Outside(BUILD, Name("", "if"), T)),
    ('CREATE INDEX CONCURRENTLY "I ""x""" ON "App".T(a)', Outside(BUILD, Name("", 'I "x"'), Name("App", "t"))),
    ('CREATE INDEX CONCURRENTLY "on" ON t (a)', Outside(BUILD, Name("", "on"), T)),
    (r'CREATE INDEX CONCURRENTLY U&"\0069" ON t (a)', Outside(BUILD, I, T)),
    (f"CREATE INDEX CONCURRENTLY {LONG} ON t (a)", Outside(BUILD, Name("", "é" * 31), T)),
    ("CREATE /* a /* b */ */ INDEX -- c\n CONCURRENTLY i ON t (a)", Outside(BUILD, I, T)),
    ("CREATE INDEX CONCURRENTLY i ON db.app . t (a)", Outside(BUILD, I, Name("app", "t"))),
    ("REINDEX INDEX CONCURRENTLY app.i", Outside(REINDEX, Name("app", "i"))),
    ("REINDEX (VERBOSE, CONCURRENTLY) TABLE t", Outside(REINDEX, table=T)),
    ("REINDEX (CONCURRENTLY true) TABLE t", Outside(REINDEX, table=T)),
    ("REINDEX (TABLESPACE x) TABLE CONCURRENTLY t", Outside(REINDEX, table=T)),
    ("REINDEX SCHEMA CONCURRENTLY s", Outside(REINDEX, Name("s", ""))),
    ("REINDEX SCHEMA s", Outside(Form.REINDEX, Name("s", ""))),
    ("REINDEX DATABASE d", Outside(Form.REINDEX)),
    ("REINDEX (CONCURRENTLY off) SYSTEM d", Outside(Form.REINDEX)),
    ("DROP INDEX CONCURRENTLY i", Outside(Form.ONLINE_DROP, I)),
    ("DROP INDEX CONCURRENTLY IF EXISTS app.i CASCADE", Outside(Form.ONLINE_DROP, Name("app", "i"), if_exists=True)),
    ("ALTER TABLE parent DETACH PARTITION p CONCURRENTLY", Outside(Form.DETACH, Name("", "p"), Name("", "parent"))),
    ("ALTER TABLE IF EXISTS ONLY public.parent DETACH PARTITION public.p /* x */ CONCURRENTLY;",
     Outside(Form.DETACH, Name("public", "p"), Name("public", "parent"), if_exists=True)),
    ("CREATE DATABASE \"D\" WITH OWNER = x", Outside(Form.CREATE_DATABASE, Name("", "D"))),
    ("DROP DATABASE IF EXISTS d WITH (FORCE)", Outside(Form.DROP_DATABASE, Name("", "d"), if_exists=True)),
    ("ALTER DATABASE d SET TABLESPACE x", Outside(Form.MOVE_DATABASE, Name("", "d"), tablespace="x")),
    ("ALTER DATABASE d WITH TABLESPACE = x", Outside(Form.MOVE_DATABASE, Name("", "d"), tablespace="x")),
    ("CREATE TABLESPACE x LOCATION '/x'", Outside(Form.CREATE_TABLESPACE, Name("", "x"))),
    ("DROP TABLESPACE x", Outside(Form.DROP_TABLESPACE, Name("", "x"))),
    ("CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p", Outside(Form.CREATE_SUBSCRIPTION, Name("", "s"), slot="s")),
    ("CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (slot_name = 'x', create_slot)",
     Outside(Form.CREATE_SUBSCRIPTION, Name("", "s"), slot="x")),
    ("DROP SUBSCRIPTION s", Outside(Form.DROP_SUBSCRIPTION, Name("", "s"))),
    ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", Outside(Form.ALTER_SUBSCRIPTION, Name("", "s"))),
    ("ALTER SUBSCRIPTION s ADD PUBLICATION p, q", Outside(Form.ALTER_SUBSCRIPTION, Name("", "s"))),
    ("ALTER SUBSCRIPTION s SET PUBLICATION p WITH (copy_data = false)", Outside(Form.ALTER_SUBSCRIPTION, Name("", "s"))),
    ("ALTER SUBSCRIPTION s SET (failover = true)", Outside(Form.ALTER_SUBSCRIPTION, Name("", "s"))),
    ("VACUUM", Outside(Form.VACUUM)),
    ("VACUUM;", Outside(Form.VACUUM)),
    ("VACUUM FREEZE VERBOSE ANALYZE t", Outside(Form.VACUUM, table=T)),
    ("VACUUM (PARALLEL 2, ANALYZE) t (a), u", Outside(Form.VACUUM, table=T)),
    ("VACUUM FULL t", Outside(Form.VACUUM_FULL, table=T)),
    ("VACUUM (FULL, ANALYZE)", Outside(Form.VACUUM_FULL)),
    ("VACUUM (FULL off) t", Outside(Form.VACUUM, table=T)),
    ("CLUSTER", Outside(Form.CLUSTER)),
    ("CLUSTER (VERBOSE)", Outside(Form.CLUSTER)),
    ("CLUSTER VERBOSE", Outside(Form.CLUSTER)),
    ("ALTER SYSTEM SET work_mem = '4MB'", Outside(Form.ALTER_SYSTEM)),
    ("ALTER SYSTEM RESET ALL", Outside(Form.ALTER_SYSTEM)),
    ("COMMIT PREPARED 'it''s'", Outside(Form.COMMIT_PREPARED, Name("", "it's"))),
    ("ROLLBACK PREPARED 'x'", Outside(Form.ROLLBACK_PREPARED, Name("", "x"))),
]  # fmt: skip

INSIDE = [
    "SELECT 1",
    "",
    "CREATE INDEX i ON t (a)",
    'CREATE INDEX "concurrently" ON t (a)',
    "CREATE INDEX i ON t (concurrently(a))",
    "DROP INDEX i",
    "REINDEX TABLE t",
    "REINDEX (CONCURRENTLY false) TABLE t",
    "REINDEX INDEX i",
    "CLUSTER t",
    "CLUSTER t USING i",
    "CLUSTER VERBOSE t",
    "ALTER TABLE parent DETACH PARTITION p",
    "ALTER TABLE parent DETACH PARTITION p FINALIZE",
    "ALTER TABLE t ADD COLUMN concurrently int",
    "ALTER DATABASE d SET work_mem = '4MB'",
    "ALTER DATABASE d OWNER TO x",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false)",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (create_slot = 'off', enabled = false)",
    "ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)",
    "ALTER SUBSCRIPTION s DISABLE",
    "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
    "ALTER SUBSCRIPTION s RENAME TO publication",
    "ANALYZE t",
    "COMMIT",
    "ROLLBACK TO x",
    "DISCARD ALL",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "CREATE INDEX CONCURRENTLY i ON t (a) WHERE b = 'unclosed",
]


@pytest.mark.parametrize(("text", "expected"), OUTSIDE)
def test_outside(text: str, expected: Outside) -> None:
    """A statement that cannot run in a transaction is told by its words, with what it is about."""
    assert read(text) == expected


@pytest.mark.parametrize("text", INSIDE)
def test_inside(text: str) -> None:
    """What can run in a transaction, or cannot be told, is none."""
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("REINDEX TABLE t", Outside(Form.REINDEX, table=T)),
        ("REINDEX INDEX i", Outside(Form.REINDEX, I)),
        ("CLUSTER t USING i", Outside(Form.CLUSTER, table=T)),
        ("ALTER SUBSCRIPTION s SET (slot_name = NONE)", Outside(Form.ALTER_SUBSCRIPTION, Name("", "s"))),
        ("SELECT 1", None),
        ("CALL p()", None),
    ],
)
def test_refused_by_the_server(text: str, expected: Outside | None) -> None:
    """Once the server has refused it in a transaction, more can be told."""
    assert read(text, refused=True) == expected


def test_server_agrees(any_database: Database) -> None:
    """The server answers 25001, in a transaction, to those and to no others; where it knows what is named."""
    any_database.execute(
        "CREATE SCHEMA app; CREATE SCHEMA s; CREATE TABLE t (a int PRIMARY KEY); CREATE INDEX i ON t (a);"
        "CREATE TABLE parent (a int) PARTITION BY RANGE (a); CREATE TABLE p PARTITION OF parent FOR VALUES FROM (1) TO (2);"
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION x WITH (connect = false)"
    )
    expected, found = {}, {}
    with any_database.connect(autocommit=False) as connection:
        for text in {text for text, _ in OUTSIDE}.union(INSIDE) - {"DISCARD ALL", "COMMIT"}:
            if "PUBLICATION" in text:  # which the server wants enabled, and for failover disabled
                connection.execute("ALTER SUBSCRIPTION s ENABLE")
            state = None
            try:
                connection.execute(text.encode())
            except psycopg.Error as error:
                state = error.sqlstate
            connection.rollback()
            if state not in NOT_FOUND:
                expected[text], found[text] = read(text) is not None, state == "25001"
        connection.execute("ALTER SUBSCRIPTION s SET (slot_name = NONE)")
        connection.execute("DROP SUBSCRIPTION s")
        connection.commit()

    assert found == expected
    assert len(found) > 60


WORDS = (
    "CREATE DROP ALTER INDEX UNIQUE CONCURRENTLY IF NOT EXISTS ON ONLY TABLE DETACH PARTITION REINDEX VACUUM FULL CLUSTER "
    "DATABASE SUBSCRIPTION SET WITH TABLESPACE ( ) , . = ; t i \"t\" 'x' U & off 1 /*x*/ --x\n $$x$$"
)


@given(st.lists(st.sampled_from(WORDS.split(" ")), max_size=12).map(" ".join))
def test_any_words_are_read(text: str) -> None:
    """Whatever stands there is read to its end, and plain text keeps its length."""
    read(text, refused=True)
    read(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a);", "CREATE INDEX              i ON t (a);"),
        ("CREATE /* x */ UNIQUE INDEX\nconcurrently ON t (a)", "CREATE /* x */ UNIQUE INDEX\n             ON t (a)"),
        ("CREATE INDEX i ON t (concurrently)", "CREATE INDEX i ON t (concurrently)"),
        ("DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY i"),
        ("SELECT 'CREATE INDEX CONCURRENTLY'", "SELECT 'CREATE INDEX CONCURRENTLY'"),
    ],
)  # fmt: skip
def test_as_plain(text: str, plain: str) -> None:
    """The word is blanked, and every other character stays where it was."""
    assert as_plain(text) == plain
    assert len(as_plain(text)) == len(text)
