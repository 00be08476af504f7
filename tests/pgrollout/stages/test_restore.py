"""Restore, on real servers."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pgrollout.backup_manifest import parse
from pgrollout.catalog.difference import difference
from pgrollout.catalog.scope import Scope
from pgrollout.errors import ProgramMissing, RestoreRefused
from pgrollout.postgres import dump, programs
from pgrollout.postgres.catalog import read_catalog
from pgrollout.stages import backup, restore
from pgrollout.stages.backup import BackupRequest
from pgrollout.stages.restore import RestoreReport, RestoreRequest
from tests.servers import Database, Server, Servers, TlsServer, fresh_database
from tests.servers import Database as Target

SCHEMA = r"""
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE feeds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title varchar CHECK (title IN ('a', 'b\', 'c')), mood mood
);
INSERT INTO feeds (title, mood) SELECT 'a', 'happy' FROM generate_series(1, 1000);
CREATE TABLE lines (line text);
INSERT INTO lines VALUES ('SET transaction_timeout = 0;'), (E'\\.'), ('x');
CREATE TABLE events (day date) PARTITION BY RANGE (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events VALUES ('2026-11-23');
SELECT lo_from_bytea(4711, 'large');
CREATE VIEW happy AS SELECT * FROM feeds WHERE mood = 'happy';
"""


def take(database: Database, root: Path, **values: object) -> Path:
    """Take a backup and return its folder."""
    report = backup.run(BackupRequest(database=database.settings(root / "from", **values)))
    assert report.path is not None
    return Path(report.path)


def bring_back(path: Path, into: Database, root: Path, **values: object) -> RestoreReport:
    """Restore into another database."""
    return restore.run(RestoreRequest.model_validate({"database": into.settings(root), "path": path} | values))


def is_empty(database: Database) -> bool:
    """Whether nothing is in schema public."""
    [[relations]] = database.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    return bool(relations == 0)


def test_everything_comes_back(any_server: Server, any_database: Database, tmp_path: Path) -> None:
    """Rows, partitions, views, identities and types are in the other database, on each version."""
    any_database.execute(SCHEMA)
    path = take(any_database, tmp_path)

    with fresh_database(any_server) as target:
        report = bring_back(path, target, tmp_path)

        assert target.execute("SELECT count(*), max(id) FROM happy") == [(1000, 1000)]
        assert target.execute("SELECT line FROM lines") == [("SET transaction_timeout = 0;",), ("\\.",), ("x",)]
        assert target.execute("SELECT tableoid::regclass::text FROM events") == [("events_2026",)]
        assert target.execute("SELECT lo_get(4711)") == [(b"large",)]
        assert target.execute("INSERT INTO feeds (mood) VALUES ('sad') RETURNING id") == [(1001,)]
    assert (report.tables, report.policy, report.dbname) == (4, "dump", target.name)
    assert report.summary.startswith(f"restored into {target.name}: 4 tables, ")


def test_restored_schema_is_the_same(any_server: Server, any_database: Database, tmp_path: Path) -> None:
    """What verify compares does not differ between a database and its restored backup."""
    any_database.execute(SCHEMA)
    path = take(any_database, tmp_path)

    with fresh_database(any_server) as target:
        bring_back(path, target, tmp_path)
        with target.connect() as restored, any_database.connect() as original:
            found = difference(read_catalog(restored, Scope()), read_catalog(original, Scope()))

    assert found.objects == ()
    assert found.compared >= 9


def test_function_comes_back_as_it_was(server: Server, database: Database, tmp_path: Path) -> None:
    """No line of a function's body is left out for being one that a restore's own settings must do without."""
    database.execute(
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$\nBEGIN\nSET transaction_timeout = 0;\nPERFORM 1;\nEND\n$$"
    )
    path = take(database, tmp_path)

    with fresh_database(server) as target:
        bring_back(path, target, tmp_path)
        source = "SELECT prosrc FROM pg_proc WHERE proname = 'p'"

        assert target.execute(source) == database.execute(source)


def test_schema_comes_back_without_rows(server: Server, database: Database, tmp_path: Path) -> None:
    """A backup of the schema brings tables back, empty."""
    database.execute(SCHEMA)
    path = take(database, tmp_path, backup="schema")

    with fresh_database(server) as target:
        report = bring_back(path, target, tmp_path)

        assert target.execute("SELECT count(*) FROM feeds") == [(0,)]
    assert report.tables == 4


def test_dump_of_the_wheel_comes_back_on_an_older_server(
    tls_server: TlsServer, tls_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only version 18's programs are there, a backup of version 15 is taken with them and comes back by them."""
    monkeypatch.setattr(programs, "FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    tls_database.execute(SCHEMA)

    path = take(tls_database, tmp_path)
    with fresh_database(tls_server) as target:
        bring_back(path, target, tmp_path)

        assert target.execute("SELECT count(*) FROM happy") == [(1000,)]
        assert target.execute("SELECT line FROM lines") == [("SET transaction_timeout = 0;",), ("\\.",), ("x",)]
    assert parse((path / "manifest.json").read_text()).pg_dump_major == 18


def test_older_backup_comes_back_on_a_newer_server(tls_database: Database, database: Target, tmp_path: Path) -> None:
    """A backup of version 15 is restored into version 18."""
    tls_database.execute(SCHEMA)
    path = take(tls_database, tmp_path)

    bring_back(path, database, tmp_path)

    assert database.execute("SELECT count(*) FROM happy") == [(1000,)]


def test_newer_backup_is_refused_by_an_older_server(database: Database, tls_database: Target, tmp_path: Path) -> None:
    """A backup of version 18 is not tried on version 15."""
    path = take(database, tmp_path)

    with pytest.raises(RestoreRefused, match=r"from PostgreSQL 18\.\d+, and this server is 15\."):
        bring_back(path, tls_database, tmp_path)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("CREATE TABLE there (id int)", "table public.there"),
        ("CREATE SCHEMA mine", "schema mine"),
        ("CREATE SCHEMA mine CREATE TABLE t (id int)", "table mine.t"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f"),
        ("CREATE TYPE mood AS ENUM ('sad')", "type public.mood"),
        ("CREATE VIEW v AS SELECT 1 AS one", "view public.v"),
        ("SELECT lo_create(4711)", "large object 4711"),
        ("CREATE PUBLICATION p", "publication p"),
        ("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w", "foreign server s"),
        (
            "CREATE OPERATOR @#@ (leftarg = int, rightarg = int, function = int4pl)",
            r"operator public.@#@\(integer,integer\)",
        ),
        ('CREATE COLLATION mine FROM "C"', "collation public.mine"),
        ("CREATE CAST (name AS xid) WITH INOUT", r"cast \(pg_catalog\.name AS pg_catalog\.xid\)"),
        ("CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple)", "text search configuration public.mine"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "default privileges for role postgres on tables"),
    ],
)
def test_database_that_is_not_empty_is_refused(
    server: Server, database: Database, tmp_path: Path, sql: str, named: str
) -> None:
    """Whatever somebody made in the database is named, and the way out."""
    path = take(database, tmp_path)

    with fresh_database(server) as target:
        target.execute(sql)
        with pytest.raises(RestoreRefused, match=f"is not empty: there is {named}") as caught:
            bring_back(path, target, tmp_path)

    assert "createdb" in str(caught.value)


def test_extensions_of_a_template_do_not_count(server: Server, database: Database, tmp_path: Path) -> None:
    """A database whose template brought an extension is empty all the same, and the backup may have it too."""
    database.execute("CREATE EXTENSION citext; CREATE TABLE t (name citext)")  # with operators and casts of its own
    path = take(database, tmp_path)

    with fresh_database(server) as target:
        target.execute("CREATE EXTENSION citext")

        assert bring_back(path, target, tmp_path).tables == 1


def test_damaged_backup_is_refused_before_anything_runs(server: Server, database: Database, tmp_path: Path) -> None:
    """One changed byte is found, and nothing was executed."""
    database.execute(SCHEMA)
    path = take(database, tmp_path)
    data = max((path / "dump").iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)

    with fresh_database(server) as target:
        with pytest.raises(RestoreRefused, match=f"file {data.name} was changed since it was written"):
            bring_back(path, target, tmp_path)

        assert is_empty(target)


def test_something_else_is_no_backup(database: Database, tmp_path: Path) -> None:
    """A folder without a manifest is refused with its name."""
    with pytest.raises(RestoreRefused, match=r"manifest\.json cannot be read: No such file or directory"):
        bring_back(tmp_path / "nothing", database, tmp_path)


def test_changed_manifest_is_refused(database: Database, tmp_path: Path) -> None:
    """A manifest that somebody changed vouches for nothing."""
    path = take(database, tmp_path)
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"tables": ["public.more"]}))

    with pytest.raises(RestoreRefused, match="was changed since it was written"):
        bring_back(path, database, tmp_path)


