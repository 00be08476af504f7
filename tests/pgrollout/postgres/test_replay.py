"""Replaying: the whole directory on an empty shadow database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from pgrollout.content import read_content
from pgrollout.errors import ReplayFailed, StateCrosses, StatementFailed
from pgrollout.migration import Migration
from pgrollout.postgres.connection import connect
from pgrollout.postgres.replay import Cut, Replayed, is_lacking, replay, replayed_before
from pgrollout.postgres.shadow import ShadowDatabase, shadow
from pgrollout.settings import Shadow
from tests.servers import Database

NONE = "-- atlas:txmode none\n\n"


@contextmanager
def shadow_on(database: Database, root: Path) -> Iterator[ShadowDatabase]:
    """A shadow database on the server of the test's."""
    settings = database.settings(root, shadow=Shadow(server="url", url=SecretStr(database.url)))
    with shadow(settings) as made:
        assert made is not None
        yield made


@pytest.fixture
def made(any_database: Database, tmp_path: Path) -> Iterator[ShadowDatabase]:
    """A shadow database on each version."""
    with shadow_on(any_database, tmp_path) as made:
        yield made


def play(made: ShadowDatabase, **files: str) -> Replayed:
    """Replay files, in the order given."""
    return replay(made, [read_content(Migration(f"{name}.sql", text.encode())) for name, text in files.items()])


def tables(made: ShadowDatabase) -> list[str]:
    """Return the tables and indexes that there are, by name."""
    with connect(made.database, application_name="pgrollout/test") as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'i') ORDER BY 1"
        )
        return [name for (name,) in rows]


def test_every_kind_of_file(made: ShadowDatabase) -> None:
    """Wrapped files, statements outside a transaction, blocks and delimiters are run as apply runs them."""
    replayed = play(
        made,
        a="CREATE TABLE a (id int);\nSET search_path = '';\nSET ROLE NONE;\n",
        b=f"{NONE}CREATE INDEX CONCURRENTLY a_idx ON a (id);\nVACUUM a;\n",
        c=f"{NONE}BEGIN;\nCREATE TABLE c (id int);\nCOMMIT;\nBEGIN;\nCREATE TABLE gone (id int);\nROLLBACK;\n",
        d="-- atlas:delimiter \\n\\n\n\nCREATE TABLE d (id int)\n\nSELECT 1\n",
        e="",
    )

    assert replayed == Replayed(5)
    assert replayed.is_complete
    assert tables(made) == ["a", "a_idx", "c", "d"]


def test_a_file_is_cut_as_apply_cuts_it(made: ShadowDatabase) -> None:
    """Around what cannot run in a transaction; an index on a table of the same transaction is plain, or it could not be."""
    replayed = play(
        made,
        a="CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_made ON a (id);\nVACUUM a;\n"
        "SET search_path = public;\nCREATE INDEX CONCURRENTLY a_online ON a (id);\nCREATE TABLE b (id int);\n",
        b="-- atlas:delimiter \\n---\n\n"
        "CREATE TABLE d (id int)\n---\nCREATE INDEX CONCURRENTLY d_idx ON d (id)\n---\nVACUUM d\n---\n",
    )

    assert replayed == Replayed(2)
    assert tables(made) == ["a", "a_made", "a_online", "b", "d", "d_idx"]


def test_what_a_cut_has_committed_stays(made: ShadowDatabase) -> None:
    """A failure names its statement, in whichever segment it stands, by its place in the file."""
    with pytest.raises(ReplayFailed) as caught:
        play(made, a="CREATE TABLE a (id int);\nVACUUM a;\nCREATE TABLE b (id int);\nSELECT nope;\n")

    assert str(caught.value).startswith("a.sql:4:8: ")
    assert tables(made) == ["a"]


ENUM = "CREATE TYPE mood AS ENUM ('calm');\n"
USES = "ALTER TYPE mood ADD VALUE 'happy';\nCOMMENT ON TYPE mood IS 'x';\nCREATE TABLE b (m mood DEFAULT 'happy');\n"


def test_a_file_is_cut_where_the_server_asks_for_it(made: ShadowDatabase) -> None:
    """Each ADD VALUE is committed before what follows; files that the server runs as they are, are not cut."""
    replayed = play(
        made,
        a=ENUM,
        b=f"CREATE TABLE a (id int);\n{USES}ALTER TYPE mood ADD VALUE 'sad';\nCREATE TABLE c (m mood DEFAULT 'sad');\n",
        c="ALTER TYPE mood ADD VALUE 'new';\nSELECT 1;\n",
    )

    assert replayed == Replayed(3, cuts=(Cut("b.sql", 2), Cut("b.sql", 4)))
    assert tables(made) == ["a", "b", "c"]
    assert replayed_before(made, 3) == replayed


