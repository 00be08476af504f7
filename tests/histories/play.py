"""
Play: has a history happen, with real runs on a real server, and lets the dust settle.

Each run must end as the files let expect, and what a person is asked for is done. Then runs go to their end until nothing is
left to do, and a project that nobody ever disturbed gets the same files: what is in the two databases must be the same.
"""

from collections.abc import Collection
from dataclasses import dataclass

import psycopg

from tests.histories import judge
from tests.histories.files import BASE, MAY_REPEAT
from tests.histories.history import Die, History
from tests.histories.runs import DONE, Runs
from tests.kill_matrix import oracle
from tests.kill_matrix.bench import Bench
from tests.kill_matrix.case import Way
from tests.kill_matrix.scenarios import FILE_1, Scenario
from tests.project import Project


@dataclass(frozen=True)
class Outcome:
    """What became of a history."""

    problems: tuple[str, ...]
    """Empty if all is well."""
    story: tuple[str, ...]
    """What happened."""

    def __str__(self) -> str:
        return "\n    ".join([*self.problems, "How it went:", *self.story])


def play(bench: Bench, history: History, version: int) -> Outcome:
    """Have a history happen on a server of this version."""
    bench.logged(version).log.skip()
    base, first = (None, {FILE_1: BASE}) if history.is_empty else (BASE, {})
    picture = None
    with bench.project(Scenario("random history", first, base), version) as project:
        runs = Runs(bench, project)
        problems = runs.problems
        try:
            with runs.until_all_have_ended():
                for step in history.steps:
                    runs.do(step)
                runs.settle()
            files = first | {file.name: file.text for file in runs.desk.files}
            scenario = Scenario("random history", files, base, may_repeat=MAY_REPEAT)
            if not problems:
                has_crashed = any(isinstance(step, Die) and step.way is Way.CRASH for step in history.steps)
                problems += _left(bench, project, scenario, runs.desk.statements, may_be_lost=has_crashed)
                picture = oracle.picture(project.database)
        except (AssertionError, psycopg.Error, OSError) as error:
            problems.append(f"{type(error).__name__}: {error}")
    if picture is not None:
        problems += _undisturbed(bench, scenario, version).differences(picture)
    return Outcome(tuple(problems), tuple(runs.story))


def _left(
    bench: Bench, project: Project, scenario: Scenario, statements: Collection[str], *, may_be_lost: bool
) -> list[str]:
    """Return what is wrong with what all the runs did, and with what they left."""
    database = project.database
    entries = bench.logged(database.server.version).log.read(database)
    edited_away = set(statements) - scenario.statements
    return [
        *oracle.effects(scenario, database, entries, may_be_lost=may_be_lost),
        *(judge.strangers(edited_away, MAY_REPEAT, entries)),
        *judge.turns(entries),
        *oracle.carcasses(database),
        *oracle.left_behind(database),
        *oracle.records(project),
    ]


def _undisturbed(bench: Bench, scenario: Scenario, version: int) -> oracle.Picture:
    """Return what the same files make of a database that nobody disturbs."""
    with bench.project(scenario, version) as project:
        run = bench.start(project, "apply")
        code = run.wait()
        assert code == DONE, f"undisturbed, a run ended with {code}: {run.said}"
        return oracle.picture(project.database)
