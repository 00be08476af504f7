"""
The UI: a standing Prefect server with the deployments registered, and a worker that runs what is started there.

``make ui`` runs it, until Ctrl-C; everything it started ends with it. The embedded PostgreSQL runs meanwhile, so that
``pgrollout status`` finds it. Knows nothing of migrations.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import click

from flows import UI, project_root, ui_address
from flows.demo import make_roles
from pgrollout import settings
from pgrollout.commands.logs import set_up_logging
from pgrollout.errors import ConfigurationError, ExitCode, PgrolloutError
from pgrollout.files import STATE_NAME, make_folder
from pgrollout.postgres import embedded
from pgrollout.progress import reporting

POOL = "migrations"
PORT = 4200
START_SECONDS = 180
STOP_SECONDS = 30
_PREFECT = (sys.executable, "-m", "prefect")


def main() -> None:
    """Run the UI until Ctrl-C; the process ends with the exit code of the contract."""
    # In the background of a script SIGINT is ignored, and whatever is started there would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    set_up_logging(None, verbose=False)
    try:
        serve()
    except PgrolloutError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.code)
    except KeyboardInterrupt:
        click.echo("\nStopped.")
        sys.exit(ExitCode.DONE)


def serve() -> None:
    """Start server and worker, register the deployments, say what to click, and wait."""
    if (found := ui_address()) is not None:
        click.echo("It runs already: http://{}:{}/v2/deployments".format(*found))
        return
    root = project_root()
    log = root / STATE_NAME / "ui.log"
    needed = root / settings.CONFIG_NAME
    if not needed.is_file():
        raise ConfigurationError("make ui", f"there is no {needed}.", "It says what can be started in the browser.")
    with ExitStack() as stack:
        if any(settings.target(settings.load(name)).kind == "embedded" for name in settings.database_names()):
            stack.enter_context(embedded.server(root))
            if "reader" in settings.database_names():
                make_roles()
        make_folder(log.parent)
        output = stack.enter_context(log.open("w"))
        port = free_port(PORT)
        address = f"http://127.0.0.1:{port}"
        # A worker keeps its files in a folder of one name for all users of the machine: the first alone could write there.
        # Not in the project, whose path may be too long for a socket.
        temporary = stack.enter_context(TemporaryDirectory(prefix="pgrollout-ui-", ignore_cleanup_errors=True))
        environment = server_environment(address, port, root) | {"TMPDIR": temporary}
        click.echo("Starting Prefect's server …")
        server = stack.enter_context(running([*_PREFECT, "server", "start", "--port", str(port)], environment, output))
        with reporting("starting Prefect's server"):
            wait_for(lambda: healthy(f"{address}/api"), server, "Prefect's server", log)
        stack.enter_context(known_as(f"127.0.0.1:{port}"))
        click.echo("Registering the deployments …")
        with reporting("registering the deployments"):
            register(environment, root)
        click.echo("Starting the worker …")
        began = datetime.now(UTC)
        command = [*_PREFECT, "worker", "start", "--pool", POOL, "--type", "process", "--name", "local"]
        worker = stack.enter_context(running(command, environment, output))
        stack.callback(cancel_runs, f"{address}/api", worker.pid)
        with reporting("starting the worker"):
            wait_for(lambda: polled(f"{address}/api", began), worker, "the worker", log)
        click.echo(
            f"\n  {address}/v2/deployments\n\n"
            "Open a deployment there, then Run, Custom run: a form with every parameter. The run's page has the log, the\n"
            "stages, and under Artifacts the report and the plan.\n"
            f"Runs start a few seconds after they are asked for. Log: {log}. Ctrl-C stops everything."
        )
        pause = threading.Event()
        while server.poll() is None and worker.poll() is None:
            pause.wait(1)
        what = "the worker" if server.poll() is None else "the server"
        raise ConfigurationError("make ui", f"{what} has ended; see {log}.")


@contextmanager
def known_as(address: str) -> Iterator[None]:
    """Let other processes of the project find the server: a second one would lock its database."""
    make_folder(UI.parent)
    UI.write_text(address)
    try:
        yield
    finally:
        UI.unlink(missing_ok=True)


def cancel_runs(api: str, worker: int) -> None:
    """Ask the runs that a worker has under way to end, and wait: each comes to a safe point, and undoes the file it is at."""
    pause, end = threading.Event(), time.monotonic() + STOP_SECONDS
    try:
        if children(worker):
            running = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
            for run in _post(f"{api}/flow_runs/filter", running):
                click.echo(f"Cancelling {run['name']} …")
                _post(f"{api}/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
        while children(worker) and time.monotonic() < end:
            pause.wait(0.3)
    except (OSError, ValueError) as error:
        click.echo(f"Runs under way could not be cancelled: {error}", err=True)


def _post(url: str, body: Mapping[str, object]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310  our own server
        return json.load(response)


def server_environment(address: str, port: int, root: Path) -> dict[str, str]:
    """Return the environment of server, registration and worker; a flow run inherits the worker's."""
    environment = dict(os.environ) | {
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        # Relative, so that the page works under any name; else it calls port 4200 of the server's own idea.
        "PREFECT_SERVER_UI_API_URL": "/api",
        # The newer of the two pages that Prefect brings: the older one cannot show a report.
        "PREFECT_UI_URL": f"{address}/v2",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_CLI_PROMPT": "false",
    }
    # A worker starts each run in an empty folder: only absolute paths lead back to the project.
    environment["PGROLLOUT_CONFIG"] = str(root / settings.CONFIG_NAME)
    environment.pop("PREFECT_API_BLOCKS_REGISTER_ON_START", None)
    environment.pop("PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION", None)
    environment["PREFECT_HOME"] = str(Path(environment.get("PREFECT_HOME", root / STATE_NAME / "prefect")).resolve())
    return environment


