"""Executing: what the server says of a text with several commands."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrollout.postgres import execute
from pgrollout.postgres.connection import Connection, connect
from pgrollout.postgres.execute import ConnectionLost, CopyFromClient, Failure, send
from tests.servers import Database


@pytest.fixture
def connection(any_database: Database, tmp_path: Path) -> Iterator[Connection]:
    """A connection as the stages have it, on each version."""
    with connect(any_database.settings(tmp_path), application_name="pgrollout/test") as connection:
        yield connection


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1; CREATE TABLE a (id int)", "CREATE TABLE"),
        ("BEGIN; SELECT 1; COMMIT", "COMMIT"),
        ("BEGIN; SELECT 1; ROLLBACK", "ROLLBACK"),
        ("", ""),
        ("-- nothing", ""),
        ("SELECT 'é', '%s', $$ ; $$", "SELECT 1"),
        ("COPY (SELECT generate_series(1, 100000)) TO STDOUT; SELECT 1", "SELECT 1"),
    ],
)
def test_tag_of_the_last_command(connection: Connection, text: str, tag: str) -> None:
    """The answer is the last command's tag."""
    assert send(connection, text) == tag


@pytest.mark.parametrize(
    ("text", "sqlstate", "finished", "position"),
    [
        ("SELECT 1/0", "22012", 0, None),
        ("SELECT 1; SELECT 2; SELECT 1/0; SELECT 3", "22012", 2, None),
        ("SELECT 1; SELEC 2", "42601", 0, 10),
        ("SELECT 'é'; SELECT 'é', nope", "42703", 1, 24),
        ("COPY (SELECT 1) TO STDOUT; SELECT nope", "42703", 1, 34),
        ("BEGIN; VACUUM", "25001", 1, None),
    ],
)
def test_failure(connection: Connection, text: str, sqlstate: str, finished: int, position: int | None) -> None:
    """A failure says how many commands ended well, and the character it points at; a syntax error runs nothing."""
    answer = send(connection, text)

    assert isinstance(answer, Failure)
    assert (answer.sqlstate, answer.finished, answer.position) == (sqlstate, finished, position)


def test_detail_and_hint_are_kept(connection: Connection) -> None:
    """Detail and hint of the server stand under its message."""
    answer = send(connection, "DO $$ BEGIN RAISE 'no' USING DETAIL = 'the detail', HINT = 'the hint'; END $$")

    assert isinstance(answer, Failure)
    assert answer.message == "no\n    the detail\n    Hint: the hint"


def test_commit_of_a_failed_transaction(connection: Connection) -> None:
    """A COMMIT that could not commit answers ROLLBACK, which only its tag tells."""
    send(connection, "BEGIN")
    send(connection, "SELECT 1/0")

    assert send(connection, "COMMIT") == "ROLLBACK"


def test_terminated_backend(connection: Connection, any_database: Database) -> None:
    """A backend that was terminated is a lost connection, in the middle of a query and afterwards."""
    with pytest.raises(ConnectionLost):
        send(connection, "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(ConnectionLost):
        send(connection, "SELECT 1")


def test_copy_from_the_client_is_refused(connection: Connection, any_database: Database) -> None:
    """There is nobody to feed it; what came before in the same text is undone."""
    with pytest.raises(CopyFromClient):
        send(connection, "CREATE TABLE a (id int); COPY a FROM STDIN; CREATE TABLE b (id int)")

    assert any_database.execute("SELECT to_regclass('a'), to_regclass('b')") == [(None, None)]


def test_an_error_of_any_class_is_a_failure(connection: Connection) -> None:
    """Whether a backend is gone is told by the severity: a statement may raise whatever it likes."""
    answer = send(connection, "DO $$ BEGIN RAISE 'x' USING ERRCODE = '57P01'; END $$")

    assert isinstance(answer, Failure)
    assert answer.sqlstate == "57P01"
    assert send(connection, "SELECT 1") == "SELECT 1"


def test_last_words_are_kept(connection: Connection) -> None:
    """Why the backend ended is told."""
    with pytest.raises(ConnectionLost, match="administrator command") as caught:
        send(connection, "SELECT 1; SELECT pg_terminate_backend(pg_backend_pid()); SELECT 2")

    assert caught.value.sqlstate == "57P01"


def test_rows_are_thrown_away_as_they_come(connection: Connection) -> None:
    """What a statement returns is not kept, however much it is: 300 MB here."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert send(connection, "SELECT repeat('x', 10000) FROM generate_series(1, 30000); SELECT 1") == "SELECT 1"

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_cancel_on_request(connection: Connection) -> None:
    """Who wants an end gets the server's answer to it; a query that is through by then has its own."""
    answer = send(connection, "SELECT 1; SELECT pg_sleep(600)", wants_cancel=lambda: True)

    assert isinstance(answer, Failure)
    assert (answer.sqlstate, answer.finished) == ("57014", 1)
    assert send(connection, "SELECT 1", wants_cancel=lambda: True) == "SELECT 1"


def test_cancel_that_is_not_answered(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is stuck is not waited for: the connection counts as lost, and the next run sees to its end."""
    monkeypatch.setattr(execute, "UNANSWERED_SECONDS", 0.2)
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ConnectionLost, match="did not answer"):
            send(connection, "SELECT 1", wants_cancel=lambda: True)
        assert connection.closed
    finally:
        os.kill(pid, signal.SIGCONT)
