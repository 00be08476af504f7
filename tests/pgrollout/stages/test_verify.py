"""Stage verify: what counts as a difference, what is only a note, and that it reads only."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgrollout.errors import AppliedFileEdited, ExitCode, ReleaseChanged, StatementFailed, VerifyDiffers
from pgrollout.settings import Shadow
from pgrollout.stages import verify
from pgrollout.stages.by_hand import set_current
from pgrollout.stages.verify import VerifyReport, VerifyRequest, examine
from tests.project import Project, backend_in, observed
from tests.servers import Database

NONE = "-- atlas:txmode none\n\n"
NO_SHADOW = {"shadow": Shadow(server="none")}


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project whose two files were applied."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "CREATE TABLE b (id int);\n"})
    project.apply()
    return project


def request(project: Project, settings: dict[str, Any] | None = None, **values: Any) -> VerifyRequest:
    """Return the request; the shadow database is made on the server of the tests."""
    shadow = {"shadow": Shadow(server="url", url=SecretStr(project.database.url))}
    return VerifyRequest(database=project.settings(**(shadow | (settings or {}))), **values)


def look(project: Project, settings: dict[str, Any] | None = None, **values: Any) -> VerifyReport:
    """Return what verify finds; show that it wrote nothing."""
    before = project.dump()
    report = verify.examine(request(project, settings, **values))
    assert project.dump() == before
    return report


def fails(project: Project, **values: Any) -> tuple[str, ...]:
    """Show that the stage ends with 1, saying what the report says; return the differences."""
    report = look(project, **values)
    with pytest.raises(VerifyDiffers) as caught:
        verify.run(request(project, **values))
    assert caught.value.code is ExitCode.FAILED
    assert caught.value.differences == report.differences
    assert all(difference in str(caught.value) for difference in report.differences)
    return report.differences


def test_nothing_differs(project: Project) -> None:
    """The objects are counted, the revisions compared; the stage ends well and says at which version."""
    report = verify.run(request(project))

    assert (report.differences, report.notes, report.compared) == ((), (), True)
    assert (report.current, report.revisions) == ("2", 2)
    assert report.objects >= 2
    assert report.summary == f"{report.objects} objects are as the directory makes them, at version 2"


def test_before_the_first_migration(tmp_path: Path, database: Database) -> None:
    """Without a history nothing is compared: what is pending is all that there is to say."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})

    assert fails(project) == ("1_a.sql: pending",)
    report = look(project, allow_pending=True)
    assert (report.differences, report.compared, report.summary) == ((), False, "no migration applied yet")


# The schema.


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("CREATE VIEW v AS SELECT 1 AS one", "VIEW public.v: not made by the directory"),
        ("DROP TABLE b", "TABLE public.b: missing"),
        ("ALTER TABLE b ADD x text", "COLUMN public.b.x: not made by the directory"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "FUNCTION public.f(): not made by the directory",
        ),
    ],
    ids=["view", "gone", "column", "function"],
)
def test_what_somebody_changed_by_hand_is_named(project: Project, change: str, difference: str) -> None:
    """Object by object: unexpected, missing, or different."""
    project.database.execute(change)

    (found,) = fails(project)

    assert found.startswith(difference)


def test_invalid_index(project: Project) -> None:
    """An index that the server does not use is a difference, though the directory makes one of that name."""
    project.write({"3_c.sql": f"{NONE}CREATE UNIQUE INDEX CONCURRENTLY a_idx ON a (id);\n"})
    project.apply()
    assert look(project).differences == ()
    project.database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'a_idx'::regclass")

    assert fails(project) == ("INDEX public.a_idx: not as the directory makes it (invalid: no → yes)",)
    assert look(project, NO_SHADOW).differences == ("INDEX public.a_idx: invalid",)


CHECK = "ALTER TABLE a ADD CONSTRAINT positive CHECK (id > 0) NOT VALID"


def test_constraint_that_is_not_valid_and_meant(project: Project) -> None:
    """NOT VALID is no difference where the directory says so."""
    project.write({"3_c.sql": f"{CHECK};\n"})
    project.apply()

    report = look(project)

    assert (report.differences, report.notes, report.compared) == ((), (), True)


