"""Locks: what a file's statements lock of what was there before, told from their text."""

from itertools import pairwise

import pytest

from pgrollout import parser, splitter
from pgrollout.locks import Lock, Mode, Reach, guarded
from pgrollout.nodes import Name

pytestmark = pytest.mark.skipif(not parser.is_available(), reason="the parser has no wheel for this platform")

T = Name("", "t")
REFERENCED = Lock(T, Mode.SHARE_ROW_EXCLUSIVE, Reach.PARTITIONS)


def locks(text: str) -> dict[int, tuple[Lock, ...]]:
    """Return the locks of a file's statements."""
    return guarded(splitter.split(text).statements)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN a int", [Lock(T, Mode.ACCESS_EXCLUSIVE)]),
        ("ALTER TABLE ONLY app.t ADD COLUMN a int", [Lock(Name("app", "t"), Mode.ACCESS_EXCLUSIVE, Reach.ALONE)]),
        ("ALTER TABLE t SET (fillfactor = 50), VALIDATE CONSTRAINT c", []),
        (
            "ALTER TABLE t SET (fillfactor = 50), ENABLE TRIGGER x",
            [Lock(T, Mode.SHARE_ROW_EXCLUSIVE, Reach.PARTITIONS)],
        ),
        ("CREATE INDEX i ON t (a)", [Lock(T, Mode.SHARE, Reach.PARTITIONS)]),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", []),
        ("CREATE TABLE n (a int REFERENCES t, b int REFERENCES n)", [REFERENCED]),
        ("CREATE TABLE n (LIKE t INCLUDING ALL)", []),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", []),
        ("COMMENT ON TABLE t IS 'x'", []),
        ("INSERT INTO t VALUES (1)", []),
        ("LOCK TABLE t IN ROW EXCLUSIVE MODE", []),
        ("SELECT 1 FROM nowhere WHERE ALTER TABLE", []),
        ("ALTER TABLE t ADD COLUMN", []),
        ("ALTER TABLE pg_temp.t ADD COLUMN a int", []),
    ],
)
def test_modes(text: str, expected: list[Lock]) -> None:
    """A statement locks what it names, in the strongest mode of its parts; what nobody waits for is left out."""
    assert [lock for found in locks(text).values() for lock in found] == expected


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (id int); ALTER TABLE t ADD COLUMN a int; CREATE INDEX ON t (a); CREATE UNIQUE INDEX i ON t (a)",
        'CREATE TABLE app."T x" (id int); ALTER TABLE ONLY app."T x" ADD a int; CREATE INDEX i ON app . "T x" (a)',
        "CREATE UNLOGGED TABLE T (id int); ALTER TABLE t OWNER TO x; CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()",
        "CREATE TEMP TABLE t (id int); ALTER TABLE t ADD a int; DROP TABLE IF EXISTS pg_temp.t",
        "CREATE TABLE t AS SELECT 1 AS id; ALTER TABLE t RENAME TO u; ALTER TABLE u ADD a int REFERENCES u",
        "CREATE TABLE t (id int); ALTER TABLE t SET SCHEMA app; TRUNCATE app.t",
        "CREATE TABLE t (id int) PARTITION BY RANGE (id); CREATE TABLE p PARTITION OF t DEFAULT; DROP INDEX CONCURRENTLY x",
        "CREATE SEQUENCE s; CREATE VIEW v AS SELECT 1; ALTER SEQUENCE s RESTART; CREATE OR REPLACE VIEW v AS SELECT 2",
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE INDEX ON m (id); REFRESH MATERIALIZED VIEW m",
        "CREATE /* x */ TABLE t (id int); ALTER TABLE -- y\n t ADD a int",
    ],
)
def test_own_relations_need_no_guard(text: str) -> None:
    """What the file has made, temporary or not, nobody else can hold; nor after it has got another name."""
    assert locks(text) == {}


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE IF NOT EXISTS t (id int); ALTER TABLE t ADD a int",
        "CREATE TABLE app.t (id int); ALTER TABLE t ADD a int",
        "CREATE TABLE t (id int); SET search_path = app; ALTER TABLE t ADD a int",
        "CREATE TABLE t (id int); SELECT set_config('search_path', 'app', false); ALTER TABLE t ADD a int",
        "CREATE TABLE t (id int); SET ROLE app; ALTER TABLE t ADD a int",
        "CREATE TABLE t (id int); ALTER TABLE t RENAME TO u; ALTER TABLE t ADD a int",
        "CREATE TABLE t (id int); ROLLBACK TO x; ALTER TABLE t ADD a int",
        "CREATE TABLE app.t (id int); ALTER SCHEMA app RENAME TO old; ALTER TABLE app.t ADD a int",
        "CREATE TEMP TABLE t (id int); DISCARD TEMP; ALTER TABLE t ADD a int",
        'CREATE TABLE "T" (id int); ALTER TABLE t ADD a int',
        "CREATE VIEW v AS SELECT 1; DROP VIEW v CASCADE; CREATE OR REPLACE VIEW v AS SELECT 1",
    ],
)
def test_what_may_be_older_needs_a_guard(text: str) -> None:
    """A relation that may be another than the one that the file has made is guarded."""
    statements = splitter.split(text).statements

    assert statements[-1].index in guarded(statements)


