"""Direct mode: the hook's Job runs all stages itself; there is no Prefect."""

import pytest

from tests.e2e.cluster import Failed, Namespace
from tests.e2e.images import Images
from tests.e2e.servers import Postgres, PrefectServer
from tests.e2e.shop import Shop


@pytest.fixture(scope="module")
def shop(namespace: Namespace, postgres: Postgres, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop, nothing of it installed."""
    nowhere = PrefectServer(namespace, "nobody:nothing")
    return Shop(namespace, postgres, nowhere, images, tmp_path_factory.mktemp("shop") / "migrations")


def test_the_hook_migrates_before_the_release(shop: Shop) -> None:
    """On the first install, and again with nothing to do; there is no runner, and no Job for each stage."""
    shop.write("CREATE TABLE goods (id int PRIMARY KEY);\nINSERT INTO goods VALUES (1);\n")

    shop.helm(shop.direct_values())
    shop.helm(shop.direct_values())

    assert shop.applied() == ["0001"]
    assert "no migration is pending" in shop.namespace.run("kubectl", "logs", "job/shop-pgrollout-migrate")
    assert shop.namespace.items("job", pgrollout_stage="apply") == []
    assert shop.namespace.get("deployment", "shop-pgrollout-runner") == {}


def test_a_failing_migration_stops_the_release(shop: Shop) -> None:
    """The log of the failed Job stays, and the database is as it was; without the migration the release goes out."""
    shop.postgres.execute("INSERT INTO goods VALUES (99)")  # what no shadow can know
    (bad,) = shop.write("ALTER TABLE goods ADD COLUMN price int;\nUPDATE goods SET price = 1 / (99 - id);\n")

    with pytest.raises(Failed, match="pre-upgrade hooks failed"):
        shop.helm(shop.direct_values())

    assert "division by zero" in shop.namespace.run("kubectl", "logs", "job/shop-pgrollout-migrate")
    assert shop.applied() == ["0001"]
    assert "failed" in shop.namespace.run("helm", "status", shop.release)
    shop.remove(bad)
    shop.helm(shop.direct_values())
