"""``pgrollout run-stages``: the pipeline without Prefect, on a real server."""

import json
from pathlib import Path

import pytest

from tests.project import Project
from tests.servers import Database

STAGES = ["build", "validate", "hash", "backup", "apply", "verify"]
ONE = {"1_orders.sql": "CREATE TABLE orders (id bigint PRIMARY KEY);\n"}


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with one migration."""
    project = Project(tmp_path, database)
    project.write(ONE)
    return project


def test_all_stages_run_in_order(project: Project) -> None:
    """Each stage has its line, what was backed up is recorded with the run, and a second run finds nothing to do."""
    first = project.run("run-stages", "--reason", "orders")
    second = project.run("run-stages", "--format", "json")

    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == STAGES
    assert lines[-1] == "1 migration applied (current version: 1)."
    assert project.database.execute("SELECT r.reason, b.run = r.id FROM pgrollout.run r, pgrollout.backup b") == [
        ("orders", True)
    ]
    report = json.loads(second.stdout)
    assert (second.returncode, report["exit_code"], report["error"]) == (0, 0, None)
    assert [(end["name"], end["outcome"]) for end in report["stages"]] == [
        ("build", "nothing to do"),
        ("validate", "done"),
        ("hash", "done"),
        ("backup", "nothing to do"),
        ("apply", "nothing to do"),
        ("verify", "done"),
    ]


def test_the_first_stage_that_fails_ends_the_run(project: Project) -> None:
    """Its error and exit code are the run's, stages after it do not run, and the answer says how far it came."""
    with (project.migrations / "1_orders.sql").open("a") as file:
        file.write("-- edited\n")

    ended = project.run("run-stages", "--format", "json")

    report = json.loads(ended.stdout)
    assert ended.returncode == report["exit_code"] == 4
    assert [(end["name"], end["outcome"]) for end in report["stages"]] == [("build", "failed")]
    assert f"Error: {report['error']}" in ended.stderr
    assert "1_orders.sql was edited" in report["error"]
    assert not project.exists("orders")


def test_a_dry_run_changes_nothing(project: Project) -> None:
    """Every stage says what it would do."""
    before = project.database.execute("SELECT count(*) FROM pg_class")

    ended = project.run("run-stages", "--dry-run", "--format", "json")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["reports"]["apply"]["would_apply"] == ["1_orders.sql"]
    assert project.database.execute("SELECT count(*) FROM pg_class") == before


def test_only_the_reviewed_release_runs(project: Project) -> None:
    """The environment names the release that every command insists on; a flag names another."""
    digest = project.run("build").stdout.splitlines()[0]
    project.write({"2_customers.sql": "CREATE TABLE customers (id bigint PRIMARY KEY);\n"})

    refused = project.run("run-stages", PGROLLOUT_RELEASE=digest)

    assert refused.returncode == 3
    assert digest[:19] in refused.stderr
    assert not project.exists("orders")


def test_versions_up_to_one_can_be_asked_for(project: Project) -> None:
    """What is left is pending, and not held against the history."""
    project.write({"2_customers.sql": "CREATE TABLE customers (id bigint PRIMARY KEY);\n"})

    ended = project.run("run-stages", "--to-version", "1")

    assert ended.returncode == 0, ended.stderr
    assert project.versions() == ["1"]
