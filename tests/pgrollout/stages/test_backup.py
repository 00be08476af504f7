"""Stage backup, on real servers."""

import fcntl
import json
import logging
import os
import re
import shutil
import stat
from collections import namedtuple
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from pgrollout import progress
from pgrollout.backup_manifest import in_words, parse
from pgrollout.errors import BackupImpossible, ExitCode, ProgramMissing, ServerUnavailable, TableNotReadable
from pgrollout.postgres import dump, programs
from pgrollout.postgres.programs import Ended
from pgrollout.settings import Database as Settings
from pgrollout.stages import backup
from pgrollout.stages.backup import BackupReport, BackupRequest
from pgrollout.stages.stage import Outcome
from tests.servers import PASSWORD, Database, TlsServer

RUN_ID = "20261123T101530Z-3fa9c1"
SCHEMA = """
CREATE SCHEMA "the app";
CREATE TABLE "the app"."die Größe" (id int PRIMARY KEY, body text);
INSERT INTO "the app"."die Größe" SELECT n, repeat('x', n) FROM generate_series(1, 100) n;
CREATE TABLE events (day date, what text) PARTITION BY RANGE (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events VALUES ('2026-11-23', 'something');
CREATE UNLOGGED TABLE scratch (id int);
CREATE VIEW latest AS SELECT * FROM events;
"""


def take(settings: Settings, **values: object) -> BackupReport:
    """Run the stage for one run."""
    return backup.run(BackupRequest.model_validate({"database": settings, "run_id": RUN_ID} | values))


def test_backup_is_complete_and_private(any_database: Database, tmp_path: Path) -> None:
    """The folder has dump and manifest, readable by this account only, and the manifest vouches for every file."""
    any_database.execute(SCHEMA)

    report = take(any_database.settings(tmp_path))

    assert report.path is not None
    path = Path(report.path)
    manifest = parse((path / "manifest.json").read_text())
    assert path.parent == tmp_path / ".pgrollout" / "backups"
    assert (tmp_path / ".pgrollout" / ".gitignore").exists()
    assert backup.read_manifest(path) == manifest
    assert sorted(entry.name for entry in path.iterdir()) == ["dump", "manifest.json"]
    assert report.outcome is Outcome.DONE
    assert (report.digest, report.size_bytes) == (manifest.digest, manifest.size_bytes)
    assert manifest.tables == ("public.events", "public.events_2026", "public.scratch", "the app.die Größe")
    assert manifest.run_id == RUN_ID
    assert manifest.dbname == any_database.name
    assert manifest.server_major == any_database.server.version
    assert report.summary.startswith("taken: 4 tables, ")
    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in path.rglob("*") if entry.is_file()}
    folders = {stat.S_IMODE(entry.stat().st_mode) for entry in (path, path / "dump")}
    assert (modes, folders) == ({0o600}, {0o700})


def test_schema_only(database: Database, tmp_path: Path) -> None:
    """Policy schema dumps no rows."""
    database.execute(SCHEMA)

    report = take(database.settings(tmp_path, backup="schema"))

    assert report.path is not None
    assert [file.name for file in backup.read_manifest(Path(report.path)).files] == ["toc.dat"]


def test_policy_none_is_skipped(tmp_path: Path) -> None:
    """Policy none does not even connect."""
    report = take(Settings(root=tmp_path, url=SecretStr("postgresql://nowhere.invalid/x"), backup="none"))

    assert (report.outcome, report.path) == (Outcome.SKIPPED, None)


def test_nothing_pending_is_nothing_to_do(tmp_path: Path) -> None:
    """Where no migration would run, nothing is dumped."""
    report = take(Settings(root=tmp_path, url=SecretStr("postgresql://nowhere.invalid/x")), pending=0)

    assert (report.outcome, report.path) == (Outcome.NOTHING_TO_DO, None)


def test_request_overrides_the_policy(database: Database, tmp_path: Path) -> None:
    """A backup that is asked for is taken, whatever the settings say."""
    report = take(database.settings(tmp_path, backup="none"), policy="schema")

    assert (report.outcome, report.policy) == (Outcome.DONE, "schema")


def test_repeated_stage_finds_its_backup(database: Database, tmp_path: Path) -> None:
    """The same run does not dump twice; another run does."""
    settings = database.settings(tmp_path)
    first = take(settings)

    again, other = take(settings), take(settings, run_id="20261123T111111Z-ffffff")

    assert (again.path, again.digest) == (first.path, first.digest)
    assert again.summary.startswith("already taken for this run: ")
    assert other.path != first.path


