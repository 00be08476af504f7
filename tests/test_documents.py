"""The documents: what they show can be done, and what they list is there, all of it."""

import inspect
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pgrollout import errors
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.cli import cli
from pgrollout.commands.exposition import GAUGES, NAMES
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.lint import RULES
from pgrollout.postgres import sqlstate
from pgrollout.postgres.server_home import ROOT_FOLDER
from pgrollout.postgres.throwaway import throwaway
from pgrollout.settings import Database, Shadow
from tests.documents import ROOT, Document, documents, matches, run
from tests.servers import missing

DOCUMENTS = documents()
COMMANDS, CONFIGURATION, CONCEPTS, ERRORS = (
    Document(ROOT / "docs" / f"{name}.md") for name in ("commands", "configuration", "concepts", "errors")
)
NOT_IN_THE_FILE = ("name", "root", "shadow")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
each_command = pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))


@pytest.mark.postgres
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if any(d.steps())], ids=lambda document: document.name)
def test_commands_do_what_the_document_shows(document: Document, tmp_path: Path) -> None:
    """Whoever runs a document's commands, in order, sees what it shows."""
    if shutil.which("bash") is None:
        missing("bash", "there is no bash to run the commands")
    steps = list(document.steps())
    project = tmp_path / "project"
    shutil.copytree(ROOT / "migrations", project / "migrations")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL", "PREFECT"))}

    try:
        with throwaway() as server:
            path = os.pathsep.join([str(Path(sys.executable).parent), str(server.bin), os.environ["PATH"]])
            own = {"DATABASE_URL": server.database("shop"), "HOME": str(tmp_path), "PATH": path, "LC_ALL": "C.UTF-8"}
            answers = run(steps, project, kept | own)
    finally:
        _remove_embedded_servers(tmp_path)

    for step, answer in zip(steps, answers, strict=True):
        told = (
            f"{document.name}, line {step.line}: {step.command}ended with {answer.status} and printed\n{answer.output}"
        )
        assert answer.status == 0, told
        assert step.shown is None or matches(step.shown, answer.output), told


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("one\n", "one\n", True),
        ("one\n", "two\n", False),
        ("one\n", "one\ntwo\n", False),
        ("", "one\n", False),
        ("on…\n", "one\n", True),
        ("one …\n", "one\ntwo\n", False),
        ("one\n…\n", "one\ntwo\nthree\n", True),
        ("one\n…\nthree\n", "one\ntwo\n", False),
    ],
)
def test_what_is_shown_is_what_is_printed(shown: str, printed: str, expected: bool) -> None:
    """Only dots stand for something else than what is written."""
    assert matches(shown, printed) is expected


def _remove_embedded_servers(folder: Path) -> None:
    """For root, their data are not below the project."""
    for location in folder.glob("**/.pgrollout/postgres/root/location"):
        data = Path(location.read_text().strip())
        if data.parent == ROOT_FOLDER:
            shutil.rmtree(data, ignore_errors=True)


@each_document
def test_links_lead_somewhere(document: Document) -> None:
    """Every link to another file of the repository finds it, and its heading."""
    for link in document.links():
        file, _, anchor = link.partition("#")
        path = (document.path.parent / file).resolve() if file else document.path
        assert path.exists(), link
        assert not anchor or anchor in Document(path).anchors(), link


@each_document
def test_commands_and_flags_exist(document: Document) -> None:
    """Every command that is named is one, with every flag that is shown."""
    for line in document.command_lines():
        words = line.split()
        if "pgrollout" not in words:
            continue
        arguments = words[words.index("pgrollout") + 1 :]
        if not arguments or not re.fullmatch(r"[a-z][a-z-]+", arguments[0]):
            continue
        command = _command(arguments[0])
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(arguments)))
        assert not flags - _flags(command) - {"--help"}, line


@each_document
def test_make_targets_exist(document: Document) -> None:
    """Every target of make that is named is in the Makefile."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in document.command_lines():
        if found := re.match(r"make ([a-z0-9-]+)", line):
            assert found[1] in targets, line


@each_command
def test_command_has_a_section_with_its_options(name: str) -> None:
    """Every command is described, with exactly the options that it has beside those that all have."""
    section = COMMANDS.section(f"pgrollout {name}")
    listed = _listed_options(section)
    common = _listed_options(COMMANDS.section("Options that all commands have").partition("Many commands also have")[0])

    assert section
    assert listed - common == _flags(_command(name)) - common


@pytest.mark.parametrize(("heading", "model"), [("A database", Database), ("Its shadow", Shadow)])
def test_settings_are_those_of_the_code(heading: str, model: type[BaseModel]) -> None:
    """Every setting is described, with its default, and none that there is not."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| ", CONFIGURATION.section(heading), re.MULTILINE)
    fields = {name: field for name, field in model.model_fields.items() if name not in NOT_IN_THE_FILE}

    assert [name for name, _ in rows] == list(fields)
    for name, shown in rows:
        assert shown == _as_toml(fields[name].default), name


