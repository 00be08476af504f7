"""Guards: what they lock is what statements lock, and who is in the way is seen; on real servers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from pgrollout import parser, splitter
from pgrollout.locks import Lock, Mode, Reach, guarded
from pgrollout.nodes import Name
from pgrollout.postgres import guard
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.guard import Blocker, blockers, bounded, evict_sql, guard_sql, in_the_way, wait_until_clear
from tests.lock_cases import LOCKED_MORE, NOT_LOCKED, SCHEMA, STATEMENTS
from tests.pgrollout.postgres.interrupting import running, waits
from tests.servers import Database, Servers, fresh_database

pytestmark = pytest.mark.skipif(not parser.is_available(), reason="the parser has no wheel for this platform")

PATIENCE_SECONDS = 30
"""How long a test waits for what is to happen before it fails."""


@pytest.fixture(params=[15, 18])
def database(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database on the oldest and on the newest version."""
    with fresh_database(servers.get(request.param)) as database:
        yield database


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transaction is young, however slow the machine is."""
    monkeypatch.setattr(guard, "YOUNG_MS", 600_000)


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transaction is old, however quick the machine is."""
    monkeypatch.setattr(guard, "YOUNG_MS", 0)


def locks_of(statement: str) -> tuple[Lock, ...]:
    """Return the locks of one statement."""
    return guarded(splitter.split(statement).statements).get(0, ())


def run_guard(connection: Connection, statement: str, wait_ms: int = 10_000, *, patient: bool = False) -> None:
    """Run the guard of a statement, in the transaction that is open."""
    connection.execute(";\n".join(bounded(guard_sql(locks_of(statement), patient=patient), wait_ms)).encode())


def soon() -> float:
    """Return a deadline that is not to be reached."""
    return time.monotonic() + PATIENCE_SECONDS


def nobody_listens(found: tuple[Blocker, ...]) -> None:
    """Take a report."""


@contextmanager
def transaction(database: Database, *statements: str, **parameters: str) -> Iterator[Connection]:
    """Hold a transaction open that has run some statements, and roll it back."""
    with database.connect(**parameters) as connection:
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.execute("ROLLBACK")


HELD = """
SELECT relation, CASE mode WHEN 'ShareUpdateExclusiveLock' THEN 4 WHEN 'ShareLock' THEN 5
  WHEN 'ShareRowExclusiveLock' THEN 6 WHEN 'ExclusiveLock' THEN 7 WHEN 'AccessExclusiveLock' THEN 8 END AS mode
FROM pg_catalog.pg_locks
WHERE pid = %s AND locktype = 'relation' AND granted AND relation >= 16384
  AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
ORDER BY mode
"""


def held(connection: Connection, of: Connection | None = None) -> dict[int, Mode]:
    """Return which tables a session holds in a mode from SHARE UPDATE EXCLUSIVE up, and the strongest, by OID."""
    rows = connection.execute(HELD, [(of or connection).info.backend_pid]).fetchall()
    return {table: Mode(mode) for table, mode in rows}


def refused(caught: pytest.ExceptionInfo[psycopg.Error]) -> list[dict[str, object]]:
    """Return who was in the way, after a guard was refused."""
    assert caught.value.sqlstate == guard.IN_THE_WAY
    found: list[dict[str, object]] = json.loads(caught.value.diag.message_detail or "")
    return found


# What a statement locks.


def locked_by(connection: Connection, statement: str, names: dict[int, str]) -> dict[str, Mode]:
    """Return which tables a statement locks in SHARE or stronger; it is rolled back."""
    connection.execute("BEGIN")
    connection.execute(statement.encode())
    found = held(connection)
    connection.execute("ROLLBACK")
    return {names[table]: mode for table, mode in found.items() if mode >= Mode.SHARE and table in names}


