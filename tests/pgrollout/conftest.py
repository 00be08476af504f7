"""What the tests of the core library share."""

from collections.abc import Iterator

import pytest

from tests.atlas_oracle import Oracle, build


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Atlas's own library."""
    with Oracle(build(tmp_path_factory.mktemp("oracle"))) as oracle:
        yield oracle
