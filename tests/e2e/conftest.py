"""What the tests of the cluster share; each module of tests has a namespace of its own, with its own servers in it."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, Namespace, Unavailable, find
from tests.e2e.images import Images
from tests.e2e.servers import Postgres, PrefectServer, start_postgres, start_prefect
from tests.servers import missing


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder, before ``-m`` chooses."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what there is in the namespace: pods, events, the ends of their logs."""
    report = yield
    namespace = getattr(item, "funcargs", {}).get("namespace")
    if report.failed and isinstance(namespace, Namespace):
        report.sections.append((f"namespace {namespace.name}", namespace.describe()))
    return report


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster, started if need be."""
    try:
        return find()
    except Unavailable as error:
        missing("cluster", str(error))


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    """The images; each is built and loaded when it is first asked for."""
    return Images(cluster)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace with pod security ``restricted`` enforced."""
    with cluster.namespace(request.module.__name__.rpartition(".")[2].removeprefix("test_")) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def postgres(namespace: Namespace, images: Images) -> Postgres:
    """PostgreSQL with TLS, the database ``reader`` in it empty."""
    return start_postgres(namespace, images.postgres())


@pytest.fixture(scope="module")
def prefect_server(postgres: Postgres, images: Images) -> PrefectServer:
    """Prefect's server on the same PostgreSQL."""
    return start_prefect(postgres, images.tool())
