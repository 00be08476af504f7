"""What is pending by Atlas's rules, and where ours are stricter; what ``set`` does to the history."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pgrollout.errors import MissingMigration, OutOfOrder, PgrolloutError, UnknownVersion, UsageError
from pgrollout.history import Edit, ExecOrder, Pending, Revision, RevisionType, find_version, pending, set_version
from pgrollout.migration import Migration, directory_order
from tests.atlas_oracle import Oracle
from tests.pgrollout.history_rows import files, in_time, row

BASELINE, EXECUTE, RESOLVED = RevisionType.BASELINE, RevisionType.EXECUTE, RevisionType.RESOLVED
FOUR = files("1_a.sql", "2_b.sql", "3_c.sql", "4_d.sql")


def names(found: Pending | Sequence[Migration]) -> list[str]:
    """The files by name."""
    return [migration.name for migration in (found.migrations if isinstance(found, Pending) else found)]


# No history.


def test_everything_is_pending_on_an_empty_history() -> None:
    """Without rows all files are pending, in directory order."""
    assert names(pending(FOUR, [])) == ["1_a.sql", "2_b.sql", "3_c.sql", "4_d.sql"]


def test_nothing_is_pending_in_an_empty_directory() -> None:
    """An empty directory has nothing to run, with rows and without."""
    assert pending([], []) == Pending(())
    assert pending([], [row("1")]) == Pending(())


@pytest.mark.parametrize(
    ("checkpoints", "expected"),
    [
        (["2_b.sql"], ["2_b.sql", "3_c.sql", "4_d.sql"]),
        (["1_a.sql", "3_c.sql"], ["3_c.sql", "4_d.sql"]),
        (["4_d.sql"], ["4_d.sql"]),
    ],
)
def test_an_empty_database_starts_at_the_newest_checkpoint(checkpoints: list[str], expected: list[str]) -> None:
    """The newest checkpoint and everything after it; older checkpoints and files are left out."""
    assert names(pending(FOUR, [], checkpoints=checkpoints)) == expected


def test_a_baseline_is_recorded_and_files_after_it_run() -> None:
    """The baseline itself and what is before it do not run; checkpoints after it do not either."""
    found = pending(FOUR, [], checkpoints=["3_c.sql"], baseline="2")

    assert names(found) == ["4_d.sql"]
    assert found.baseline is FOUR[1]


def test_the_last_file_can_be_the_baseline() -> None:
    """Then nothing is left to run."""
    found = pending(FOUR, [], baseline="4")

    assert (names(found), found.baseline) == ([], FOUR[3])


@pytest.mark.parametrize("baseline", ["9", "", "2_b", "3"])
def test_a_baseline_must_be_an_ordinary_file(baseline: str) -> None:
    """A version that no file has, or that a checkpoint has, cannot be the baseline."""
    with pytest.raises(UnknownVersion, match=r"^baseline: no migration has version"):
        pending(FOUR, [], checkpoints=["3_c.sql"], baseline=baseline)


def test_a_baseline_has_no_effect_once_there_are_rows() -> None:
    """As in Atlas, even one that no file has."""
    assert pending(FOUR, [row("1")], baseline="9") == pending(FOUR, [row("1")])


# With a history.


def test_pending_starts_after_the_newest_row() -> None:
    """Files up to the newest row are applied, those after it are pending."""
    assert names(pending(FOUR, [row("1"), row("2")])) == ["3_c.sql", "4_d.sql"]


def test_nothing_is_pending_when_all_is_applied() -> None:
    """All files have rows."""
    assert pending(FOUR, [row(v) for v in "1234"]) == Pending(())


def test_rows_without_a_file_do_not_matter() -> None:
    """Rows older, between and newer than the files: pending starts after the newest row."""
    assert names(pending(FOUR, [row("0"), row("1"), row("2"), row("2.5")])) == ["3_c.sql", "4_d.sql"]
    assert names(pending(FOUR, [row("9")])) == []
    assert names(pending(FOUR, [row("0")])) == ["1_a.sql", "2_b.sql", "3_c.sql", "4_d.sql"]


def test_files_older_than_the_first_row_are_never_reported() -> None:
    """A database that began with a baseline or a checkpoint has no rows for what came before."""
    assert names(pending(FOUR, [row("3", 0, 0, type=BASELINE)])) == ["4_d.sql"]


def test_checkpoints_are_skipped_once_there_are_rows() -> None:
    """A checkpoint neither runs on a database that has a history, nor is it out of order there."""
    assert names(pending(FOUR, [row("1")], checkpoints=["2_b.sql", "4_d.sql"])) == ["3_c.sql"]
    assert pending(FOUR, [row("1")], checkpoints=["2_b.sql", "3_c.sql", "4_d.sql"]) == Pending(())
    assert pending(FOUR[:1], [row("1")], checkpoints=["1_a.sql"]) == Pending(())


def test_versions_are_text() -> None:
    """Versions are compared byte by byte: 10 comes before 9, letters after digits, é after z."""
    odd = files("10_a.sql", "9_b.sql", "a.sql", "z.sql", "é_c.sql")

    assert names(odd) == ["10_a.sql", "9_b.sql", "a.sql", "z.sql", "é_c.sql"]
    assert names(pending(odd, [row("10"), row("9")])) == ["a.sql", "z.sql", "é_c.sql"]
    assert names(pending(odd, [row("10"), row("9"), row("a"), row("z")])) == ["é_c.sql"]


def test_files_without_description_and_without_version_count() -> None:
    """``1.sql`` has version 1 and no description; ``_a.sql`` and ``.sql`` have the empty version."""
    assert names(pending(files("1.sql", "2.sql"), [row("1")])) == ["2.sql"]
    assert names(pending(files(".sql", "1.sql"), [row("")])) == ["1.sql"]
    # By name, _a.sql stands behind 1.sql, which it cannot have been applied before.
    with pytest.raises(OutOfOrder, match=r"1\.sql"):
        pending(files("_a.sql", "1.sql"), [row("")])


# Partial rows.


def test_a_partial_row_is_continued() -> None:
    """The file of the newest row is pending while statements of it are left."""
    last = row("2", 1, 3)

    found = pending(FOUR, [row("1"), last])

    assert names(found) == ["2_b.sql", "3_c.sql", "4_d.sql"]
    assert found.resumes == (last,)


@pytest.mark.parametrize(("applied", "total"), [(0, 2), (1, 2), (3, 2)])
def test_partial_is_whatever_does_not_count_up(applied: int, total: int) -> None:
    """Atlas compares the two counts, so a row that counts more than there is, is partial as well."""
    assert row("2", applied, total).is_partial


def test_a_partial_row_without_its_file_is_an_error() -> None:
    """Nobody can finish it: the file is named as the row remembers it."""
    with pytest.raises(MissingMigration, match=r'"2_gone.sql" is partially applied but migration file was not found'):
        pending(files("1_a.sql", "3_c.sql"), [row("1"), row("2", 1, 2, description="gone")])
    with pytest.raises(MissingMigration, match=r'"2.sql"'):
        pending(files("1_a.sql", "3_c.sql"), [row("1"), row("2", 1, 2, description="")])


def test_a_row_resolved_by_hand_is_done() -> None:
    """Bit 4 counts, also where Atlas's ``set`` left applied unequal to total."""
    for kind in (RESOLVED, RESOLVED | EXECUTE):
        assert names(pending(FOUR, [row("1"), row("2", 1, 3, type=kind)])) == ["3_c.sql", "4_d.sql"]


