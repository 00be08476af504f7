"""Stage validate: what refuses the directory, with which exit code, and what is only said."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgrollout.errors import (
    AppliedFileEdited,
    ExitCode,
    HistoryChanged,
    NotClean,
    StatementFailed,
    UnknownVersion,
    ValidationFailed,
)
from pgrollout.settings import Shadow
from pgrollout.stages import validate
from pgrollout.stages.validate import ValidateReport, ValidateRequest
from tests.project import Project
from tests.servers import Database

NONE = "-- atlas:txmode none\n\n"
NO_SHADOW = {"shadow": Shadow(server="none")}
NOWHERE = {"url": SecretStr("postgresql:///nowhere?host=/nowhere")}
"""No server is there."""


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with nothing applied."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int, x int);\n", "2_b.sql": "CREATE TABLE b (id int);\nSELECT 1;\n"})
    return project


def request(project: Project, settings: dict[str, Any] | None = None, **values: Any) -> ValidateRequest:
    """Return the request; the shadow database is made on the server of the tests."""
    shadow = {"shadow": Shadow(server="url", url=SecretStr(project.database.url))}
    return ValidateRequest(database=project.settings(**(shadow | (settings or {}))), **values)


def look(project: Project, settings: dict[str, Any] | None = None, **values: Any) -> ValidateReport:
    """Return what validate finds; show that it wrote nothing."""
    before = project.dump()
    report = validate.examine(request(project, settings, **values))
    assert project.dump() == before
    return report


def refused(project: Project, code: ExitCode, settings: dict[str, Any] | None = None, **values: Any) -> ValidateReport:
    """Show that the stage ends with this code, naming the errors of the report; return that."""
    report = look(project, settings, **values)
    assert report.exit_code == code
    with pytest.raises(ValidationFailed) as caught:
        validate.run(request(project, settings, **values))
    assert caught.value.code is code
    assert caught.value.findings == tuple(str(finding) for finding in report.errors)
    assert caught.value.findings
    return report


def places(report: ValidateReport) -> list[tuple[str, str, str]]:
    """Return where the findings are, what they weigh, and the rule."""
    return [(f"{each.file}:{each.line}:{each.column}", each.severity, each.code) for each in report.findings]


def test_nothing_is_found(project: Project) -> None:
    """Files and statements are counted, all of them replayed and planned; the stage ends well."""
    report = validate.run(request(project))

    assert (report.findings, report.waived, report.not_analysed) == ((), (), ())
    assert (report.files, report.statements, report.replayed, report.exit_code) == (2, 3, True, 0)
    assert report.plan is not None
    assert [file.name for file in report.plan.files] == ["1_a.sql", "2_b.sql"]
    assert report.summary == "2 files, no findings, replayed on the shadow"


# What refuses.


def test_error_of_a_rule(project: Project) -> None:
    """A rule's error ends with 3, with its place and the way out; what is refused is not replayed, but planned."""
    project.write({"3_c.sql": "SELECT 1;\n  ALTER TABLE a DROP COLUMN x;\n"})

    report = refused(project, ExitCode.REFUSED)

    assert places(report) == [("3_c.sql:2:3", "error", "DS103")]
    (found,) = report.findings
    assert found.remedy
    assert found.source.startswith("https://")
    assert found.excerpt == "      ALTER TABLE a DROP COLUMN x;\n      ^"
    assert (report.replayed, report.summary) == (False, "3 files, 1 error, not replayed on the shadow")
    assert report.plan is not None


