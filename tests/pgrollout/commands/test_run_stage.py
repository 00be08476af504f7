"""``run-stage``: what a Kubernetes Job calls, and how it tells its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgrollout import delivery, sum_file
from pgrollout.directory import read_directory, write_sum_file
from pgrollout.errors import ExitCode


def in_a_job(stage: str, request: object, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the stage as a Job does."""
    given = {
        "PGROLLOUT_STAGE_REQUEST": json.dumps(request),
        "PGROLLOUT_TERMINATION_MESSAGE": str(folder / "message"),
    }
    command = [sys.executable, "-c", "from pgrollout.cli import main; main()", "run-stage", stage, "--log-format=json"]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **given, **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_report_leaves_with_the_log(tmp_path: Path) -> None:
    """The log's last line has it, and the termination message vouches for it."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "1_a.sql").write_text("CREATE TABLE a (id int);\n")
    directory = read_directory(tmp_path / "migrations")
    write_sum_file(directory.path, sum_file.sum_of(directory.migrations))

    done = in_a_job("build", {"database": {"name": "reader", "root": str(tmp_path)}}, tmp_path)
    notice = delivery.read_notice((tmp_path / "message").read_text())

    assert (done.returncode, notice and notice.exit_code) == (ExitCode.DONE, 0)
    assert notice is not None
    outcome = delivery.read_outcome(done.stdout.splitlines(), notice.sha256)
    assert outcome is not None
    assert json.loads(outcome.report)["files"] == 1


@pytest.mark.parametrize(
    ("request_", "code", "sentence"),
    [
        ({"database": {"name": "reader", "migrations": "nowhere"}}, ExitCode.USAGE, "nowhere"),
        ({"database": {"name": "reader", "colour": "red"}}, ExitCode.USAGE, "database.colour"),
    ],
)
def test_an_error_leaves_with_the_message(tmp_path: Path, request_: object, code: int, sentence: str) -> None:
    """Class, sentence and exit code, also of a request that cannot be read; no traceback."""
    done = in_a_job("build", request_, tmp_path)
    notice = delivery.read_notice((tmp_path / "message").read_text())

    assert notice is not None
    assert (done.returncode, notice.exit_code) == (code, code)
    assert sentence in notice.summary
    assert json.loads(done.stderr.splitlines()[-1])["level"] == "error"
    assert "Traceback" not in done.stderr