@pytest.mark.parametrize("version", [15, 16, 18])
def test_guards_lock_what_statements_lock(servers: Servers, version: int) -> None:
    """Each table that a statement locks in SHARE or stronger its guard has locked before, and no other, but for those listed."""
    with fresh_database(servers.get(version)) as database:
        role = database.make_role("app", "NOLOGIN")
        database.execute(f'{SCHEMA}; GRANT ALL ON SCHEMA public, other TO "{role}"')
        missing, more = [], []
        with database.connect() as connection:
            names = dict(connection.execute("SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p')").fetchall())
            for line in STATEMENTS.strip().splitlines():
                statement = line.replace('"app"', f'"{role}"')
                locks = locks_of(statement)
                by_guard = locked_by(connection, guard_sql(locks), names) if locks else {}
                by_statement = locked_by(connection, statement, names)
                if any(by_guard.get(table, 0) < mode for table, mode in by_statement.items()):
                    missing.append((line, by_statement, by_guard))
                if any(by_statement.get(table, 0) < mode for table, mode in by_guard.items()):
                    more.append((line, by_statement, by_guard))

    assert [each for each in missing if each[0] not in NOT_LOCKED] == []
    assert [each for each in more if each[0] not in LOCKED_MORE] == []


USES = [
    ("DROP VIEW vv", "SELECT FROM vv", Mode.ACCESS_SHARE),
    ("CREATE OR REPLACE VIEW v AS SELECT id, a FROM plain", "SELECT FROM v", Mode.ACCESS_SHARE),
    ("REFRESH MATERIALIZED VIEW mv", "SELECT FROM mv", Mode.ACCESS_SHARE),
    ("ALTER SEQUENCE sq RESTART", "SELECT nextval('sq')", Mode.ROW_EXCLUSIVE),
    ("DROP TABLE counted, plain CASCADE", "SELECT FROM mv", Mode.ACCESS_SHARE),
]


def test_what_cannot_be_locked_is_looked_at(database: Database, old: None) -> None:
    """A view, a materialized view or a sequence that somebody uses is in the way, though the guard cannot lock it."""
    database.execute(SCHEMA)
    with database.connect() as ours, database.connect() as watch:
        for statement, used, mode in USES:
            with transaction(database, used):
                ours.execute("BEGIN")
                with pytest.raises(psycopg.Error) as caught:
                    run_guard(ours, statement)
                ours.execute("ROLLBACK")

                assert refused(caught)
                assert mode in {blocker.mode for blocker in blockers(watch, locks_of(statement))}


# Who is in the way.


def test_old_holder_is_in_the_way(database: Database, old: None) -> None:
    """Whoever has held a conflicting lock for long is named, and nothing is locked; a lock that does not conflict is not seen."""
    database.execute("CREATE TABLE t (id int); CREATE TABLE u (id int)")
    with transaction(database, "SELECT FROM t", application_name="a report") as theirs, database.connect() as ours:
        pid = theirs.info.backend_pid
        ours.execute("BEGIN")
        run_guard(ours, "CREATE INDEX ON t (id)")
        ours.execute("SAVEPOINT s")
        with pytest.raises(psycopg.Error) as caught:
            run_guard(ours, "DROP TABLE u, t")
        ours.execute("ROLLBACK TO s")

        (found,) = refused(caught)
        assert (found["pid"], found["relation"], found["mode"], found["autovacuum"]) == (pid, "public.t", 1, False)
        assert list(held(ours).values()) == [Mode.SHARE]
        ours.execute("ROLLBACK")
        with database.connect() as watch:
            (blocker,) = blockers(watch, locks_of("DROP TABLE u, t"))
        assert (blocker.pid, blocker.state, blocker.is_prepared) == (pid, "idle in transaction", False)
        assert blocker.is_in_the_way
        assert str(blocker).startswith(f"pid {pid} (a report, postgres) idle in transaction for ")
        assert str(blocker).endswith(" holds ACCESS SHARE on public.t")