def test_warning_of_a_rule(project: Project) -> None:
    """A warning is said and refuses nothing; all findings stand in the order of the files."""
    project.write(
        {
            "3_c.sql": "-- atlas:nolint PG101\nSELECT 1;\n",
            "4_d.sql": "SELECT 1;\nCREATE INDEX ON a (id);\nCREATE INDEX ON b (id);\n",
            "5_e.sql": "",
        }
    )
    project.apply(amount=2)

    report = validate.run(request(project))

    assert places(report) == [
        ("3_c.sql:1:1", "info", "RB204"),
        ("4_d.sql:2:1", "warning", "PG101"),
        ("4_d.sql:3:1", "warning", "PG101"),
        ("5_e.sql:1:1", "warning", "SP106"),
    ]
    assert (report.errors, report.replayed, report.exit_code) == ((), True, 0)
    assert report.summary == "5 files, 3 warnings, 1 info, replayed on the shadow"


def test_what_only_atlas_would_refuse(project: Project) -> None:
    """What runs here and not with the Atlas CLI is a warning, and with ``atlas_strict`` an error that ends with 3."""
    project.write({"3_c.sql": "\\restrict abc\nSELECT 1;\n\\unrestrict abc\n", "4_d.sql": ""})

    report = validate.run(request(project))
    strict = refused(project, ExitCode.REFUSED, atlas_strict=True)

    assert places(report) == [("3_c.sql:1:1", "warning", "SP103"), ("4_d.sql:1:1", "warning", "SP106")]
    assert places(strict) == [("3_c.sql:1:1", "error", "SP103"), ("4_d.sql:1:1", "warning", "SP106")]
    assert (report.replayed, strict.replayed) == (True, True)

    project.remove("3_c.sql")
    assert validate.run(request(project, atlas_strict=True)).exit_code == 0


def test_syntax_error(project: Project) -> None:
    """What is no SQL ends with 1, also beside something that a rule refuses; both are said."""
    project.write({"3_c.sql": "ALTER TABLE a DROP COLUMN x;\n", "4_d.sql": "SELECT 1;\nSELEC 2;\n"})

    report = refused(project, ExitCode.FAILED)

    assert places(report) == [("3_c.sql:1:1", "error", "DS103"), ("4_d.sql:2:1", "error", "SP101")]
    assert not report.replayed


@pytest.mark.parametrize(
    ("content", "code", "place", "rule"),
    [
        (b"SELECT 1;\nSELECT '\xff';\n", ExitCode.USAGE, "3_c.sql:2:9", "SP105"),
        (b"-- pgrollout:nonsense\nSELECT 1;\n", ExitCode.USAGE, "3_c.sql:1:4", ""),
        (b"SELECT 1;\n\\d\n", ExitCode.REFUSED, "3_c.sql:2:1", "SP103"),
        (b"COPY a FROM STDIN;\n1\n\\.\n", ExitCode.REFUSED, "3_c.sql:2:1", "SP104"),
        (b"SELECT 1;\nSELECT 'a;\n", ExitCode.FAILED, "3_c.sql:2:8", "SP101"),
        (b"SELECT 1;\nCOMMIT;\n", ExitCode.REFUSED, "3_c.sql:2:1", "TX101"),
        (b"SELECT E'it\\'s';\n", ExitCode.REFUSED, "3_c.sql:1:15", "SP108"),
    ],
)
def test_unreadable_file(project: Project, content: bytes, code: ExitCode, place: str, rule: str) -> None:
    """A file that cannot be read ends with its own error's code, and is a finding with its place."""
    project.write({"3_c.sql": content})

    report = refused(project, code)

    assert places(report) == [(place, "error", rule)]
    assert report.findings[0].message
    assert report.findings[0].remedy
    assert (report.plan, report.plan_digest, report.replayed) == (None, None, False)


def test_all_unreadable_files_are_named(project: Project) -> None:
    """Not just the first; whose exit code it is."""
    project.write({"3_c.sql": b"SELECT \0;\n", "4_d.sql": "SELECT 1;\n\\d\n", "5_e.sql": "SELECT 'a;\n"})

    report = refused(project, ExitCode.USAGE)

    assert [finding.file for finding in report.findings] == ["3_c.sql", "4_d.sql", "5_e.sql"]


