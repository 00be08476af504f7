"""Schemas by name: every source gives the schema it names, what cannot be had is said, and no secret is shown."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner, Result
from pydantic import SecretStr

from pgrollout.catalog.difference import Difference
from pgrollout.commands.schema import command
from pgrollout.errors import ExitCode, SchemaUnavailable
from pgrollout.settings import Database as Settings
from pgrollout.settings import Shadow
from pgrollout.stages import backup, schema
from pgrollout.stages.schema import Source, source_of
from tests.project import Project
from tests.servers import Database, Server, fresh_database

FILES = {
    "1_a.sql": "CREATE TABLE a (id int PRIMARY KEY, kind varchar CHECK (kind IN ('x', 'y')));\n",
    "2_b.sql": "CREATE VIEW b AS SELECT id FROM a;\nCREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT 1::text';\n",
}
NONE = "No difference"


@pytest.fixture(scope="module")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose files were applied; its folder has a space in its name."""
    root = tmp_path_factory.mktemp("a project")
    with fresh_database(server) as database:
        project = Project(root, database)
        project.write({name: FILES[name] for name in ("1_a.sql",)})
        project.apply()
        project.write(FILES)
        project.apply()
        yield project


def settings(project: Project) -> Settings:
    """The settings, the shadow being on the server of the tests."""
    return project.settings(shadow=Shadow(server="url", url=SecretStr(project.database.url)))


def compare(project: Project, before: str, after: str = "live") -> Difference:
    """What two schemas differ in."""
    return schema.compare(settings(project), source_of(before), source_of(after)).difference


def pg_dump(project: Project, form: str) -> Path:
    """A dump of the project's database."""
    target = project.root / f"a dump {form}"
    if not target.exists():
        program = project.database.server.bin / "pg_dump"
        subprocess.run([program, project.database.url, f"--format={form}", f"--file={target}"], check=True)
    return target


@pytest.mark.parametrize("form", ["plain", "custom", "tar", "directory"])
def test_a_dump_has_the_schema_of_its_database(project: Project, form: str) -> None:
    """In each format of pg_dump, rows or not, from a path with spaces."""
    project.database.execute("INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING")

    assert not compare(project, str(pg_dump(project, form)))


def test_a_compressed_dump_is_read_too(project: Project) -> None:
    """As pg_dump --compress makes it of plain SQL."""
    packed = project.root / "packed.sql.gz"
    packed.write_bytes(gzip.compress(pg_dump(project, "plain").read_bytes()))

    assert not compare(project, f"dump:{packed}")


def test_a_backup_of_ours_is_a_dump(project: Project) -> None:
    """Its folder is enough."""
    report = backup.run(backup.BackupRequest(database=settings(project)))
    assert report.path is not None

    assert not compare(project, report.path)


def test_a_damaged_backup_is_refused(project: Project) -> None:
    """Nothing of it is restored."""
    report = backup.run(backup.BackupRequest(database=settings(project), run_id="20260101T000000Z-000000"))
    (Path(str(report.path)) / "dump" / "toc.dat").write_bytes(b"x")

    with pytest.raises(SchemaUnavailable, match=r"toc\.dat"):
        compare(project, str(report.path))


