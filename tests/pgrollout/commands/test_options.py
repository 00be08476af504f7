"""Options that the commands share: which settings come of them, and the warning for a password."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pgrollout.commands.options import answer, database_options, log_options, setting_options
from pgrollout.settings import Database

WARNING = "the password in --url is visible to every user of this host"


@click.command()
@database_options
@setting_options(click.option("--backup-jobs", type=int), keys=("backup_jobs",))
@setting_options(click.option("--exec-order"), keys=("exec_order",))
@click.option("--reason", default="")
@click.argument("version", required=False)
def command(database: Database, reason: str, version: str | None) -> None:
    """Print what came of the options."""
    shown = database.model_dump(mode="json")
    url = database.url.get_secret_value() if database.url else None
    answer(json.dumps({**shown, "url": url, "reason": reason, "version": version}))


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    """Leave the package's logger as other tests expect it."""
    logger = logging.getLogger("pgrollout")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two databases, and nothing said in the environment."""
    (tmp_path / "pgrollout.toml").write_text('[database.reader]\nbackup_jobs = 2\nrole = "owner"\n[database.writer]\n')
    monkeypatch.chdir(tmp_path)
    for variable in ("PGROLLOUT_URL", "PGROLLOUT_CONFIG", "PGROLLOUT_DATABASE", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    """Call the command; what it raises is raised."""
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


@pytest.mark.usefixtures("project")
def test_options_are_settings() -> None:
    """Shared options and those that a command adds become settings; the others stay the command's."""
    arguments = ["-d", "reader", "--dir", "db", "--revisions-schema", "r", "--backup-jobs", "3", "--reason", "so", "7"]

    found = json.loads(invoke(*arguments).stdout)

    assert (found["name"], found["migrations"], found["revisions_schema"], found["backup_jobs"]) == (
        "reader",
        "db",
        "r",
        3,
    )
    assert (found["reason"], found["version"], found["exec_order"]) == ("so", "7", "linear")


@pytest.mark.usefixtures("project")
def test_an_option_that_is_left_out_says_nothing() -> None:
    """Then the file counts."""
    assert json.loads(invoke("-d", "reader").stdout)["backup_jobs"] == 2


@pytest.mark.usefixtures("project")
def test_every_setting_is_an_option() -> None:
    """Also those that a command's help leaves out; lists are separated by commas, the shadow's have its name before."""
    found = json.loads(invoke("-d", "reader", "--role", "x", "--schemas", "a, b", "--shadow-roles", "c,d").stdout)

    assert (found["role"], found["schemas"], found["shadow"]["roles"]) == ("x", ["a", "b"], ["c", "d"])
    assert "--shadow-roles" not in invoke("--help").stdout


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("option", ["--name", "--root", "--shadow", "--shadow-url"])
def test_what_is_no_setting_is_no_option(option: str) -> None:
    """Name and root come of where the file is, a URL with its password of the environment."""
    done = invoke("-d", "reader", option, "x")

    assert done.exit_code == 2
    assert "No such option" in done.stderr
    assert option in done.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("url", "times"),
    [
        ("postgresql://u:S3cret@h/d", 1),
        ("postgresql://h/d?password=S3cret", 1),
        ("postgresql://u:x#S3cret@h/d", 1),
        ("postgresql://u@h:5432/d", 0),
        ("postgresql:///d?host=/tmp", 0),
    ],
)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_password_on_the_command_line_is_warned_of_once(url: str, times: int, log_format: str) -> None:
    """One line on stderr that does not repeat the password, and none where there is no password."""
    done = invoke("-d", "writer", "--url", url, "--log-format", log_format)

    assert done.stderr.count(WARNING) == len(done.stderr.splitlines()) == times
    assert "S3cret" not in done.stderr
    assert json.loads(done.stdout)["url"] == url


@pytest.mark.usefixtures("project")
def test_a_password_in_the_environment_is_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning for it."""
    monkeypatch.setenv("PGROLLOUT_URL", "postgresql://u:S3cret@h/d")

    assert invoke("-d", "writer").stderr == ""


def test_log_options_stand_alone() -> None:
    """A command that is told its database in a request has the log's options all the same."""

    @click.command()
    @log_options
    def bare(log_format: str | None, verbose: bool) -> None:
        """Print them."""
        answer(f"{log_format} {verbose}")

    assert CliRunner().invoke(bare, ["--log-format", "json", "-v"]).output == "json True\n"
