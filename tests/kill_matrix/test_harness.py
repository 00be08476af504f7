"""The harness itself: a judge that lets everything pass would be worse than none."""

import pytest

from tests.kill_matrix.case import Boundary, Case, Phase, Way
from tests.kill_matrix.choosing import common_messages, pairs, pairwise
from tests.kill_matrix.labels import UNKNOWN, label_of
from tests.kill_matrix.proxy import Side
from tests.kill_matrix.server_log import Entry, took_effect
from tests.kill_matrix.sql import commands

ONE, TWO = "INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (2)"


def test_commands_are_what_the_server_executes() -> None:
    """Comments, literals, quoted names and dollar quotes hide what looks like a command."""
    text = "BEGIN; -- one; two\nINSERT  INTO \"a;b\" VALUES ('c;''d', $x$;$x$) /* ; */;\nCREATE INDEX CONCURRENTLY i ON a (b)"

    assert commands(text) == [
        "BEGIN",
        "INSERT INTO \"a;b\" VALUES ('c;''d', $x$;$x$)",
        "CREATE INDEX i ON a (b)",
    ]


@pytest.mark.parametrize(
    ("messages", "effects"),
    [
        ([(ONE, True)], [ONE]),
        ([(ONE, False)], []),
        ([(f"BEGIN; {ONE}; COMMIT", True)], [ONE]),
        ([(f"BEGIN; {ONE}; COMMIT", False), ("ROLLBACK", True)], []),
        ([(f"BEGIN; {ONE}", True), (f"{TWO}; COMMIT", True)], [ONE, TWO]),
        ([(f"BEGIN; {ONE}", True), (TWO, False), ("COMMIT", True)], []),
        ([(f"BEGIN; {ONE}", True), ("ROLLBACK", True), (TWO, True)], [TWO]),
        ([(f"BEGIN; {ONE}; SAVEPOINT s; ROLLBACK TO s; COMMIT", True)], [ONE, "SAVEPOINT s", "ROLLBACK TO s"]),
        ([(f"BEGIN; {ONE}", True)], []),
    ],
)
def test_what_the_log_says_took_effect(messages: list[tuple[str, bool]], effects: list[str]) -> None:
    """A command took effect if its message ended well and its transaction was committed."""
    entries = [Entry("session", "pgrollout/run/1", text, ended_well) for text, ended_well in messages]

    assert [command for command, _ in took_effect(entries)] == effects


def test_a_new_message_has_no_label() -> None:
    """What nobody has thought of is not taken for something else."""
    assert label_of(Side.WORK, "NOTIFY somebody", {ONE}) == UNKNOWN
    assert label_of(Side.WORK, f"BEGIN; {ONE}; COMMIT", {ONE}) == "segment"
    assert label_of(Side.WORK, ONE, {ONE}) == "alone"
    assert label_of(Side.WORK, f"SELECT '{ONE}'", {ONE}) == "look"


def test_every_pair_is_chosen() -> None:
    """The quick form leaves out cases, and no pair."""
    cases = [
        Case(scenario, Boundary(Side.WORK, label, 1, phase), way, version)
        for scenario in ("one", "two", "three")
        for label in ("start", f"segment of {scenario}")
        for phase in Phase
        for way in Way
        for version in (15, 18)
    ]

    chosen, common = pairwise(cases), common_messages(cases)

    assert common == {f"message {Side.WORK} start"}
    assert {pair for case in chosen for pair in pairs(case, common)} == {
        pair for case in cases for pair in pairs(case, common)
    }
    assert len(chosen) < len(cases) / 5