def test_damaged_backup_is_not_taken_for_one(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A backup whose files were changed is taken again, and that is said."""
    settings = database.settings(tmp_path)
    first = take(settings)
    assert first.path is not None
    (Path(first.path) / "dump" / "toc.dat").write_bytes(b"PGDMP")
    moved = Path(first.path).rename(tmp_path / ".pgrollout" / "backups" / "default-20250101T000000Z-3fa9c1")

    again = take(settings)

    assert again.path is not None
    assert again.path != str(moved)
    assert again.summary.startswith("taken: ")
    assert "backup unusable" in caplog.text


def test_dry_run_writes_nothing(database: Database, tmp_path: Path) -> None:
    """A dry run says what would be dumped."""
    database.execute(SCHEMA)

    report = take(database.settings(tmp_path), dry_run=True)

    assert report.summary == f"dry run: schema and rows of 4 tables would be dumped to {tmp_path}/.pgrollout/backups"
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_names_both_figures(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Space is looked at before anything is dumped, and both sizes are said."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 5_000_000))
    size_bytes = database.execute("SELECT pg_database_size(current_database())")[0][0]

    with pytest.raises(BackupImpossible, match=r"has 5\.0 MB free, and database .* takes ") as caught:
        take(database.settings(tmp_path))

    assert in_words(size_bytes) in str(caught.value)
    assert caught.value.code is ExitCode.FAILED
    assert take(database.settings(tmp_path, backup="schema")).outcome is Outcome.DONE


def test_tls_is_dumped_without_a_secret_on_a_command_line_or_disk(
    tls_server: TlsServer, tls_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS and by password the dump works, and no password is in an argument, a log line or the backup."""
    tls_database.execute(SCHEMA + "GRANT pg_read_all_data TO password_user")
    commands: list[str] = []
    real = programs.run

    def recorded(argv: list[str], *args: Any, **values: Any) -> Ended:
        commands.append(str(argv))
        return real(argv, *args, **values)

    monkeypatch.setattr(programs, "run", recorded)

    report = take(tls_database.settings(tmp_path, url=SecretStr(tls_server.tls_url(tls_database.name))))

    assert report.path is not None
    written = (Path(report.path) / "manifest.json").read_text()
    assert str(tls_server.bin) in commands[0]
    assert PASSWORD not in "".join(commands) + report.model_dump_json() + written
    assert "postgresql://" not in written


def test_pg_dump_without_tls_is_refused(
    tls_server: TlsServer, tls_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the wheel's pg_dump is installed, a server that is reached by TLS is not dumped in clear."""
    monkeypatch.setattr(programs, "FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    url = tls_server.tls_url(tls_database.name)

    with pytest.raises(ProgramMissing, match=r"fits PostgreSQL 15 over TLS:\n.* is 18\.\d+, built without TLS"):
        take(tls_database.settings(tmp_path, url=SecretStr(url)))


def test_table_that_the_role_cannot_read(database: Database, tmp_path: Path) -> None:
    """A missing right is named with the grant, and no folder is left."""
    role = database.make_role("reader")
    database.execute("CREATE TABLE closed (id int)")
    settings = database.settings(tmp_path, url=SecretStr(database.server.url(database.name, user=role)))

    with pytest.raises(BackupImpossible, match=r"permission denied for table closed.*GRANT pg_read_all_data"):
        take(settings)

    assert list((tmp_path / ".pgrollout" / "backups").iterdir()) == []


def test_large_object_that_the_role_cannot_read(database: Database, tmp_path: Path) -> None:
    """pg_read_all_data is no right to large objects, so another way out is named."""
    role = database.make_role("reader")
    database.execute(f'GRANT pg_read_all_data TO "{role}"; SELECT lo_create(4711)')
    settings = database.settings(tmp_path, url=SecretStr(database.server.url(database.name, user=role)))

    with pytest.raises(
        BackupImpossible, match=r"large object 4711.* as their owner or as a superuser, .*lo_compat"
    ) as caught:
        take(settings)

    assert "GRANT pg_read_all_data" not in str(caught.value)


def test_configured_role_reads(database: Database, tmp_path: Path) -> None:
    """The configured role is the one that dumps."""
    owner = database.make_role("owner", "NOLOGIN")
    login = database.make_role("login")
    database.execute(f'GRANT "{owner}" TO "{login}"; CREATE TABLE t (id int); ALTER TABLE t OWNER TO "{owner}"')
    url = SecretStr(database.server.url(database.name, user=login))

    report = take(database.settings(tmp_path, url=url, role=owner))

    assert report.path is not None
    assert backup.read_manifest(Path(report.path)).roles == (owner,)


def test_locked_table_is_waited_for_only_so_long(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a session that has a table locked the dump ends with code 75 and that session's name."""
    monkeypatch.setattr(dump, "LOCK_WAIT_MS", 1000)
    monkeypatch.setattr(programs, "_WATCH_SECONDS", 0.05)
    database.execute("CREATE TABLE t (id int)")

    with database.connect(application_name="the culprit", autocommit=False) as culprit:
        culprit.execute("LOCK TABLE t")
        with pytest.raises(TableNotReadable) as caught:
            take(database.settings(tmp_path))

        assert f"pid {culprit.info.backend_pid} (the culprit, idle in transaction" in str(caught.value)
    assert caught.value.code is ExitCode.WAIT


def test_server_that_is_not_there(tmp_path: Path) -> None:
    """A server that does not answer may answer later."""
    with pytest.raises(ServerUnavailable):
        take(Settings(root=tmp_path, url=SecretStr(f"postgresql:///x?host={tmp_path}")))


def test_connection_lost_while_dumping(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump whose backends are ended is a matter of waiting, and leaves nothing behind."""
    monkeypatch.setattr(programs, "_WATCH_SECONDS", 0.05)
    database.execute("CREATE TABLE t (id int)")

    def end_its_backends(waiting: dump.Waiting) -> None:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'pgrollout/%%' AND wait_event_type = 'Lock' AND datname = current_database()"
        )

    monkeypatch.setattr(dump.Waiting, "look", end_its_backends)
    with database.connect(autocommit=False) as other:
        other.execute("LOCK TABLE t")
        with pytest.raises(ServerUnavailable, match=r"server closed the connection|terminating connection"):
            take(database.settings(tmp_path))

    assert list((tmp_path / ".pgrollout" / "backups").iterdir()) == []


def test_interrupt_leaves_nothing(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while pg_dump runs ends it, on the server too, and removes what it wrote."""
    monkeypatch.setattr(programs, "_WATCH_SECONDS", 0.05)
    database.execute("CREATE TABLE t (id int)")
    seen: list[Path] = []

    def interrupt(waiting: dump.Waiting) -> None:
        seen.extend((tmp_path / ".pgrollout" / "backups").iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(dump.Waiting, "look", interrupt)
    with database.connect(autocommit=False) as other:
        other.execute("LOCK TABLE t")
        with pytest.raises(KeyboardInterrupt):
            take(database.settings(tmp_path))

    assert [path.suffix for path in seen] == [".partial"]
    assert list((tmp_path / ".pgrollout" / "backups").iterdir()) == []


def test_remains_of_a_dead_run_are_removed(database: Database, tmp_path: Path) -> None:
    """The next backup removes what a killed run left, and leaves alone what somebody still works on."""
    folder = tmp_path / ".pgrollout" / "backups"
    for name in ("dead.partial", "alive.partial"):
        (folder / name / "dump").mkdir(parents=True)
        (folder / name / "lock").touch()
    alive = os.open(folder / "alive.partial" / "lock", os.O_RDWR)
    fcntl.flock(alive, fcntl.LOCK_EX)

    report = take(database.settings(tmp_path))
    os.close(alive)

    assert report.path is not None
    assert sorted(path.name for path in folder.iterdir()) == ["alive.partial", Path(report.path).name]


def test_table_that_is_not_in_the_dump(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump that lacks a table is no backup."""
    database.execute(SCHEMA)
    real = dump.contents
    monkeypatch.setattr(
        dump,
        "contents",
        lambda *args: tuple(entry for entry in real(*args) if b"TABLE DATA public events" not in entry),
    )

    with pytest.raises(BackupImpossible, match=r"the dump was written and lacks public\.events_2026\."):
        take(database.settings(tmp_path))


def test_progress_is_logged(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A long dump says how far it is."""
    monkeypatch.setattr(programs, "_WATCH_SECONDS", 0.01)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.001)
    caplog.set_level(logging.INFO, "pgrollout")
    database.execute(SCHEMA)

    report = take(database.settings(tmp_path))

    assert re.search(r'still running elapsed_seconds=\d+ doing="dumping .*, .* k?B written"', caplog.text)
    assert f'backup taken path="{report.path}" size_bytes={report.size_bytes} tables=4' in caplog.text


def test_names_that_need_care(database: Database, tmp_path: Path) -> None:
    """Line breaks, quotes, dots and spaces in names do not hide a table from the check."""
    database.execute(
        'CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."one\ntwo" (id int); CREATE TABLE "a.b"."x""; y" (id int)'
    )

    report = take(database.settings(tmp_path))

    assert report.tables == 2


def test_manifest_has_the_position_of_the_dump(database: Database, tmp_path: Path) -> None:
    """The write-ahead log's position is one between before and after."""
    position = "SELECT pg_current_wal_insert_lsn()::text"
    before = database.execute(position)[0][0]

    report = take(database.settings(tmp_path))

    [[fits]] = database.execute(
        "SELECT %s::pg_lsn BETWEEN %s::pg_lsn AND pg_current_wal_insert_lsn()", report.wal_position, before
    )
    assert fits
    assert report.path is not None
    assert json.loads((Path(report.path) / "manifest.json").read_text())["wal_position"] == report.wal_position


def test_dump_shows_one_moment(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is made after the tables were listed is not in the dump either."""
    real = dump.pg_dump_argv

    def make_a_table(*args: object, **values: object) -> list[str]:
        database.execute("CREATE TABLE late (id int)")
        return real(*args, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(dump, "pg_dump_argv", make_a_table)

    report = take(database.settings(tmp_path))

    assert (report.tables, report.toc_entries) == (0, 0)
    with pytest.raises(psycopg.errors.DuplicateTable):
        database.execute("CREATE TABLE late (id int)")