def test_a_partial_checkpoint_is_continued() -> None:
    """The checkpoint, then all ordinary files after it; its predecessors do not matter."""
    last = row("2", 1, 5)

    found = pending(FOUR, [last], checkpoints=["2_b.sql", "3_c.sql"])

    assert names(found) == ["2_b.sql", "4_d.sql"]
    assert found.resumes == (last,)


def test_an_earlier_partial_row_that_was_passed_is_left_alone() -> None:
    """Whoever set a later version by hand settled it, as in Atlas."""
    rows = in_time([row("1"), row("2", 1, 3), row("3", 0, 0, type=RESOLVED)])

    assert pending(FOUR, rows).resumes == ()
    assert names(pending(FOUR, rows)) == ["4_d.sql"]


@pytest.mark.parametrize("order", list(ExecOrder))
def test_a_file_that_stopped_out_of_order_is_finished_first(order: ExecOrder) -> None:
    """Atlas forgets it, for it looks at the newest version only; nothing was run after it, so it has to be finished."""
    stopped = row("2", 1, 3, minute=9)

    found = pending(FOUR, [row("1"), stopped, row("3", minute=1)], order=order)

    assert names(found) == ["2_b.sql", "4_d.sql"]
    assert found.resumes == (stopped,)
    assert names(found.out_of_order) == ["2_b.sql"]