def test_a_block_without_end(project: Project) -> None:
    """A file that reads well and cannot be run has no plan; what else is wrong is said beside it."""
    project.write({"3_c.sql": f"{NONE}BEGIN;\nSELECT 1;\n", "4_d.sql": "CREATE INDEX ON a (id);\n"})

    report = refused(project, ExitCode.USAGE)

    assert places(report) == [("3_c.sql:3:1", "error", ""), ("4_d.sql:1:1", "warning", "PG101")]
    assert "never ended" in report.findings[0].message
    assert (report.plan, report.replayed) == (None, False)


CUT = """\
CREATE INDEX CONCURRENTLY a_x ON a (x);
VACUUM a;
CREATE TYPE mood AS ENUM ('calm');
"""
NEW_VALUE = """\
ALTER TYPE mood ADD VALUE 'happy';
CREATE TABLE felt (mood mood DEFAULT 'happy');
"""


def test_what_only_atlas_would_refuse_to_cut(project: Project) -> None:
    """A file that is cut is a warning at each cut, one that the server asks for included; strictly, it is refused."""
    project.write({"3_c.sql": CUT, "4_d.sql": NEW_VALUE})

    for _ in ("replayed", "from a copy of that"):
        report = validate.run(request(project))

        assert places(report) == [
            ("3_c.sql:1:1", "warning", "PG103"),
            ("3_c.sql:2:1", "warning", "TX201"),
            ("4_d.sql:1:1", "warning", "TX301"),
        ]
        assert report.replayed
    assert report.plan is not None
    assert [[str(segment.kind) for segment in file.segments] for file in report.plan.files[2:]] == [
        ["alone", "alone", "transaction"],
        ["transaction"],
    ]
    assert "cut after statement 1 if the server asks for it (55P04)" in report.plan.files[3].segments[0].reason
    strict = refused(project, ExitCode.REFUSED, atlas_strict=True)
    assert {finding.severity for finding in strict.findings} == {"error"}

    project.write({"3_c.sql": NONE + CUT})
    assert [code for _, _, code in places(look(project, to_version="3"))] == []


def test_what_is_lost_at_a_cut(project: Project) -> None:
    """A file that loses something where it is cut is refused; so is one whose cut the shadow's server asks for."""
    project.write({"3_c.sql": "SET LOCAL search_path = public;\nVACUUM a;\n"})

    (found,) = (each for each in refused(project, ExitCode.REFUSED).findings if each.severity == "error")
    assert (found.file, found.line) == ("3_c.sql", 1)
    assert "what SET LOCAL sets ends with its transaction, and line 2 runs in another one" in found.message
    assert found.remedy.startswith("Use SET")

    project.write({"3_c.sql": "CREATE TYPE mood AS ENUM ('calm');\n", "4_d.sql": "LOCK TABLE a;\n" + NEW_VALUE})

    assert places(refused(project, ExitCode.REFUSED)) == [("4_d.sql:1:1", "error", "")]


def test_cuts_of_applied_files_are_history(project: Project) -> None:
    """Only what is pending is reported."""
    project.write({"3_c.sql": CUT, "4_d.sql": NEW_VALUE})
    project.database.execute("CREATE TABLE a (); CREATE TABLE b (); CREATE TYPE mood AS ENUM ()")

    report = validate.run(request(project, {"exec_order": "linear"}, baseline="4"))

    assert (places(report), report.replayed) == ([], True)


def test_failed_replay(project: Project) -> None:
    """A directory that does not run from its start ends with 1, with the very place; applied files count as well."""
    project.apply()
    project.write({"3_c.sql": "SELECT 1;\nSELECT 'é', nope FROM a;\n"})

    report = refused(project, ExitCode.FAILED)

    assert places(report) == [("3_c.sql:2:13", "error", "")]
    (found,) = report.findings
    assert found.message.startswith('fails on an empty shadow database: column "nope" does not exist')
    assert "42703" in found.message
    assert found.excerpt.endswith("^")
    assert (report.replayed, report.plan is not None) == (False, True)


