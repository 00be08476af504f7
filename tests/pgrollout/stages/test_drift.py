"""Stage drift: what counts as drift, since when, what is accepted, and what is recorded of a check."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgrollout.catalog.scope import Scope
from pgrollout.errors import (
    DriftFound,
    DriftInTheWay,
    ExitCode,
    NothingCompared,
    StatementFailed,
    TableNotReadable,
)
from pgrollout.postgres import catalog, fingerprints
from pgrollout.settings import DriftIgnore, Shadow
from pgrollout.stages import drift
from pgrollout.stages.drift import DriftReport, DriftRequest
from pgrollout.stages.drift_text import as_markdown, rows
from pgrollout.stages.stage import Outcome
from tests.project import Project, eventually
from tests.servers import Database

TODAY = datetime.now(UTC).date()
PARTITIONED = "CREATE TABLE p (id int) PARTITION BY LIST (id);\nCREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);\n"


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose two files were applied."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": f"CREATE TABLE b (id int);\n{PARTITIONED}"})
    project.apply()
    return project


def request(project: Project, *, no_directory: bool = True, dry_run: bool = False, **settings: Any) -> DriftRequest:
    """Return the request; the shadow database is made on the server of the tests."""
    shadow = {"shadow": Shadow(server="url", url=SecretStr(project.database.url))}
    database = project.settings(**(shadow | settings))
    return DriftRequest(database=database, no_directory=no_directory, dry_run=dry_run)


def look(project: Project, **values: Any) -> DriftReport:
    """Return what is found, with the last run alone unless the directory is asked for."""
    return drift.examine(request(project, **values))


def said(report: DriftReport) -> list[str]:
    """Return what has drifted, a line each."""
    return [one.said for one in report.drift]


def accepted(object: str, until: date = TODAY, property: str | None = None) -> tuple[DriftIgnore, ...]:
    """Return an entry of the settings."""
    return (DriftIgnore(object=object, property=property, reason="a test", until=until),)


def checks(project: Project) -> list[str]:
    """Return the digests of the checks in the ledger, oldest first."""
    found = project.database.execute("SELECT digest FROM pgrollout.fingerprint WHERE moment = 'check' ORDER BY id")
    return [digest for (digest,) in found]


# What counts.


def test_nothing_has_drifted(project: Project) -> None:
    """The schema is as the last run left it, and as the directory makes it; the check is in the ledger."""
    report = drift.run(request(project, no_directory=False))

    assert (report.drift, report.ignored, report.notes) == ((), (), ())
    assert report.compared_with == ("the last run", "the directory")
    assert report.summary == (
        f"no drift: {report.objects} objects are as the last run left them and as the directory makes them"
    )
    assert checks(project) == [report.fingerprint]
    assert report.last_run is not None
    assert report.last_run.fingerprint == report.fingerprint


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("CREATE INDEX a_tmp ON a (id)", "INDEX public.a_tmp: made since"),
        ("DROP TABLE a", "TABLE public.a: dropped since"),
        ("ALTER TABLE a ALTER id SET DEFAULT 7", "COLUMN public.a.id: changed since (default: – → 7)"),
        ("ALTER TABLE a RENAME TO z", "TABLE public.a: renamed to TABLE public.z"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "SCHEMA public: changed since (grants: + PUBLIC: CREATE)"),
    ],
    ids=["made", "dropped", "changed", "renamed", "granted"],
)
def test_what_was_changed_since_the_last_run(project: Project, change: str, expected: str) -> None:
    """Object by object and property by property; the stage ends with 3 and says each."""
    project.database.execute(change)

    report = look(project)

    assert said(report) == [expected]
    with pytest.raises(DriftFound) as caught:
        drift.run(request(project))
    assert caught.value.code is ExitCode.REFUSED
    assert expected in str(caught.value)


def test_both_comparisons_find_it_once(project: Project) -> None:
    """What is neither as the last run left it nor as the directory makes it is one object, with both named."""
    project.database.execute("ALTER TABLE a ALTER id SET DEFAULT 7")

    (found,) = look(project, no_directory=False).drift

    assert found.compared_with == ("the last run", "the directory")
    assert [(each.property, each.expected, each.live) for each in found.properties] == [("default", "–", "7")]


def test_what_a_run_passed_over_is_drift_still(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """A run that does not touch it leaves it what it is, and says so; also in the next run, and however that ends."""
    project.database.execute("CREATE VIEW v AS SELECT 1 AS one")
    project.write({"3_c.sql": "CREATE TABLE c (id int);\n"})
    project.apply()
    assert 'drift passed over count=1 objects="VIEW public.v"' in caplog.text

    (found,) = look(project, no_directory=False).drift
    assert (found.said, found.compared_with) == ("VIEW public.v: made since", ("the last run", "the directory"))
    assert found.since_shown.startswith("so already when the last run ended, at ")

    project.write({"4_d.sql": "SELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()
    assert said(look(project)) == ["VIEW public.v: made since"]

    project.write({"4_d.sql": "DROP VIEW IF EXISTS v;\n"})
    with pytest.raises(DriftInTheWay):
        project.apply()
    project.apply(project.settings(drift_gate="warn"))
    assert look(project, no_directory=False).drift == ()


def test_what_a_file_takes_in_is_drift_no_more(project: Project) -> None:
    """A migration that makes it so, although it was so already, settles it; the rest stays drift."""
    project.database.execute("CREATE VIEW v AS SELECT 1 AS one; CREATE INDEX a_tmp ON a (id); ALTER TABLE b ADD x int")
    project.write({"3_c.sql": "CREATE INDEX IF NOT EXISTS a_tmp ON a (id);\n"})

    project.apply(project.settings(drift_gate="warn"))

    assert said(look(project)) == ["COLUMN public.b.x: made since", "VIEW public.v: made since"]


def test_partitions_made_at_run_time(project: Project) -> None:
    """They are reported and no drift; one that the directory makes is drift when it is gone."""
    project.database.execute("CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2); DROP TABLE p_1")

    report = look(project, no_directory=False)

    assert said(report) == ["TABLE public.p_1: dropped since"]
    assert report.notes == ("TABLE public.p_2: made since [a partition made at run time]",)


def test_partitions_dropped_at_run_time(project: Project) -> None:
    """One that no file makes may go as it came."""
    project.database.execute("CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2)")
    project.write({"3_c.sql": "CREATE TABLE c (id int);\n"})
    project.apply()
    project.database.execute("DROP TABLE p_2")

    report = look(project, no_directory=False)

    assert said(report) == []
    assert report.notes == ("TABLE public.p_2: dropped since [a partition made, and dropped, at run time]",)
    assert said(look(project)) == ["TABLE public.p_2: dropped since"]


def test_index_that_a_run_left_invalid(project: Project) -> None:
    """Who removes it does what he was asked to: a note, no drift."""
    invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'one'::regclass;\n"
    project.write({"3_c.sql": f"CREATE INDEX one ON a (id);\n{invalid}"})
    project.apply()
    project.database.execute("DROP INDEX one")

    report = look(project)

    assert report.drift == ()
    assert report.notes[0] == "INDEX public.one: dropped since [the run left it invalid]"


# What there is to compare with.


def test_without_a_ledger(project: Project) -> None:
    """Where no run has left anything the directory alone is compared with, and that is said."""
    project.database.execute("DROP SCHEMA pgrollout CASCADE; CREATE TABLE x (id int)")

    report = look(project, no_directory=False)

    assert report.compared_with == ("the directory",)
    assert said(report) == ["TABLE public.x: not made by the directory"]
    assert report.drift[0].since_shown == "first seen by this check"
    assert report.notes == (
        "not compared with the last run: no run has left a fingerprint here yet",
        "the check was not recorded: the first run makes the ledger",
    )
    assert not report.recorded


def test_without_ledger_and_history(tmp_path: Path, database: Database) -> None:
    """Tables without a history are compared with all that the directory makes; an empty database with nothing."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "CREATE TABLE b (id int);\n"})

    empty = look(project, no_directory=False)
    database.execute("CREATE TABLE a (id int)")
    report = look(project, no_directory=False)

    assert (empty.outcome, empty.drift, empty.compared_with) == (Outcome.SKIPPED, (), ())
    assert "not compared with the directory: nothing was applied here yet" in empty.notes
    assert said(report) == ["TABLE public.b: missing; the directory makes it"]