def test_two_files_can_have_stopped() -> None:
    """One out of order before the newest, which is partial too: both continue, in that order."""
    stopped, last = row("2", 1, 3, minute=9), row("3", 1, 2, minute=1)

    found = pending(FOUR, [row("1"), stopped, last], order=ExecOrder.NON_LINEAR)

    assert names(found) == ["2_b.sql", "3_c.sql", "4_d.sql"]
    assert found.resumes == (stopped, last)


def test_a_file_that_stopped_out_of_order_and_is_gone_is_an_error() -> None:
    """It cannot be finished, and must not be forgotten."""
    with pytest.raises(MissingMigration, match=r"2_a\.sql"):
        pending(files("1_a.sql", "3_c.sql"), [row("1"), row("2", 1, 3, minute=9), row("3", minute=1)])


# Out of order.


@pytest.mark.parametrize(
    ("order", "expected"),
    [(ExecOrder.LINEAR_SKIP, ["4_d.sql"]), (ExecOrder.NON_LINEAR, ["2_b.sql", "4_d.sql"])],
)
def test_out_of_order_files_are_left_out_or_run_first(order: ExecOrder, expected: list[str]) -> None:
    """As the execution order says; they are named in either case."""
    found = pending(FOUR, [row("1"), row("3")], order=order)

    assert names(found) == expected
    assert names(found.out_of_order) == ["2_b.sql"]


def test_out_of_order_files_are_an_error_in_linear_order() -> None:
    """One file, or several: the sentence has Atlas's words, and the newest version."""
    with pytest.raises(OutOfOrder, match=r"^migration file 2_b.sql was added out of order: version 3 is already"):
        pending(FOUR, [row("1"), row("3")])
    with pytest.raises(OutOfOrder, match=r"^migration files 2_b.sql, 3_c.sql were added out of order"):
        pending(FOUR, [row("1"), row("4")])


def test_out_of_order_files_are_an_error_beside_a_partial_row_too() -> None:
    """A run that resumes must not step over a file that came in between."""
    with pytest.raises(OutOfOrder, match=r"2_b\.sql"):
        pending(FOUR, [row("1"), row("3", 1, 2)])

    assert names(pending(FOUR, [row("1"), row("3", 1, 2)], order=ExecOrder.NON_LINEAR)) == [
        "2_b.sql",
        "3_c.sql",
        "4_d.sql",
    ]


def test_a_name_that_sorts_after_a_newer_version_does_not_run_twice() -> None:
    """By name 2.5_a.sql stands before 2_b.sql: continuing the former does not run the latter again, as Atlas would."""
    odd = files("2.5_a.sql", "2_b.sql", "3_c.sql")

    assert names(odd)[:2] == ["2.5_a.sql", "2_b.sql"]
    assert names(pending(odd, [row("2"), row("2.5", 1, 2)])) == ["2.5_a.sql", "3_c.sql"]


# Targets.


def test_a_target_is_inclusive_and_an_amount_counts_files() -> None:
    """Up to the file of that version; at most that many; the smaller of both."""
    found = pending(FOUR, [row("1")])

    assert names(found.up_to("3")) == ["2_b.sql", "3_c.sql"]
    assert names(found.up_to(None, 1)) == ["2_b.sql"]
    assert names(found.up_to("4", 2)) == ["2_b.sql", "3_c.sql"]
    assert names(found.up_to(None, 99)) == names(found)
    assert found.up_to(None) == found


