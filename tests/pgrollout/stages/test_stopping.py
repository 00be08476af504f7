"""Stage apply, asked to stop: at the next safe point, told what is done and what the next run does, exit code 75."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgrollout.errors import Interrupted
from tests.project import Project
from tests.servers import Database


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project on PostgreSQL 18."""
    return Project(tmp_path, database)


@contextmanager
def interrupted_at(line: str) -> Iterator[None]:
    """Press Ctrl-C when this line is logged."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if line in record.getMessage():
                signal.raise_signal(signal.SIGINT)

    handler, logger = Handler(), logging.getLogger("pgrollout")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_between_two_files(project: Project) -> None:
    """A file that has committed counts as applied, the next one does not begin."""
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "CREATE TABLE b (id int);\n"})

    with (
        interrupted_at("migration applied version=1"),
        pytest.raises(Interrupted, match="1 migrations applied, 1 left"),
    ):
        project.apply()

    assert project.versions() == ["1"]
    assert project.apply().after == "2"
