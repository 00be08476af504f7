"""``pgrollout metrics``: what Prometheus reads, and how the server begins and ends."""

import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgrollout import __version__, cli
from pgrollout.commands import exposition
from pgrollout.commands.exposition import NAMES, Exposition
from pgrollout.errors import ExitCode
from pgrollout.settings import Database as Settings
from pgrollout.stages.measured import Measured, measure
from tests.project import Project, observed
from tests.servers import Database

START = "from pgrollout.cli import main; main()"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project of two databases, one of them down, whose one file was applied."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    project.apply()
    (tmp_path / "pgrollout.toml").write_text(
        '[database.shop]\nurl_env = "SHOP_URL"\n[database.away]\nurl_env = "AWAY_URL"\n'
    )
    return project


@pytest.fixture
def served(project: Project) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    """The command in a process of its own, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, "metrics", "--port=0", "--address=127.0.0.1", "--log-format=json"],
        cwd=project.root,
        env=os.environ | {"SHOP_URL": project.database.url, "AWAY_URL": "postgresql://127.0.0.1:9/away"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with observed(process):
        assert process.stderr is not None
        line = process.stderr.readline()
        yield process, int(json.loads(line)["port"])


def get(port: int, path: str) -> tuple[int, str]:
    """Ask the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def samples(text: str) -> dict[str, dict[str, float]]:
    """Return each metric's value by its labels' values."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[" ".join(sample.labels.values())] = sample.value
    return found


def test_databases_are_told(served: "tuple[subprocess.Popen[str], int]", project: Project) -> None:
    """Prometheus reads every database; one that is down is 0 and nothing more. SIGTERM ends the process, with 0."""
    process, port = served

    status, text = get(port, "/metrics")
    assert (status, get(port, "/healthz")) == (200, (200, "ok\n"))
    assert get(port, "/")[0] == 404
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)

    found = samples(text)
    assert found["pgrollout_up"] == {"shop": 1, "away": 0}
    assert found["pgrollout_runs"] == {"shop done": 1}
    assert found["pgrollout_pending_migrations"] == {"shop": 0}
    assert found["pgrollout_last_run_success"] == {"shop": 1}
    assert found["pgrollout_build_info"] == {__version__: 1}
    assert set(found) <= NAMES
    assert process.returncode == 0
    assert "Traceback" not in err
    warning, *_ = (json.loads(line) for line in err.splitlines() if "incomplete" in line)
    assert (warning["database"], warning["level"]) == ("away", "warning")


def test_every_metric_is_said_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks again at once gets the same look at the database; each metric has a help, and its name is as Prometheus asks."""
    looks: list[str] = []

    def look(database: Settings) -> Measured:
        looks.append(database.name)
        return measure(database)

    monkeypatch.setattr(exposition, "measure", look)
    exposed = Exposition([project.settings(name="shop")])

    first, again = list(exposed.collect()), list(exposed.collect())

    assert looks == ["shop"]
    assert [family.name for family in first] == [family.name for family in again]
    assert len({family.name for family in first}) == len(first) == len(NAMES)
    for family in first:
        assert family.documentation.endswith(".")
    assert all(re.fullmatch(r"pgrollout_[a-z_]+", name) for name in NAMES)


def test_trouble_is_logged_when_it_changes(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at each look."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(exposition, "FRESH_SECONDS", -1)
    told = iter([("no server",), ("no server",), (), ()])
    monkeypatch.setattr(exposition, "measure", lambda _: Measured(problems=next(told)))
    exposed = Exposition([project.settings(name="shop")])

    for _ in range(4):
        exposed.measured()

    assert [record.getMessage() for record in caplog.records] == [
        'metrics incomplete database=shop reason="no server"',
        "metrics complete database=shop",
    ]


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has not installed the extra is told which."""
    monkeypatch.delitem(sys.modules, "pgrollout.commands.exposition")
    for name in [name for name in sys.modules if name.partition(".")[0] == "prometheus_client"]:
        monkeypatch.setitem(sys.modules, name, None)

    assert cli.run(["metrics"]) == ExitCode.USAGE
    assert "pip install 'pgrollout[kubernetes]'" in capsys.readouterr().err


def test_port_that_is_taken_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names address and port."""
    monkeypatch.chdir(project.root)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = cli.run(["metrics", f"--port={port}", "--address=127.0.0.1", "--database=shop"])

    assert code == ExitCode.USAGE
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err