def test_constraint_that_is_not_valid_and_not_meant(project: Project) -> None:
    """NOT VALID is a difference of its own where the directory says nothing of it."""
    project.write({"3_c.sql": f"{CHECK};\nALTER TABLE a VALIDATE CONSTRAINT positive;\n"})
    project.apply()
    project.database.execute(f"ALTER TABLE a DROP CONSTRAINT positive; {CHECK}")

    found = fails(project)

    assert found == ("CONSTRAINT public.a.positive: not as the directory makes it (not valid: no → yes)",)


def test_whether_a_constraint_is_meant_was_not_compared(project: Project) -> None:
    """Without a shadow nobody can say, so it is a note, and so is the missing comparison."""
    project.database.execute(CHECK)

    report = look(project, NO_SHADOW)

    assert report.differences == ()
    assert report.notes == (
        'the schema was not compared: the configuration says shadow.server = "none"',
        "CONSTRAINT public.a.positive: NOT VALID; whether that is meant was not compared",
    )
    assert (report.compared, report.objects) == (False, 0)
    assert report.summary == "history complete at version 2; schema not compared"


def test_what_the_shadow_cannot_run(project: Project) -> None:
    """A file that the shadow's server cannot run ends the comparison, not the stage: noted with its place."""
    project.write({"3_c.sql": "CREATE EXTENSION no_such_extension;\n"})
    set_current(project.settings(), "3", "made elsewhere")

    report = look(project)

    assert (report.differences, report.compared) == ((), False)
    (note,) = report.notes
    assert note.startswith("the schema was not compared: the shadow's server cannot run 3_c.sql:1:1: ")


# The history.


def test_pending(project: Project) -> None:
    """What is pending makes the history incomplete, unless that is allowed: then it is noted."""
    project.write({"3_c.sql": "CREATE TABLE c (id int);\n", "4_d.sql": "SELECT 1;\n"})

    assert fails(project) == ("3_c.sql: pending", "4_d.sql: pending")

    report = verify.run(request(project, allow_pending=True))
    assert (report.differences, report.notes) == ((), ("3_c.sql: pending", "4_d.sql: pending"))
    assert report.compared