# The replay.


def test_replay_begins_at_the_newest_checkpoint(project: Project) -> None:
    """What is before it a new database never runs; what comes after it is run."""
    fails = "SELECT nobody_can_run_this();\n"
    checkpoint = "-- atlas:checkpoint\n\nCREATE TABLE a (id int);\n"
    project.write({"3_c.sql": f"{checkpoint}{fails}", "4_d.sql": fails, "5_e.sql": checkpoint, "6_f.sql": "TABLE a;\n"})

    report = look(project, offline=True)
    assert (places(report), report.replayed) == ([], True)

    project.write({"7_g.sql": "TABLE b;\n"})
    assert places(look(project, offline=True)) == [("7_g.sql:1:7", "error", "")]


def test_without_a_shadow(project: Project) -> None:
    """Nothing is replayed, and that is said."""
    report = validate.run(request(project, NO_SHADOW))

    assert (report.replayed, report.exit_code) == (False, 0)
    assert report.not_analysed == ('replay: the configuration says shadow.server = "none"',)
    assert report.summary.endswith("not replayed on the shadow")


def test_what_the_shadow_cannot_run(project: Project) -> None:
    """An extension that the shadow's server lacks is no error of the directory, but said with its place."""
    project.write({"3_c.sql": "CREATE EXTENSION no_such_extension;\n"})

    report = validate.run(request(project))

    assert (report.findings, report.replayed) == ((), False)
    (missed,) = report.not_analysed
    assert missed.startswith("replay: the shadow's server cannot run 3_c.sql:1:1: ")


def test_code_is_not_looked_into(project: Project) -> None:
    """What lint cannot look at is said; the replay runs it all the same."""
    project.write({"3_c.sql": "DO $$ BEGIN END $$;\n"})

    report = validate.run(request(project))

    assert report.not_analysed == ("3_c.sql:1:1: not analysed: what DO runs is not looked into",)
    assert report.replayed


# The database.


@pytest.mark.parametrize("settings", [{}, NO_SHADOW], ids=["shadow", "none"])
def test_database_with_tables_and_no_history(project: Project, settings: dict[str, Any]) -> None:
    """Validate itself refuses it, as apply would, unless somebody says what is there."""
    project.database.execute("CREATE TABLE old (id int)")

    with pytest.raises(NotClean, match='found table "old"') as caught:
        validate.run(request(project, settings))
    assert caught.value.code is ExitCode.FAILED

    dirty = validate.run(request(project, settings, allow_dirty=True))
    assert dirty.plan is not None
    assert dirty.plan.baseline is None
    based = validate.run(request(project, settings, baseline="1"))
    assert based.plan is not None
    assert (based.plan.baseline, [file.name for file in based.plan.files]) == ("1", ["2_b.sql"])


def test_offline_needs_no_database(project: Project) -> None:
    """Nobody is connected to; all files are linted, the applied ones as well, and replayed; there is no plan."""
    project.write({"3_c.sql": "-- atlas:nolint DS103 nobody reads it\nALTER TABLE a DROP COLUMN x;\n"})
    project.apply()

    offline = look(project, NOWHERE, offline=True)
    online = look(project)

    assert (offline.plan, offline.plan_digest, offline.replayed, offline.exit_code) == (None, None, True, 0)
    assert len(offline.waived) == 1
    assert (online.waived, online.plan is not None) == ((), True)


def test_applied_files_are_history(project: Project) -> None:
    """What a rule would refuse is none of its business once it was applied; offline nobody knows that it was."""
    project.write({"3_c.sql": "ALTER TABLE a DROP COLUMN x;\n", "4_d.sql": "SELECT 1;\n"})
    project.apply(to_version="3")

    assert look(project).findings == ()
    assert places(refused(project, ExitCode.REFUSED, offline=True)) == [("3_c.sql:1:1", "error", "DS103")]