def test_young_holder_is_waited_for_briefly(database: Database, young: None) -> None:
    """For whoever came just now the guard queues up, until its time is over; then a rollback leaves nothing locked."""
    database.execute("CREATE TABLE t (id int); CREATE TABLE a (id int)")
    with transaction(database, "SELECT FROM t"), database.connect() as ours, database.connect() as watch:
        assert [blocker.is_in_the_way for blocker in blockers(watch, locks_of("TRUNCATE t"))] == [False]
        ours.execute("BEGIN")
        with pytest.raises(psycopg.errors.QueryCanceled):
            run_guard(ours, "TRUNCATE t, a", wait_ms=50)
        ours.execute("ROLLBACK")

        assert held(watch, ours) == {}
        assert ours.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_settings_of_the_file_come_back(database: Database) -> None:
    """After a guard the file's statement_timeout, search_path and jit are what they were, in the transaction and after it."""
    database.execute("CREATE TABLE t (id int)")
    shown = "SELECT current_setting('statement_timeout'), current_setting('search_path'), current_setting('jit')"
    with database.connect() as ours:
        ours.execute("SET statement_timeout = '7s'; BEGIN; SET search_path = public, \"a b\"; SET LOCAL jit = on")
        run_guard(ours, "TRUNCATE t")

        assert ours.execute(shown).fetchone() == ("7s", 'public, "a b"', "on")
        ours.execute("COMMIT")
        assert ours.execute(shown).fetchone()[:2] == ("7s", 'public, "a b"')  # type: ignore[index]


def test_prepared_transaction_is_in_the_way(database: Database, old: None) -> None:
    """A prepared transaction has no session; it is found, and named with what ends it."""
    database.execute("CREATE TABLE t (id int)")
    gid = database.name
    with database.connect() as theirs, database.connect() as ours:
        theirs.execute(f"BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '{gid}'")
        try:
            ours.execute("BEGIN")
            with pytest.raises(psycopg.Error) as caught:
                run_guard(ours, "ALTER TABLE t ADD a int")

            assert [(found["pid"], found["gid"]) for found in refused(caught)] == [(None, gid)]
            with database.connect() as watch:
                (blocker,) = blockers(watch, locks_of("ALTER TABLE t ADD a int"))
            assert (blocker.is_prepared, blocker.user, blocker.mode) == (True, "postgres", Mode.ROW_EXCLUSIVE)
            assert str(blocker).startswith(f"prepared transaction '{gid}' of postgres for ")
        finally:
            theirs.execute(f"ROLLBACK PREPARED '{gid}'")


def test_partition_tree(database: Database, old: None) -> None:
    """Whoever holds a partition is in the way of what locks the whole tree, not of what locks the parent alone."""
    database.execute(SCHEMA)
    with transaction(database, "SELECT FROM ev2"), database.connect() as ours, database.connect() as watch:
        for statement in ("ALTER TABLE ev ADD a int", "DROP INDEX ev_id", "TRUNCATE ev2"):
            assert [blocker.relation for blocker in blockers(watch, locks_of(statement))] == ["public.ev2"]
        ours.execute("BEGIN")
        run_guard(ours, "ALTER TABLE ev ENABLE ROW LEVEL SECURITY")
        run_guard(ours, "CREATE TABLE n PARTITION OF ev FOR VALUES FROM (20) TO (30)")

        with pytest.raises(psycopg.Error) as caught:
            run_guard(ours, "ALTER TABLE ev ADD a int")
        assert [found["relation"] for found in refused(caught)] == ["public.ev2"]


DUMPS = [
    ("dumped1", "pg_dump", True),
    (", ".join(f"dumped{n}" for n in range(32)), "", True),
    (", ".join(f"dumped{n}" for n in range(31)), "", False),
    ("dumped1, tree", "", False),
]


