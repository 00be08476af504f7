"""Overview: every migration and where it stands, without writing anything."""

from pathlib import Path

import pytest

from pgrollout.errors import EmbeddedServerNotRunning, NotClean, OutOfOrder, StatementFailed
from pgrollout.history import ExecOrder
from pgrollout.settings import Database as Settings
from pgrollout.stages.by_hand import set_current
from pgrollout.stages.deciding import Choice
from pgrollout.stages.overview import Overview, Standing, overview
from tests.project import Project
from tests.servers import Database

NONE = "-- atlas:txmode none\n\n"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with three files."""
    project = Project(tmp_path, database)
    project.write({f"{n}_{name}.sql": f"CREATE TABLE {name} (id int);\n" for n, name in ((1, "a"), (2, "b"), (3, "c"))})
    return project


def look(project: Project, order: ExecOrder = ExecOrder.LINEAR) -> Overview:
    """Return the overview; show that nothing was written."""
    before = project.dump()
    found = overview(project.settings(), Choice(order, allow_dirty=True))
    assert project.dump() == before
    return found


def standings(found: Overview) -> list[tuple[str, str]]:
    """Return each version and where it stands."""
    return [(line.version, str(line.standing)) for line in found.lines()]


def test_before_and_after(project: Project) -> None:
    """Pending before, applied after; the current version is the newest row."""
    found = look(project)
    assert standings(found) == [("1", "pending"), ("2", "pending"), ("3", "pending")]
    assert found.state.current is None

    project.apply(amount=2)

    found = look(project)
    assert standings(found) == [("1", "applied"), ("2", "applied"), ("3", "pending")]
    assert found.state.current == "2"
    assert found.server_version // 10000 == 18


def test_every_standing(project: Project) -> None:
    """Baseline, set by hand, out of order, partial, not run and rows without a file have their own words."""
    project.apply(baseline="2", amount=1)
    set_current(project.settings(), "3", "")
    project.write({"4_d.sql": "SELECT 1;\n", "5_e.sql": f"{NONE}SELECT 1;\nSELECT 1/0;\n", "6_f.sql": "SELECT 1;\n"})
    set_current(project.settings(), "4", "")
    with pytest.raises(StatementFailed):
        project.apply()
    project.write({"2a_late.sql": "SELECT 1;\n"})

    found = look(project, ExecOrder.LINEAR_SKIP)

    assert standings(found) == [
        ("1", Standing.NOT_RUN),
        ("2", Standing.BASELINE),
        ("2a", Standing.OUT_OF_ORDER),
        ("3", Standing.APPLIED),
        ("4", Standing.SET),
        ("5", Standing.PARTIAL),
        ("6", Standing.PENDING),
    ]
    assert found.problem is None


def test_problem_is_shown_not_raised(project: Project) -> None:
    """What a run would refuse is told beside the list."""
    project.apply()
    project.write({"2a_late.sql": "SELECT 1;\n"})

    found = look(project)

    assert isinstance(found.problem, OutOfOrder)
    assert ("2a", "out of order") in standings(found)
    assert found.todo.migrations == ()


def test_plan_of_a_database_with_tables(project: Project) -> None:
    """Where a run would say not clean, so does a plan."""
    project.database.execute("CREATE TABLE a (id int)")

    with pytest.raises(NotClean):
        overview(project.settings(), Choice())


def test_embedded_server_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    """Without a URL, status says that the embedded server is not there, and does not start it."""
    for variable in ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT"):
        monkeypatch.delenv(variable, raising=False)

    with pytest.raises(EmbeddedServerNotRunning):
        overview(Settings(root=project.root), Choice())

    assert not (tmp_path / ".pgrollout").exists()


def test_status_command(project: Project) -> None:
    """The command line shows the same, as text and as JSON, and who has an open question."""
    project.write({"4_d.sql": f"{NONE}SELECT 1;\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    text = project.run("status").stdout
    assert "Status:   PENDING" in text
    assert "partially applied  4_d.sql  1 of 2 statements" in text
    assert "SELECT 1/0;\n  division by zero" in text
    assert '"standing": "partially applied"' in project.run("status", "--format", "json").stdout


def test_plan_command_masks_passwords(project: Project) -> None:
    """A plan shows statements without their passwords."""
    project.write({"4_d.sql": "ALTER ROLE somebody PASSWORD 'hunter2';\n"})

    for form in ("text", "json", "markdown"):
        done = project.run("plan", "--format", form)
        assert done.returncode == 0, done.stderr
        assert "hunter2" not in done.stdout
        assert "PASSWORD" in done.stdout
