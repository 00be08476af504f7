"""Logs of the command line: a line for a person, or one JSON object whatever the event says."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout import __version__
from pgrollout.commands.logs import JsonFormatter, TextFormatter, set_up_logging
from pgrollout.log_fields import about
from tests.project import Project
from tests.servers import Database


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    """Leave the package's logger as other tests expect it."""
    logger = logging.getLogger("pgrollout")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def record(message: str, *values: object, level: int = logging.INFO) -> logging.LogRecord:
    """A log record of the package."""
    return logging.LogRecord("pgrollout.x", level, __file__, 1, message, values, None)


def as_json(message: str, *values: object) -> dict[str, Any]:
    """The JSON line as a dictionary."""
    line = JsonFormatter().format(record(message, *values))
    assert "\n" not in line
    fields = json.loads(line)
    assert isinstance(fields, dict)
    return fields


def test_an_event_becomes_fields() -> None:
    """The fixed phrase, and each value under its key: quantities as numbers, a version as the text that it is."""
    fields = as_json("migration applied version=%s statements=%d duration_ms=%d", "20260314091500", 3, 17)

    assert fields["event"] == "migration applied"
    assert (fields["version"], fields["statements"], fields["duration_ms"]) == ("20260314091500", 3, 17)
    assert (fields["level"], fields["logger"], fields["pgrollout"]) == ("info", "pgrollout.x", __version__)
    assert fields["time"].endswith("+00:00")


def test_an_event_says_what_it_is_about() -> None:
    """Run, stage and database while they last; what the event itself says counts, and others' events stay as they are."""
    with about(run="r1", stage="apply", database=""), about(database="shop", version="2"):
        ours, own = as_json("waiting"), as_json("migration applied version=%s", "3")
        others = JsonFormatter().format(logging.LogRecord("prefect.x", logging.INFO, __file__, 1, "hello", None, None))
    after = as_json("waiting")

    assert {key: ours[key] for key in ("run", "stage", "database", "version")} == {
        "run": "r1",
        "stage": "apply",
        "database": "shop",
        "version": "2",
    }
    assert own["version"] == "3"
    assert not {"run", "stage", "database", "version"} & (set(json.loads(others)) | set(after))


def test_each_event_of_a_stage_is_about_it(tmp_path: Path, database: Database) -> None:
    """The command line's log names the run, which has the same name in the ledger, and the version at which it failed."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "SELECT 1/0;\n"})

    done = project.run("apply", "--log-format=json")

    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert lines
    ((run,),) = database.execute("SELECT id FROM pgrollout.run")
    assert {(line["run"], line["stage"], line["database"]) for line in lines} == {(run, "apply", "default")}


def test_a_quoted_value_is_one_field() -> None:
    """Spaces in a value are kept by quotes, and letters by UTF-8."""
    assert as_json('still running elapsed_seconds=20 doing="dumping é now"')["doing"] == "dumping é now"


def test_a_field_cannot_pose_as_another() -> None:
    """A value named like one of ours gets a name of its own."""
    fields = as_json("odd level=%s time=%s", "high", "now")

    assert (fields["level"], fields["level_"], fields["time_"]) == ("info", "high", "now")


@given(st.text(), st.text())
def test_any_text_can_be_logged(event: str, value: str) -> None:
    """Quotes, line breaks and odd digits in a value neither break the line nor the program."""
    fields = as_json('%s elapsed_seconds=%s doing="%s"', event, value, value)

    assert {"time", "level", "event", "logger", "pgrollout"} <= set(fields)


def test_odd_digits_are_no_number() -> None:
    """``²`` is a digit to Python, and no integer."""
    assert as_json("odd elapsed_seconds=²")["elapsed_seconds"] == "²"


def test_an_exception_is_a_field() -> None:
    """Its traceback is in the same JSON object."""
    try:
        raise ValueError("no")
    except ValueError:
        found = record("odd")
        found.exc_info = sys.exc_info()

    assert json.loads(JsonFormatter().format(found))["exception"].endswith("ValueError: no")


@pytest.mark.parametrize(
    ("level", "line"),
    [(logging.DEBUG, "x"), (logging.INFO, "x"), (logging.WARNING, "Warning: x"), (logging.ERROR, "Error: x")],
)
def test_a_person_reads_sentences(level: int, line: str) -> None:
    """Warnings and errors say what they are."""
    assert TextFormatter().format(record("x", level=level)) == line


@pytest.mark.parametrize(("log_format", "expected"), [("text", "Warning: x\n"), ("json", None), (None, None)])
def test_the_form_is_as_asked_or_as_fits(
    log_format: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text for a person, JSON for a file; each line once, on stderr, also when set up twice."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up_logging(log_format, verbose=False)
    set_up_logging(log_format, verbose=False)

    logging.getLogger("pgrollout.x").debug("not shown")
    logging.getLogger("pgrollout.x").warning("x")

    if expected is None:
        assert json.loads(stderr.getvalue())["event"] == "x"
    else:
        assert stderr.getvalue() == expected


def test_verbose_shows_debug_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--verbose`` shows one line per statement."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    set_up_logging("text", verbose=True)

    logging.getLogger("pgrollout.x").debug("shown")

    assert stderr.getvalue() == "shown\n"


def test_blocks_that_end_in_any_order_leave_nothing() -> None:
    """As those of two threads do."""
    first, second = about(run="r1"), about(run="r2")
    first.__enter__()
    second.__enter__()

    first.__exit__(None, None, None)
    during = as_json("waiting")
    second.__exit__(None, None, None)

    assert during["run"] == "r2"
    assert "run" not in as_json("waiting")
