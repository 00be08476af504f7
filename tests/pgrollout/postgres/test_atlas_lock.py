"""Atlas's lock: its key, who holds it, and waiting for it."""

import logging
from pathlib import Path

import pytest

from pgrollout.errors import ExitCode, LockNotAcquired
from pgrollout.postgres import atlas_lock
from pgrollout.postgres.atlas_lock import LOCK_KEY, acquire, fnv1_32, held, holder
from pgrollout.postgres.connection import Connection, connect
from tests.project import eventually, lock_holder
from tests.servers import Database, fresh_database


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("atlas_migrate_execute", 2686470616),
        ("atlas_migrate_diff", 361947982),
        ("atlas_lint", 526800194),
        ("", 2166136261),
    ],
)
def test_key_is_fnv1(name: str, key: int) -> None:
    """The key is the FNV-1 hash of the name, as Atlas has it."""
    assert fnv1_32(name.encode()) == key


def is_held(connection: Connection) -> bool:
    """Whether this very connection holds the lock."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 "
        "AND objid = %s AND objsubid = 1 AND pid = pg_catalog.pg_backend_pid())",
        [LOCK_KEY],
    ).fetchone()
    return bool(row and row[0])


def test_key_is_seen_in_pg_locks(any_database: Database, tmp_path: Path) -> None:
    """The key is taken in its 64-bit form, and is free when the connection ends."""
    with connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection:
        assert not is_held(connection)
        acquire(connection, wait_ms=0)

        assert is_held(connection)
        assert any_database.execute(
            "SELECT classid::bigint, objid::bigint, objsubid, pid FROM pg_locks WHERE locktype = 'advisory'"
        ) == [(0, 2686470616, 1, connection.info.backend_pid)]  # fmt: skip

    with any_database.connect() as after:
        # The backend ends a moment after its client.
        eventually(
            lambda: after.execute("SELECT pg_try_advisory_lock(%s::bigint)", [LOCK_KEY]).fetchone() == (True,),
            "the lock of a connection that ended",
        )


def test_holder_is_named(any_database: Database, tmp_path: Path) -> None:
    """Without patience the error comes at once, with exit code 75, and names run and pid."""
    with (
        lock_holder(any_database, LOCK_KEY, application_name="pgrollout/r1/0") as other,
        connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection,
    ):
        with pytest.raises(LockNotAcquired) as caught:
            acquire(connection, wait_ms=0)

        assert caught.value.code is ExitCode.WAIT
        assert f"pgrollout/r1/0 (pid {other.info.backend_pid}, from a local socket, since 2" in str(caught.value)
        other.close()
        acquire(connection, wait_ms=10_000)
        assert holder(connection).startswith("pgrollout/test")


def test_another_database_is_another_lock(database: Database, tmp_path: Path) -> None:
    """The lock is one per database."""
    settings = database.settings(tmp_path)
    with database.server.connect() as other, connect(settings, application_name="pgrollout/test") as connection:
        other.execute("SELECT pg_advisory_lock(%s::bigint)", [LOCK_KEY])

        acquire(connection, wait_ms=0)


def test_holder_elsewhere_is_not_named(any_database: Database, tmp_path: Path) -> None:
    """Of two databases of one server, both locked, only this one's holder is in the way."""
    with (
        fresh_database(any_database.server) as elsewhere,
        lock_holder(elsewhere, LOCK_KEY, application_name="elsewhere"),
        connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection,
    ):
        assert holder(connection) == "it was freed just now"
        with (
            lock_holder(any_database, LOCK_KEY, application_name="here"),
            pytest.raises(LockNotAcquired, match=r"here \(pid") as caught,
        ):
            acquire(connection, wait_ms=0)

    assert "elsewhere" not in str(caught.value)


def test_waiting_is_told(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While waiting, the holder is told again and again, and no snapshot is kept that a concurrent build would wait for."""
    monkeypatch.setattr(atlas_lock, "REPORT_EVERY_SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="pgrollout")
    with (
        lock_holder(database, LOCK_KEY, application_name="somebody"),
        connect(database.settings(tmp_path), application_name="pgrollout/test") as connection,
        pytest.raises(LockNotAcquired),
    ):
        acquire(connection, wait_ms=200)

    told = [record.getMessage() for record in caplog.records]
    assert len(told) > 1
    assert all('holder="somebody (pid' in line for line in told)


def test_given_back_at_once(database: Database, tmp_path: Path) -> None:
    """When the work is done the lock is free, although the connection is still open; after an error as well."""
    settings = database.settings(tmp_path)
    with (
        connect(settings, application_name="pgrollout/test") as connection,
        connect(settings, application_name="pgrollout/other") as other,
    ):
        with held(connection, wait_ms=0), pytest.raises(LockNotAcquired):
            acquire(other, wait_ms=0)
        with pytest.raises(ZeroDivisionError), held(connection, wait_ms=0):
            raise ZeroDivisionError

        assert not is_held(connection)
        acquire(other, wait_ms=0)