def test_only_the_rest_of_a_file_is_cut(made: ShadowDatabase) -> None:
    """What ran before is committed, and not run again."""
    replayed = play(made, a=ENUM, b=f"ALTER TYPE mood ADD VALUE 'new';\nCREATE TABLE a (id int);\nVACUUM a;\n{USES}")

    assert replayed.cuts == (Cut("b.sql", 4),)


def test_a_cut_that_loses_something_is_refused(made: ShadowDatabase) -> None:
    """With the place of what is lost."""
    with pytest.raises(StateCrosses, match=r"b\.sql:1:1: the lock of LOCK TABLE"):
        play(made, a=f"{ENUM}CREATE TABLE a (id int);\n", b=f"LOCK TABLE a;\n{USES}")


def test_where_no_cut_helps_the_server_is_right(made: ShadowDatabase) -> None:
    """A value that code adds, where nobody sees it, is the directory's error."""
    text = "DO $$ BEGIN ALTER TYPE mood ADD VALUE 'happy'; END $$;\nCREATE TABLE b (m mood DEFAULT 'happy');\n"

    with pytest.raises(ReplayFailed, match="55P04"):
        play(made, a=ENUM, b=text)


def test_history_is_not_written(made: ShadowDatabase) -> None:
    """The shadow has what the directory makes, and neither history nor ledger."""
    play(made, a="CREATE TABLE a (id int);\n")

    with connect(made.database, application_name="pgrollout/test") as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE oid >= 16384").fetchall()

    assert found == []


def test_missing_roles_are_made(made: ShadowDatabase, any_database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Roles that statements name are made, several in one file, also where the statement runs outside a transaction."""
    caplog.set_level(logging.DEBUG, logger="pgrollout")
    one, two, three = (f"{any_database.name}_{name}" for name in ("one", "two", 'th"ree'))
    quoted = three.replace('"', '""')

    replayed = play(
        made,
        a=f"CREATE TABLE a (id int);\nGRANT SELECT ON a TO {one}, {two};\n",
        b=f'{NONE}ALTER TABLE a OWNER TO "{quoted}";\n',
    )

    assert replayed.is_complete
    with connect(made.database, application_name="pgrollout/test") as connection:
        assert connection.execute(
            "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname = ANY (%s) ORDER BY 1", [[one, two, three]]
        ).fetchall() == [(one, False), (three, False), (two, False)]  # fmt: skip


def test_role_that_the_server_has_needs_another_server(any_database: Database, tmp_path: Path) -> None:
    """Where a migration makes a role that others have on the shadow's server, the advice is another server."""
    role = any_database.make_role("there")

    with shadow_on(any_database, tmp_path) as made, pytest.raises(ReplayFailed) as caught:
        play(made, a=f'CREATE ROLE "{role}";\n')

    assert caught.value.advice.startswith(
        "Roles belong to the server, not to a database: give the shadow a server where"
    )
    assert role in caught.value.advice


def test_failing_statement_has_its_place(made: ShadowDatabase) -> None:
    """A directory that does not run from the start is an error, with file, line and column."""
    with pytest.raises(ReplayFailed) as caught:
        play(made, a="CREATE TABLE a (id int);\n", b="SELECT 1;\nSELECT 'é', nope FROM a;\n")

    assert str(caught.value).startswith("b.sql:2:13: the directory does not run on an empty shadow database: column")
    assert tables(made) == ["a"]


def test_failure_at_commit(made: ShadowDatabase) -> None:
    """A deferred constraint fails at COMMIT: the file is named."""
    with pytest.raises(ReplayFailed, match=r"b\.sql|duplicate key"):
        play(
            made,
            a="CREATE TABLE a (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);\n",
            b="INSERT INTO a VALUES (1), (1);\n",
        )


def test_copy_to_the_client_is_thrown_away(made: ShadowDatabase) -> None:
    """What a COPY sends to the client is thrown away, as in apply."""
    assert play(made, a="CREATE TABLE a (id int);\nCOPY a TO STDOUT;\n").is_complete


def test_what_this_server_lacks_is_not_analysed(made: ShadowDatabase) -> None:
    """An extension that is not there ends the replay without blaming the directory."""
    replayed = play(made, a="CREATE TABLE a (id int);\n", b="CREATE EXTENSION no_such_extension;\n", c="SELECT nope;\n")

    assert replayed.files == 1
    assert not replayed.is_complete
    assert replayed.not_analysed is not None
    assert str(replayed.not_analysed.place) == "b.sql:1:1"


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE EXTENSION "uuid-ossp"',
        "CREATE COLLATION de (provider = icu, locale = 'de')",
        'CREATE TABLE t (name text COLLATE "de-x-icu")',
        'CREATE TABLE t (name text COLLATE pg_catalog."und-x-icu")',
        "SELECT '<a/>'::xml",
        "CREATE TABLE t (body text COMPRESSION lz4)",
        "SELECT table_to_xml('pg_am', true, false, '')",
        "COPY pg_am TO '/no/such/folder/file'",
        "CREATE SUBSCRIPTION s CONNECTION 'host=localhost port=1 sslmode=require' PUBLICATION p",
        "ALTER SYSTEM SET ssl = on",
    ],
)
def test_what_the_embedded_server_lacks_is_not_analysed(database: Database, tmp_path: Path, statement: str) -> None:
    """Extensions, ICU, XML and compression that the wheel is built without say nothing about the directory."""
    with shadow_on(database, tmp_path) as made:
        assert play(made, a=f"{NONE}{statement};\n").not_analysed is not None


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "CREATE TABLE t (i int);\nCREATE VIEW v AS SELECT i FROM t;\nALTER TABLE t ALTER i TYPE bigint",
            "used by a view",
        ),
        ("CREATE TABLE t (i int) PARTITION BY LIST (i);\nCREATE INDEX CONCURRENTLY ON t (i)", "on partitioned table"),
        ('CREATE TABLE t (name text COLLATE "de_DE.nope")', "collation .* does not exist"),
        ("SELECT count(*) FROM pg_am FOR UPDATE", "FOR UPDATE is not allowed"),
    ],
)
def test_what_no_server_can_run_is_an_error(made: ShadowDatabase, statement: str, problem: str) -> None:
    """A statement that PostgreSQL does not support anywhere is the directory's, not the shadow's."""
    with pytest.raises(ReplayFailed, match=problem):
        play(made, a=f"{NONE}{statement};\n")


