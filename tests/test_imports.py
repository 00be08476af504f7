"""Imports point one way: flows to tasks to pgrollout; in there, commands to stages to what talks to a server to values."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import Project
from tests.servers import Database

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "tasks", "pgrollout")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# A module may import its own layer and those that stand here.
BELOW: dict[str, set[str]] = {
    "flows": {"tasks", "commands", "stages", "postgres", "catalog", "lint", "values"},
    "tasks": {"kubernetes", "stages", "values"},
    "kubernetes": {"stages", "values"},
    "commands": {"stages", "postgres", "catalog", "lint", "values"},
    "stages": {"postgres", "catalog", "lint", "values"},
    "postgres": {"catalog", "values"},
    "catalog": {"values"},
    "lint": {"values"},
    "values": set(),
}


def layer(module: str) -> str | None:
    """Return the layer that a module of ours belongs to; None for everybody else's."""
    package, _, rest = module.partition(".")
    if package != "pgrollout":
        return package if package in PACKAGES else None
    part = rest.partition(".")[0]
    if part == "cli":
        return "commands"
    return part if part in BELOW else "values"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every import of a file, those inside functions too: line and module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from ((node.lineno, f"{module}.{name.name}") for name in names)
            case ast.ImportFrom():
                yield node.lineno, "a relative import"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path) -> None:
    """A module imports its own layer, and those below it."""
    own = layer(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert own is not None
    allowed = BELOW[own] | {own, None}

    found = [f"line {line} imports {module}" for line, module in imports(path) if layer(module) not in allowed]

    assert not found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prefect_is_for_flows_and_tasks(path: Path) -> None:
    """The core does without Prefect, and nothing of ours is imported by a relative name."""
    names = {module.partition(".")[0] for _, module in imports(path)}

    assert "a relative import" not in names
    assert path.is_relative_to(ROOT / "flows") or path.is_relative_to(ROOT / "tasks") or "prefect" not in names


def test_one_module_knows_the_parser() -> None:
    """``postgast`` is named in ``pgrollout/parser.py`` only, so that another parser can take its place."""
    assert [path.name for path in MODULES if '"postgast' in path.read_text("utf-8")] == ["parser.py"]
    for path in MODULES:
        assert "postgast" not in {module.partition(".")[0] for _, module in imports(path)}, path.name


def test_every_flow_module_is_free_of_postponed_annotations() -> None:
    """Postponed annotations make a flow's parameters unreadable where it is loaded by its path."""
    for path in (*(ROOT / "flows").glob("*.py"), *(ROOT / "tasks").glob("*.py")):
        assert "__future__" not in {module.partition(".")[0] for _, module in imports(path)}, path.name


HEAVY = ("prefect", "sqlalchemy", "fastapi", "kubernetes", "kubernetes_asyncio", "rich", "postgast")


def imported(*arguments: str, cwd: Path, **environment: str) -> set[str]:
    """Return the packages that a Python process imports until it ends."""
    code = (
        "import atexit, sys\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        "atexit.register(lambda: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr))\n"
        "from pgrollout.cli import main\n"
        "main() if len(sys.argv) > 1 else None\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [(), ("--version",), ("--help",), ("apply", "--help")], ids=str)
def test_commands_start_light(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """What is asked often imports neither Prefect nor what it needs, nor what draws or parses."""
    found = imported(*arguments, cwd=tmp_path)

    assert "pgrollout" in found
    assert not found.intersection(HEAVY)


def test_run_with_nothing_to_do_is_light(tmp_path: Path, database: Database) -> None:
    """Neither do status, drift, and apply where nothing is pending, on a real server."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()

    for command in (("status",), ("apply",), ("drift", "--no-directory")):
        assert not imported(*command, cwd=tmp_path, PGROLLOUT_URL=database.url).intersection(HEAVY)


@pytest.mark.parametrize("arguments", [(), ("--version",), ("--help",)], ids=str)
def test_version_and_help_import_next_to_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The start alone needs neither pydantic nor the driver."""
    assert not imported(*arguments, cwd=tmp_path).intersection({"pydantic", "psycopg"})
