"""Stage hash: the directory against its sum file and against every applied revision."""

from pathlib import Path

import pytest

from pgrollout.errors import AppliedFileEdited, AppliedFileGone, ChecksumMismatch, ExitCode, ReleaseChanged
from pgrollout.stages import hash as stage
from pgrollout.stages.hash import HashReport, HashRequest
from pgrollout.stages.stage import Outcome
from tests.project import Project
from tests.servers import Database


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with three files."""
    project = Project(tmp_path, database)
    project.write({f"{n}_{name}.sql": f"CREATE TABLE {name} (id int);\n" for n, name in ((1, "a"), (2, "b"), (3, "c"))})
    return project


def check(project: Project, **values: object) -> HashReport:
    """Run the stage; show that it wrote nothing."""
    before = project.dump()
    try:
        return stage.run(HashRequest.model_validate({"database": project.settings(), **values}))
    finally:
        assert project.dump() == before


def test_everything_matches(project: Project) -> None:
    """Files are compared with the sum file, applied ones with the history too."""
    assert check(project).revisions == 0
    project.apply(amount=2)

    report = check(project)

    assert (report.outcome, report.files, report.revisions) == (Outcome.DONE, 3, 2)
    assert check(project, release=report.release).release == report.release


def test_edited_file(project: Project) -> None:
    """A file that differs from the sum file is named with its line there; the database is not asked."""
    (project.migrations / "2_b.sql").write_text("CREATE TABLE b (id bigint);\n")

    with pytest.raises(ChecksumMismatch, match=r"2_b\.sql was edited .*line 3"):
        check(project, with_history=False)


def test_edited_and_hashed_again(project: Project) -> None:
    """Making the sum file right does not hide that an applied file was edited: the history knows its hash."""
    project.apply()
    project.write({"2_b.sql": "CREATE TABLE b (id bigint);\n"})

    with pytest.raises(AppliedFileEdited) as caught:
        check(project)

    assert caught.value.code is ExitCode.MISMATCH
    assert "2_b.sql" in str(caught.value)
    assert check(project, with_history=False).files == 3


def test_removed_file(project: Project) -> None:
    """An applied file that is gone is named, though all files after it have other sums now."""
    project.apply()
    project.remove("2_b.sql")

    with pytest.raises(AppliedFileGone, match=r"2_b\.sql"):
        check(project)


def test_pruned_files(project: Project) -> None:
    """Files removed from the beginning are forgiven; later ones cannot be compared any more, which is said."""
    project.apply()
    project.remove("1_a.sql")

    report = check(project)

    assert report.not_comparable == ("2_b.sql", "3_c.sql")


def test_late_file_accuses_nobody(project: Project) -> None:
    """A file added before applied ones changes their sums; they are not called edited."""
    project.apply()
    project.write({"1a_late.sql": "SELECT 1;\n"})

    assert check(project).revisions == 3

    project.apply(project.settings(exec_order="non-linear"))
    assert check(project).revisions == 4


def test_late_file_after_a_baseline_accuses_nobody(project: Project) -> None:
    """The same where the history begins with a baseline, whose earlier files never had rows."""
    project.apply(baseline="2")
    project.write({"2a_late.sql": "SELECT 1;\n"})

    assert check(project).revisions == 1


def test_files_skipped_one_after_the_other_accuse_nobody(project: Project) -> None:
    """In the order that leaves late files out, each run has seen other ones of them; none of it is an edit."""
    settings = project.settings(exec_order="linear-skip")
    project.apply(settings)
    for number in (4, 5, 6):
        project.write({f"1{number}_late.sql": "SELECT 1;\n", f"{number}_next.sql": "SELECT 1;\n"})
        assert [file.version for file in project.apply(settings).applied] == [str(number)]

    assert check(project).revisions == 6
    project.write({"5_next.sql": "SELECT 2;\n"})
    with pytest.raises(AppliedFileEdited, match=r"5_next\.sql"):
        check(project)


def test_another_release(project: Project) -> None:
    """A directory that is not the release asked for is refused."""
    with pytest.raises(ReleaseChanged):
        check(project, release="sha256:0")


def test_command(project: Project) -> None:
    """The command rewrites the sum file; with --check it compares, and ends with 4 on a difference."""
    project.apply()
    (project.migrations / "3_c.sql").write_text("SELECT 3;\n")

    assert project.run("hash", "--check").returncode == ExitCode.MISMATCH
    assert project.run("hash", "--dry-run").returncode == 0
    assert project.run("hash", "--check", "--no-history").returncode == ExitCode.MISMATCH
    assert project.run("hash").returncode == 0
    assert project.run("hash", "--check", "--no-history").returncode == 0
    done = project.run("hash", "--check")
    assert done.returncode == ExitCode.MISMATCH
    assert "3_c.sql" in done.stderr
