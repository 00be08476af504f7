"""Plans: what is decided is in the digest, what fluctuates is not, and no password is in them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout.content import read_content
from pgrollout.errors import StateCrosses, UnreadableFile
from pgrollout.history import ExecOrder, Pending, Revision, pending
from pgrollout.migration import Migration
from pgrollout.plan import Plan, make_plan
from pgrollout.release import release_of
from pgrollout.segments import Kind
from pgrollout.sum_file import sum_of
from tests.pgrollout.history_rows import row

FILES = {
    "1_a.sql": "-- Why.\nCREATE TABLE a (id int);\nALTER ROLE x PASSWORD 'S3cret';\n",
    "2_b.sql": "-- atlas:txmode none\n-- pgrollout:stall_budget 2s\n\nCREATE INDEX CONCURRENTLY b ON a (id);\nSELECT 2;\n",
    "3_c.sql": "",
}


def plan(
    files: Mapping[str, str] = FILES, rows: tuple[Revision, ...] = (), todo: Pending | None = None, **values: Any
) -> Plan:
    """The plan for these files and rows."""
    migrations = [Migration(name, text.encode()) for name, text in files.items()]
    todo = todo or pending(migrations, rows, order=ExecOrder.NON_LINEAR, baseline=values.pop("baseline", None))
    computed = sum_of(migrations)
    given_values: dict[str, Any] = {
        "database": "reader",
        "release": release_of(migrations, computed).digest,
        "current": rows[-1].version if rows else None,
        "backup": "dump",
    }
    return make_plan(
        pending=todo,
        contents={m.name: read_content(m) for m in todo.migrations},
        hashes={m.name: computed.hash_of(m.name) or "" for m in migrations},
        **{**given_values, **values},
    )


def test_a_plan_has_every_statement_with_its_place() -> None:
    """File, segment and statement, in order, each with number, line, byte offset and digest."""
    made = plan()

    assert [(file.name, file.version, file.description) for file in made.files] == [
        ("1_a.sql", "1", "a"),
        ("2_b.sql", "2", "b"),
        ("3_c.sql", "3", "c"),
    ]
    first, second, third = made.files
    assert [segment.kind for segment in first.segments] == [Kind.TRANSACTION]
    assert [(s.number, s.line, s.offset) for s in first.segments[0].statements] == [(1, 2, 8), (2, 3, 33)]
    assert [segment.kind for segment in second.segments] == [Kind.ALONE, Kind.STATEMENT]
    assert second.stall_budget_ms == 2000
    assert third.segments[0].statements == ()
    assert made.statement_count == 4


def test_a_plan_says_its_format() -> None:
    """Whoever stores a plan can tell how to read it; the format is part of what the digest covers."""
    made = plan()

    stored = made.model_dump(mode="json")

    assert stored["format_version"] == 3
    assert list(stored) == [
        "format_version", "database", "release", "current", "baseline", "backup", "stall_budget_ms", "files",
    ]  # fmt: skip
    assert made.model_copy(update={"format_version": 4}).digest != made.digest


SPLIT = """\
ALTER TYPE mood ADD VALUE 'calm';
CREATE TABLE made (id int);
CREATE INDEX CONCURRENTLY ON made (id);
CREATE INDEX CONCURRENTLY i ON app.t (a);
VACUUM FULL app.t;
"""


def test_every_choice_has_its_reason() -> None:
    """What runs how, why, and what apply is left to choose by which rule."""
    made = plan({"1_a.sql": SPLIT, "2_b.sql": FILES["2_b.sql"]}, small_table_bytes=512 * 1024)

    assert [(segment.kind, segment.reason) for file in made.files for segment in file.segments] == [
        (
            Kind.TRANSACTION,
            "one transaction, beside what cannot run in it; "
            "statement 3 builds its index in plain form, for its table is made here; "
            "cut after statement 1 if the server asks for it (55P04)",
        ),
        (
            Kind.ALONE,
            "CREATE INDEX CONCURRENTLY cannot run in a transaction; "
            "online, or in plain form inside the file's transaction while app.t has at most 512 KiB",
        ),
        (
            Kind.ALONE,
            "VACUUM FULL cannot run in a transaction; within the stall budget, for everybody else waits for it",
        ),
        (
            Kind.ALONE,
            "CREATE INDEX CONCURRENTLY cannot run in a transaction; "
            "online, or in plain form in a transaction while a has at most 512 KiB",
        ),
        (Kind.STATEMENT, "txmode none: each statement commits by itself, outside a transaction where it must"),
    ]


@pytest.mark.parametrize(("size_bytes", "shown"), [(0, "0 bytes"), (1000, "1000 bytes"), (3 * 1024 * 1024, "3 MiB")])
def test_a_size_is_shown_in_its_largest_unit(size_bytes: int, shown: str) -> None:
    """As it was set."""
    (file,) = plan({"1_a.sql": "CREATE INDEX CONCURRENTLY i ON t (a);"}, small_table_bytes=size_bytes).files

    assert file.segments[0].reason.endswith(f"while t has at most {shown}")


def test_a_file_that_loses_something_where_it_is_cut_has_no_plan() -> None:
    """Neither has one that loses it where it is continued."""
    with pytest.raises(StateCrosses, match="what SET LOCAL sets"):
        plan({"1_a.sql": "SET LOCAL a.b = 'c'; CREATE INDEX CONCURRENTLY i ON t (a);"})
    continued = {"1_a.sql": "-- atlas:txmode none\n\nCREATE TEMP TABLE x (a int); SELECT 1; TABLE x;"}
    plan(continued)
    with pytest.raises(StateCrosses, match="temporary table x"):
        plan(continued, rows=(row("1", 1, 3),))


def test_no_password_is_in_a_plan() -> None:
    """It is masked where it is shown; the digest covers the statement as it is."""
    made = plan()

    assert "S3cret" not in made.model_dump_json()
    assert made.digest != plan({**FILES, "1_a.sql": FILES["1_a.sql"].replace("S3cret", "other")}).digest


def test_the_digest_does_not_depend_on_the_database() -> None:
    """Two databases at the same version have the same plan."""
    assert plan(database="reader").digest == plan(database="writer").digest


@pytest.mark.parametrize(
    "other",
    [
        {"release": "sha256:0"},
        {"current": "0"},
        {"backup": "none"},
        {"stall_budget_ms": 500},
        {"small_table_bytes": 0},
        {"baseline": "1"},
        {"files": {**FILES, "3_c.sql": "SELECT 3;"}},
        {"files": {name: FILES[name] for name in ("1_a.sql", "2_b.sql")}},
        {"files": {**FILES, "2_b.sql": FILES["2_b.sql"].replace("2s", "3s")}},
        {"rows": (row("1"),)},
        {"rows": (row("1", 1, 2),)},
    ],
)
def test_the_digest_covers_what_is_decided(other: dict[str, Any]) -> None:
    """Release, version, backup, files, what they ask for, and where they are resumed."""
    assert plan(**other).digest != plan().digest


def test_the_digest_survives_json() -> None:
    """A plan that was stored and read again is the same plan."""
    made = plan()

    assert Plan.model_validate_json(made.model_dump_json()) == made
    assert Plan.model_validate_json(made.model_dump_json()).digest == made.digest


def test_a_partial_file_continues_after_what_ran() -> None:
    """Only the statements that are left are in the plan, with their numbers in the file."""
    made = plan(rows=(row("1"), row("2", 1, 2)))

    assert made.files[0].resumes_after == 1
    assert [s.number for segment in made.files[0].segments for s in segment.statements] == [2]
    assert made.files[1].resumes_after == 0


def test_a_file_that_is_out_of_order_is_marked() -> None:
    """A reviewer sees that it runs before what is already there."""
    assert [file.out_of_order for file in plan(rows=(row("1"), row("3"))).files] == [True]
    assert [file.out_of_order for file in plan(rows=(row("1"),)).files] == [False, False]


def test_nothing_to_run_needs_no_backup() -> None:
    """Then a plan is empty, whatever the settings say."""
    made = plan(rows=(row("9"),), current="9")

    assert (made.files, made.backup, made.statement_count) == ((), "none", 0)


def test_a_baseline_is_in_the_plan() -> None:
    """What is recorded without being run, is something that is done."""
    made = plan(baseline="1")

    assert (made.baseline, [file.name for file in made.files]) == ("1", ["2_b.sql", "3_c.sql"])


def test_a_file_that_cannot_be_run_has_no_plan() -> None:
    """Better now than in the middle of a run."""
    with pytest.raises(UnreadableFile, match="never ended"):
        plan({"1_a.sql": "-- atlas:txmode none\n\nBEGIN;\nSELECT 1;\n"})


@given(st.text("a;é \n", max_size=20), st.text("a;é \n", max_size=20))
def test_equal_digests_mean_equal_files(one: str, other: str) -> None:
    """Two directories have the same plan only if every byte is the same."""
    same = plan({"1_a.sql": one}).digest == plan({"1_a.sql": other}).digest

    assert same is (one == other)
