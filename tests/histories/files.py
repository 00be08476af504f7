"""
Files: the migrations of a history, and what may be written into them. Texts only.

A file consists of parts, each one statement, or a transaction of the file's own. A piece is what an author has in mind: one
part, or several that need each other. Each statement has a number that no other has, so that it is known what took effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.kill_matrix.scenarios import BASE as COUNTERS
from tests.kill_matrix.scenarios import BIG, NONE

BASE = (
    COUNTERS
    + BIG
    + "CREATE TABLE mark (n int, what text);\n"
    + "CREATE TABLE kept (n int PRIMARY KEY);\n"
    + "CREATE TABLE small (id int);\nINSERT INTO small SELECT generate_series(1, 10);\n"
    + "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL);\n"
    + "INSERT INTO item SELECT g, 0 FROM generate_series(1, 50) g;\n"
    + "CREATE TYPE mood AS ENUM ('sad');\nCREATE TABLE person (mood mood);\n"
    + "CREATE TABLE event (id int) PARTITION BY RANGE (id);\n"
    + "CREATE INDEX big_twice ON big (twice);\n"
    + "CREATE TABLE parent (id int PRIMARY KEY);\n"
    + "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);\n"
    + "CREATE PROCEDURE twice(n int) LANGUAGE plpgsql AS $$ BEGIN\n"
    + "    INSERT INTO mark VALUES (n, 'first');\n    COMMIT;\n    INSERT INTO mark VALUES (n, 'second');\nEND $$;\n"
    + "CREATE PROCEDURE put(n int) LANGUAGE plpgsql AS $$ BEGIN\n"
    + "    INSERT INTO kept VALUES (n) ON CONFLICT DO NOTHING;\n    COMMIT;\n"
    + "    INSERT INTO kept VALUES (-n) ON CONFLICT DO NOTHING;\nEND $$;\n"
)
"""The first migration of every history."""

MAY_REPEAT = r"VACUUM|REINDEX|CALL put|SET |RESET "
"""Statements that may take effect more than once: what they do twice is as if done once."""

BULK_CHARACTERS = 350_000
"""Three of them are more than fits into one message of a run."""


class Piece(StrEnum):
    """What an author has in mind."""

    ROW = "row"
    TABLE = "table"
    INDEXED_TABLE = "table with an index"
    COLUMN = "column"
    BACKFILL = "backfill"
    CODE = "code"
    BLOCK = "block"
    SETTING = "setting"
    SCHEMA = "schema on the search path"
    BULK = "more than fits into two messages"
    INDEX = "index"
    UNNAMED_INDEX = "unnamed index"
    OPTIONAL_INDEX = "index if not exists"
    UNIQUE_INDEX = "unique index"
    SMALL_INDEX = "index on a small table"
    INDEX_FOR_A_WHILE = "index that is dropped again"
    REINDEX = "reindex"
    VACUUM = "vacuum"
    VACUUM_FULL = "vacuum full"
    ENUM = "enum value"
    DETACH = "detach"
    CALL = "call that commits"
    REPEATABLE_CALL = "repeatable call"
    DUPLICATES = "unique index with duplicates"
    MISTAKE = "mistake"
    ORPHAN = "row that the commit refuses"


@dataclass(frozen=True)
class Part:
    """A statement, or a transaction of the file's own."""

    number: int
    """Of its piece: the later parts of a piece need the earlier ones."""
    text: str
    fails: bool = False
    """Whether the server refuses it, until somebody writes something else."""

    @property
    def statements(self) -> int:
        """How many statements it is."""
        return self.text.count(";\n") + 1


@dataclass
class File:
    """A migration."""

    name: str
    txmode_none: bool
    parts: list[Part] = field(default_factory=list)

    @property
    def version(self) -> str:
        """Its version."""
        return self.name.partition("_")[0]

    @property
    def text(self) -> str:
        """What it says."""
        return (NONE if self.txmode_none else "") + "".join(f"{part.text};\n" for part in self.parts)

    @property
    def statements(self) -> int:
        """How many statements it has."""
        return sum(part.statements for part in self.parts)

    def parts_of(self, statements: int) -> int:
        """Return how many parts so many of its statements are."""
        parts = 0
        while statements > 0:
            statements -= self.parts[parts].statements
            parts += 1
        return parts

    def replace(self, index: int, parts: Iterable[Part]) -> None:
        """Write something else in the place of a part, and of those that need it."""
        old = self.parts[index]
        later = [part for part in self.parts[index + 1 :] if part.number != old.number]
        self.parts[index:] = [*parts, *later]


