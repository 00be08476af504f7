"""
Atlas's own library, asked over a pipe: what it says is what ours must say.

The program is ``tests/oracle/main.go``. It is built once per test process where Go is; elsewhere its tests are skipped, or
fail where ``PGROLLOUT_REQUIRE`` lists ``go``.
"""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import missing

SOURCE = Path(__file__).parent / "oracle"


class Oracle:
    """A running oracle; each question is a request of ``main.go``, each answer a dictionary."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask one question: ``ask("split", text="SELECT 1;")``."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict)
        return answer


def build(folder: Path, package: str = ".") -> Path:
    """Build the oracle, or another program of its module, or skip the test."""
    go = shutil.which("go")
    if go is None:
        missing("go", "there is no Go here to build Atlas's library with")
    program = folder / "program"
    # No other Go version is fetched for it: a test that needs a download says so instead.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    argv = [go, "build", "-o", str(program), package]
    # One after the other: the second of two test processes has in Go's cache what the first compiled.
    with (SOURCE / "main.go").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = subprocess.run(argv, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
    if built.returncode:
        missing("go", f"the oracle cannot be built: {built.stderr.strip()}")
    return program