@pytest.mark.parametrize("version", ["1", "5", "", "3_c", "3_c.sql"])
def test_a_target_must_be_pending(version: str) -> None:
    """An applied version, one of no file, and a name instead of a version are refused."""
    with pytest.raises(UnknownVersion, match=r"^pending migrations: no migration has version"):
        pending(FOUR, [row("1")]).up_to(version)


def test_a_target_before_the_checkpoint_is_refused() -> None:
    """An empty database starts at the checkpoint: it never has the versions before."""
    with pytest.raises(UnknownVersion):
        pending(FOUR, [], checkpoints=["3_c.sql"]).up_to("2")


def test_a_close_version_is_suggested() -> None:
    """A mistyped version is answered with the one that was probably meant."""
    found = pending(files("20260314091500_a.sql"), [])

    with pytest.raises(UnknownVersion, match=r"Did you mean '20260314091500'\?"):
        found.up_to("20260314091501")
    with pytest.raises(UnknownVersion, match=r"^set: .*Did you mean '20260314091500'\?"):
        find_version(found.migrations, "2026031409150", "set")


# Set.


def shown(edit: Edit) -> tuple[list[str], list[str], list[str], str | None]:
    """The edit as versions: removed, added, resolved, target."""
    return (
        [revision.version for revision in edit.removed],
        [migration.version for migration in edit.added],
        [revision.version for revision in edit.resolved],
        edit.target,
    )


@pytest.mark.parametrize(
    ("rows", "version", "expected"),
    [
        ([], "2", ([], ["1", "2"], [], "2")),
        ([row("1")], "3", ([], ["2", "3"], [], "3")),
        ([row("1")], None, ([], ["2", "3", "4"], [], "4")),
        ([row("1"), row("2"), row("3")], "1", (["2", "3"], [], [], "1")),
        ([row("1"), row("2")], "2", ([], [], [], "2")),
        ([row("1"), row("3")], "2", (["3"], ["2"], [], "2")),
        ([row("1"), row("2", 1, 3)], "2", ([], [], ["2"], "2")),
        ([row("1"), row("2", 1, 1, error="no")], "2", ([], [], ["2"], "2")),
        ([row("1"), row("2", 1, 3)], "4", ([], ["3", "4"], [], "4")),
        ([row("2", 1, 3), row("3", 1, 3)], "2", (["3"], [], ["2"], "2")),
        ([row("2", 1, 3, type=RESOLVED | EXECUTE)], "2", ([], [], ["2"], "2")),
        ([row("2", 3, 3, type=RESOLVED | EXECUTE, error="no")], "2", ([], [], [], "2")),
        ([row("0"), row("9")], "4", (["9"], ["1", "2", "3", "4"], [], "4")),
    ],
)
def test_set_is_as_in_atlas(rows: list[Revision], version: str | None, expected: tuple[object, ...]) -> None:
    """Newer rows go, files after the last one left come, a partial or failed row of the version counts as done."""
    edit = set_version(FOUR, in_time(rows), version)

    assert shown(edit) == expected
    assert edit.is_empty is (expected[:3] == ([], [], []))


def test_set_settles_a_file_that_stopped_out_of_order() -> None:
    """Everything up to the version counts as done, so a half-applied file before it does not stay pending."""
    edit = set_version(FOUR, [row("1"), row("2", 1, 3, minute=9), row("3", minute=1)], "3")

    assert shown(edit) == ([], [], ["2"], "3")


def test_set_needs_a_version_without_rows() -> None:
    """Nothing to set from, nothing to set to."""
    with pytest.raises(UsageError, match=r"Name the version to set"):
        set_version(FOUR, [], None)


def test_set_empties_the_history_of_an_empty_directory() -> None:
    """As in Atlas: no files, no rows."""
    assert shown(set_version([], [row("1"), row("2")], None)) == (["1", "2"], [], [], None)


def test_set_refuses_a_version_without_a_file() -> None:
    """Also one that has a row."""
    with pytest.raises(UnknownVersion, match=r"^set: no migration has version '9'"):
        set_version(FOUR, [row("9")], "9")