def test_drop_of_an_own_table_reaches_others() -> None:
    """What depends on a table of the file's own may be older: the other end of its foreign key."""
    found = locks("CREATE TABLE n (a int REFERENCES t); DROP TABLE n")

    assert found == {
        0: (REFERENCED,),
        1: (Lock(Name("", "n"), Mode.ACCESS_EXCLUSIVE, Reach.DEPENDENT),),
    }


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("SELECT 1", None),
        ("SET search_path = app, \"My Schema\"", ("app", "My Schema")),
        ("SELECT pg_catalog.set_config('search_path', '', false)", ()),
        ("SET search_path = app; RESET search_path", None),
        ("SET search_path = app; SET search_path TO DEFAULT", None),
        ("SET search_path = app; RESET ALL", None),
        ("SET LOCAL search_path = app; SET ROLE x; SELECT set_config('work_mem', '1MB', true)", ("app",)),
        ("SET SCHEMA 'app'", ("app",)),
    ],
)  # fmt: skip
def test_search_path_is_kept_with_a_name(setting: str, path: tuple[str, ...] | None) -> None:
    """A name without schema keeps the search path that the file has set, so that another session can resolve it."""
    (found,) = locks(f"{setting}; TRUNCATE t, app.u").values()

    assert found == (
        Lock(T, Mode.ACCESS_EXCLUSIVE, path=path),
        Lock(Name("app", "u"), Mode.ACCESS_EXCLUSIVE),
    )


def test_several_commands_in_a_statement() -> None:
    """With a delimiter of the file's own a statement may be several commands; the locks of all are its."""
    (statement,) = splitter.split("CREATE TABLE n (id int)").statements
    several = [type(statement)(0, "CREATE TABLE n (id int);\nALTER TABLE t ADD a int;\nALTER TABLE n ADD a int", 0, 1, 0, 1, 1,
                               keywords=statement.keywords)]  # fmt: skip

    assert guarded(several, custom_delimiter=True) == {0: (Lock(T, Mode.ACCESS_EXCLUSIVE),)}


def test_modes_are_nested() -> None:
    """A mode that makes readers or writers wait conflicts with all that a weaker such mode conflicts with."""
    guarding = [mode for mode in Mode if mode >= Mode.SHARE]

    for weaker, stronger in pairwise(guarding):
        assert set(weaker.conflicts_with) <= set(stronger.conflicts_with)
    for one in Mode:
        assert all(one in other.conflicts_with for other in one.conflicts_with)
    assert (Mode.SHARE_ROW_EXCLUSIVE.sql, Mode.SHARE_ROW_EXCLUSIVE.in_pg_locks) == (
        "SHARE ROW EXCLUSIVE",
        "ShareRowExclusiveLock",
    )