def test_exit_codes_are_those_of_the_code() -> None:
    """Every exit code is in the table, in order."""
    rows = ERRORS.tables("code", "meaning", "what a script does")

    assert [int(code) for code, _, _ in rows] == [int(code) for code in ExitCode]


def test_errors_are_those_of_the_code() -> None:
    """Every error is in the table with its exit code; those that only group others are not."""
    rows = {name.strip("`"): code for name, code, *_ in ERRORS.tables("error", "exit code", "happens when", "asks for")}
    classes = {
        name: found
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, PgrolloutError) and "__str__" in vars(found) | vars(found.__bases__[0])
    }

    assert sorted(rows) == sorted(classes)
    for name, found in classes.items():
        if not isinstance(vars(found).get("code"), property):
            assert rows[name] == str(int(found.exit_code)), name


def test_sqlstates_are_those_of_the_code() -> None:
    """Every SQLSTATE that is treated specially is in the table, with its exit code and its advice."""
    rows = {
        code.partition(",")[0]: (int(status), advice)
        for code, status, advice in ERRORS.tables("SQLSTATE", "exit code", "advice")
    }
    states = (getattr(found, "sqlstate", None) for _, found in inspect.getmembers(psycopg.errors, inspect.isclass))
    known = {state for state in states if isinstance(state, str) and not state.startswith("08")}
    ordinary = sqlstate.exit_code("42601"), sqlstate.advice("42601")

    for code in known | {"08000", sqlstate.FENCED, sqlstate.UNLOCKED, sqlstate.BLOCKED}:
        found = (int(sqlstate.exit_code(code)), sqlstate.advice(code))
        assert rows.pop(code, ordinary) == found, code
    assert not rows


def test_lint_rules_are_those_of_the_code() -> None:
    """Every rule is in the table, with its severity."""
    rows = {code: severity for code, severity, _ in CONCEPTS.tables("code", "severity", "about")}

    assert rows == {rule.code: str(rule.severity) for rule in RULES}


def test_kinds_are_those_of_the_code() -> None:
    """Every kind of object is in the table of what a schema consists of, and the table has no other."""
    cells = [
        row[0]
        for row in Document(ROOT / "docs" / "schema.md").tables(
            "kinds", "what is read of them, beside definition, owner, grants, comments and security labels"
        )
    ]

    assert sorted(name for cell in cells for name in re.findall("`([^`]+)`", cell)) == sorted(BY_NAME)


def test_metrics_are_those_of_the_code() -> None:
    """Every metric is in the table, with its help, and none that there is not."""
    rows = dict(Document(ROOT / "docs" / "alerts.md").tables("metric", "meaning"))

    assert {name.strip("`") for name in rows} == NAMES
    for gauge in GAUGES:
        assert rows[f"`{gauge.name}`"] == gauge.help


def test_decisions_are_all_listed() -> None:
    """The list of decisions links to every page."""
    folder = ROOT / "docs" / "decisions"

    listed = set(Document(folder / "README.md").links())

    assert listed == {path.name for path in folder.glob("*.md")} - {"README.md"}


def _command(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"there is no command {name}"
    return command


def _flags(command: click.Command) -> set[str]:
    if isinstance(command, click.Group):
        return set().union(*(_flags(each) for each in command.commands.values()))
    return {
        flag
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("--") and not getattr(parameter, "hidden", False)
    }


def _listed_options(section: str) -> set[str]:
    return {
        flag
        for row in re.findall(r"^\| (`-.*?) \|", section, re.MULTILINE)
        for flag in re.findall(r"`(--[a-z-]+)`", row)
    }


def _as_toml(default: Any) -> str:
    match default:
        case None:
            return "–"
        case str():
            return f'`"{default}"`'
        case tuple():
            return "`[" + ", ".join(f'"{item}"' for item in default) + "]`"
    assert default is not PydanticUndefined
    return f"`{default}`"
