"""The audit: every edit of an applied file is found, and a file that was added late is no edit."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pgrollout.audit import Audit, audit
from pgrollout.history import ExecOrder, Revision, RevisionType, pending
from pgrollout.migration import Migration, directory_order
from pgrollout.sum_file import sum_of
from tests.pgrollout.history_rows import BEGAN, files, in_time, row

FOUR = files("1_a.sql", "2_b.sql", "3_c.sql", "4_d.sql")


def applied(migrations: Sequence[Migration], *, minute: int = 0, only: Sequence[str] = ()) -> list[Revision]:
    """The rows of a run of these files, or only some of them, with the hashes that the directory has."""
    computed = sum_of(migrations)
    return [
        row(m.version, minute=minute + number, hash=computed.hash_of(m.name) or "", description=m.description)
        for number, m in enumerate(migrations)
        if not only or m.version in only
    ]


def found(migrations: Sequence[Migration], rows: Sequence[Revision], checkpoints: Sequence[str] = ()) -> Audit:
    """The audit of the directory as it is now."""
    return audit(migrations, sum_of(migrations), sorted(rows, key=lambda each: each.version.encode()), checkpoints)


def edited(migrations: Sequence[Migration], version: str, content: bytes = b"SELECT 0;\n") -> list[Migration]:
    """The directory with another content for one file."""
    return [replace(m, content=content) if m.version == version else m for m in migrations]


def test_nothing_is_wrong_with_what_was_applied() -> None:
    """Every revision is compared, and gives its hash; an empty history and directory are fine."""
    assert found(FOUR, applied(FOUR)) == Audit(4, (), (), (), ())
    assert found([], []) == Audit(0, (), (), (), ())
    assert found(FOUR, []) == Audit(0, (), (), (), ())


def test_an_edited_file_is_found() -> None:
    """It, and files after it, whose entries vouch for it; the first is named first, with both hashes."""
    rows = applied(FOUR)

    result = found(edited(FOUR, "2"), rows)

    assert [each.file for each in result.edited] == ["2_b.sql", "3_c.sql", "4_d.sql"]
    assert result.compared == 1
    assert result.edited[0].recorded == rows[1].hash
    assert result.edited[0].computed == sum_of(edited(FOUR, "2")).hash_of("2_b.sql")


def test_a_new_description_is_an_edit() -> None:
    """The name is hashed, too: Atlas would not notice."""
    renamed = [replace(m, name="2_other.sql") if m.version == "2" else m for m in FOUR]

    assert found(renamed, applied(FOUR)).edited[0].file == "2_other.sql"


def test_keeping_a_file_out_of_the_sum_file_is_an_edit() -> None:
    """``atlas:sum ignore`` in an applied file hides nothing."""
    hidden = edited(FOUR, "2", b"-- atlas:sum ignore\nDROP TABLE a;\n")

    assert found(hidden, applied(FOUR)).edited[0].file == "2_b.sql"


def test_a_hash_with_its_prefix_is_the_same() -> None:
    """Some writers leave ``h1:`` before it."""
    rows = [replace(each, hash=f"h1:{each.hash}") for each in applied(FOUR)]

    assert found(FOUR, rows).edited == ()


def test_a_row_without_a_hash_is_not_compared() -> None:
    """A baseline was never run from its file."""
    rows = [row("1", 0, 0, type=RevisionType.BASELINE), *applied(FOUR)[1:]]

    assert found(FOUR, rows) == Audit(3, (), (), (), ())


def test_a_pending_file_may_be_edited() -> None:
    """Nobody ran it."""
    assert found(edited(FOUR, "4"), applied(FOUR, only=["1", "2", "3"])).edited == ()


@pytest.mark.parametrize("skipped", [["2"], ["2", "3"], ["1"]])
def test_a_file_added_late_is_no_edit(skipped: list[str]) -> None:
    """Left out, or run later: the entries of the files after it change, and nobody edited them."""
    before = [m for m in FOUR if m.version not in skipped]
    late = applied(FOUR, minute=60, only=skipped)

    assert found(FOUR, applied(before)).edited == ()
    assert found(FOUR, [*applied(before), *late]).edited == ()


def test_an_edit_behind_a_late_file_is_found() -> None:
    """A file that came late is no cover for one that was changed."""
    before = files("1_a.sql", "3_c.sql", "4_d.sql")
    rows = [*applied(before), *applied(FOUR, minute=60, only=["2"])]

    assert [each.file for each in found(edited(FOUR, "3"), rows).edited] == ["3_c.sql", "4_d.sql"]
    assert found(edited(FOUR, "1"), rows).edited[0].file == "1_a.sql"


def test_a_checkpoint_that_was_added_is_no_edit() -> None:
    """A database that has a history never runs it, and its entries are those without it."""
    later = sorted([*FOUR, *files("2.1_checkpoint.sql")], key=lambda m: directory_order(m.name))

    assert found(later, applied(FOUR), ["2.1_checkpoint.sql"]).edited == ()


def test_a_file_that_is_gone_is_named_and_pruned_ones_are_not() -> None:
    """Removed from the middle is a fault; removed before the first file is tidiness."""
    rows = applied(FOUR)

    assert [r.version for r in found([FOUR[0], *FOUR[2:]], rows).gone] == ["2"]
    pruned = found(FOUR[2:], rows)
    assert [r.version for r in pruned.pruned] == ["1", "2"]
    assert pruned.gone == ()
    assert pruned.edited == ()
    assert pruned.not_comparable == ("3_c.sql", "4_d.sql")


def test_a_name_that_is_no_utf_8_can_be_audited() -> None:
    """A file system holds any bytes."""
    odd = [Migration("1_\udcff.sql", b"SELECT 1;\n"), Migration("2_b.sql", b"SELECT 2;\n")]

    assert found(odd, applied(odd, only=["2"])).compared == 1
    assert found(odd, applied(odd[1:])).edited == ()


def test_ten_thousand_files_and_a_late_one_take_seconds_at_most() -> None:
    """The directory is hashed a few times, not once per file."""
    before = files(*(f"2026{number:05}_a.sql" for number in range(0, 20_000, 2)))
    late = files("202600001_late.sql")
    now = sorted([*before, *late], key=lambda m: directory_order(m.name))
    rows = in_time(applied(before))

    started = time.process_time()
    result = found(now, rows)
    broken = found(edited(now, before[100].version), rows)

    assert result.edited == ()
    assert broken.edited[0].file == before[100].name
    assert time.process_time() - started < 10


# Any history.

Step = tuple[str, str, ExecOrder]
steps = st.lists(
    st.tuples(st.sampled_from(["add", "add", "apply"]), st.sampled_from("123456789"), st.sampled_from(ExecOrder)),
    max_size=16,
)


def history(taken: Sequence[Step], checkpoints: frozenset[str] = frozenset()) -> tuple[list[Migration], list[Revision]]:
    """Files that are added, and runs in between, each of which applies what is pending by then."""
    migrations: list[Migration] = []
    rows: list[Revision] = []
    clock = BEGAN
    for what, version, order in taken:
        if what == "add":
            if all(m.version != version for m in migrations):
                migrations = sorted([*migrations, *files(f"{version}_a.sql")], key=lambda m: directory_order(m.name))
            continue
        if order is ExecOrder.LINEAR:
            order = ExecOrder.NON_LINEAR  # a run that is refused writes nothing
        computed = sum_of(migrations)
        for migration in pending(migrations, rows, order=order, checkpoints=checkpoints).migrations:
            clock += timedelta(minutes=1)
            written = row(migration.version, hash=computed.hash_of(migration.name) or "")
            rows = sorted([*rows, replace(written, executed_at=clock)], key=lambda each: each.version)
    return migrations, rows


@settings(max_examples=400)
@given(steps, st.frozensets(st.sampled_from([f"{v}_a.sql" for v in "123456789"]), max_size=2))
def test_files_added_late_are_never_called_edited(taken: list[Step], checkpoints: frozenset[str]) -> None:
    """However files came and runs took or skipped them, nothing was edited."""
    migrations, rows = history(taken, checkpoints)

    result = found(migrations, rows, sorted(checkpoints))

    assert (result.edited, result.gone, result.pruned, result.not_comparable) == ((), (), (), ())
    assert result.compared == len(rows)


@settings(max_examples=400)
@given(steps, st.data())
def test_any_changed_byte_of_an_applied_file_is_found(taken: list[Step], data: st.DataObject) -> None:
    """One byte changed, added or removed anywhere in one applied file: it is among the edited ones."""
    migrations, rows = history(taken)
    assume(rows)
    version = data.draw(st.sampled_from([each.version for each in rows]))
    content = next(m.content for m in migrations if m.version == version)
    at = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.binary(max_size=2).filter(lambda new: new != content[at : at + 1]))

    result = found(edited(migrations, version, content[:at] + other + content[at + 1 :]), rows)

    assert f"{version}_a.sql" in [each.file for each in result.edited]