@pytest.mark.parametrize("text", ["migrations", "dir:migrations", "file://{}/migrations"])
def test_a_directory_has_the_schema_that_it_makes(project: Project, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replayed on the shadow; a path is one of the working directory."""
    monkeypatch.chdir(project.root)

    assert not compare(project, text.format(project.root))


@pytest.mark.parametrize("text", ["dir:migrations", "dump:a dump plain"])
def test_without_a_shadow_nothing_is_made(project: Project, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories and dumps need one, and that is said."""
    pg_dump(project, "plain")
    monkeypatch.chdir(project.root)

    with pytest.raises(SchemaUnavailable, match=r'shadow.server = "none"'):
        schema.read_schema(project.settings(shadow=Shadow(server="none")), source_of(text))


def test_a_run_has_what_it_found_and_what_it_left(project: Project) -> None:
    """``run:ID`` and ``run:ID:before``; the beginning of the id is enough; ``last`` is the newest."""
    first, second = [run for (run,) in project.database.execute("SELECT id FROM pgrollout.run ORDER BY started_at")]

    assert not compare(project, "last")
    assert not compare(project, f"run:{second}", "last")
    assert not compare(project, f"run:{first}", f"run:{second}:before")
    assert [str(one.identity) for one in compare(project, f"run:{first[:-1]}").objects] == [
        "FUNCTION public.f()",
        "VIEW public.b",
    ]


def test_a_url_is_a_schema(project: Project) -> None:
    """Another database of the same server: what only one has is said."""
    with fresh_database(project.database.server) as other:
        other.execute("CREATE TABLE a (id int PRIMARY KEY)")

        found = schema.compare(settings(project), source_of(other.url), source_of("live"))

    assert {str(one.identity) for one in found.difference.objects} >= {"VIEW public.b", "COLUMN public.a.kind"}


def test_a_table_of_the_configuration_is_a_schema(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another database than the chosen one, by its name; what the environment says of the chosen one is not its."""
    monkeypatch.setenv("OTHER_URL", project.database.url)
    monkeypatch.setenv("PGROLLOUT_URL", "postgresql:///nowhere")
    (project.root / "pgrollout.toml").write_text('[database.default]\n[database.other]\nurl_env = "OTHER_URL"\n')
    try:
        assert not compare(project, "database:other")
        with pytest.raises(SchemaUnavailable, match=r"no \[database.nobody\]. There are: default, other."):
            compare(project, "database:nobody")
    finally:
        (project.root / "pgrollout.toml").unlink()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run:19990101", r"run:19990101: default has no such run .* The newest: \d+T\d+Z-"),
        ("run:20", r"runs of default that begin so: 2"),
        ("nowhere", r"there is no such file or folder: nowhere. Write run:ID"),
        ("dump:nowhere", r"dump nowhere: it cannot be read: No such file"),
        ("life", r"no such file"),
        ("postgresql://u:S3cret@/x?host=/nowhere", r"u:\*\*\*@"),
    ],
)
def test_what_cannot_be_had_is_said(project: Project, text: str, message: str) -> None:
    """What was named, why not, and what there is; never a password."""
    with pytest.raises(Exception, match=message) as caught:
        compare(project, text)

    assert "S3cret" not in str(caught.value)


def test_a_database_without_ledger_has_no_runs(database: Database, tmp_path: Path) -> None:
    """Nothing to compare with, and what could be instead."""
    with pytest.raises(SchemaUnavailable, match=r"has no ledger .* Compare with `live`") as caught:
        schema.read_schema(database.settings(tmp_path), Source("last"))

    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "holds no schema"),
        ('{"format_version": 99}', "format is 99"),
        ("\\connect x\n", "for psql only"),
        ("CREATE DATABASE x;\n\\connect x\nCREATE TABLE t ();\n", "for psql only"),
        ("SELECT nonsense;\n", r"a file\.sql:1:8: the shadow's server cannot run it"),
        ("this is no dump\n", "Is it what pg_dump wrote"),
        ("SELECT 'unclosed\n", "unclosed"),
        ("CREATE EXTENSION nobody_has_it;\n", 'server = "url"'),
    ],
)
def test_a_file_that_is_no_schema_is_refused(project: Project, content: str, message: str, tmp_path: Path) -> None:
    """With what is wrong, and where."""
    path = tmp_path / "a file.sql"
    path.write_text(content)

    with pytest.raises(SchemaUnavailable, match=message):
        compare(project, str(path))


def test_roles_and_subscriptions_of_a_dump_do_not_stay(project: Project, tmp_path: Path) -> None:
    """Missing roles are made on the shadow and go with it; a subscription does not keep its database."""
    server = project.database.server
    path = tmp_path / "dump.sql"
    path.write_text(
        "CREATE TABLE t (id int);\nALTER TABLE t OWNER TO schema_nobody;\nGRANT SELECT ON t TO schema_reader;\n"
        "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = NONE);\n"
    )
    left = "SELECT datname FROM pg_database WHERE datname ~ '^pgrollout_shadow_(?!.*_template_)' UNION ALL " \
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'schema_%'"  # fmt: skip

    had = schema.read_schema(settings(project), source_of(f"dump:{path}"))

    table = next(it for it in had.catalog.objects.values() if it.identity.kind == "TABLE")
    assert table.properties["owner"] == "the migrating role"
    assert table.properties["grants"] == ("schema_reader: SELECT",)
    with server.connect() as connection:
        assert connection.execute(left.encode()).fetchall() == []


def test_a_kept_file_is_the_schema_without_its_secrets(database: Database, tmp_path: Path) -> None:
    """Equal to what it was written from, although passwords in it are masked; a part of a schema is no schema."""
    database.execute(
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT 'host=x password=S3cret'::text$$; CREATE TABLE t (id int)"
    )
    chosen = database.settings(tmp_path)
    live = schema.read_schema(chosen, Source("live"))
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    whole.write_text(schema.as_file(live))
    part.write_text(schema.as_file(live, "t"))

    assert "S3cret" not in whole.read_text()
    assert json.loads(whole.read_text())["objects"]
    assert not schema.compare(chosen, source_of(str(whole)), Source("live")).difference
    with pytest.raises(SchemaUnavailable, match="has only the objects 't'"):
        schema.read_schema(chosen, source_of(str(part)))


def test_another_scope_is_noted(project: Project) -> None:
    """What was recorded with other settings is compared all the same, and that is said."""
    chosen = settings(project).model_copy(update={"exclude": ("public.b",)})

    found = schema.compare(chosen, Source("last"), Source("live"))

    assert [str(one.identity) for one in found.difference.objects] == ["VIEW public.b"]
    assert "public.b" in found.notes[0]


def call(project: Project, *arguments: str) -> Result:
    """Call ``pgrollout schema`` in this process; the result's ``return_value`` is the exit code."""
    environment = {"PGROLLOUT_URL": project.database.url, "PGROLLOUT_CONFIG": None, "DATABASE_URL": None}
    result = CliRunner().invoke(command, [*arguments, "--log-format", "json"], env=environment, standalone_mode=False)
    assert result.exception is None or isinstance(result.exception, UsageError), result.exception
    return result


def test_the_commands_answer(project: Project) -> None:
    """As text, JSON, SQL and Markdown; 0 also with differences, unless --exit-code asks for 1."""
    kept = project.root / "kept schema.json"

    shown = call(project, "show", "--object", "public.a")
    sql = call(project, "show", "--at", "last", "--format", "sql")
    kept.write_text(call(project, "show", "--format", "json").stdout)
    project.database.execute("CREATE INDEX by_hand ON a (kind)")
    text = call(project, "diff", str(kept), "live", "--ddl", "--exit-code")
    markdown = call(project, "diff", "last", "live", "--format", "markdown", "--ddl")
    found = call(project, "diff", "last", "live", "--format", "json")
    project.database.execute("DROP INDEX by_hand")
    same = call(project, "diff", str(kept), "live", "--exit-code")

    assert "TABLE public.a\n" in shown.stdout
    assert "Fingerprint: sha256:" in shown.stdout
    assert "CREATE TABLE public.a (\n    id integer NOT NULL," in sql.stdout
    assert [done.return_value for done in (text, markdown, found, same)] == [1, 0, 0, 0]
    assert "INDEX public.by_hand: only in the live database\n    CREATE INDEX by_hand ON public.a" in text.stdout
    assert "```sql\nCREATE INDEX by_hand ON public.a" in markdown.stdout
    assert [one["object"] for one in json.loads(found.stdout)["differences"]] == ["INDEX public.by_hand"]
    assert same.stdout.startswith(NONE)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "--run", "x", "--at", "live"),
        ("show", "--moment", "before"),
        ("show", "--format", "markdown"),
        ("diff", "live"),
        ("diff",),
    ],
)
def test_what_cannot_be_asked_ends_with_2(project: Project, arguments: tuple[str, ...]) -> None:
    """A mistake of usage, said as one."""
    assert isinstance(call(project, *arguments).exception, UsageError)