def register(environment: Mapping[str, str], root: Path) -> None:
    """
    Register work pool and deployments, in the environment that Prefect's client is to find; nobody looks for drift at night.

    Raises:
        ConfigurationError: Prefect refuses; with what it says.
    """
    command = [sys.executable, "-m", "flows.register"]
    quiet = {**environment, "PGROLLOUT_DRIFT_ACTIVE": "0", "PGROLLOUT_WORK_POOL": POOL}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise ConfigurationError(" ".join(command[1:]), f"ended with {done.returncode}:\n{said}")


def free_port(wanted: int) -> int:
    """Return the port if nobody listens there, else any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.close()
            with socket.create_server(("127.0.0.1", 0)) as other:
                return int(other.getsockname()[1])
    return wanted


def healthy(api: str) -> bool:
    """Whether the server says so of itself."""
    with urllib.request.urlopen(f"{api}/health", timeout=2) as response:  # noqa: S310  our own server
        return bool(response.status == 200)


def polled(api: str, since: datetime) -> bool:
    """Whether a worker was heard of since then: the server remembers those of earlier days too."""
    workers = _post(f"{api}/work_pools/{POOL}/workers/filter", {})
    return any(datetime.fromisoformat(worker["last_heartbeat_time"]) > since for worker in workers)


def wait_for(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", what: str, log: Path) -> None:
    """
    Return when it is ready.

    Raises:
        ConfigurationError: It was not, for three minutes, or the process has ended.
    """
    pause, end = threading.Event(), time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError):
            if is_ready():
                return
        pause.wait(0.3)
    problem = "has ended" if process.poll() is not None else f"did not start within {START_SECONDS} s"
    raise ConfigurationError("make ui", f"{what} {problem}; see {log}.")


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], output: IO[str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process, in a group of its own, while the block lasts."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # The runs of a worker are in groups of their own.
        started = children(process.pid)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in started:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def children(parent: int) -> list[int]:
    """Return the process ids of a process's children."""
    if Path("/proc/self/stat").exists():
        # Behind the name, which may hold anything: the state, and the parent's id.
        stats = [
            (path.parent.name, _read(path).rpartition(")")[2].split()) for path in Path("/proc").glob("[0-9]*/stat")
        ]
        found = [(pid, fields[1]) for pid, fields in stats if len(fields) > 1]
    else:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        found = [(pid, of) for pid, of in (line.split() for line in listed.splitlines())]
    return [int(pid) for pid, of in found if of == str(parent)]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # it has ended


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