def test_dump_is_in_the_way_however_young(database: Database, young: None) -> None:
    """A session that reads very many tables is a dump, or one that says so; a tree of partitions counts once."""
    partitions = "".join(f"CREATE TABLE p{n} PARTITION OF tree FOR VALUES IN ({n});" for n in range(40))
    tables = "".join(f"CREATE TABLE dumped{n} (id int);" for n in range(32))
    database.execute(f"CREATE TABLE tree (id int) PARTITION BY LIST (id); {partitions} {tables}")
    with database.connect() as ours, database.connect() as watch:
        for tables, name, is_dump in DUMPS:
            with transaction(database, f"LOCK TABLE {tables} IN ACCESS SHARE MODE", application_name=name):
                (blocker,) = blockers(watch, locks_of("TRUNCATE dumped1"))
                assert (blocker.looks_like_dump, bool(blocker.is_in_the_way)) == (is_dump, is_dump)
                assert blockers(watch, locks_of("CREATE INDEX ON dumped1 (id)")) == ()
                ours.execute("BEGIN")
                with pytest.raises(psycopg.Error) as caught:
                    run_guard(ours, "TRUNCATE dumped1", wait_ms=10_000 if is_dump else 50)
                assert caught.value.sqlstate == (guard.IN_THE_WAY if is_dump else "57014")
                ours.execute("ROLLBACK")


def test_one_clause_for_a_session_with_many_tables(database: Database, old: None) -> None:
    """A session that holds several of the tables is one blocker, with its strongest lock."""
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)")
    with transaction(database, "SELECT FROM a, c", "INSERT INTO b VALUES (1)"), database.connect() as watch:
        (blocker,) = blockers(watch, locks_of("TRUNCATE a, b, c"))

    assert (blocker.mode, blocker.relation, blocker.more) == (Mode.ROW_EXCLUSIVE, "public.b", 2)
    assert str(blocker).endswith("holds ROW EXCLUSIVE on public.b and 2 more")


def test_who_waits_for_us(database: Database, young: None) -> None:
    """Who waits for what we have locked is in the way of the next table, however young: waiting would be a deadlock."""
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    with database.connect() as ours:
        ours.execute("BEGIN; LOCK TABLE a")
        with running(database, "BEGIN", "LOCK TABLE public.b", "LOCK TABLE public.a", "COMMIT") as pid:
            eventually(lambda: waits(database, pid))
            with pytest.raises(psycopg.Error) as caught:
                run_guard(ours, "TRUNCATE b")
            ours.execute("ROLLBACK")

    assert [found["pid"] for found in refused(caught)] == [pid]
    message = f"others hold locks that are in the way\n    {caught.value.diag.message_detail}"
    assert in_the_way(message) == f"pid {pid} holds ACCESS EXCLUSIVE on public.b"


def test_steady_transactions(database: Database, old: None) -> None:
    """Where transactions in the way never stop coming, those are waited for in the queue that are as young as we may wait."""
    database.execute("CREATE TABLE t (id int)")
    with transaction(database, "SELECT FROM t"), database.connect() as watch:
        assert not wait_until_clear(
            watch, locks_of("TRUNCATE t"), time.monotonic() + 0.1, nobody_listens, lambda: False
        )
        assert wait_until_clear(watch, locks_of("TRUNCATE t"), soon(), nobody_listens, lambda: False, wait_ms=600_000)


@pytest.fixture
def owner(database: Database) -> str:
    """A role that owns the table t, and may not see what others do."""
    owner = database.make_role("owner")
    database.execute(f'CREATE TABLE t (id int); ALTER TABLE t OWNER TO "{owner}"')
    return owner


def test_hidden_age(database: Database, owner: str, young: None) -> None:
    """Where the role cannot see since when, others are in the way until we have waited for them."""
    locks = locks_of("TRUNCATE t")
    with transaction(database, "SELECT FROM t"), database.connect(user=owner) as ours:
        ours.execute("BEGIN")
        with pytest.raises(psycopg.Error) as caught:
            run_guard(ours, "TRUNCATE t")
        assert [found["age_ms"] for found in refused(caught)] == [None]
        ours.execute("ROLLBACK")
        (blocker,) = blockers(ours, locks)
        assert (blocker.age_ms, blocker.state, blocker.is_in_the_way, blocker.is_autovacuum) == (
            None,
            None,
            None,
            False,
        )
        assert str(blocker).endswith(
            f'holds ACCESS SHARE on public.t; cannot see since when: GRANT pg_read_all_stats TO "{owner}"'
        )

        ours.execute("BEGIN")
        with pytest.raises(psycopg.errors.QueryCanceled):
            run_guard(ours, "TRUNCATE t", wait_ms=50, patient=True)


