"""
Nursery: a process that has imported all of pgrollout, and forks a run of it whenever it is asked for one.

A matrix is thousands of runs, and most of the time of each would be imports. A run is still a process of its own, from the
command line to its exit code. Start it with ``python -m tests.kill_matrix.nursery``; it ends with its input.
"""

import gc
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from select import POLLIN, poll
from typing import Any

import pgrollout


class Nursery:
    """The nursery, from outside."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill_matrix.nursery"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is ours
        )

    def start(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> "Child":
        """Start ``pgrollout`` with these arguments in a folder; what it writes goes to a file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"arguments": arguments, "folder": str(folder), "environment": environment, "output": str(output)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()), output)

    def close(self) -> None:
        """End it; children go on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Child:
    """A process that the nursery started; its exit code is found in a file, for it is not our child."""

    def __init__(self, pid: int, output: Path) -> None:
        self._fd: int | None
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._fd = None
        self._code = _code_file(output)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it has not ended."""
        if self._fd is not None and self.poll() is None:
            signal.pidfd_send_signal(self._fd, number)

    def poll(self, seconds: float = 0) -> int | None:
        """Return its exit code, -9 if it was killed; None if it has not ended in that time."""
        if self._fd is not None:
            ended = poll()
            ended.register(self._fd, POLLIN)
            if not ended.poll(seconds * 1000):
                return None
        return int(self._code.read_text()) if self._code.exists() else -signal.SIGKILL

    def close(self) -> None:
        """Forget it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _code_file(output: Path) -> Path:
    return output.with_suffix(".code")


def _be_born(request: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["pgrollout", *request["arguments"]]
    output = Path(request["output"])
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    from pgrollout.cli import main

    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        written = output.with_suffix(".ending")
        written.write_text(str(ended.code))
        written.rename(_code_file(output))
    os._exit(0)


def _nurse() -> None:
    for module in pkgutil.walk_packages(pgrollout.__path__, "pgrollout."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _be_born(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    _nurse()