def test_without_a_shadow(project: Project) -> None:
    """Without a shadow there is the last run, and that is said."""
    report = look(project, no_directory=False, shadow=Shadow(server="none"))

    assert report.compared_with == ("the last run",)
    assert report.notes == ('not compared with the directory: the configuration says shadow.server = "none"',)


def test_other_scope_than_the_last_run_had(project: Project) -> None:
    """What the last run did not look at is not taken for made since."""
    with pytest.raises(NothingCompared, match="`schemas` or `exclude` has changed since") as caught:
        look(project, exclude=("public.a",))

    assert caught.value.code is ExitCode.FAILED
    assert look(project, exclude=("public.a",), no_directory=False).compared_with == ("the directory",)


def test_after_a_run_that_was_killed(project: Project) -> None:
    """What it had committed is no drift: nobody knows what it would have left."""
    project.database.execute(
        "DELETE FROM pgrollout.fingerprint WHERE id = (SELECT max(id) FROM pgrollout.fingerprint); CREATE TABLE x (id int)"
    )

    with pytest.raises(NothingCompared, match="has not come to its end"):
        look(project)


def test_after_the_atlas_cli(project: Project) -> None:
    """What Atlas has applied since is no drift; its versions are named."""
    project.database.execute(
        "INSERT INTO atlas_schema_revisions.atlas_schema_revisions SELECT '3', 'c', type, 1, 1, now(), 0, '', '', "
        "'', 'null', 'Atlas CLI' FROM atlas_schema_revisions.atlas_schema_revisions LIMIT 1; CREATE TABLE c (id int)"
    )

    with pytest.raises(NothingCompared, match="the history has 3, recorded after run "):
        look(project)


