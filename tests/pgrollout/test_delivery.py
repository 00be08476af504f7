"""Delivery: what a stage had to say arrives whole, or not at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout import delivery
from pgrollout.delivery import MESSAGE_BYTES, Outcome
from pgrollout.errors import UnknownVersion

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
long_texts = st.builds(lambda text, count: text * count, texts, st.integers(0, 400))


@given(st.integers(0, 255), long_texts, texts, long_texts, st.lists(texts, max_size=3))
def test_an_outcome_comes_back_from_a_log(code: int, summary: str, error: str, report: str, other: list[str]) -> None:
    """Among other lines, whatever is in it; no line is one that a container's log would cut."""
    outcome = Outcome(code, summary, error, report)
    written = delivery.lines(outcome)
    notice = delivery.read_notice(delivery.notice(outcome).to_json())

    assert notice is not None
    assert delivery.read_outcome([*other, *written, *other], notice.sha256) == outcome
    assert max(len(line.encode()) for line in written) <= delivery.LINE_BYTES
    assert not any("\n" in line for line in written)


@given(long_texts)
def test_a_notice_fits_into_a_termination_message(summary: str) -> None:
    """However long the error is."""
    text = delivery.notice(Outcome(1, summary, "ReplayFailed")).to_json()

    assert len(text.encode()) <= MESSAGE_BYTES
    assert json.loads(text)["exit_code"] == 1


def test_a_log_that_was_cut_is_not_believed() -> None:
    """Nor one with another's outcome: the digest decides."""
    outcome = Outcome(0, "done", report="".join(str(number) for number in range(50_000)))
    written = delivery.lines(outcome)
    sha256 = delivery.notice(outcome).sha256

    assert len(written) > 3
    assert delivery.read_outcome(written[:-1], sha256) is None
    assert delivery.read_outcome([*written[:1], *written[2:]], sha256) is None
    assert delivery.read_outcome(delivery.lines(Outcome(0, "another")), sha256) is None


@pytest.mark.parametrize("message", ["", "Killed", "[]", '{"exit_code": 0}', "null"])
def test_what_is_no_notice_is_none(message: str) -> None:
    """As when the process was killed before it could write one."""
    assert delivery.read_notice(message) is None


def test_errors_keep_class_sentence_and_code() -> None:
    """Those of ours by their class; an interrupt and a crash by the table."""
    refused = delivery.failed(UnknownVersion("20260101", "20250101"))

    assert (refused.exit_code, refused.error) == (2, "UnknownVersion")
    assert "20260101" in refused.summary
    assert delivery.failed(KeyboardInterrupt()).exit_code == 75
    assert delivery.failed(ZeroDivisionError("by zero")) == Outcome(
        1, "ZeroDivisionError: by zero", "ZeroDivisionError"
    )
