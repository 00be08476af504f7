"""Plans as text: what a person reads before saying yes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout.plan import Plan, PlannedFile, PlannedSegment, PlannedStatement
from pgrollout.plan_text import LINES_PER_STATEMENT, as_markdown, as_text
from pgrollout.segments import Kind


def plan(*texts: str, **values: object) -> Plan:
    """A plan of one file with these statements."""
    statements = tuple(
        PlannedStatement(number=number, line=number, offset=0, sha256="0" * 64, text=text)
        for number, text in enumerate(texts, 1)
    )
    segment = PlannedSegment(kind=Kind.TRANSACTION, reason="the file is one transaction", statements=statements)
    file = PlannedFile(
        name="2_b.sql", version="2", description="b", hash="h", out_of_order=False, resumes_after=0, stall_budget_ms=None,
        segments=(segment,),
    )  # fmt: skip
    made = Plan(
        database="reader", release="sha256:1", current="1", baseline=None, backup="dump", stall_budget_ms=1000, files=(file,)
    )  # fmt: skip
    return made.model_copy(update=values)


def test_a_plan_reads_top_down() -> None:
    """What, from where, what before, under which digests, and then each statement with its line."""
    made = plan("SELECT 1;", "CREATE TABLE a (\n    id int\n);")

    assert as_text(made).splitlines() == [
        "Plan for reader: 1 migration, 2 statements",
        "Current version: 1",
        "Backup before:   dump",
        "Stall budget:    1000 ms",
        "Release:         sha256:1",
        f"Digest:          {made.digest}",
        "",
        "2_b.sql",
        "  transaction: the file is one transaction",
        "    line 1    SELECT 1;",
        "    line 2    CREATE TABLE a (",
        "                  id int",
        "              );",
    ]


def test_nothing_to_do_is_said() -> None:
    """And no backup is spoken of."""
    made = plan(files=(), current=None, backup="none")

    assert as_text(made).startswith(
        "Plan for reader: nothing to do: no migration is pending\nCurrent version: none\nRelease"
    )
    assert "nothing to do" in as_markdown(made)


def test_a_baseline_is_said() -> None:
    """In either form."""
    made = plan("SELECT 1;", baseline="1")

    assert "Baseline:        1 is recorded as applied, without being run" in as_text(made)
    assert "| baseline | `1`, recorded as applied without being run |" in as_markdown(made)


@pytest.mark.parametrize(
    ("update", "mark"),
    [
        ({"out_of_order": True}, "  (out of order)"),
        ({"resumes_after": 2}, "  (continues after statement 2)"),
        ({"out_of_order": True, "stall_budget_ms": 0}, "  (out of order; asks for a stall budget of 0 ms)"),
    ],
)
def test_what_is_special_about_a_file_stands_beside_its_name(update: dict[str, object], mark: str) -> None:
    """Out of order, continued, or impatient."""
    made = plan("SELECT 1;")
    made = made.model_copy(update={"files": (made.files[0].model_copy(update=update),)})

    assert f"2_b.sql{mark}\n" in as_text(made)
    assert f"<code>2_b.sql</code>{mark}</summary>" in as_markdown(made)


def test_a_long_statement_is_cut() -> None:
    """To so many lines, and how many are not shown."""
    text = "\n".join(f"line {number}" for number in range(100))

    shown = [line for line in as_text(plan(text)).splitlines() if "line " in line or "…" in line][1:]

    assert len(shown) <= LINES_PER_STATEMENT
    assert shown[-1].strip() == f"-- … {100 - LINES_PER_STATEMENT + 1} more lines"


@pytest.mark.parametrize("lines", [LINES_PER_STATEMENT - 1, LINES_PER_STATEMENT, LINES_PER_STATEMENT + 1])
def test_a_cut_never_saves_a_single_line_only_to_add_one(lines: int) -> None:
    """What fits is shown whole."""
    shown = as_text(plan("\n".join("x" for _ in range(lines))))

    assert ("more lines" in shown) is (lines > LINES_PER_STATEMENT)


@given(st.text("`ab\n ~<", max_size=30))
def test_no_statement_leaves_its_code_block(text: str) -> None:
    """Whatever backticks a statement has, the fence around it is longer."""
    shown = as_markdown(plan(text)).splitlines()
    opening = next(line for line in shown if line.endswith("`sql"))
    fence = opening.removesuffix("sql")
    inside = shown[shown.index(opening) + 1 :]

    assert inside.index(fence) == len(inside) - 1 - inside[::-1].index(fence)
    assert not any(re.fullmatch(rf" {{0,3}}{fence}`*\s*", line) for line in inside[: inside.index(fence)])


def test_a_name_is_no_markup() -> None:
    """A file may be called anything, and the page stays a page."""
    made = plan("SELECT 1;")
    file = made.files[0].model_copy(update={"name": "2_<b>&`x`|.sql"})

    shown = as_markdown(made.model_copy(update={"files": (file,), "database": "a`b|c"}))

    assert "<code>2_&lt;b&gt;&amp;`x`|.sql</code>" in shown
