"""
Stage backup: dump the database before migrations run, and check that the dump can be read back.

A backup is a folder, readable by this account only: the dump, and beside it the manifest. It is made under a name that
ends in ``.partial`` and renamed when it is complete, so a folder without that ending is a whole backup. What a run that
died has left is removed by the next; a lock that the dump's own process holds too tells whether anybody still works on
it.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from pgrollout.backup_manifest import (
    DUMP_NAME,
    MANIFEST_NAME,
    BackupFile,
    Manifest,
    first_problem,
    folder_name,
    in_words,
    parse,
)
from pgrollout.errors import BackupImpossible
from pgrollout.files import make_folder
from pgrollout.postgres import dump, programs
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.dump import Frozen, Waiting
from pgrollout.postgres.programs import Program
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import shown_version
from pgrollout.progress import reporting
from pgrollout.settings import Database
from pgrollout.stages.reviewed import new_run_id
from pgrollout.stages.stage import Outcome, Report, Request, logged

log = logging.getLogger(__name__)

PARTIAL = ".partial"
_LOCK_NAME = "lock"

Policy = Literal["dump", "schema", "none"]


class BackupRequest(Request):
    """What to back up."""

    pending: int | None = Field(None, ge=0, description="Migrations that would run; with 0 there is nothing to do.")
    policy: Policy | None = Field(None, description="What is dumped; None takes the database's setting.")


class BackupReport(Report):
    """What was backed up."""

    run_id: str
    policy: Policy = Field(description="What was to be dumped.")
    path: str | None = Field(None, description="The backup's folder.")
    size_bytes: int = Field(0, description="Size of the dump on the disk.")
    digest: str | None = Field(None, description="Digest of the manifest, and so of everything in the backup.")
    tables: int = Field(0, description="Tables in it.")
    toc_entries: int = Field(0, description="Objects that were found in it when it was read back.")
    server_version: str = Field("", description="Version of the server.")
    pg_dump_version: str = Field("", description="Version of the pg_dump that made it.")
    wal_position: str = Field("", description="The server's write-ahead log position that it shows.")
    taken_at: str = Field("", description="When, ISO 8601.")


@logged
def run(request: BackupRequest) -> BackupReport:
    """
    Take the backup that the policy asks for; the one of the same run, if it is already there.

    Raises:
        BackupImpossible: Not enough space, a dump that fails, or one that cannot be read back.
        ProgramMissing: No ``pg_dump`` here fits the server.
        TableNotReadable, ServerUnavailable: Waiting can cure it.
    """
    started = time.monotonic()
    run_id = request.run_id or new_run_id()
    policy: Policy = request.policy or request.database.backup
    if policy == "none":
        report = BackupReport(outcome=Outcome.SKIPPED, summary='skipped: backup = "none"', run_id=run_id, policy=policy)
    elif request.pending == 0:
        summary = "nothing to do: no migration is pending"
        report = BackupReport(outcome=Outcome.NOTHING_TO_DO, summary=summary, run_id=run_id, policy=policy)
    elif found := _taken_before(request.database, run_id, policy):
        report = _report(found[0], found[1], "already taken for this run")
    else:
        report = _take(request, run_id, policy)
    return report.model_copy(update={"duration_ms": round((time.monotonic() - started) * 1000)})


def read_manifest(path: Path) -> Manifest:
    """
    Return the manifest of a backup, after comparing every file of the dump with it.

    Raises:
        ValueError: It is missing or cannot be read, or a file is not what was written; with the reason.
    """
    try:
        manifest = parse((path / MANIFEST_NAME).read_text("utf-8"))
        problem = first_problem(manifest, _files(path / DUMP_NAME))
    except OSError as error:
        raise ValueError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError("the manifest cannot be read.") from error
    if problem:
        raise ValueError(problem)
    return manifest


def _taken_before(database: Database, run_id: str, policy: Policy) -> tuple[Path, Manifest] | None:
    folder = database.path(database.backup_dir).absolute()
    for path in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
        if path.parent.name.endswith(PARTIAL):
            continue
        try:
            content = path.read_text("utf-8")
            if run_id not in content or parse(content).run_id != run_id:
                continue
            manifest = read_manifest(path.parent)
        except (OSError, ValueError) as problem:
            log.warning('backup unusable path=%s reason="%s"', path.parent, problem)
            continue
        if manifest.policy == policy and manifest.database == database.name:
            return path.parent, manifest
    return None


def _take(request: BackupRequest, run_id: str, policy: Literal["dump", "schema"]) -> BackupReport:
    database = request.database
    application_name = f"pgrollout/{run_id}/backup"[:63]
    with explained("taking the backup"), connect(database, application_name=application_name) as connection:
        major = connection.info.server_version // 10000
        tls = bool(connection.pgconn.ssl_in_use)
        pg_dump = programs.fitting("pg_dump", at_least=major, near=major, tls=tls)
        with dump.frozen(connection) as moment:
            folder = database.path(database.backup_dir).absolute()
            if policy == "dump":
                _check_space(folder, moment)
            taken_at = datetime.now(UTC)
            path = folder / folder_name(database.name, taken_at, run_id)
            if request.dry_run:
                return _would(moment, path, pg_dump, run_id, policy)
            with _partial(path) as (partial, lock):
                _dump(connection, database, moment, pg_dump, partial, lock, policy, application_name)
                entries = _read_back(pg_dump, partial, moment, policy)
                manifest = Manifest(
                    database=database.name,
                    dbname=moment.dbname,
                    run_id=run_id,
                    taken_at=taken_at.isoformat(timespec="seconds"),
                    policy=policy,
                    server_version=shown_version(connection.info.server_version),
                    pg_dump_version=pg_dump.version,
                    wal_position=moment.wal_position,
                    tables=moment.tables,
                    roles=moment.roles,
                    toc_entries=entries,
                    files=tuple(sorted(_files(partial / DUMP_NAME).values(), key=lambda file: file.name)),
                )
                _write(partial / MANIFEST_NAME, manifest.text())
    log.info('backup taken path="%s" size_bytes=%d tables=%d', path, manifest.size_bytes, len(manifest.tables))
    return _report(path, manifest, "taken")


def _check_space(folder: Path, moment: Frozen) -> None:
    # A dump has no indexes and is compressed: mostly a quarter of the size, or less. But rows that are compressed
    # already, or hold many numbers, can take more than on the server. So the full size must be free: whoever has that
    # little left does not want to learn in the middle of a release how well the data compresses.
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < moment.size_bytes:
        raise BackupImpossible(
            f"{folder} has {in_words(free)} free, and database {moment.dbname} takes {in_words(moment.size_bytes)}.",
            'Free some, point backup_dir to a larger disk, or dump the schema only: backup = "schema".',
        )


@contextmanager
def _partial(path: Path) -> Iterator[tuple[Path, int]]:
    """Give the folder in which the backup is made, and its lock; give it its real name when the block succeeds."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        make_folder(partial.parent, 0o700)
        _remove_dead(partial.parent)
        partial.mkdir(mode=0o700)
        lock = os.open(partial / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        problem = f"{error.filename} cannot be written: {error.strerror}."
        raise BackupImpossible(problem, "Give this account the folder, or name another: backup_dir.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield partial, lock
        try:
            (partial / _LOCK_NAME).unlink()
            _sync(partial)
            partial.rename(path)
            _sync(path.parent)
        except OSError as error:
            raise BackupImpossible(f"{path} cannot be written: {error.strerror}.", "Look at the disk.") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _remove_dead(folder: Path) -> None:
    """Remove what runs that were killed have left half made."""
    for partial in folder.glob(f"*{PARTIAL}"):
        with suppress(OSError):
            lock = os.open(partial / _LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(partial)
                log.info('unfinished backup of a dead run removed path="%s"', partial)
            finally:
                os.close(lock)


def _dump(
    connection: Connection,
    database: Database,
    moment: Frozen,
    pg_dump: Program,
    partial: Path,
    lock: int,
    policy: Policy,
    application_name: str,
) -> None:
    target = partial / DUMP_NAME
    argv = dump.pg_dump_argv(
        pg_dump,
        target,
        jobs=database.backup_jobs,
        schema_only=policy == "schema",
        snapshot=moment.snapshot,
        role=database.role,
    )
    waiting = Waiting(connection, application_name)
    log.info("backup started policy=%s database_bytes=%d pg_dump=%s", policy, moment.size_bytes, pg_dump.version)
    with (
        programs.environment(connection, application_name) as environment,
        reporting(f"dumping {database.name}") as reporter,
    ):

        def watch() -> None:
            waiting.look()
            reporter.note(f"{in_words(sum(path.stat().st_size for path in target.glob('*')))} written")

        ended = programs.run(argv, environment, watch=watch, inherited=[lock])
    if ended.status != 0:
        raise dump.failure(database.name, ended, waiting) or BackupImpossible(
            ended.last_words, dump.advice(ended, "Settle that, then run this again.")
        )


def _read_back(pg_dump: Program, partial: Path, moment: Frozen, policy: Policy) -> int:
    """Check that the dump can be read and has every table; return how many objects it has."""
    pg_restore = Program(pg_dump.sibling("pg_restore"), pg_dump.version)
    advice = "Look at the disk, then run this again."
    try:
        entries = dump.contents(pg_restore, partial / DUMP_NAME)
    except (OSError, ValueError) as error:
        raise BackupImpossible(f"the dump was written and cannot be read back: {error}", advice) from error
    if missing := dump.missing(moment, entries, schema_only=policy == "schema"):
        listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise BackupImpossible(f"the dump was written and lacks {listed}.", advice)
    return len(entries)


def _files(folder: Path) -> dict[str, BackupFile]:
    found = {}
    for path in folder.iterdir():
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.name] = BackupFile(path.name, path.stat().st_size, sha256)
    return found


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _would(
    moment: Frozen, path: Path, pg_dump: Program, run_id: str, policy: Literal["dump", "schema"]
) -> BackupReport:
    what = "schema and rows" if policy == "dump" else "the schema"
    return BackupReport(
        summary=f"dry run: {what} of {_counted(len(moment.tables))} would be dumped to {path.parent}",
        run_id=run_id,
        policy=policy,
        tables=len(moment.tables),
        pg_dump_version=pg_dump.version,
    )


def _report(path: Path, manifest: Manifest, what: str) -> BackupReport:
    return BackupReport(
        summary=f"{what}: {_counted(len(manifest.tables))}, {in_words(manifest.size_bytes)}, {path}",
        run_id=manifest.run_id,
        policy=manifest.policy,
        path=str(path),
        size_bytes=manifest.size_bytes,
        digest=manifest.digest,
        tables=len(manifest.tables),
        toc_entries=manifest.toc_entries,
        server_version=manifest.server_version,
        pg_dump_version=manifest.pg_dump_version,
        wal_position=manifest.wal_position,
        taken_at=manifest.taken_at,
    )


def _counted(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"
