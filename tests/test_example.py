"""The example in ``migrations/``: what its files promise to whoever reads them first."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgrollout import sum_file
from pgrollout.content import read_content
from pgrollout.directory import read_directory
from pgrollout.migration import Migration
from pgrollout.splitter import is_blank

DIRECTORY = read_directory(Path(__file__).parent.parent / "migrations")

every_migration = pytest.mark.parametrize("migration", DIRECTORY.migrations, ids=lambda migration: migration.version)


def test_sum_file_is_valid() -> None:
    """The sum file vouches for the files as they are."""
    assert sum_file.check(DIRECTORY.migrations, DIRECTORY.sum_file) == DIRECTORY.sum_file


def test_versions_are_times_in_order() -> None:
    """There are enough files to learn from, over two years; their versions are times, each later than the one before."""
    times = [datetime.strptime(migration.version, "%Y%m%d%H%M%S") for migration in DIRECTORY.migrations]

    assert len(times) >= 30
    assert times == sorted(set(times))
    assert times[-1] - times[0] >= timedelta(days=2 * 365)


@every_migration
def test_file_opens_with_why(migration: Migration) -> None:
    """A file opens with a sentence or more about why it exists, after its directive if it has one."""
    text = migration.content.decode().removeprefix("-- atlas:txmode none\n\n")
    opening = re.match(r"(?:--.*\n)+", text)

    assert opening
    assert len(opening[0].split()) >= 12
    assert re.search(r"\.$", opening[0], re.MULTILINE)


@every_migration
def test_file_is_tidy(migration: Migration) -> None:
    """Lines end in LF, the last one too, without spaces before it."""
    assert b"\r" not in migration.content
    assert b" \n" not in migration.content
    assert migration.content.endswith(b";\n")


@every_migration
def test_splitters_agree(migration: Migration) -> None:
    """Both splitters see the same statements, and nothing in the file needs a remark."""
    content = read_content(migration)

    assert content.statements
    assert not any(is_blank(statement.text) for statement in content.statements)
    assert content.problems == ()


@every_migration
def test_file_without_transaction_has_one_statement(migration: Migration) -> None:
    """What cannot run in a transaction stands alone in its file, which says so."""
    content = read_content(migration)
    alone = [s for s in content.statements if "CONCURRENTLY" in s.keywords or s.keywords[:1] == ("CALL",)]

    assert content.transactional is not bool(alone)
    assert content.transactional or len(content.statements) == 1


@every_migration
def test_waiver_gives_its_reason(migration: Migration) -> None:
    """A waiver stands on its statement, below the reason for it."""
    assert read_content(migration).directives.nolint == ()
    for statement in read_content(migration).statements:
        if any("atlas:nolint" in comment for comment in statement.comments):
            assert re.search(r"\bWaived, because\b", "".join(statement.comments))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^CREATE EXTENSION",
        r"^CREATE TYPE \w+ AS ENUM",
        r"^ALTER TYPE \w+ ADD VALUE",
        r"PARTITION BY RANGE",
        r"GENERATED ALWAYS AS \([^;]+\) STORED",
        r"USING gin \(feed_id, search\)",
        r"^CREATE FUNCTION [^;]+ LANGUAGE plpgsql",
        r"^CREATE FUNCTION [^;]+ BEGIN ATOMIC",
        r"^CREATE TRIGGER",
        r"^CREATE VIEW",
        r"^GRANT",
        r"^CALL backfill",
        r"^INSERT INTO languages",
        r"^CREATE INDEX CONCURRENTLY",
        r"^CREATE UNIQUE INDEX CONCURRENTLY",
        r"^DROP INDEX CONCURRENTLY",
        r"FOREIGN KEY [^;]+ NOT VALID",
        r"CHECK [^;]+ NOT VALID",
        r"VALIDATE CONSTRAINT",
        r"SET NOT NULL",
        r"UNIQUE USING INDEX",
        r"DROP NOT NULL",
        r"DROP COLUMN",
    ],
)
def test_example_covers(pattern: str) -> None:
    """Whoever looks for how a thing is done finds it in the example."""
    statements = [s.text for migration in DIRECTORY.migrations for s in read_content(migration).statements]

    assert any(re.search(pattern, re.sub(r"\s+", " ", text)) for text in statements)
