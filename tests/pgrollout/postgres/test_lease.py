"""The lease: one row that one run has, told alive from dead by the server's clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrollout.postgres import lease
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.lease import Lease
from tests.project import Project
from tests.servers import Database

SCHEMA = "pgrollout"


@pytest.fixture
def leased(tmp_path: Path, database: Database) -> Database:
    """A database whose lease a run with token 1 had, and gave back."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    return database


@pytest.fixture
def connection(leased: Database) -> Iterator[Connection]:
    """A connection that does not wait long for the row."""
    with leased.connect(options="-c lock_timeout=50ms") as connection:
        yield connection


def given(connection: Connection) -> Lease:
    """Return the lease as it is."""
    found = lease.read(connection, SCHEMA)
    assert found is not None
    return found


def test_nobody_has_ever_written(connection: Connection) -> None:
    """There is no lease then."""
    connection.execute("DELETE FROM pgrollout.lease")

    assert lease.read(connection, SCHEMA) is None


def test_given_back(connection: Connection) -> None:
    """It has no age, and nobody counts as working, however long the timeout is."""
    found = given(connection)

    assert (found.token, found.age_ms) == (1, None)
    assert not found.is_alive(10**9)


def test_taken_by_one(connection: Connection) -> None:
    """The first one who takes it has the next token; who saw the same lease comes too late."""
    before = given(connection)

    assert lease.take(connection, SCHEMA, before, "second", "me") == 2
    assert lease.take(connection, SCHEMA, before, "third", "you") is None

    now = given(connection)
    assert (now.token, str(now)) == (2, "run second of me")
    assert now.is_alive(30_000)
    assert not now.is_alive(0)


def test_not_taken_from_an_open_transaction(leased: Database, connection: Connection) -> None:
    """What has passed the fence and has not ended may still commit: until then the token stays."""
    with leased.connect(autocommit=False) as other:
        other.execute("SELECT FROM pgrollout.lease WHERE token = 1 FOR KEY SHARE")
        assert lease.take(connection, SCHEMA, given(connection), "second", "me") is None
        assert given(connection).token == 1

    assert lease.take(connection, SCHEMA, given(connection), "second", "me") == 2


def test_sign_of_life(leased: Database, connection: Connection) -> None:
    """It is given by who has the newest token, and not by who gave the lease back or lost it."""
    assert not lease.beat(connection, SCHEMA, 1)
    lease.take(connection, SCHEMA, given(connection), "second", "me")
    connection.execute("UPDATE pgrollout.lease SET heartbeat = heartbeat - interval '1 hour'")

    assert lease.beat(connection, SCHEMA, 2)
    assert given(connection).is_alive(30_000)
    assert not lease.beat(connection, SCHEMA, 1)

    with leased.connect(autocommit=False) as other:
        other.execute("SELECT FROM pgrollout.lease FOR UPDATE")
        assert lease.beat(connection, SCHEMA, 2)  # nobody knows yet


def test_kept_until_the_end_is_recorded(connection: Connection) -> None:
    """A run whose end is not in the ledger keeps the lease, for the next one to see that it was lost."""
    lease.take(connection, SCHEMA, given(connection), "second", "me")
    back = lease.give_back_sql(SCHEMA, 2).encode()
    connection.execute(
        "INSERT INTO pgrollout.run SELECT 'second', history, 2, release, plan, tool_version, server_version, started_by, "
        "source, reason, started_at FROM pgrollout.run"
    )

    connection.execute(back)
    assert given(connection).age_ms is not None

    connection.execute("UPDATE pgrollout.run SET ended_at = now() WHERE id = 'second'")
    connection.execute(lease.give_back_sql(SCHEMA, 1).encode())
    assert given(connection).age_ms is not None
    connection.execute(back)
    assert given(connection).age_ms is None
