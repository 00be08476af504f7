"""
Scenarios: a few migrations for every class of statement, and what holds each of them in its middle.

``{db}`` stands for the name of the case's database. Every scenario counts in ``counter`` what took effect, a row for each
statement, and without a key in ``entry``: a repeated statement shows, and so does a lost one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.kill_matrix.sql import commands, one_spelling

NONE = "-- atlas:txmode none\n\n"
COUNTER = (
    "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);\n"
    "INSERT INTO counter (id) SELECT generate_series(1, 9);\n"
)
BASE = COUNTER + "CREATE TABLE entry (id int);\n"
# More than 1 MiB in few rows, so that an index on it is built online, and quickly.
BIG = (
    "CREATE TABLE big (id int, twice int, pad text);\n"
    "ALTER TABLE big ALTER pad SET STORAGE PLAIN;\n"
    "INSERT INTO big SELECT g, g % 100, repeat('x', 7000) FROM generate_series(1, 180) g;\n"
)
FILE_1, FILE_2, FILE_3 = "1_base.sql", "2_change.sql", "3_next.sql"


def count(number: int) -> str:
    """Return the statement that counts one up."""
    return f"UPDATE counter SET n = n + 1 WHERE id = {number};\n"


@dataclass(frozen=True)
class Hold:
    """What another session does so that the server stops in the middle of a message."""

    name: str
    """What is waited for."""
    on: str
    """Found in the messages that it stops."""
    sql: str
    """Done in a transaction that stays open."""
    is_alone: bool = False
    """Whether it stops them only where nothing else is in the message."""


LOCKED = "LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE"
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class"


def row(number: int) -> Hold:
    """Return what holds the statement that counts this one up."""
    return Hold("row", count(number).strip(";\n"), f"SELECT 1 FROM counter WHERE id = {number} FOR UPDATE")


HISTORY = "atlas_schema_revisions.atlas_schema_revisions"
# The server has done all of a message but the rows about it, and the commit.
OUR_ROWS = (
    Hold("history", r'INSERT INTO "?\w+"?\."?atlas_schema_revisions\b', f"LOCK TABLE {HISTORY} IN SHARE MODE"),
    Hold("step", r'(INSERT INTO|UPDATE) "?pgrollout"?\."?step\b', "LOCK TABLE pgrollout.step IN SHARE MODE"),
    Hold("run", r'(INSERT INTO|UPDATE) "?pgrollout"?\."?run\b', "LOCK TABLE pgrollout.run IN SHARE MODE"),
)  # fmt: skip
_MAKES_OUR_TABLES = re.compile(r'CREATE TABLE .*?"?(pgrollout|atlas_schema_revisions)\b')
RECORD_HOLDS = frozenset(hold.name for hold in OUR_ROWS)


@dataclass(frozen=True)
class Verdict:
    """The run ends with 1, as the design says, and a person does something."""

    says: str
    """Found in what the run says."""
    fix: str = ""
    """SQL that the person runs, if that is it."""
    is_done: str = ""
    """Tells whether the statement took effect, for a person who is asked to resolve its intent."""
    undo: str = ""
    """Undoes the half of it that may be there if it did not."""
    always: bool = False
    """Whether also a run that nobody disturbs ends so."""


@dataclass(frozen=True)
class Scenario:
    """One class of statement."""

    name: str
    files: Mapping[str, str]
    """Pending migrations."""
    base: str | None = BASE
    """Migration that is applied before; None leaves the database empty."""
    holds: tuple[Hold, ...] = ()
    may_repeat: str = "(?!)"
    """Statements that may take effect more than once, as the design has it: what they do twice is as if done once."""
    verdict: Verdict | None = None
    statements: frozenset[str] = field(init=False)
    """What of the files is to take effect once, each in one spelling, for a database named ``{db}``."""

    def __post_init__(self) -> None:
        found = (command for text in self.files.values() for command in commands(text))
        object.__setattr__(self, "statements", frozenset(c for c in found if c not in ("BEGIN", "COMMIT")))

    def named(self, database: str) -> frozenset[str]:
        """Return the statements for a database of this name."""
        return frozenset(statement.replace("{db}", database) for statement in self.statements)

    def can_hold(self, text: str, database: str, *, has_failed: bool) -> tuple[Hold, ...]:
        """Return what can hold a message of this text in its middle; one that fails gets no further than the migration."""
        found = commands(text)
        own = tuple(
            hold
            for hold in self.holds
            if one_spelling(hold.on.replace("{db}", database)) in found and not (hold.is_alone and len(found) > 1)
        )
        ours = [hold for hold in OUR_ROWS if any(re.match(hold.on, command) for command in found)]
        makes_tables = any(_MAKES_OUR_TABLES.match(command) for command in found)
        return own + (() if has_failed or makes_tables else tuple(ours[:1]))


def _alone(
    name: str,
    statement: str,
    holds: Mapping[str, str],
    base: str = BASE + BIG,
    may_repeat: str = "(?!)",
    verdict: Verdict | None = None,
) -> Scenario:
    """A statement outside a transaction, between two that count."""
    return Scenario(
        name,
        {FILE_2: f"{NONE}{count(1)}{statement};\n{count(2)}", FILE_3: count(3)},
        base,
        tuple(Hold(each, statement, sql, is_alone=True) for each, sql in holds.items()),
        may_repeat,
        verdict,
    )


_BUILD_HOLDS = {
    "lock": LOCKED.format("big"),
    "writer": "LOCK TABLE big IN ROW EXCLUSIVE MODE",
    "snapshot": SNAPSHOT,
}
_TWICE = (
    "CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ BEGIN\n"
    "    UPDATE counter SET n = n + 1 WHERE id = 4;\n    COMMIT;\n    UPDATE counter SET n = n + 1 WHERE id = 5;\nEND $$;\n"
)
_ROWS_OF_TWICE = {
    "first": "SELECT 1 FROM counter WHERE id = 4 FOR UPDATE",
    "second": "SELECT 1 FROM counter WHERE id = 5 FOR UPDATE",
}

SCENARIOS = (
    Scenario(
        "transactional file",
        {
            FILE_2: "CREATE TABLE made (id int);\nINSERT INTO entry VALUES (1);\n"
            + count(1)
            + "ALTER TABLE entry ADD COLUMN note text;\n",
            FILE_3: count(2),
        },
        holds=(row(1), row(2)),
    ),
    Scenario(
        "several segments",
        {
            FILE_2: f"CREATE TABLE made (id int);\n{count(1)}CREATE INDEX CONCURRENTLY big_idx ON big (id);\n"
            f"{count(2)}INSERT INTO entry VALUES (1);\n",
            FILE_3: count(3),
        },
        BASE + BIG,
        tuple(
            Hold(each, "CREATE INDEX CONCURRENTLY big_idx ON big (id)", sql, is_alone=True)
            for each, sql in _BUILD_HOLDS.items()
        ),
    ),
    Scenario(
        "txmode none",
        {
            FILE_2: f"{NONE}INSERT INTO entry VALUES (1);\n{count(1)}INSERT INTO entry VALUES (2);\n"
            f"BEGIN;\nINSERT INTO entry VALUES (3);\n{count(2)}COMMIT;\nINSERT INTO entry VALUES (4);\n",
            FILE_3: count(3),
        },
        holds=(row(1), row(2)),
    ),
    _alone("create index", "CREATE INDEX CONCURRENTLY big_idx ON big (id)", _BUILD_HOLDS),
    _alone(
        "unique index with duplicates",
        "CREATE UNIQUE INDEX CONCURRENTLY big_key ON big (twice)",
        {name: sql for name, sql in _BUILD_HOLDS.items() if sql != SNAPSHOT},  # it fails before it waits for snapshots
        verdict=Verdict("duplicate|could not create unique index", "DELETE FROM big WHERE id > 100", always=True),
    ),
    _alone(
        "reindex",
        "REINDEX TABLE CONCURRENTLY big",
        {**_BUILD_HOLDS, "reader": "SELECT 1 FROM big LIMIT 1"},
        BASE + BIG + "CREATE INDEX big_idx ON big (id);\n",
        may_repeat="REINDEX",
    ),
    _alone(
        "drop index",
        "DROP INDEX CONCURRENTLY big_idx",
        {"lock": LOCKED.format("big"), "reader": "SELECT 1 FROM big LIMIT 1"},
        BASE + BIG + "CREATE INDEX big_idx ON big (id);\n",
    ),
    _alone(
        "detach partition",
        "ALTER TABLE event DETACH PARTITION event_1 CONCURRENTLY",
        {"lock": LOCKED.format("event"), "reader": "SELECT 1 FROM event"},
        BASE
        + "CREATE TABLE event (id int) PARTITION BY RANGE (id);\n"
        + "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (1) TO (10);\n"
        + "CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20);\n"
        + "INSERT INTO event VALUES (1), (11);\n",
    ),
    Scenario(
        "enum addition",
        {
            FILE_2: f"{count(1)}ALTER TYPE mood ADD VALUE 'merry';\nINSERT INTO person VALUES ('merry');\n{count(2)}",
            FILE_3: count(3),
        },
        BASE + "CREATE TYPE mood AS ENUM ('sad');\nCREATE TABLE person (mood mood);\n",
        holds=(row(1), row(2)),
    ),
    Scenario(
        "backfill",
        {
            FILE_2: f"UPDATE item SET n = n + 1;\n{count(1)}",
            FILE_3: f"{NONE}UPDATE item SET n = n + 1 WHERE id <= 50;\nUPDATE item SET n = n + 1 WHERE id > 50;\n",
        },
        BASE
        + "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL);\n"
        + "INSERT INTO item SELECT g, 0 FROM generate_series(1, 100) g;\n",
        holds=(
            Hold("rows", "UPDATE item SET n = n + 1", "SELECT 1 FROM item WHERE id = 7 FOR UPDATE"),
            Hold("rows", "UPDATE item SET n = n + 1 WHERE id <= 50", "SELECT 1 FROM item WHERE id = 7 FOR UPDATE"),
            Hold("rows", "UPDATE item SET n = n + 1 WHERE id > 50", "SELECT 1 FROM item WHERE id = 77 FOR UPDATE"),
        ),
    ),
    _alone("vacuum", "VACUUM big", {"lock": LOCKED.format("big")}, may_repeat="VACUUM"),
    _alone(
        "create database",
        "CREATE DATABASE {db}_made TEMPLATE template0",
        {"template": "COMMENT ON DATABASE template0 IS 'held'"},
        BASE,
    ),
    Scenario(
        "committing call",
        {FILE_2: f"{NONE}{count(1)}CALL twice();\n{count(2)}", FILE_3: count(3)},
        BASE + _TWICE,
        tuple(Hold(each, "CALL twice()", sql, is_alone=True) for each, sql in _ROWS_OF_TWICE.items()),
        verdict=Verdict(
            "pgrollout resolve",
            is_done="SELECT n = 1 FROM counter WHERE id = 5",
            undo="UPDATE counter SET n = 0 WHERE id = 4",
        ),
    ),
    Scenario(
        "repeatable call",
        {FILE_2: f"{NONE}{count(1)}-- pgrollout:repeatable\nCALL twice();\n{count(2)}", FILE_3: count(3)},
        BASE + _TWICE.replace("n = n + 1", "n = 1"),
        tuple(Hold(each, "CALL twice()", sql, is_alone=True) for each, sql in _ROWS_OF_TWICE.items()),
        may_repeat="CALL",
    ),
    Scenario(
        "empty database",
        {FILE_2: BASE, FILE_3: f"{NONE}{count(1)}{count(2)}"},
        base=None,
    ),
    Scenario(
        "empty database, txmode none",
        {
            FILE_2: f"{NONE}CREATE TABLE entry (id int);\nINSERT INTO entry VALUES (1);\nVACUUM entry;\n{COUNTER}",
            FILE_3: count(2),
        },
        base=None,
        may_repeat="VACUUM",
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
