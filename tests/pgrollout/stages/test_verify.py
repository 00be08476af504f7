"""Stage verify, on real servers."""

from pathlib import Path
from typing import Any

import pytest

from pgrollout.stages.verify import VerifyReport, VerifyRequest, examine
from tests.project import Project
from tests.servers import Database


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project on PostgreSQL 18."""
    return Project(tmp_path, database)


def verified(project: Project, **values: Any) -> VerifyReport:
    """Verify on an embedded shadow."""
    return examine(VerifyRequest(database=project.settings(**values)))


TABLE = "CREATE TABLE {0} (id int) PARTITION BY LIST (id);\nCREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES IN (1);\n"
WRONG = "ALTER TABLE {0} ADD CONSTRAINT {1} CHECK (id > 0) NOT VALID; CREATE INDEX {1} ON ONLY {0} (id);"
"""A constraint that is not checked, and an index that the partition lacks."""


def test_scope_holds_for_what_is_not_valid(project: Project) -> None:
    """What is invalid or NOT VALID in a schema that is left out is no difference; elsewhere it is."""
    project.write({"1_events.sql": TABLE.format("events")})
    project.apply()
    project.database.execute("CREATE SCHEMA legacy;" + (TABLE + WRONG).format("legacy.t", "old"))

    assert "INDEX legacy.old: invalid" in verified(project).differences
    assert verified(project, schemas=("public",)).differences == ()
    assert verified(project, exclude=("legacy",)).differences == ()

    project.database.execute(WRONG.format("events", "new"))
    assert set(verified(project, exclude=("legacy",)).differences) >= {
        "INDEX public.new: invalid",
        "CONSTRAINT public.events: new: NOT VALID, and the directory does not say so",
    }


def test_partitions_made_at_run_time_may_be_not_valid(project: Project) -> None:
    """An invalid index or a NOT VALID constraint of a partition that only the live database has is a note."""
    project.write({"1_events.sql": TABLE.format("events")})
    project.apply()
    project.database.execute(
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2) PARTITION BY LIST (id);"
        "CREATE TABLE events_2_a PARTITION OF events_2 DEFAULT;" + WRONG.format("events_2", "mine")
    )

    report = verified(project)

    assert report.differences == ()
    assert set(report.notes) >= {
        "CONSTRAINT public.events_2: mine: NOT VALID, and the directory does not say so [a partition made at run time]",
        "INDEX public.mine: invalid [a partition made at run time]",
    }