# Since when.


def test_since_which_check(project: Project) -> None:
    """Each object by itself: the first check that saw it so, and the last time that it was seen otherwise."""
    good = look(project)
    project.database.execute("CREATE INDEX a_tmp ON a (id)")
    first = look(project)
    project.database.execute("DROP TABLE b")
    second = look(project)
    third = look(project)

    times = [
        at for (at,) in project.database.execute("SELECT taken_at FROM pgrollout.fingerprint ORDER BY id DESC LIMIT 4")
    ]
    now = {one.object: (one.since, one.good) for one in third.drift}
    assert (good.drift, len(first.drift), len(second.drift)) == ((), 1, 2)
    assert [(one.object, one.since) for one in first.drift] == [("INDEX public.a_tmp", None)]
    assert first.drift[0].good == times[3]
    assert now == {"INDEX public.a_tmp": (times[2], times[3]), "TABLE public.b": (times[1], times[2])}
    assert f"first seen by the check of {times[2].astimezone(UTC):%Y-%m-%d %H:%M} UTC, seen otherwise at" in (
        third.drift[0].since_shown
    )


def test_checks_do_not_fill_the_ledger(project: Project) -> None:
    """Of an unbroken row of equal checks the first and the latest are kept, with their times."""
    good = [look(project) for _ in range(4)][-1].fingerprint
    (first,), (latest,) = project.database.execute(
        "SELECT taken_at FROM pgrollout.fingerprint WHERE moment = 'check' ORDER BY id"
    )
    project.database.execute("CREATE INDEX a_tmp ON a (id)")
    bad = [look(project) for _ in range(3)][-1].fingerprint
    project.database.execute("DROP INDEX a_tmp")
    look(project)

    assert first < latest
    assert checks(project) == [good, good, bad, bad, good]
    [(catalogs,)] = project.database.execute("SELECT count(*) FROM pgrollout.catalog")
    assert catalogs == 3


# What is accepted.


def test_accepted_until_a_day(project: Project) -> None:
    """What an entry accepts is listed apart, with reason and day; the rest is drift."""
    project.database.execute("CREATE INDEX a_tmp ON a (id); CREATE INDEX other ON a (id)")

    report = look(project, drift_ignore=accepted("INDEX public.*_tmp"))

    assert said(report) == ["INDEX public.other: made since"]
    (found,) = report.ignored
    assert (found.object, found.reason, found.until) == ("INDEX public.a_tmp", "a test", TODAY)


def test_accepted_property(project: Project) -> None:
    """An entry for one property leaves the others, and does not accept that the object goes."""
    project.database.execute("ALTER TABLE a ALTER id SET DEFAULT 7, ALTER id SET NOT NULL")
    entry = accepted("COLUMN public.a.id", property="default")

    report = look(project, drift_ignore=entry)

    (found,) = report.drift
    assert [each.property for each in found.properties] == ["not null"]
    assert [each.said for each in report.ignored] == ["COLUMN public.a.id: changed since (default: – → 7)"]
    project.database.execute("DROP TABLE a")
    assert said(look(project, drift_ignore=accepted("TABLE public.a", property="grants"))) == [
        "TABLE public.a: dropped since"
    ]


def test_entry_that_has_expired(project: Project) -> None:
    """After its day an entry does not count, and that is said."""
    project.database.execute("CREATE INDEX a_tmp ON a (id)")
    yesterday = TODAY - timedelta(days=1)

    report = look(project, drift_ignore=accepted("INDEX public.a_tmp", yesterday))

    assert said(report) == ["INDEX public.a_tmp: made since"]
    assert f"drift_ignore INDEX public.a_tmp expired on {yesterday}; its reason was: a test" in report.notes


def test_entry_that_matches_nothing(project: Project) -> None:
    """It is said, once everything was compared."""
    entry = accepted("INDEX public.a_tmp")

    assert look(project, drift_ignore=entry, no_directory=False).notes == (
        "drift_ignore INDEX public.a_tmp matches nothing: remove it",
    )
    assert "matches nothing" not in " ".join(look(project, drift_ignore=entry).notes)


# What may not be written, or read.


