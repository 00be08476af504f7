"""Connections: every way of naming a server that libpq knows, and how they fail."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from pgrollout.errors import ConfigurationError, ExitCode, LoginFailed, NoConnectionLeft, ServerUnavailable
from pgrollout.postgres import programs
from pgrollout.postgres.connection import connect, connecting, libpq_url, url_search_path
from pgrollout.postgres.supervisor import silence
from pgrollout.settings import Database as Settings
from tests.project import Project
from tests.servers import PASSWORD, Database, TlsServer, free_port

TCP_USER_TIMEOUT = 18
"""Linux's number of the socket option; libpq has it on Linux only."""
LIBPQ = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGSERVICEFILE", "PGPASSWORD", "DATABASE_URL")


@pytest.fixture(autouse=True)
def _no_libpq_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own environment says where a server is."""
    for variable in LIBPQ:
        monkeypatch.delenv(variable, raising=False)


def ask(settings: Settings, query: str) -> tuple[Any, ...]:
    """Connect, and return the first row."""
    with connect(settings, application_name="pgrollout/test") as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row


def refused(error: type[LoginFailed | ServerUnavailable | NoConnectionLeft], url: str, **values: Any) -> str:
    """Show that connecting fails with this error, without telling the password; return its sentence."""
    with (
        pytest.raises(error) as caught,
        connect(Settings(url=SecretStr(url), **values), application_name="pgrollout/test"),
    ):
        pass
    assert PASSWORD not in str(caught.value)
    assert PASSWORD.replace(" ", "%20") not in str(caught.value)
    return str(caught.value)


# URLs.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgres://u@h/d?sslmode=require", "postgres://u@h/d?sslmode=require"),
        ("postgresql://u:p?w@h/d?x=1", "postgresql://u:p?w@h/d?options=-c%20x%3D1"),
        ("postgresql://h/d?search_path=app", "postgresql://h/d?options=-c%20search_path%3Dapp"),
        (
            "postgresql://h/d?options=-c%20lock_timeout%3D3s&search_path=a%20b",
            "postgresql://h/d?options=-c%20lock_timeout%3D3s%20-c%20search_path%3Da%5C%20b",
        ),
        (
            "postgresql://h1:1,h2:2/d?target_session_attrs=primary",
            "postgresql://h1:1,h2:2/d?target_session_attrs=primary",
        ),
    ],
)
def test_unknown_keys_become_server_settings(url: str, expected: str) -> None:
    """Keys that libpq does not know go into ``options``; the rest stays as it is."""
    assert libpq_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:correct@h/d",
        "host=h password=correct",
        "",
        "postgresql://u:100%correct@h/d",
        "postgresql://u:cor rect@h/d",
        "postgresql://u:a@correct/x@h/d",
    ],
)
def test_other_urls_are_refused_without_their_password(url: str) -> None:
    """What is no PostgreSQL URL is refused, and not repeated with its secrets."""
    with pytest.raises(ConfigurationError) as caught:
        libpq_url(url)

    assert "correct" not in str(caught.value)
    assert "cor rect" not in str(caught.value)


def test_server_settings_of_the_url(any_database: Database, tmp_path: Path) -> None:
    """A search path with several schemas and a time-out reach the server."""
    url = any_database.url + "&search_path=app%2C%20public&lock_timeout=1234"

    row = ask(
        any_database.settings(tmp_path, url=SecretStr(url)),
        "SELECT current_setting('search_path'), current_setting('lock_timeout')",
    )

    assert row == ("app, public", "1234ms")


def test_search_path_of_the_url(database: Database, tmp_path: Path) -> None:
    """The schema that Atlas would bind itself to is read from a URL, and from nothing else."""
    assert url_search_path(database.settings(tmp_path)) is None
    url = database.url + "&search_path=my%20app"
    assert url_search_path(database.settings(tmp_path, url=SecretStr(url))) == "my app"
    assert url_search_path(Settings(service="x")) is None


def test_application_name_and_autocommit(database: Database, tmp_path: Path) -> None:
    """The connection says who it is from its start, and has no transaction open."""
    url = database.server.url(database.name, application_name="somebody")

    with connect(database.settings(tmp_path, url=SecretStr(url)), application_name="pgrollout/r/0") as connection:
        assert connection.autocommit
        assert connection.execute("SHOW application_name").fetchone() == ("pgrollout/r/0",)


# Other ways to name a server.


def test_variables_of_libpq(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PG* variables alone are enough."""
    parameters = database.parameters
    for variable, key in (("PGHOST", "host"), ("PGPORT", "port"), ("PGUSER", "user"), ("PGDATABASE", "dbname")):
        monkeypatch.setenv(variable, str(parameters[key]))

    assert ask(Settings(root=tmp_path), "SELECT current_database()::text") == (database.name,)


