"""
What tests share: real servers, started when the first test needs them, and a fresh database for each test.

A test that uses one of these fixtures has the marker ``postgres`` without saying so.
"""

import shutil
from collections.abc import Iterator

import hypothesis
import pytest

from tests.servers import Database, Poolers, Server, Servers, TlsServer, fresh_database

# How long an example takes says something about the machine's other work, nothing about the code.
hypothesis.settings.register_profile("pgrollout", deadline=None)
hypothesis.settings.load_profile("pgrollout")

NEED_A_SERVER = {"server", "any_server", "tls_server", "pgbouncer", "database", "any_database", "tls_database"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, before ``-m`` chooses."""
    for item in items:
        if NEED_A_SERVER.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("postgres")


@pytest.fixture(scope="session", autouse=True)
def no_data_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove what root's embedded servers keep outside the projects that tests made."""
    yield
    for location in tmp_path_factory.getbasetemp().rglob(".pgrollout/postgres/root/location"):
        shutil.rmtree(location.read_text().strip(), ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """All servers; nothing is started until it is asked for."""
    servers = Servers()
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="session")
def server(servers: Servers) -> Server:
    """PostgreSQL 18, the version of the embedded server."""
    return servers.get(18)


@pytest.fixture(scope="session", params=[15, 16, 18])
def any_server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Each version that there is, one after the other."""
    return servers.get(request.param)


@pytest.fixture(scope="session")
def tls_server(servers: Servers) -> TlsServer:
    """PostgreSQL 15 that also listens on TCP, with TLS only."""
    return servers.tls()


@pytest.fixture(scope="session")
def pgbouncer(servers: Servers) -> Poolers:
    """PgBouncer in front of PostgreSQL 15, whose databases are those of ``tls_database``."""
    return servers.poolers()


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database of this test's own on PostgreSQL 18."""
    with fresh_database(server) as database:
        yield database


@pytest.fixture
def any_database(any_server: Server) -> Iterator[Database]:
    """An empty database of this test's own, on each version."""
    with fresh_database(any_server) as database:
        yield database


@pytest.fixture
def tls_database(tls_server: TlsServer) -> Iterator[Database]:
    """An empty database of this test's own on PostgreSQL 15, which TLS and PgBouncer reach too."""
    with fresh_database(tls_server) as database:
        yield database