@pytest.mark.parametrize("sees_ages", [True, False])
def test_wait_until_clear(database: Database, owner: str, sees_ages: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until whoever is in the way has gone, seen by a role that may not see ages, too."""
    if sees_ages:
        monkeypatch.setattr(guard, "YOUNG_MS", 0)
    seen: list[str] = []
    user = "postgres" if sees_ages else owner
    with transaction(database, "SELECT FROM t") as theirs, database.connect(user=user) as watch:

        def report(found: tuple[Blocker, ...]) -> None:
            seen.extend(blocker.relation for blocker in found)
            theirs.execute("ROLLBACK")

        assert wait_until_clear(watch, locks_of("TRUNCATE t"), soon(), report, lambda: False)
        assert seen == ["public.t"]


def test_wait_gives_up(database: Database, owner: str, old: None) -> None:
    """At the deadline, or when somebody wants an end, the wait ends without success; the lock queue has never been entered."""
    locks = locks_of("TRUNCATE t")
    with transaction(database, "SELECT FROM t"), database.connect() as watch:
        assert not wait_until_clear(watch, locks, time.monotonic(), nobody_listens, lambda: False)
        assert not wait_until_clear(watch, locks, soon(), nobody_listens, lambda: True)
        assert wait_until_clear(
            watch, locks_of("CREATE INDEX ON t (id)"), time.monotonic(), nobody_listens, lambda: True
        )
        assert wait_until_clear(watch, (), time.monotonic(), nobody_listens, lambda: True)


def test_a_busy_table_does_not_keep_a_blind_role_out(database: Database, owner: str) -> None:
    """Where ages are hidden, ever new transactions are not taken for an old one."""
    stop = threading.Event()

    def work() -> None:
        with database.connect() as connection:
            while not stop.is_set():
                connection.execute("BEGIN; SELECT FROM t; SELECT pg_sleep(0.005); COMMIT")

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        with database.connect(user=owner) as watch:
            assert wait_until_clear(watch, locks_of("TRUNCATE t"), soon(), nobody_listens, lambda: False)
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def test_user_is_no_autovacuum(database: Database, old: None) -> None:
    """A VACUUM of a person's, which holds the same lock, gives way to nobody: it is not evicted."""
    database.execute("CREATE TABLE t (id int)")
    locks = locks_of("TRUNCATE t")
    with transaction(database, "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE"), database.connect() as ours:
        (blocker,) = blockers(ours, locks)
        assert (blocker.is_autovacuum, blocker.prevents_wraparound) == (False, False)
        ours.execute("BEGIN")
        ours.execute(";".join(bounded(evict_sql(locks), 10_000)).encode())
        assert held(ours) == {}


def test_autovacuum_is_evicted(database: Database, old: None) -> None:
    """A real autovacuum is in the way, and gives way to SHARE UPDATE EXCLUSIVE; then the guard gets its locks."""
    locks = locks_of("TRUNCATE t")
    with database.connect() as ours, autovacuum(database):
        (blocker,) = blockers(ours, locks)
        assert (blocker.is_autovacuum, blocker.user, blocker.mode) == (True, "", Mode.SHARE_UPDATE_EXCLUSIVE)
        assert str(blocker).startswith(f"autovacuum (pid {blocker.pid}) for ")
        assert blocker.gives_way
        assert wait_until_clear(ours, locks, time.monotonic(), nobody_listens, lambda: True)
        ours.execute("BEGIN")
        with pytest.raises(psycopg.Error) as caught:
            run_guard(ours, "TRUNCATE t")
        assert [found["autovacuum"] for found in refused(caught)] == [True]

        ours.execute("ROLLBACK; BEGIN; SET LOCAL deadlock_timeout = '10ms'")
        ours.execute(";".join(bounded(evict_sql(locks), 10_000)).encode())
        assert list(held(ours).values()) == [Mode.SHARE_UPDATE_EXCLUSIVE]
        run_guard(ours, "TRUNCATE t")
        assert list(held(ours).values()) == [Mode.ACCESS_EXCLUSIVE]


@contextmanager
def autovacuum(database: Database) -> Iterator[None]:
    """Let an autovacuum worker be at the table t, for as long as nobody evicts it."""
    with database.server.connect() as connection:
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.execute("SELECT pg_reload_conf()")
    database.execute(
        "CREATE TABLE t (id int) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, "
        "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_analyze_threshold = 2000000000);"
        "INSERT INTO t SELECT g FROM generate_series(1, 20000) g; DELETE FROM t"
    )
    working = """
        SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.relation = 't'::regclass AND l.granted AND a.backend_type = 'autovacuum worker'
    """
    try:
        eventually(lambda: bool(database.execute(working)))
        yield
    finally:
        with database.server.connect() as connection:
            connection.execute("ALTER SYSTEM RESET autovacuum_naptime")
            connection.execute("SELECT pg_reload_conf()")


def eventually(claim: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Names.


MISSING = [
    "ALTER TABLE IF EXISTS missing ADD a int",
    "DROP TABLE IF EXISTS missing, nowhere.missing, public.missing",
    "DROP TYPE IF EXISTS missing, nowhere.missing CASCADE",
    "DROP SCHEMA IF EXISTS missing CASCADE",
    "DROP INDEX IF EXISTS missing",
    "TRUNCATE missing CASCADE",
]


def test_missing_relation_is_left_out(database: Database) -> None:
    """What is not there is not guarded; the statement says so itself, or minds it not."""
    with database.connect() as ours, database.connect() as watch:
        ours.execute("BEGIN")
        for statement in MISSING:
            run_guard(ours, statement)
            assert blockers(watch, locks_of(statement)) == ()

        assert held(ours) == {}


def test_names_are_those_of_the_session(database: Database, old: None) -> None:
    """The guard follows the session's search path, and its temporary tables; the other connection what the lock knows of it."""
    database.execute(
        "CREATE SCHEMA app; CREATE TABLE app.t (id int); CREATE TABLE t (id int); CREATE TABLE temporary (id int)"
    )
    statements = splitter.split("SET search_path = nowhere, app, public; TRUNCATE t; TRUNCATE temporary").statements
    (locks, _) = guarded(statements).values()
    with database.connect() as ours, database.connect() as watch:
        ours.execute("SET search_path = nowhere, app, public; CREATE TEMP TABLE temporary (id int)")
        ours.execute("BEGIN")
        ours.execute(guard_sql(locks).encode())
        run_guard(ours, "TRUNCATE temporary")

        shown = "SELECT l.relation::regclass::text FROM pg_locks l WHERE l.relation >= 16384 AND l.mode = 'AccessExclusiveLock'"
        assert watch.execute(shown).fetchall() == [("app.t",)]
        assert [blocker.relation for blocker in blockers(watch, locks)] == ["app.t"]
        assert blockers(watch, locks_of("TRUNCATE t")) == ()


def test_hostile_search_path(database: Database, old: None) -> None:
    """A file's search path may hold operators, functions, types and tables with the names of PostgreSQL's own."""
    database.execute(
        """
        CREATE SCHEMA evil; CREATE TABLE evil.t (id int); CREATE TABLE evil.pg_class (oid oid);
        CREATE TABLE evil.pg_locks (pid int);
        CREATE FUNCTION evil.bad(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
        CREATE OPERATOR evil.= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = evil.bad);
        CREATE OPERATOR evil.<> (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = evil.bad);
        CREATE OPERATOR evil.>= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = evil.bad);
        CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
        CREATE FUNCTION evil.coalesced() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
        CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE ''evil''; END';
        CREATE DOMAIN evil.oid AS int CHECK (VALUE < 0); CREATE DOMAIN evil.text AS int; CREATE DOMAIN evil.regclass AS int;
        """
    )
    with database.connect() as ours, database.connect() as watch:
        for connection in (ours, watch):
            connection.execute("SET search_path = evil, pg_catalog, public")
        ours.execute("BEGIN")
        run_guard(ours, "DROP TABLE t CASCADE")

        assert [blocker.relation for blocker in blockers(watch, locks_of("DROP TABLE t CASCADE"))] == ["evil.t"]
        assert ours.execute("SHOW search_path").fetchone() == ("evil, pg_catalog, public",)


def test_odd_names(database: Database, old: None) -> None:
    """Names may hold quotes, dollars and dots."""
    name = "a\"b.c$pgrollout$'d\\"
    quoted = '"' + name.replace('"', '""') + '"'
    database.execute(f"CREATE TABLE {quoted} (id int)")
    with database.connect() as ours, database.connect() as watch:
        ours.execute("BEGIN")
        for relation in (Name("", name), Name("public", name)):
            locks = [Lock(relation, Mode.ACCESS_EXCLUSIVE), Lock(relation, Mode.ACCESS_EXCLUSIVE, Reach.COLUMN, name)]
            ours.execute(guard_sql(locks).encode())
            assert [blocker.relation for blocker in blockers(watch, locks)] == [f"public.{quoted}"]


# Privileges, order.


def test_role_without_privileges(database: Database, old: None) -> None:
    """What the role may not lock is left to the statement, also a table in a schema that it may not use; the rest is locked."""
    role = database.make_role("app", "NOLOGIN")
    database.execute(
        f'''CREATE SCHEMA closed; CREATE TABLE closed.u (id int PRIMARY KEY); CREATE TABLE theirs (id int PRIMARY KEY);
            GRANT CREATE ON SCHEMA public TO "{role}"; GRANT SELECT, REFERENCES ON theirs TO "{role}";
            SET ROLE "{role}"; CREATE TABLE own (id int)'''
    )
    with database.connect() as ours:
        ours.execute(f'BEGIN; SET LOCAL ROLE "{role}"')
        run_guard(ours, "ALTER TABLE own ADD FOREIGN KEY (id) REFERENCES theirs")
        run_guard(ours, "DROP TABLE closed.u")

        assert ours.execute("SELECT 'own'::regclass::oid").fetchone() == tuple(held(ours))
        ours.execute("ALTER TABLE own ADD FOREIGN KEY (id) REFERENCES theirs")


def test_tables_are_locked_in_one_order(database: Database, young: None) -> None:
    """Whatever order a statement names them in, its tables are locked by schema and name."""
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)")
    waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
    with transaction(database, "SELECT FROM b"), database.connect() as ours, database.connect() as watch:
        for statement in ("DROP TABLE c, a, b", "TRUNCATE b, a, c", "DROP TABLE a, b, c"):
            ours.execute("BEGIN")
            ours.pgconn.send_query(guard_sql(locks_of(statement)).encode())
            eventually(lambda: bool(watch.execute(waits, [ours.info.backend_pid]).fetchall()))

            assert watch.execute("SELECT 'a'::regclass::oid").fetchone() == tuple(held(watch, ours))
            ours.cancel_safe()
            while ours.pgconn.get_result():
                pass
            ours.execute("ROLLBACK")


def test_nothing_is_locked_twice(database: Database, old: None) -> None:
    """What the transaction holds in that mode or a stronger one, a weaker guard leaves as it is."""
    database.execute("CREATE TABLE t (id int)")
    with database.connect() as ours:
        ours.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        run_guard(ours, "CREATE INDEX ON t (id)")

        modes = ours.execute(
            "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 't'::regclass"
        ).fetchall()
        assert modes == [("AccessExclusiveLock",)]