def test_partial_row(project: Project) -> None:
    """A migration that stopped half-way is a difference by its count, pending allowed or not."""
    project.write({"3_c.sql": f"{NONE}SELECT 1;\nSELECT 2;\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()

    assert fails(project) == ("version 3: only 2 of 3 statements have run",)
    assert fails(project, allow_pending=True) == ("version 3: only 2 of 3 statements have run",)


def test_open_intent(project: Project) -> None:
    """A statement whose end nobody saw is a difference, with its number."""
    project.write({"3_c.sql": f"{NONE}VACUUM a;\nSELECT 1;\n"})
    with project.database.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE")
        with observed(project.start("apply")) as process:
            pid = backend_in(project.database, "VACUUM a", alone=True)
            project.database.execute("SELECT pg_terminate_backend(%s)", pid)
            process.communicate(timeout=60)

    assert "version 3: nobody saw the end of statement 1" in fails(project)


def test_file_out_of_order(project: Project) -> None:
    """Where the order is wrong the error is a difference like others, and those are found as well."""
    project.write({"1a_late.sql": "SELECT 1;\n"})
    project.database.execute("CREATE TABLE x (id int)")

    wrong, unexpected = fails(project)

    assert "1a_late.sql" in wrong
    assert unexpected == "TABLE public.x: not made by the directory"
    assert look(project, {"exec_order": "linear-skip"}).differences == (unexpected,)


def test_file_of_a_partial_row_is_gone(project: Project) -> None:
    """Nobody can finish the migration: a difference beside the count."""
    project.write({"3_c.sql": f"{NONE}SELECT 1;\nSELECT 1/0;\n"})
    with pytest.raises(StatementFailed):
        project.apply()
    project.remove("3_c.sql")

    count, gone = fails(project)

    assert count == "version 3: only 1 of 2 statements have run"
    assert "3_c.sql" in gone


def test_edited_file_ends_the_stage(project: Project) -> None:
    """A file that is not what ran can be replayed no more: exit code 4 instead of a comparison with something else."""
    project.write({"1_a.sql": "CREATE TABLE a (id bigint);\n"})

    with pytest.raises(AppliedFileEdited) as caught:
        verify.run(request(project))

    assert caught.value.code is ExitCode.MISMATCH


def test_another_release_is_refused(project: Project) -> None:
    """The directory that is compared is the one that was reviewed."""
    reviewed = look(project).release
    assert look(project, release=reviewed).release == reviewed
    project.write({"3_c.sql": "SELECT 1;\n"})

    with pytest.raises(ReleaseChanged):
        verify.run(request(project, release=reviewed))


# What is replayed.

FAILS = "SELECT nobody_can_run_this();\n"


def test_history_that_began_at_a_checkpoint(tmp_path: Path, database: Database) -> None:
    """Files before the checkpoint never ran, and are not replayed either."""
    project = Project(tmp_path, database)
    project.write(
        {
            "1_old.sql": FAILS,
            "2_all.sql": "-- atlas:checkpoint\n\nCREATE TABLE a (id int);\n",
            "3_b.sql": "CREATE TABLE b (id int);\n",
        }
    )
    project.apply()
    assert project.versions() == ["2", "3"]

    report = look(project)

    assert (report.differences, report.compared, report.current) == ((), True, "3")


def test_history_that_began_with_a_baseline(tmp_path: Path, database: Database) -> None:
    """The database had what the ordinary files before it make, so those are replayed; a checkpoint among them is not."""
    project = Project(tmp_path, database)
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    project.write(
        {
            "1_a.sql": "CREATE TABLE a (id int);\n",
            "1a_all.sql": f"-- atlas:checkpoint\n\n{FAILS}",
            "2_b.sql": "CREATE TABLE b (id int);\n",
            "3_c.sql": "CREATE TABLE c (id int);\n",
        }
    )
    project.apply(baseline="2")
    assert project.versions() == ["2", "3"]

    report = look(project)
    assert (report.differences, report.compared) == ((), True)

    database.execute("DROP TABLE a")
    assert fails(project) == ("TABLE public.a: missing; the directory makes it",)


def test_files_left_out_are_not_replayed(project: Project) -> None:
    """What has no row behind the first one did not run here."""
    project.write({"1a_late.sql": FAILS, "3_c.sql": "CREATE TABLE c (id int);\n"})
    settings = {"exec_order": "linear-skip"}
    project.apply(project.settings(**settings))

    assert look(project, settings).differences == ()


# The command.


def test_command(project: Project) -> None:
    """The command ends with 0 or 1, and says each difference and note on a line."""
    shadow = {"PGROLLOUT_SHADOW_URL": project.database.url}
    project.write({"3_c.sql": "SELECT 1;\n"})

    fine = project.run("verify", "--allow-pending", **shadow)
    wrong = project.run("verify", **shadow)

    assert (fine.returncode, wrong.returncode) == (0, 1), fine.stderr
    assert fine.stdout.splitlines()[0] == "note: 3_c.sql: pending"
    assert wrong.stdout.splitlines() == ["differs: 3_c.sql: pending", "1 difference at version 2."]


# The scope.


def verified(project: Project, **values: Any) -> VerifyReport:
    """Verify on an embedded shadow."""
    return examine(VerifyRequest(database=project.settings(**values)))


TABLE = "CREATE TABLE {0} (id int) PARTITION BY LIST (id);\nCREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES IN (1);\n"
WRONG = "ALTER TABLE {0} ADD CONSTRAINT {1} CHECK (id > 0) NOT VALID; CREATE INDEX {1} ON ONLY {0} (id);"
"""A constraint that is not checked, and an index that the partition lacks."""


def test_scope_holds_for_what_is_not_valid(tmp_path: Path, database: Database) -> None:
    """What is invalid or NOT VALID in a schema that is left out is no difference; elsewhere it is."""
    project = Project(tmp_path, database)
    project.write({"1_events.sql": TABLE.format("events")})
    project.apply()
    project.database.execute("CREATE SCHEMA legacy;" + (TABLE + WRONG).format("legacy.t", "old"))

    assert verified(project).differences == ("SCHEMA legacy: not made by the directory",)
    assert verified(project, schemas=("public",)).differences == ()
    assert verified(project, exclude=("legacy",)).differences == ()

    project.database.execute(WRONG.format("events", "new"))
    assert set(verified(project, exclude=("legacy",), **NO_SHADOW).differences) == {"INDEX public.new: invalid"}


def test_partitions_made_at_run_time_may_be_not_valid(tmp_path: Path, database: Database) -> None:
    """An invalid index or a NOT VALID constraint of a partition that only the live database has is a note."""
    project = Project(tmp_path, database)
    project.write({"1_events.sql": TABLE.format("events")})
    project.apply()
    project.database.execute(
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2) PARTITION BY LIST (id);"
        "CREATE TABLE events_2_a PARTITION OF events_2 DEFAULT;" + WRONG.format("events_2", "mine")
    )

    report = verified(project)

    assert report.differences == ()
    assert set(report.notes) >= {
        "TABLE public.events_2: not made by the directory [a partition made at run time]",
        "CONSTRAINT public.events_2.mine: NOT VALID [not made by the directory]",
        "INDEX public.mine: invalid [not made by the directory]",
    }


# A database that had a schema before its history began.

OLD = """
CREATE TABLE old (id serial PRIMARY KEY, note varchar CHECK (note IN ('a', 'b'))); CREATE ROLE "{0}_reader";
COMMENT ON TABLE old IS 'from long ago'; GRANT SELECT ON old TO "{0}_reader"; CREATE VIEW v AS SELECT note FROM old;
"""
FILES = {"1_first.sql": "SELECT 'what nobody wrote down';\n", "2_old.sql": "ALTER TABLE old ADD x int;\n"}


@pytest.fixture(params=["embedded", "url"])
def baselined(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> tuple[Project, dict[str, Any]]:
    """A project whose directory does not make the tables that were there, and settings of a shadow."""
    database.execute(OLD.format(database.name))
    database.roles.append(f"{database.name}_reader")
    project = Project(tmp_path, database)
    project.write(FILES)
    project.apply(baseline="1")
    server = Shadow(server="embedded") if request.param == "embedded" else None
    return project, {"shadow": server or Shadow(server="url", url=SecretStr(database.url))}


def test_what_was_there_before_the_baseline_is_expected(baselined: tuple[Project, dict[str, Any]]) -> None:
    """The files since then are replayed on a copy of it: it is no difference, and what becomes of it is."""
    project, shadow = baselined

    report = look(project, shadow)

    assert (report.differences, report.compared) == ((), True)
    assert report.notes == ("compared with the schema that the database had at version 1, and what ran since",)

    project.database.execute("DROP VIEW v; ALTER TABLE old DROP x; COMMENT ON TABLE old IS NULL")
    assert look(project, shadow).differences == (
        "TABLE public.old: not as the directory makes it (comment: from long ago → –)",
        "COLUMN public.old.x: missing; the directory makes it",
        "VIEW public.v: missing; the directory makes it",
    )


def test_baseline_that_was_not_kept(tmp_path: Path, database: Database) -> None:
    """Where the Atlas CLI recorded it, what differs is named with the way out: to keep what is there now."""
    database.execute("CREATE TABLE old (id int)")
    project = Project(tmp_path, database)
    project.write(FILES)
    project.apply(baseline="1", to_version="1")
    database.execute("DELETE FROM pgrollout.baseline")
    project.write({"2_old.sql": "SELECT 1;\n"})
    project.apply()

    report = look(project)
    assert report.differences == ("TABLE public.old: not made by the directory",)
    assert "`pgrollout set 2 --keep-schema`" in report.notes[-1]

    set_current(project.settings(), "2", "a test", keep_schema=True)
    assert look(project).differences == ()
    database.execute("ALTER TABLE old ADD x int")
    assert look(project).differences == ("COLUMN public.old.x: not made by the directory",)


def test_set_where_there_was_no_history_keeps_the_schema(tmp_path: Path, database: Database) -> None:
    """What the database has by then is what is expected from then on."""
    database.execute("CREATE TABLE old (id int)")
    project = Project(tmp_path, database)
    project.write(FILES)

    set_current(project.settings(), "1", "a test")
    project.apply()

    assert look(project).differences == ()


def test_another_login_than_the_one_that_migrates(tmp_path: Path, database: Database) -> None:
    """Grants to who migrates, and to who only looks, mean the same whoever looks."""
    owner, reader = database.make_role("owner"), database.make_role("reader", "LOGIN SUPERUSER")
    database.execute(
        f'GRANT CREATE ON SCHEMA public TO "{owner}"; GRANT CREATE ON DATABASE "{database.name}" TO "{owner}"'
    )
    project = Project(tmp_path, database)
    project.write(
        {
            "1_a.sql": f'CREATE TABLE a (id int);\nGRANT SELECT ON a TO "{reader}", "{owner}";\n'
            f'REVOKE INSERT ON a FROM "{owner}";\nALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" GRANT SELECT ON TABLES TO PUBLIC;\n'
            f'CREATE POLICY p ON a TO "{reader}" USING (true);\n'
        }
    )
    url = database.server.url(database.name, user=owner)
    project.apply(project.settings(url=SecretStr(url)))

    for login in (owner, reader, "postgres"):
        url = database.server.url(database.name, user=login)
        assert verified(project, url=SecretStr(url)).differences == (), login


def test_revisions_in_a_schema_of_their_own(tmp_path: Path, database: Database) -> None:
    """A schema that only holds a history, this directory's or another's, is no difference; one with more in it is."""
    database.execute("CREATE SCHEMA other CREATE TABLE atlas_schema_revisions (version text PRIMARY KEY)")
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n"})
    settings = {"revisions_schema": "hist"}
    project.apply(project.settings(**settings), allow_dirty=True)

    report = verified(project, **settings)

    assert report.differences == ()
    assert [note.partition(" ")[0] for note in report.notes] == ["SCHEMA", "SCHEMA"]
    assert all("[made for the history]" in note for note in report.notes)

    database.execute("CREATE TABLE other.t (id int)")
    assert verified(project, **settings).differences == ("SCHEMA other: not made by the directory",)


@pytest.mark.parametrize("where", ["embedded", "url"])
def test_url_with_a_search_path(tmp_path: Path, database: Database, where: str) -> None:
    """What a file makes without a schema is expected where the URL's search path has it made."""
    project = Project(tmp_path, database)
    project.write({"1_a.sql": "CREATE TABLE a (id int);\n", "2_b.sql": "ALTER TABLE a ADD x int;\n"})
    url = SecretStr(database.server.url(database.name, search_path="app"))
    shadow = Shadow() if where == "embedded" else Shadow(server="url", url=SecretStr(database.url))
    settings = {"url": url, "shadow": shadow}
    project.apply(project.settings(**settings))
    assert project.exists("app.a")

    assert verified(project, **settings).differences == ()


def test_pattern_that_matches_nothing(project: Project) -> None:
    """A misspelt schema would be verified and found right for ever."""
    report = look(project, {"schemas": ("publik",)})

    assert (report.differences, report.notes) == ((), ("schemas: the pattern 'publik' matches no schema",))


def test_role_that_may_not_read_the_ledger(project: Project) -> None:
    """The schema is compared all the same; what was not looked at is said, with the GRANT."""
    database = project.database
    role = database.make_role("reader")
    database.execute(
        f'GRANT USAGE ON SCHEMA atlas_schema_revisions TO "{role}";'
        f'GRANT SELECT ON atlas_schema_revisions.atlas_schema_revisions TO "{role}"'
    )

    report = look(project, {"url": SecretStr(database.server.url(database.name, user=role))})

    assert (report.differences, report.compared) == ((), True)
    assert "GRANT USAGE ON SCHEMA pgrollout" in report.notes[0]