def test_missing_roles_are_named_with_their_sql(
    server: Server, database: Database, tls_database: Target, tmp_path: Path, servers: Servers
) -> None:
    """Owners, grantees and roles of policies that the server lacks are named before anything runs."""
    owner, reader, watcher = (database.make_role(name, "NOLOGIN") for name in ("owner", "reader", "watcher"))
    database.execute(
        f'CREATE TABLE t (id int); ALTER TABLE t OWNER TO "{owner}"; GRANT SELECT ON t TO "{reader}";'
        f'CREATE POLICY p ON t TO "{watcher}" USING (true)'
    )
    path = take(database, tmp_path)
    for role in (reader, watcher):
        database.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    with fresh_database(server) as target:
        with pytest.raises(RestoreRefused, match=f"does not have: {reader}, {watcher}") as caught:
            bring_back(path, target, tmp_path)
        statements = [line for line in str(caught.value).splitlines() if line.startswith("    ")]
        target.execute("".join(statements))
        bring_back(path, target, tmp_path)

        assert target.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'") == [(owner,)]

    assert statements == [f'    CREATE ROLE "{role}" NOLOGIN;' for role in (reader, watcher)]


def test_without_owners_no_role_is_needed(server: Server, database: Database, tmp_path: Path) -> None:
    """With no_owner everything belongs to who restores, and grants are left out."""
    owner, reader = database.make_role("owner", "NOLOGIN"), database.make_role("reader", "NOLOGIN")
    database.execute(f'CREATE TABLE t (id int); ALTER TABLE t OWNER TO "{owner}"; GRANT SELECT ON t TO "{reader}"')
    path = take(database, tmp_path)
    database.execute(f'DROP TABLE t; DROP ROLE "{owner}"; DROP ROLE "{reader}"')

    with fresh_database(server) as target:
        bring_back(path, target, tmp_path, no_owner=True)

        assert target.execute("SELECT relowner::regrole::text, relacl FROM pg_class WHERE relname = 't'") == [
            ("postgres", None)
        ]


