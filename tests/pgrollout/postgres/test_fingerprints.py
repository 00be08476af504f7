"""What runs leave of the schema in the ledger."""

from pathlib import Path

import pytest

from pgrollout.catalog.difference import difference
from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.model import Catalog, Identity
from pgrollout.catalog.scope import Scope
from pgrollout.catalog.stored import loaded, stored
from pgrollout.errors import StatementFailed, StoredCatalogUnreadable
from pgrollout.postgres import fingerprints
from pgrollout.postgres.catalog import read_catalog
from pgrollout.postgres.fingerprints import Baseline, Recorded
from tests.project import Project
from tests.servers import Database

HISTORY = "atlas_schema_revisions"
SCOPE = Scope()


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose first file was applied."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int, note varchar CHECK (note IN ('x', 'y')));\n"})
    project.apply()
    return project


def last(database: Database) -> Recorded:
    """Return the last fingerprint of a run."""
    with database.connect() as connection:
        found = fingerprints.last_of_a_run(connection, "pgrollout", HISTORY)
    assert found is not None
    return found


def live(database: Database) -> Catalog:
    """Return the schema as it is."""
    with database.connect() as connection:
        return read_catalog(connection, SCOPE)


def kept(database: Database, recorded: Recorded) -> Catalog:
    """Return the schema that a fingerprint stands for."""
    with database.connect() as connection:
        return fingerprints.catalog_of(connection, "pgrollout", recorded)


def test_run_leaves_the_schema_before_and_after(project: Project) -> None:
    """Both are those of the moment, and come back from the ledger as they were."""
    before = live(project.database)
    project.write({"2_b.sql": "CREATE TABLE b (id int);\nSET search_path = nowhere;\nSET TimeZone = 3;\n"})
    report = project.apply()

    with project.database.connect() as connection:
        found = fingerprints.of_run(connection, "pgrollout", report.run_id)

    assert [one.moment for one in found] == ["before", "after"]
    assert [one.digest for one in found] == [fingerprint(before), fingerprint(live(project.database))]
    assert kept(project.database, found[0]) == before
    assert not difference(kept(project.database, found[1]), live(project.database))
    assert found[1] == last(project.database)


def test_same_schema_is_kept_once(project: Project) -> None:
    """A run that changes no schema adds rows, not catalogs; one with nothing to do adds nothing."""
    count = "SELECT (SELECT count(*) FROM pgrollout.catalog), (SELECT count(*) FROM pgrollout.fingerprint)"
    assert project.database.execute(count) == [(2, 2)]
    project.write({"2_b.sql": "INSERT INTO a VALUES (1);\n"})

    project.apply()
    project.apply()

    assert project.database.execute(count) == [(2, 4)]


def test_failed_run_leaves_what_it_did(project: Project) -> None:
    """The fingerprint after a file that failed is that of the files before it."""
    project.write({"2_b.sql": "CREATE TABLE b (id int);\n", "3_c.sql": "SELECT 1/0;\n"})

    with pytest.raises(StatementFailed):
        project.apply()

    found = last(project.database)
    assert (found.moment, found.digest) == ("after", fingerprint(live(project.database)))


def test_first_file_that_fails_leaves_nothing(tmp_path: Path, database: Database) -> None:
    """Neither ledger nor fingerprint, so that the Atlas CLI still finds the database clean."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "SELECT 1/0;\n"})

    with pytest.raises(StatementFailed):
        project.apply()

    assert not project.exists("pgrollout.fingerprint")


def test_ledger_of_an_older_version_gets_the_tables(project: Project) -> None:
    """A ledger that has no fingerprints yet gets them with the next run."""
    project.database.execute(
        "DROP TABLE pgrollout.fingerprint, pgrollout.catalog, pgrollout.baseline;"
        "ALTER TABLE pgrollout.step DROP COLUMN before; DELETE FROM pgrollout.upgrade WHERE number > 1"
    )
    project.write({"2_b.sql": "CREATE TABLE b (id int);\n"})

    project.apply()

    assert last(project.database).digest == fingerprint(live(project.database))


def test_baseline_keeps_the_schema_that_was_there(tmp_path: Path, database: Database) -> None:
    """The run that records a baseline keeps the schema as SQL, without passwords."""
    database.execute(
        "CREATE TABLE old (id int); CREATE EXTENSION dblink; CREATE SERVER s FOREIGN DATA WRAPPER dblink_fdw;"
        "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u', password 'prodsecret9')"
    )
    project = Project(tmp_path, database)
    project.write({"1_old.sql": "CREATE TABLE old (id int);\n", "2_b.sql": "CREATE TABLE b (id int);\n"})

    project.apply(baseline="1")

    with database.connect() as connection:
        baseline = fingerprints.baseline_of(connection, "pgrollout", HISTORY)
    assert isinstance(baseline, Baseline)
    assert baseline.version == "1"
    assert "CREATE TABLE public.old" in baseline.schema_sql
    assert "CREATE TABLE public.b " not in baseline.schema_sql
    assert "prodsecret9" not in baseline.schema_sql


def test_stored_catalog_of_a_later_version(project: Project) -> None:
    """What cannot be read is said, with the way out."""
    project.database.execute("UPDATE pgrollout.catalog SET content = '\\x00'")

    with pytest.raises(StoredCatalogUnreadable, match="later version of pgrollout"):
        kept(project.database, last(project.database))


def test_stored_and_loaded_is_the_same(project: Project) -> None:
    """Also the numbers and what objects are part of, which the comparison needs."""
    catalog = live(project.database)

    again = loaded(stored(catalog))

    assert (again.server_version, again.database) == (catalog.server_version, catalog.database)
    assert list(again.objects) == list(catalog.objects)
    assert [(it.properties, it.part_of, it.number) for it in again.objects.values()] == [
        (it.properties, it.part_of, it.number) for it in catalog.objects.values()
    ]
    assert Identity("COLUMN", "public", "a", "note") in again.objects