def test_dry_run_records_nothing(project: Project) -> None:
    """Not even the check."""
    before = project.dump()

    assert not look(project, dry_run=True).recorded
    assert project.dump() == before


def test_read_only(project: Project) -> None:
    """Where nothing can be written the check is not recorded, says so, and compares all the same."""
    project.database.execute("CREATE INDEX a_tmp ON a (id)")
    url = f"{project.database.url}&options=-c%20default_transaction_read_only%3Don"

    report = look(project, url=SecretStr(url))

    assert said(report) == ["INDEX public.a_tmp: made since"]
    assert report.notes[-1].startswith("the check was not recorded: cannot execute ")
    assert checks(project) == []


def test_role_that_may_not_read_the_ledger(project: Project) -> None:
    """It may still compare with the directory, and says what it cannot."""
    role = f"watcher_{project.database.name}"
    project.database.execute(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA atlas_schema_revisions TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA atlas_schema_revisions TO {role}"
    )
    try:
        report = look(project, role=role, no_directory=False)
    finally:
        project.database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert report.compared_with == ("the directory",)
    assert report.notes[0].startswith("not compared with the last run, and not recorded: permission denied")


def test_table_that_somebody_has_locked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is named with who has it; waiting can cure it."""
    project.database.execute("CREATE VIEW v AS SELECT id FROM a")
    monkeypatch.setattr(catalog, "_SET", catalog._SET.replace(f"{catalog.LOCK_WAIT_MS}ms", "50ms"))
    with project.database.connect(autocommit=False, application_name="the blocker") as blocker:
        blocker.execute("LOCK TABLE a, v, b IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(TableNotReadable, match=r"a by pid \d+ \(the blocker, ") as caught:
            look(project)

    assert caught.value.code is ExitCode.WAIT


def test_run_that_ends_meanwhile_is_no_drift(project: Project) -> None:
    """Schema, history and ledger are read in one snapshot: what a run leaves during that is for the next check."""
    project.write({"3_c.sql": "CREATE VIEW v AS SELECT id FROM a;\n"})
    project.apply()
    with project.database.connect(autocommit=False) as run, ThreadPoolExecutor(1) as executor:
        run.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        check = executor.submit(look, project)
        eventually(
            lambda: project.database.execute(
                "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'pgrollout/%%/drift' AND wait_event = 'relation' "
                "AND datname = current_database()"
            ),
            "a check that waits for the table",
        )
        run.execute("CREATE TABLE x (id int)")
        scope = Scope(revisions_schema="atlas_schema_revisions")
        left = catalog.read_catalog(run, scope)
        [(run_id,)] = run.execute("SELECT max(id) FROM pgrollout.run").fetchall()
        run.execute(
            fingerprints.record_sql("pgrollout", "atlas_schema_revisions", run_id, "after", left, scope).encode()
        )
        run.commit()

        report = check.result()

    assert (report.drift, report.compared_with) == ((), ("the last run",))
    assert look(project).drift == ()


# How it is shown.


def test_command(project: Project) -> None:
    """The command ends with 3, says each object on stdout, and nothing of an error; as JSON and Markdown too."""
    project.database.execute("CREATE INDEX a_tmp ON a (id)")

    text = project.run("drift", "--no-directory")
    found = project.run("drift", "--no-directory", "--format", "json")
    page = project.run("drift", "--no-directory", "--format", "markdown")
    request = json.dumps({"database": {"name": "default", "shadow": {"server": "none"}}, "no_directory": True})
    (project.root / "request.json").write_text(request)
    stage = project.run("run-stage", "drift", "--request", "request.json", DATABASE_URL=project.database.url)

    assert [each.returncode for each in (text, found, page)] == [3, 3, 3], text.stderr
    first, *_, last = text.stdout.splitlines()
    assert first.startswith("drift: INDEX public.a_tmp: made since; first seen by this check, seen otherwise at ")
    assert last == "1 object has drifted."
    assert json.loads(found.stdout)["drift"][0]["object"] == "INDEX public.a_tmp"
    assert "| INDEX public.a_tmp | made since | 20" in page.stdout
    # Whoever asks for the stage alone judges its report.
    assert stage.returncode == 0
    assert json.loads(stage.stdout)["drift"][0]["object"] == "INDEX public.a_tmp"


def test_no_secret_is_shown(project: Project) -> None:
    """A password in the schema is in none of the report's forms."""
    project.database.execute(
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN ALTER ROLE x PASSWORD 'hunter2-correct-horse'; END $$"
    )
    look(project)
    project.database.execute(
        "CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN ALTER ROLE x PASSWORD 'hunter3-correct-horse'; PERFORM 1; END $$"
    )

    report = look(project)

    assert report.drift
    for shown in (report.model_dump_json(), as_markdown(report), str(rows(report)), str(report.error())):
        assert "correct-horse" not in shown
