"""What the tests of what talks to a server share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrollout.postgres import clusters
from tests.servers import give


@pytest.fixture
def cluster_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of clusters that is this test's own, where the servers' account reaches it."""
    folder = Path(tempfile.mkdtemp(prefix="pgr-test-", dir="/tmp")).resolve()
    give(folder)
    monkeypatch.setattr(clusters, "folder", lambda _: folder)
    try:
        yield folder
    finally:
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink()
