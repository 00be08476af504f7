"""Contention: nobody waits longer than the stall budget because of a migration."""

from pathlib import Path

import pytest

from tests.contention.scenarios import SCENARIOS, Scenario
from tests.contention.scene import Scene, Tool
from tests.servers import Database

QUICK = {scenario.play.__name__: scenario for scenario in SCENARIOS if scenario.quick}


@pytest.mark.parametrize("scenario", QUICK.values(), ids=QUICK)
def test_nobody_waits_longer_than_the_budget(scenario: Scenario, database: Database, tmp_path: Path) -> None:
    """In no sample has anyone waited for longer, nothing of the application fails, and apply ends as it should."""
    scene = Scene(database, tmp_path)

    scenario.play(scene)

    outcome = scene.outcome()
    broken = scenario.broken(outcome, scene.budget_ms)
    assert not broken, outcome.said


@pytest.mark.parametrize("name", ["long_report", "parallel_dump", "slow_index"])
def test_psql_breaks_what_is_promised(name: str, database: Database, tmp_path: Path) -> None:
    """The same scenarios with psql: the sampler sees a reader and a writer wait, and a dump die."""
    scene = Scene(database, tmp_path, Tool.PSQL)

    QUICK[name].play(scene)

    assert list(scene.outcome().broken(scene.budget_ms))
