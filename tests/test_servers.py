"""The servers that the tests use: they are what their fixtures say."""

import psycopg
import pytest

from tests.servers import Database, Poolers, TlsServer


def test_a_database_is_empty_and_its_own(any_database: Database) -> None:
    """Each version gives the test an empty UTF-8 database, in which it may make what it wants."""
    version, encoding, tables = any_database.execute(
        "SELECT current_setting('server_version_num')::int / 10000, getdatabaseencoding(), "
        "(SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
    )[0]

    assert (version, encoding, tables) == (any_database.server.version, "UTF8", 0)


def test_tls_by_password_and_by_certificate(tls_server: TlsServer, tls_database: Database) -> None:
    """The TLS server lets in the password's and the certificate's user, encrypted, and nobody for another host name."""
    for url in (tls_server.tls_url(tls_database.name), tls_server.certificate_url(tls_database.name)):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)

    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(tls_server.tls_url(tls_database.name, host="127.0.0.1"))


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_stands_in_between(pgbouncer: Poolers, tls_database: Database, mode: str) -> None:
    """Through the pooler the database is reached, and the process id of the start-up is not the backend's."""
    with psycopg.connect(getattr(pgbouncer, mode).url(tls_database.name), autocommit=True) as connection:
        row = connection.execute("SELECT current_database(), pg_backend_pid()").fetchone()
        pid = connection.info.backend_pid

    assert row is not None
    assert row[0] == tls_database.name
    assert row[1] != pid


def test_roles_go_with_the_database(database: Database) -> None:
    """A role that a test makes has the database's name in its own, so that two tests never meet."""
    role = database.make_role("app")

    assert role == f"{database.name}_app"
    assert database.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", role) == [(True,)]