def test_types_read_as_atlas_prints_them() -> None:
    """The words of Atlas's status; an unknown type shows its bits."""
    words = [RevisionType(value).words for value in (1, 2, 4, 6, 3)]

    assert words == ["baseline", "applied", "manually set", "applied + manually set", "unknown (0011)"]


# Any directory, any history.

versions = st.one_of(
    st.sampled_from([str(number) for number in range(1, 8)]),
    st.text("012.aé", max_size=3),
)
directories = st.lists(
    st.tuples(versions, st.sampled_from(["", "_a", "_b_c"])), max_size=7, unique_by=lambda f: f[0]
).map(lambda found: files(*(f"{version}{description}.sql" for version, description in found)))


@st.composite
def histories(draw: st.DrawFn, migrations: Sequence[Migration]) -> list[Revision]:
    """Rows for some of the files, and for some that are gone, of any kind and made at any time."""
    known = [migration.version for migration in migrations]
    chosen = draw(st.lists(st.one_of(versions, *([st.sampled_from(known)] if known else [])), max_size=7, unique=True))
    rows = []
    for version in sorted(chosen, key=str.encode):
        total = draw(st.integers(0, 2))
        applied = draw(st.integers(0, 2)) if draw(st.booleans()) else total
        kind = draw(st.sampled_from([EXECUTE, EXECUTE, BASELINE, RESOLVED, RESOLVED | EXECUTE]))
        rows.append(row(version, applied, total, type=kind, minute=draw(st.integers(0, 9))))
    return rows


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Migration], list[Revision], frozenset[str]]:
    """A directory, its checkpoints, and a history."""
    migrations = draw(directories)
    checkpoints = draw(st.frozensets(st.sampled_from(names(migrations)), max_size=2)) if migrations else frozenset()
    return migrations, draw(histories(migrations)), checkpoints


Case = tuple[list[Migration], list[Revision], frozenset[str]]


@settings(max_examples=400)
@given(cases(), st.sampled_from(ExecOrder))
def test_what_is_complete_never_runs_again(case: Case, order: ExecOrder) -> None:
    """Whatever the order: no file with a complete row is pending, and none is pending twice."""
    migrations, rows, checkpoints = case
    try:
        found = pending(migrations, rows, checkpoints=checkpoints, order=order)
    except PgrolloutError:
        return
    complete = {revision.version for revision in rows if not revision.is_partial}

    assert not complete.intersection(migration.version for migration in found.migrations)
    assert len(set(names(found))) == len(found.migrations)
    assert set(found.resumes) <= set(rows)
    assert {revision.version for revision in found.resumes} <= {migration.version for migration in found.migrations}


@settings(max_examples=400)
@given(cases())
def test_linear_order_drops_nothing(case: Case) -> None:
    """In linear order every ordinary file without a row, not older than the first row, is pending or an error."""
    migrations, rows, checkpoints = case
    try:
        found = set(names(pending(migrations, rows, checkpoints=checkpoints)))
    except (OutOfOrder, MissingMigration):
        return
    if not rows:
        # What comes before a checkpoint is in it.
        newest = max((i for i, m in enumerate(migrations) if m.name in checkpoints), default=0)
        assert found == set(names(migrations[newest:]))
        return
    at_checkpoint = rows[-1].is_partial and any(
        m.version == rows[-1].version and m.name in checkpoints for m in migrations
    )
    assume(not at_checkpoint)
    ordinary = [m for m in migrations if m.name not in checkpoints]
    first = next((i for i, m in enumerate(ordinary) if m.version >= rows[0].version), len(ordinary))
    have_row = {revision.version for revision in rows}

    assert found >= {m.name for m in ordinary[first:] if m.version not in have_row}


@settings(max_examples=400)
@given(cases(), st.sampled_from(ExecOrder))
def test_files_run_in_directory_order(case: Case, order: ExecOrder) -> None:
    """What is pending is in directory order; only files that are out of order come before the others, in theirs."""
    migrations, rows, checkpoints = case
    try:
        found = pending(migrations, rows, checkpoints=checkpoints, order=order)
    except PgrolloutError:
        return
    early = [m for m in found.migrations if m in found.out_of_order]
    regular = [m for m in found.migrations if m not in found.out_of_order]

    assert names(regular) == sorted(names(regular), key=directory_order)
    assert [*early, *regular] == list(found.migrations)
    finished_first = early[1:] if early and found.resumes and early[0].version == found.resumes[0].version else early
    assert names(finished_first) == sorted(names(finished_first), key=directory_order)
    if order is not ExecOrder.NON_LINEAR:
        assert finished_first == []


