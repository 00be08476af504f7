"""The package of flows: what importing it makes of the environment that Prefect is to find."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python(code: str, project: Path, **environment: str) -> str:
    """Run code in a process that knows neither a home nor a Prefect; return what it printed."""
    unset = ("PREFECT_", "HOME", "DO_NOT_TRACK", "CI", "GITHUB_ACTIONS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(unset)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_home_is_in_the_project(tmp_path: Path) -> None:
    """Prefect keeps its files below the project, where Git does not see them."""
    told = python("import flows, os; print(os.environ['PREFECT_HOME'])", tmp_path)

    assert told == f"{tmp_path}/.pgrollout/prefect\n"
    assert (tmp_path / ".pgrollout" / "prefect").is_dir()
    assert (tmp_path / ".pgrollout" / ".gitignore").read_text() == "*\n"


def test_user_whom_nobody_knows(tmp_path: Path) -> None:
    """Prefect can be imported by a user id that has no home: there is one in the project."""
    nobody = "import pwd\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown\n"

    told = python(f"{nobody}import flows.migrate, pathlib; print(pathlib.Path.home())", tmp_path)

    assert told == f"{tmp_path}/.pgrollout/prefect\n"


def test_nothing_is_collected(tmp_path: Path) -> None:
    """Prefect's client neither sends statistics nor says that it would; who wants to can say so."""
    code = "import flows; from prefect.analytics import is_telemetry_enabled; print(is_telemetry_enabled())"

    assert python(code, tmp_path) == "False\n"
    assert python(code, tmp_path, DO_NOT_TRACK="0") == "True\n"
