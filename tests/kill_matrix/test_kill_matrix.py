"""The kill matrix in its quick form: every two things that can meet do meet in a case; `make kill-matrix` runs all cases."""

import pytest

from tests.kill_matrix.case import Case
from tests.kill_matrix.choosing import pairwise
from tests.kill_matrix.running import VERSIONS, matrix

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "version", [pytest.param(each, marks=pytest.mark.long if each == 16 else ()) for each in VERSIONS]
)
def test_whatever_dies_each_statement_takes_effect_once(version: int) -> None:
    """Killed anywhere, in any way, and run again: all is as if nobody had disturbed it."""
    with matrix(2) as (made, pool):  # each waits more than it works
        made.look(pool, versions=[version])
        # The cases of all versions are chosen together; another of these tests runs those of another.
        everywhere = [Case(case.scenario, case.boundary, case.way, each) for case in made.cases() for each in VERSIONS]
        cases = [case for case in pairwise(everywhere) if case.version == version]
        failed = [str(result) for result in made.run(pool, cases) if result.problems]

    assert made.failures == []
    assert "\n".join(failed) == ""