def test_service_file(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service is looked up where libpq looks it up."""
    lines = "".join(f"{key}={value}\n" for key, value in database.parameters.items())
    (tmp_path / "services").write_text(f"[reader]\n{lines}")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))

    assert ask(Settings(root=tmp_path, service="reader"), "SELECT current_database()::text") == (database.name,)


def test_unknown_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that nobody knows is a mistake of the configuration."""
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none"))

    with pytest.raises(LoginFailed), connect(Settings(service="absent"), application_name="pgrollout/test"):
        pass


def test_url_in_a_file(database: Database, tmp_path: Path) -> None:
    """A mounted secret with a newline at its end will do."""
    (tmp_path / "url").write_text(database.url + "\n")

    assert ask(Settings(root=tmp_path, url_file="url"), "SELECT current_database()::text") == (database.name,)


def test_first_host_is_dead(tls_database: Database, tls_server: TlsServer, tmp_path: Path) -> None:
    """With several hosts the first that answers is taken."""
    url = tls_server.tls_url(tls_database.name).replace("@localhost", f"@localhost:{free_port()},localhost")

    row = ask(Settings(root=tmp_path, url=SecretStr(url)), "SELECT current_database()::text")

    assert row == (tls_database.name,)


# TLS.


def test_client_certificate(tls_database: Database, tls_server: TlsServer, tmp_path: Path) -> None:
    """sslmode=verify-full with a client certificate, and no password."""
    url = tls_server.certificate_url(tls_database.name)

    row = ask(
        Settings(root=tmp_path, url=SecretStr(url)),
        "SELECT current_user::text, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    )

    assert row == ("cert_user", True)


def test_whole_run_over_tls(tls_database: Database, tls_server: TlsServer, tmp_path: Path) -> None:
    """A run over TLS by password, the environment of PostgreSQL's own programs included."""
    project = Project(tmp_path, tls_database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    settings = project.settings(url=SecretStr(tls_server.tls_url(tls_database.name)))

    project.apply(settings)
    with (
        connect(settings, application_name="pgrollout/test") as connection,
        programs.environment(connection, "psql") as environment,
    ):
        psql = subprocess.run(
            [tls_server.bin / "psql", "-XAtc", "SELECT current_user, count(*) FROM a"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip

    assert psql.stdout == "password_user|0\n"


def test_wrong_authority(tls_server: TlsServer) -> None:
    """A server whose certificate another authority signed is not talked to: exit code 2."""
    message = refused(LoginFailed, tls_server.tls_url(sslrootcert=str(tls_server.client_certificate)))

    assert "certificate" in message


def test_certificate_of_another_host(tls_server: TlsServer) -> None:
    """verify-full looks at the name."""
    refused(LoginFailed, tls_server.tls_url(host="127.0.0.1"))


def test_missing_certificate_file(tls_server: TlsServer, tmp_path: Path) -> None:
    """A root certificate that is not there is named."""
    assert str(tmp_path / "absent") in refused(LoginFailed, tls_server.tls_url(sslrootcert=str(tmp_path / "absent")))


def test_server_without_the_tls_that_was_asked_for(tls_server: TlsServer) -> None:
    """A connection without TLS is refused by the server, which waiting does not cure."""
    refused(LoginFailed, tls_server.tls_url(sslmode="disable"))


# Failures.


def test_wrong_password(tls_server: TlsServer) -> None:
    """Exit code 2, and neither the right nor the wrong password in the message."""
    url = tls_server.tls_url().replace(PASSWORD.replace(" ", "%20"), "wrong%20horse")

    message = refused(LoginFailed, url)

    assert "password authentication failed" in message
    assert "wrong" not in message
    assert LoginFailed.exit_code is ExitCode.USAGE


def test_unknown_database(database: Database) -> None:
    """A database that does not exist is a mistake, not something to wait for."""
    assert "does not exist" in refused(LoginFailed, database.server.url("no_such_database"))


def test_unknown_role(database: Database, tmp_path: Path) -> None:
    """A role that cannot be set is named."""
    settings = database.settings(tmp_path, role="nobody_here")

    with pytest.raises(LoginFailed, match="nobody_here"), connect(settings, application_name="pgrollout/test"):
        pass


def test_nobody_listens() -> None:
    """A server that is not there may come: exit code 75."""
    url = f"postgresql://somebody:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{free_port()}/d"

    message = refused(ServerUnavailable, url)

    assert "somebody" in message
    assert ServerUnavailable.exit_code is ExitCode.WAIT


def test_no_socket(tmp_path: Path) -> None:
    """A server whose socket is not there yet may come."""
    refused(ServerUnavailable, f"postgresql:///d?host={tmp_path}")


def test_server_goes_away_in_the_handshake() -> None:
    """A server that accepts TLS and ends just then is something to wait for."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as other:

        def accept_and_close() -> None:
            for answer in (b"S", b"N"):
                client, _ = listener.accept()
                with client:
                    client.recv(8)
                    client.sendall(answer)
                    client.recv(1)

        served = other.submit(accept_and_close)
        refused(ServerUnavailable, f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/d?sslmode=prefer")
        served.result(30)


def test_unknown_host() -> None:
    """A host that is not in the DNS yet may come."""
    refused(ServerUnavailable, "postgresql://absent.invalid/d")


def test_too_many_connections(database: Database) -> None:
    """A server without a free slot is something to wait for, and what allows more is named."""
    role = database.make_role("few", "LOGIN CONNECTION LIMIT 0")

    message = refused(NoConnectionLeft, database.server.url(database.name, user=role))

    assert "too many connections for role" in message
    assert "CONNECTION LIMIT" in message
    assert NoConnectionLeft.exit_code is ExitCode.WAIT


def test_one_connection_is_not_enough(database: Database, tmp_path: Path) -> None:
    """Where the second one is refused the run ends, keeps nothing from others, and the next one works."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "SELECT 1;\n"})
    project.apply()
    project.write({"2_b.sql": "SELECT 2;\n"})
    role = database.make_role("few", "LOGIN SUPERUSER")
    database.execute(f'ALTER ROLE "{role}" NOSUPERUSER CONNECTION LIMIT 1; GRANT ALL ON SCHEMA pgrollout TO "{role}"')
    for schema in ("pgrollout", "atlas_schema_revisions"):
        database.execute(
            f'GRANT ALL ON SCHEMA {schema} TO "{role}"; GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO "{role}"'
        )

    with pytest.raises(NoConnectionLeft, match="A run needs two connections at a time"):
        project.apply(project.settings(url=SecretStr(database.server.url(database.name, user=role))))

    assert [file.version for file in project.apply(project.settings(wait_for_run_ms=0)).applied] == ["2"]


def test_wait_for_an_answer_ends_with_the_servers_host(tls_server: TlsServer) -> None:
    """The kernel looks for a peer that says nothing within seconds, unless the URL says otherwise."""
    options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, TCP_USER_TIMEOUT]

    def chosen(**parameters: str) -> list[int]:
        settings = Settings(root=Path(), url=SecretStr(tls_server.tls_url(**parameters)))
        with (
            connect(settings, application_name="pgrollout/test") as connection,
            socket.socket(fileno=os.dup(connection.fileno())) as copy,
        ):
            return [copy.getsockopt(socket.IPPROTO_TCP, option) for option in options]

    assert chosen() == [5, 2, 3, 15_000]
    assert chosen(keepalives_idle="60", tcp_user_timeout="90000") == [60, 2, 3, 90_000]


def test_silence_ends_a_wait(database: Database, tmp_path: Path) -> None:
    """Where answers come at once, one that does not is given up, and the connection closed."""
    with (
        connecting(database.settings(tmp_path)) as open_connection,
        open_connection("pgrollout/test/watch") as connection,
    ):
        connection.given_up = silence(0.3)
        assert connection.execute("SELECT 1").fetchone() == (1,)

        with pytest.raises(psycopg.OperationalError, match="the server did not answer for 0 s"):
            connection.execute("SELECT pg_sleep(3600)")

        assert connection.closed