@pytest.mark.parametrize("only_wheel", [False, True])
def test_failed_restore_leaves_nothing(
    tls_server: TlsServer, tls_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_wheel: bool
) -> None:
    """A restore that fails in the middle leaves the database empty, by either way."""
    if only_wheel:
        monkeypatch.setattr(programs, "FOLDERS", ())
        monkeypatch.setenv("PATH", str(tmp_path))
    # A check that held when the rows came and does not hold when they come back.
    tls_database.execute(
        "CREATE TABLE a (id int); INSERT INTO a VALUES (1);"
        "CREATE FUNCTION in_a(int) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.a WHERE id = $1)';"
        "CREATE TABLE b (id int CHECK (in_a(id))); INSERT INTO b VALUES (1); DELETE FROM a"
    )
    path = take(tls_database, tmp_path)

    with fresh_database(tls_server) as target:
        with pytest.raises(RestoreRefused, match=r"b_id_check.*Nothing of it was kept: the database is empty\."):
            bring_back(path, target, tmp_path)

        assert is_empty(target)


def test_more_tables_than_the_server_has_locks_for(
    server: Server, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one transaction would take more locks than there are, each statement is one, and that is said."""
    monkeypatch.setattr(restore, "_LOCKS_PER_ENTRY", 1_000_000)
    database.execute(SCHEMA)
    path = take(database, tmp_path)
    database.execute(
        "CREATE FUNCTION in_a() RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.lines)'"
    )
    database.execute("CREATE TABLE z (id int CHECK (in_a())); INSERT INTO z VALUES (1); DELETE FROM lines")
    unrestorable = take(database, tmp_path)

    with fresh_database(server) as target:
        report = bring_back(path, target, tmp_path)

        assert target.execute("SELECT count(*) FROM happy") == [(1000,)]
    with fresh_database(server) as target:
        with pytest.raises(RestoreRefused, match="Part of it is there: drop the database and make it again"):
            bring_back(unrestorable, target, tmp_path)

        assert not is_empty(target)
    assert report.summary.endswith(", not in one transaction: more tables than the server has locks for")


def test_interrupted_restore_leaves_nothing(
    server: Server, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a restore rolls it back."""
    # Rows that take for ever to come back: the check waits for a lock that the test holds.
    database.execute(
        "CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql AS "
        "$$BEGIN IF current_setting('application_name') LIKE '%%/restore' THEN PERFORM pg_advisory_lock(4711); END IF; "
        "RETURN true; END$$; CREATE TABLE t (id int CHECK (slow(id))); INSERT INTO t VALUES (1)"
    )
    path = take(database, tmp_path)

    def interrupted(lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            if line == b"COMMIT;\n":
                break
            yield line
        yield b"--" + b" " * 20_000 + b"\n"  # more than what is kept back before it is sent
        while not target.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'"):
            pass
        raise KeyboardInterrupt

    with fresh_database(server) as target, target.connect() as other:
        other.execute("SELECT pg_advisory_lock(4711)")
        monkeypatch.setattr(dump, "without_what_servers_refuse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bring_back(path, target, tmp_path)
        other.execute("SELECT pg_advisory_unlock(4711)")
        _wait_until_alone(target)

        assert is_empty(target)


def _wait_until_alone(database: Database) -> None:
    with database.connect() as connection:
        while connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgrollout/%'"
        ).fetchone():
            pass


def test_dry_run_executes_nothing(server: Server, database: Database, tmp_path: Path) -> None:
    """A dry run checks everything and says what it would bring back."""
    database.execute(SCHEMA)
    path = take(database, tmp_path)

    with fresh_database(server) as target:
        report = bring_back(path, target, tmp_path, dry_run=True)

        assert is_empty(target)
    assert report.summary.startswith("dry run: would restore 4 tables, ")


def test_pg_restore_that_is_too_old_is_refused(
    database: Database, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump of version 18 is not given to version 15's pg_restore."""
    path = take(database, tmp_path)
    monkeypatch.setattr(programs, "PACKAGE", "no_such_package_anywhere")

    with fresh_database(server) as target, pytest.raises(ProgramMissing, match=r"15\.\d+, which is too old"):
        bring_back(path, target, tmp_path)


def test_over_tls(tls_server: TlsServer, tls_database: Database, tmp_path: Path) -> None:
    """A backup is taken and brought back over TLS with a client certificate."""
    tls_database.execute("GRANT pg_read_all_data TO cert_user; CREATE TABLE t (id int)")
    path = take(tls_database, tmp_path, url=SecretStr(tls_server.certificate_url(tls_database.name)))

    with fresh_database(tls_server) as target:
        target.execute("GRANT CREATE ON SCHEMA public TO cert_user")
        settings = target.settings(tmp_path, url=SecretStr(tls_server.certificate_url(target.name)))
        report = restore.run(RestoreRequest(database=settings, path=path, no_owner=True))

    assert report.tables == 1


def test_dump_of_a_pg_dump_without_the_security_fixes(
    tls_database: Target, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fixed server keeps among the column options, and an older pg_dump dumps, does not stop a restore."""
    tls_database.execute(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t ALTER id SET (n_distinct = 7)"
    )
    monkeypatch.setattr(programs, "FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    path = take(tls_database, tmp_path)

    bring_back(path, database, tmp_path)

    assert database.execute("SELECT id FROM t") == [(1,)]