def test_history_that_does_not_fit(project: Project) -> None:
    """A file that ran and was edited, and a statement that ran and was edited, are refused with 4."""
    project.write({"3_c.sql": f"{NONE}SELECT 1;\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()
    project.write({"3_c.sql": f"{NONE}SELECT 2;\nSELECT 3;\n"})
    with pytest.raises(HistoryChanged, match=r"3_c\.sql") as changed:
        validate.run(request(project))
    assert changed.value.code is ExitCode.MISMATCH

    project.write({"1_a.sql": "CREATE TABLE a (id bigint, x int);\n"})
    with pytest.raises(AppliedFileEdited, match=r"1_a\.sql") as edited:
        validate.run(request(project))
    assert edited.value.code is ExitCode.MISMATCH


def test_plan_is_the_one_that_apply_decides(project: Project) -> None:
    """The digest that validate gives is what apply asks for and runs; a target cuts both."""
    first = validate.run(request(project, to_version="1"))
    assert first.plan is not None
    assert [file.version for file in first.plan.files] == ["1"]
    assert first.plan_digest == first.plan.digest == project.apply(dry_run=True, to_version="1").plan
    assert project.apply(plan=first.plan_digest, to_version="1").plan == first.plan_digest

    project.write({"2_b.sql": f"{NONE}CREATE TABLE b (id int);\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()
    project.write({"2_b.sql": f"{NONE}CREATE TABLE b (id int);\nSELECT 1;\n"})
    rest = validate.run(request(project))
    assert rest.plan is not None
    assert (rest.plan.current, rest.plan.files[0].resumes_after) == ("2", 1)

    report = project.apply(plan=rest.plan_digest, release=rest.release)

    assert (report.plan, report.release, report.after) == (rest.plan_digest, rest.release, "2")


def test_unknown_target(project: Project) -> None:
    """A version that is not pending is a mistake of who asks."""
    with pytest.raises(UnknownVersion) as caught:
        validate.run(request(project, to_version="9"))

    assert caught.value.code is ExitCode.USAGE


# Waivers.


def test_waivers_are_listed(project: Project) -> None:
    """A finding that a file accepts is listed with its place and reason, and refuses nothing; one of nothing is said."""
    project.write(
        {
            "3_c.sql": "-- atlas:nolint DS103 nobody reads it\nALTER TABLE a DROP COLUMN x;\n"
            "-- atlas:nolint\nDROP TABLE b;\n",
            "4_d.sql": "-- atlas:nolint PG101\nSELECT 1;\n",
        }
    )

    report = validate.run(request(project))

    assert report.waived == ("DS103 3_c.sql:1:1: nobody reads it", "DS102 3_c.sql:3:1: no reason given")
    assert places(report) == [("4_d.sql:1:1", "info", "RB204")]
    assert (report.replayed, report.exit_code) == (True, 0)
    assert report.summary == "4 files, 1 info, replayed on the shadow"


# The command.


@pytest.mark.parametrize(
    ("text", "code"),
    [("SELECT 1;\n", 0), ("SELEC 1;\n", 1), ("-- pgrollout:x\nSELECT 1;\n", 2), ("DROP TABLE a;\n", 3)],
)
@pytest.mark.parametrize("output", ["text", "json"])
def test_command(project: Project, text: str, code: int, output: str) -> None:
    """The command ends with the report's code, in both forms of its answer."""
    project.write({"3_c.sql": text})

    done = project.run("validate", "--format", output, "--shadow-server", "none")

    assert done.returncode == code, done.stderr
    if output == "json":
        assert ValidateReport.model_validate_json(done.stdout).exit_code == code
    else:
        assert ("3_c.sql:1:" in done.stdout) is (code != 0)
        assert ("3 pending; plan sha256:" in done.stdout) is (code in (0, 1, 3))