def parts(piece: Piece, n: int, *, txmode_none: bool) -> list[Part]:
    """Return what is written for a piece of this number, in a file with or without a transaction around it."""
    if not txmode_none and piece in (Piece.CALL, Piece.REPEATABLE_CALL):
        piece = Piece.CODE  # the server lets nobody commit in a transaction
    fails = False
    match piece:
        case Piece.ROW:
            texts = [f"INSERT INTO mark VALUES ({n}, 'once')"]
        case Piece.TABLE:
            texts = [f"CREATE TABLE made_{n} (id int)"]
        case Piece.INDEXED_TABLE:
            texts = [f"CREATE TABLE made_{n} (id int)", f"CREATE INDEX CONCURRENTLY made_{n}_idx ON made_{n} (id)"]
        case Piece.COLUMN:
            texts = [f"ALTER TABLE small ADD COLUMN c_{n} int DEFAULT {n}"]
        case Piece.BACKFILL:
            texts = [f"UPDATE item SET n = n + {n}"]
        case Piece.CODE:
            texts = [f"DO $$ BEGIN INSERT INTO mark VALUES ({n}, 'code; once'); END $$"]
        case Piece.BLOCK:
            texts = [f"INSERT INTO mark VALUES ({n}, 'block')", f"UPDATE item SET n = n - {n}"]
            if txmode_none:
                texts = [";\n".join(["BEGIN", *texts, "COMMIT"])]
        case Piece.SETTING:
            texts = [
                f"SET history.note = 'note {n}'",
                f"INSERT INTO mark VALUES ({n}, 'before')",
                f"INSERT INTO mark VALUES ({n}, current_setting('history.note'))",
            ]
        case Piece.SCHEMA:
            texts = [
                f"CREATE SCHEMA schema_{n}",
                f"SET search_path = schema_{n}, public",
                f"CREATE TABLE inside_{n} (LIKE big INCLUDING STORAGE)",
                f"INSERT INTO inside_{n} SELECT * FROM big",
                f"CREATE INDEX CONCURRENTLY inside_{n}_idx ON inside_{n} (id)",
                f"DROP INDEX CONCURRENTLY inside_{n}_idx",
                "RESET search_path",
            ]
        case Piece.BULK:
            texts = [f"INSERT INTO mark VALUES ({n}, md5('{letter * BULK_CHARACTERS}'))" for letter in "abc"]
        case Piece.INDEX:
            texts = [f"CREATE INDEX CONCURRENTLY big_{n} ON big (id)"]
        case Piece.UNNAMED_INDEX:
            texts = [f"CREATE INDEX CONCURRENTLY ON big ((id + {n}))"]
        case Piece.OPTIONAL_INDEX:
            texts = [f"CREATE INDEX CONCURRENTLY IF NOT EXISTS big_{n} ON big (id)"]
        case Piece.UNIQUE_INDEX:
            texts = [f"CREATE UNIQUE INDEX CONCURRENTLY big_{n} ON big (id)"]
        case Piece.SMALL_INDEX:
            texts = [f"CREATE INDEX CONCURRENTLY small_{n} ON small (id)"]
        case Piece.INDEX_FOR_A_WHILE:
            texts = [f"CREATE INDEX CONCURRENTLY big_{n} ON big (id)", f"DROP INDEX CONCURRENTLY big_{n}"]
        case Piece.REINDEX:
            texts = ["REINDEX INDEX CONCURRENTLY big_twice"]
        case Piece.VACUUM:
            texts = ["VACUUM big"]
        case Piece.VACUUM_FULL:
            texts = ["VACUUM FULL small"]
        case Piece.ENUM:
            texts = [f"ALTER TYPE mood ADD VALUE 'mood {n}'", f"INSERT INTO person VALUES ('mood {n}')"]
        case Piece.DETACH:
            texts = [
                f"CREATE TABLE event_{n} PARTITION OF event FOR VALUES FROM ({10 * n}) TO ({10 * n + 10})",
                f"INSERT INTO event VALUES ({10 * n})",
                f"ALTER TABLE event DETACH PARTITION event_{n} CONCURRENTLY",
            ]
        case Piece.CALL:
            texts = [f"CALL twice({n})"]
        case Piece.REPEATABLE_CALL:
            texts = [f"-- pgrollout:repeatable\nCALL put({n})"]
        case Piece.DUPLICATES:
            texts, fails = [f"CREATE UNIQUE INDEX CONCURRENTLY big_{n} ON big (twice)"], True
        case Piece.MISTAKE:
            texts, fails = [f"SELECT {n} / 0"], True
        case Piece.ORPHAN:
            texts, fails = [f"INSERT INTO child VALUES ({n})"], True
    return [Part(n, text, fails) for text in texts]
