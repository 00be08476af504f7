"""Random histories in their quick form, always the same ones; `python -m tests.histories` searches for hours."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.histories import judge
from tests.histories.files import MAY_REPEAT, File, Part, Piece, parts
from tests.histories.generate import histories
from tests.histories.history import Add, Apply, History, read
from tests.histories.play import play
from tests.histories.runs import Runs
from tests.kill_matrix.bench import Bench
from tests.kill_matrix.server_log import Entry

VERSIONS = (15, 16, 18)
EXAMPLES, LENGTH = 4, 4


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Servers that log everything."""
    bench = Bench()
    try:
        yield bench
    finally:
        bench.close()


@pytest.mark.postgres
@pytest.mark.parametrize("version", VERSIONS)
def test_when_the_dust_has_settled_all_is_as_if_undisturbed(version: int, bench: Bench) -> None:
    """Whatever happened: each statement took effect once, and schema, data, history and ledger are an undisturbed run's."""

    # Not shrunk: what fails is printed in full, and half an hour of ever smaller histories would be no help to anyone.
    @seed(version)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(LENGTH))
    def each(history: History) -> None:
        outcome = play(bench, history, version)
        assert not outcome.problems, f"{history}\n    {outcome}"

    each()


@settings(max_examples=50)
@given(histories())
def test_a_history_can_be_read_again(history: History) -> None:
    """What is printed of a history is what makes it again."""
    assert read(str(history)) == history


@given(st.sampled_from(Piece), st.booleans(), st.integers(1, 9))
def test_parts_know_how_many_statements_they_are(piece: Piece, txmode_none: bool, number: int) -> None:
    """A part is one statement, or a block with all of its statements."""
    file = File("1_x.sql", txmode_none, parts(piece, number, txmode_none=txmode_none))

    assert file.statements == file.text.count(";\n")
    assert file.parts_of(file.statements) == len(file.parts)


def test_what_needs_a_statement_goes_with_it() -> None:
    """Who writes something else in the place of a statement leaves out what needed it."""
    file = File("1_x.sql", False, [*parts(Piece.ENUM, 1, txmode_none=False), *parts(Piece.ROW, 2, txmode_none=False)])

    file.replace(0, [Part(3, "SELECT 3")])

    assert [part.number for part in file.parts] == [3, 2]


def test_the_judge_sees_who_writes_out_of_turn() -> None:
    """A run that writes after a newer token did, or with another run's token, is named; so is a statement edited away."""
    entries = [
        Entry("a", "pgrollout/one/1", "INSERT INTO mark VALUES (1)", ended_well=True),
        Entry("b", "pgrollout/two/2", "INSERT INTO mark VALUES (2)", ended_well=True),
        Entry("a", "pgrollout/one/1", "INSERT INTO mark VALUES (3)", ended_well=True),
        Entry("c", "pgrollout/three/2", "INSERT INTO mark VALUES (4)", ended_well=True),
    ]

    assert [problem.rpartition("(")[2] for problem in judge.turns(entries)] == ["3)", "4)"]
    assert len(judge.strangers({"INSERT INTO mark VALUES (2)"}, MAY_REPEAT, entries)) == 1


@pytest.mark.postgres
def test_the_judge_sees_a_statement_that_took_effect_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that vanishes from the history makes a file run again, and that is told."""
    settle = Runs.settle

    def forget_and_settle(runs: Runs) -> None:
        runs.project.database.execute("DELETE FROM atlas_schema_revisions.atlas_schema_revisions WHERE version = '200'")
        settle(runs)

    monkeypatch.setattr(Runs, "settle", forget_and_settle)

    outcome = play(bench, History((Add((Piece.ROW,)), Apply())), 18)

    assert any("took effect 2 times, says the server's log: INSERT INTO mark" in each for each in outcome.problems)