@pytest.mark.parametrize(
    ("since", "statement"),
    [
        (17, "MERGE INTO t USING t s ON s.i = t.i WHEN NOT MATCHED THEN DO NOTHING RETURNING t.i"),
        (18, "ALTER TABLE t ADD CHECK (i > 0) NOT ENFORCED"),
        (18, "ALTER TABLE t ADD j int GENERATED ALWAYS AS (i * 2) VIRTUAL"),
        (18, "ALTER TABLE t ADD u uuid DEFAULT uuidv7()"),
        (18, "SET file_copy_method = 'clone'"),
        (18, "CREATE VIEW v AS SELECT * FROM pg_aios"),
    ],
)
def test_what_only_a_newer_server_knows(made: ShadowDatabase, since: int, statement: str) -> None:
    """It is not analysed where the target is newer than the shadow; elsewhere it is the directory's error."""
    contents = [read_content(Migration("a.sql", f"CREATE TABLE t (i int);\n{statement};\n".encode()))]
    if made.version >= since * 10000:
        assert replay(made, contents, target_version=made.version).is_complete
        return

    lacking = replay(made, contents, target_version=since * 10000).not_analysed

    assert lacking is not None
    assert lacking.statement.startswith(statement[:20])
    for same in (None, made.version):
        with pytest.raises(ReplayFailed):
            replay(made, contents, target_version=same)


def test_a_mistake_is_one_for_a_newer_target_too(made: ShadowDatabase) -> None:
    """A column that is not there is the directory's error, however new the target is."""
    with pytest.raises(ReplayFailed, match='column "nope" does not exist'):
        replay(made, [read_content(Migration("a.sql", b"SELECT nope;\n"))], target_version=990000)


def test_an_extension_that_is_missing_in_another_language() -> None:
    """Where messages cannot be had in English, the statement tells what the server lacks."""
    said = ("0A000", "Erweiterung »postgis« ist nicht verfügbar")

    assert is_lacking(StatementFailed(None, "1", *said, "-- maps\nCREATE EXTENSION postgis", "", 1), 150000, None)
    assert not is_lacking(StatementFailed(None, "1", *said, "SELECT 1", "", 1), 150000, None)


def test_session_is_clean_for_every_file(made: ShadowDatabase) -> None:
    """What one file sets is gone for the next, temporary tables and roles included."""
    replayed = play(
        made,
        a="CREATE TEMP TABLE t (id int);\nSET search_path = '';\nSET ROLE pg_monitor;\n",
        b="CREATE TABLE t (id int);\nDO $$ BEGIN ASSERT current_user = session_user; END $$;\n",
    )

    assert replayed.is_complete
    assert tables(made) == ["t"]