@settings(max_examples=300)
@given(cases(), st.data())
def test_setting_a_version_leaves_nothing_before_it(case: Case, data: st.DataObject) -> None:
    """After ``set V`` V is current, only files of newer versions are pending, and setting it again changes nothing."""
    migrations, rows, checkpoints = case
    assume(migrations)
    version = data.draw(st.sampled_from([m.version for m in migrations]))

    edit = set_version(migrations, rows, version)
    after = {revision.version: revision for revision in rows if revision not in edit.removed}
    after |= {r.version: replace(r, type=r.type | RESOLVED, applied=r.total) for r in edit.resolved}
    after |= {m.version: row(m.version, 0, 0, type=RESOLVED, minute=99) for m in edit.added}
    history = sorted(after.values(), key=lambda revision: revision.version.encode())

    found = pending(migrations, history, checkpoints=checkpoints, order=ExecOrder.LINEAR_SKIP)
    assert history[-1].version == version
    assert all(migration.version > version for migration in found.migrations)
    assert set_version(migrations, history, version).is_empty


# Atlas itself.


@settings(max_examples=300)
@given(st.data())
def test_pending_is_atlas(oracle: Oracle, data: st.DataObject) -> None:
    """Atlas finds the same files, in the same order, or the same fault, on any directory and history of plain versions."""
    chosen = data.draw(st.lists(st.sampled_from("123456789"), max_size=6, unique=True))
    checkpoints = data.draw(st.frozensets(st.sampled_from(chosen), max_size=2)) if chosen else frozenset()
    header = "-- atlas:checkpoint\n\n"
    content = {f"{v}_a.sql": (header if v in checkpoints else "") + f"SELECT {v};\n" for v in sorted(chosen)}
    migrations = [Migration(name, text.encode()) for name, text in content.items()]
    rows = []
    for version in sorted(data.draw(st.lists(st.sampled_from("123456789"), max_size=5, unique=True))):
        kind = data.draw(st.sampled_from([EXECUTE, BASELINE, RESOLVED, RESOLVED | EXECUTE]))
        applied = data.draw(st.integers(0, 2)) if kind is EXECUTE else 2
        rows.append(row(version, applied, 2, type=kind))
    rows = in_time(rows)
    order = data.draw(st.sampled_from(ExecOrder))
    baseline = data.draw(st.one_of(st.none(), st.sampled_from("123456789")))

    theirs = oracle.ask(
        "pending",
        files=list(content.items()),
        revisions=[
            {"version": r.version, "description": r.description, "type": int(r.type), "applied": r.applied, "total": r.total}
            for r in rows
        ],
        exec_order=order.value,
        baseline=baseline or "",
    )  # fmt: skip
    expected = theirs.get("pending", [])
    try:
        ours = pending(
            migrations, rows, checkpoints={f"{v}_a.sql" for v in checkpoints}, order=order, baseline=baseline
        )
    except PgrolloutError as error:
        assert not expected
        assert said_by_atlas(error) in theirs["error"]  # noqa: PT017  # either answer is right, if it is Atlas's
        return

    assert names(ours) == expected
    assert theirs["error"] in ("", "sql/migrate: no pending migration files")
    written = [each["version"] for each in theirs.get("writes", [])]
    assert written == ([ours.baseline.version] if ours.baseline else [])


def said_by_atlas(error: PgrolloutError) -> str:
    """What Atlas says for it."""
    match error:
        case UnknownVersion():
            return f'baseline version "{error.version}" not found'
        case MissingMigration():
            return f'missing migration: revision "{error.file}" is partially applied'
        case OutOfOrder():
            were = f"{error.files[0]} was" if len(error.files) == 1 else f"{', '.join(error.files)} were"
            return f"{were} added out of order"
    return "something else"
