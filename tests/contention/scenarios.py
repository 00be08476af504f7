"""
The scenarios: what may be in the way of a migration, and what a migration may do to others.

Each is a function that plays on a `Scene`; its docstring says what happens. Beside it stands how ``pgrollout apply`` has to
end, and what it has to say. That nobody waits longer than the budget, that nothing of the application fails and that no dump
dies is asked of all of them. Those that are ``quick`` take a few seconds, and are tests.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pgrollout.errors import ExitCode
from tests.contention.scene import Outcome, Scene, Session, program
from tests.project import eventually

DONE, REFUSED, WAIT = ExitCode.DONE, ExitCode.REFUSED, ExitCode.WAIT
NONE = "-- atlas:txmode none\n\n"
ADD_COLUMN = "ALTER TABLE orders ADD COLUMN note text;\n"
SOON = {"PGROLLOUT_TABLE_LOCK_DEADLINE_MS": "1500"}
SERVER = {"PGROLLOUT_STALL_GUARD": "server"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of them."""

    play: Callable[[Scene], None]
    ends: tuple[ExitCode, ...]
    """With which of these ``pgrollout apply`` has to end; none, if it is killed."""
    says: tuple[str, ...] = ()
    """Patterns, all of which have to be in what it writes on stderr."""
    quick: bool = True
    psql_stalls: bool = True
    """Whether psql makes others wait for longer than the budget, or fail."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.play.__name__.replace("_", " ")

    @property
    def story(self) -> str:
        """What happens, in a sentence."""
        return (self.play.__doc__ or "").strip().splitlines()[0]

    def broken(self, outcome: Outcome, budget_ms: int) -> list[str]:
        """Return what an outcome of ``pgrollout apply`` is not as it has to be."""
        found = list(outcome.broken(budget_ms))
        if self.ends and outcome.code not in self.ends:
            found.append(f"ended with {outcome.code}, not {' or '.join(str(int(code)) for code in self.ends)}")
        found += [f"does not say {pattern}" for pattern in self.says if not re.search(pattern, outcome.said)]
        return found


SCENARIOS: list[Scenario] = []


def scenario(
    *ends: ExitCode, says: tuple[str, ...] = (), quick: bool = True, psql_stalls: bool = True
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Make a scenario of a function."""

    def make(play: Callable[[Scene], None]) -> Callable[[Scene], None]:
        SCENARIOS.append(Scenario(play, ends, says, quick, psql_stalls))
        return play

    return make


# Others in the way.


@scenario(DONE, psql_stalls=False)
def busy_table(scene: Scene) -> None:
    """ADD COLUMN on a table with four more sessions of 5 ms queries."""
    scene.table("orders")
    with scene.canaries("orders"), ExitStack() as stack:
        for number in range(4):
            session = stack.enter_context(scene.session(f"busy {number}"))
            session.repeat(
                f"UPDATE orders SET touched = touched + 1 WHERE id = {number + 10}", "SELECT pg_sleep(0.005)"
            )
            session = stack.enter_context(scene.session(f"reading {number}"))
            session.repeat("SELECT pg_sleep(0.005) FROM orders WHERE id = 5")
        scene.migrate(ADD_COLUMN)


@scenario(DONE)
def long_report(scene: Scene) -> None:
    """ADD COLUMN while a report reads the table for 1.5 s."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM orders WHERE id = 5")
        scene.migrate_past(ADD_COLUMN, report.cancel)


@scenario(DONE)
def long_report_on_the_second_table(scene: Scene) -> None:
    """ADD COLUMN on two tables in one file, while a report reads the second for 1.5 s."""
    scene.table("orders")
    scene.table("items")
    with scene.canaries("orders", "items"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM items WHERE id = 5")
        scene.migrate_past(
            "ALTER TABLE orders ADD COLUMN note text;\nALTER TABLE items ADD COLUMN note text;\n", report.cancel
        )


@scenario(DONE)
def waiting_is_not_bought(scene: Scene) -> None:
    """ADD COLUMN in a file with a budget of 30 s, while a report reads the table for 1.5 s."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM orders WHERE id = 5")
        scene.migrate_past(f"-- pgrollout:stall_budget 30s\n\n{ADD_COLUMN}", report.cancel)


@scenario(WAIT, says=("app/idle",))
def idle_in_transaction(scene: Scene) -> None:
    """ADD COLUMN while a session that has read the table stays idle in its transaction."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("idle") as idle:
        idle.run("BEGIN", "SELECT FROM orders")
        scene.migrate(ADD_COLUMN, **SOON)


@scenario(DONE, quick=False)
def idle_in_transaction_that_ends(scene: Scene) -> None:
    """ADD COLUMN while a session is idle in its transaction, which it commits after 1.5 s."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("idle") as idle:
        idle.run("BEGIN", "SELECT FROM orders")
        scene.migrate_past(ADD_COLUMN, lambda: idle.run("COMMIT"))


@scenario(WAIT, says=("paid later",))
def prepared_transaction(scene: Scene) -> None:
    """ADD COLUMN while a prepared transaction has written to the table."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("two phases") as session:
        session.run("BEGIN", "UPDATE orders SET amount = 2 WHERE id = 5", "PREPARE TRANSACTION 'paid later'")
        scene.migrate(ADD_COLUMN, **SOON)
        session.run("ROLLBACK PREPARED 'paid later'")


@scenario(DONE, quick=False)
def prepared_transaction_that_ends(scene: Scene) -> None:
    """ADD COLUMN while a prepared transaction has written to the table; it is committed after 1.5 s."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("two phases") as session:
        session.run("BEGIN", "UPDATE orders SET amount = 2 WHERE id = 5", "PREPARE TRANSACTION 'paid later'")
        scene.migrate_past(ADD_COLUMN, lambda: session.run("COMMIT PREPARED 'paid later'"))


@scenario(DONE)
def parallel_dump(scene: Scene) -> None:
    """ADD COLUMN while pg_dump with two jobs is at other tables, and comes to this one later."""
    scene.table("orders")
    _many_tables(scene)
    with scene.canaries("orders"), _dump(scene) as dump:
        eventually(lambda: _is_under_way(scene), "a dump whose jobs are at their first tables")
        os.killpg(dump.pid, signal.SIGSTOP)
        scene.migrate_past(ADD_COLUMN, lambda: os.killpg(dump.pid, signal.SIGCONT))


@scenario(DONE, quick=False)
def parallel_dump_of_much(scene: Scene) -> None:
    """ADD COLUMN while pg_dump with two jobs dumps 400 MB, and comes to this table last."""
    scene.table("orders")
    _many_tables(scene, rows=100_000)
    with scene.canaries("orders"), _dump(scene):
        eventually(lambda: _is_under_way(scene), "a dump whose jobs are at their first tables")
        scene.migrate(ADD_COLUMN)


@scenario(DONE)
def autovacuum(scene: Scene) -> None:
    """ADD COLUMN while autovacuum is at the table."""
    scene.table("orders", rows=20_000)
    scene.make(_SLOW_VACUUM + "UPDATE orders SET amount = 2 WHERE id % 10 = 0")
    with _frequent_autovacuum(scene), scene.canaries("orders"):
        eventually(lambda: _is_vacuumed(scene), "autovacuum at the table")
        scene.migrate(ADD_COLUMN)


@scenario(WAIT, says=("wraparound",), quick=False)
def vacuum_against_wraparound(scene: Scene) -> None:
    """ADD COLUMN while autovacuum, which has to prevent wraparound, is at the table."""
    scene.table("orders", rows=20_000)
    scene.make(_SLOW_VACUUM + "ALTER TABLE orders SET (autovacuum_freeze_max_age = 100000);")
    scene.database.execute("DO $$ BEGIN FOR i IN 1..101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
    with _frequent_autovacuum(scene), scene.canaries("orders"):
        eventually(lambda: _is_vacuumed(scene), "autovacuum at the table")
        scene.migrate(ADD_COLUMN, PGROLLOUT_TABLE_LOCK_DEADLINE_MS="3000")


@scenario(DONE)
def partitions_one_after_the_other(scene: Scene) -> None:
    """ADD COLUMN on a table of eight partitions, whose readers leave after 1.5 s, one every 200 ms."""
    _partitions(scene)
    with scene.canaries("orders", "orders_0", "orders_7"), ExitStack() as stack:
        readers = [stack.enter_context(scene.session(f"reader {number}")) for number in range(8)]
        for number, reader in enumerate(readers):
            reader.start(f"SELECT pg_sleep(3600) FROM orders_{number} LIMIT 1")

        def leave() -> None:
            for reader in readers:
                reader.cancel()
                time.sleep(0.2)

        scene.migrate_past(ADD_COLUMN, leave)


@scenario(DONE, psql_stalls=False, quick=False)
def busy_partitions(scene: Scene) -> None:
    """ADD COLUMN on a table of eight partitions, each with a session of 30 ms queries."""
    _partitions(scene)
    with scene.canaries("orders", "orders_0", "orders_7"), ExitStack() as stack:
        for number in range(8):
            reader = stack.enter_context(scene.session(f"reader {number}"))
            reader.repeat(f"SELECT pg_sleep(0.03) FROM orders_{number} LIMIT 1", "SELECT pg_sleep(0.03)")
        scene.migrate(ADD_COLUMN)


@scenario(DONE)
def crossing_orders(scene: Scene) -> None:
    """ADD COLUMN on orders, then on items, while the application writes to items, then to orders."""
    scene.table("orders")
    scene.table("items")
    with scene.canaries("orders", "items"), scene.session("crossing") as session:
        _cross(session)
        scene.migrate("ALTER TABLE orders ADD COLUMN note text;\nALTER TABLE items ADD COLUMN note text;\n")


@scenario(DONE)
def crossing_orders_with_a_big_budget(scene: Scene) -> None:
    """The same orders in a file with a budget of 30 s: the server looks for deadlocks long before."""
    scene.table("orders")
    scene.table("items")
    with scene.canaries("orders", "items"), scene.session("crossing") as session:
        _cross(session)
        scene.migrate(
            "-- pgrollout:stall_budget 30s\n\n"
            "ALTER TABLE orders ADD COLUMN note text;\nALTER TABLE items ADD COLUMN note text;\n"
        )


@scenario(DONE)
def crossing_orders_after_long_work(scene: Scene) -> None:
    """The same orders within DO, with 700 ms of work between: the server looks for deadlocks while the migration waits."""
    scene.table("orders")
    scene.table("items")
    with scene.canaries("orders", "items"), scene.session("crossing") as session:
        _cross(session)
        scene.budget_ms = 30_000
        scene.migrate(
            "-- pgrollout:stall_budget 30s\n\nDO $$ BEGIN\nALTER TABLE orders ADD COLUMN note text;\n"
            "PERFORM pg_sleep(0.7);\nALTER TABLE items ADD COLUMN note text;\nEND $$;\n",
            PGROLLOUT_STALL_BUDGET_MS="500",
        )


@scenario(DONE)
def crossing_orders_over_and_over(scene: Scene) -> None:
    """The same orders, with 100 ms of work between, while the application is never between its transactions for long."""
    scene.table("orders")
    scene.table("items")
    with scene.canaries("orders", "items"), scene.session("crossing") as session:
        _cross(session)
        scene.migrate(
            "ALTER TABLE orders ADD COLUMN note text;\nSELECT pg_sleep(0.1);\nALTER TABLE items ADD COLUMN note text;\n"
        )


@scenario(DONE, quick=False, psql_stalls=False)
def table_that_is_never_free_for_long(scene: Scene) -> None:
    """ADD COLUMN on a table with ten sessions of 120 ms transactions: one of them is always older than 100 ms."""
    scene.table("orders")
    with scene.canaries("orders"), ExitStack() as stack:
        for number in range(10):
            session = stack.enter_context(scene.session(f"steady {number}"))
            session.repeat("SELECT pg_sleep(0.12) FROM orders WHERE id = 5")
        scene.migrate(ADD_COLUMN)


@scenario(DONE)
def lock_that_nobody_foresees(scene: Scene) -> None:
    """ADD COLUMN within DO, whose locks its text does not tell, while a report reads the table for 1.5 s."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM orders WHERE id = 5")
        scene.migrate_past("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN note text'; END $$;\n", report.cancel)


@scenario(DONE, quick=False)
def index_of_a_report(scene: Scene) -> None:
    """DROP INDEX, while a report that uses the index reads the table for 1.5 s."""
    scene.table("orders")
    scene.make("CREATE INDEX orders_amount ON orders (amount)")
    with scene.canaries("orders"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM orders WHERE id = 5")
        scene.migrate_past("DROP INDEX orders_amount;\n", report.cancel)


@scenario(DONE)
def report_that_the_role_cannot_see(scene: Scene) -> None:
    """ADD COLUMN by the owner of the table, who may not see what others do, while a report reads it for 1.5 s."""
    scene.table("orders")
    scene.owner("orders")
    with scene.canaries("orders"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM orders WHERE id = 5")
        scene.migrate_past(ADD_COLUMN, report.cancel)


@scenario(DONE)
def row_in_the_way(scene: Scene) -> None:
    """UPDATE of one row, then of another, which a session keeps locked for 1.5 s."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("row") as row:
        row.run("BEGIN", "SELECT FROM orders WHERE id = 900 FOR UPDATE")
        scene.migrate_past(_TWO_ROWS, lambda: row.run("COMMIT"))


@scenario(WAIT, says=("app/row", "a row of public.orders"))
def row_that_nobody_lets_go(scene: Scene) -> None:
    """UPDATE of one row, then of another, which a session keeps locked."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("row") as row:
        row.run("BEGIN", "SELECT FROM orders WHERE id = 900 FOR UPDATE")
        scene.migrate(_TWO_ROWS, **SOON)


@scenario(WAIT, says=("app/report",), quick=False)
def report_behind_an_unforeseen_lock(scene: Scene) -> None:
    """ADD COLUMN within DO while a report reads the table."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("report") as report:
        report.start("SELECT pg_sleep(3600) FROM orders WHERE id = 5")
        scene.migrate("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN note text'; END $$;\n", **SOON)


@scenario(DONE, psql_stalls=False)
def autovacuum_behind_an_unforeseen_lock(scene: Scene) -> None:
    """VALIDATE CONSTRAINT, COMMENT, and ADD COLUMN within DO, while autovacuum is at the table."""
    scene.table("orders", rows=20_000)
    scene.make("ALTER TABLE orders ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
    scene.make(_SLOW_VACUUM + "UPDATE orders SET amount = 2 WHERE id % 10 = 0")
    with _frequent_autovacuum(scene), scene.canaries("orders"):
        eventually(lambda: _is_vacuumed(scene), "autovacuum at the table")
        scene.migrate(
            "ALTER TABLE orders VALIDATE CONSTRAINT positive;\nCOMMENT ON TABLE orders IS 'what was bought';\n"
            "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN note text'; END $$;\n"
        )


@scenario(DONE, quick=False)
def autovacuum_in_the_way_of_vacuum(scene: Scene) -> None:
    """VACUUM FULL while autovacuum is at the table."""
    scene.table("orders", rows=20_000)
    scene.make(_SLOW_VACUUM + "UPDATE orders SET amount = 2 WHERE id % 10 = 0")
    with _frequent_autovacuum(scene), scene.canaries("orders"):
        eventually(lambda: _is_vacuumed(scene), "autovacuum at the table")
        scene.migrate(f"{NONE}VACUUM FULL orders;\n")


@scenario(DONE)
def crossing_rows(scene: Scene) -> None:
    """UPDATE of one row, then of another, while the application writes to the other, then to the one."""
    scene.table("orders")
    with scene.canaries("orders"), scene.session("crossing") as session:
        session.repeat(
            "BEGIN",
            "UPDATE orders SET touched = touched + 1 WHERE id = 900",
            "SELECT pg_sleep(0.06)",
            "UPDATE orders SET touched = touched + 1 WHERE id = 2",
            "COMMIT",
            "SELECT pg_sleep(0.02)",
        )
        scene.migrate(_TWO_ROWS)


# Work that others wait for.


@scenario(REFUSED, says=("ALTER COLUMN amount TYPE", "ms"))
def slow_rewrite(scene: Scene) -> None:
    """ALTER COLUMN TYPE, whose rewrite takes 4 s."""
    scene.table("orders")
    scene.slow(3)
    with scene.canaries("orders"):
        scene.migrate("ALTER TABLE orders ALTER COLUMN amount TYPE bigint USING slow(amount);\n")


@scenario(REFUSED, says=("ALTER COLUMN amount TYPE", "ms"), quick=False)
def big_rewrite(scene: Scene) -> None:
    """ALTER COLUMN TYPE on a table of 450 MB."""
    scene.table("orders", rows=2_500_000, padding=120)
    with scene.canaries("orders"):
        scene.migrate("ALTER TABLE orders ALTER COLUMN amount TYPE bigint;\n")


@scenario(DONE, psql_stalls=False)
def work_can_be_bought(scene: Scene) -> None:
    """ALTER COLUMN TYPE, whose rewrite takes 1 s, in a file with a budget of 30 s."""
    scene.table("orders", rows=200)
    scene.slow()
    scene.budget_ms = 30_000
    with scene.canaries("orders"):
        scene.migrate(
            "-- pgrollout:stall_budget 30s\n\nALTER TABLE orders ALTER COLUMN amount TYPE bigint USING slow(amount);\n",
            PGROLLOUT_STALL_BUDGET_MS="500",
        )


@scenario(REFUSED, says=("CREATE INDEX", "CONCURRENTLY"))
def slow_index(scene: Scene) -> None:
    """CREATE INDEX in its plain form, which takes 4 s."""
    scene.table("orders")
    scene.slow(3)
    with scene.canaries("orders"):
        scene.migrate("CREATE INDEX orders_slow ON orders (slow(id));\n")


@scenario(REFUSED, says=("CREATE INDEX", "CONCURRENTLY"), quick=False)
def big_index(scene: Scene) -> None:
    """CREATE INDEX in its plain form on a table of 450 MB."""
    scene.table("orders", rows=2_500_000, padding=120)
    with scene.canaries("orders"):
        scene.migrate("CREATE INDEX orders_padding ON orders (padding, id);\n")


@scenario(REFUSED, says=("ADD CONSTRAINT",), quick=False)
def slow_check(scene: Scene) -> None:
    """ADD CONSTRAINT CHECK, whose scan takes 4 s."""
    scene.table("orders")
    scene.slow(3)
    with scene.canaries("orders"):
        scene.migrate("ALTER TABLE orders ADD CONSTRAINT positive CHECK (slow(id) > 0);\n")


@scenario(REFUSED, says=("SET NOT NULL",), quick=False)
def big_not_null(scene: Scene) -> None:
    """SET NOT NULL on a table of 1 GB."""
    scene.table("orders", rows=4_000_000, padding=200)
    with scene.canaries("orders"):
        scene.migrate("ALTER TABLE orders ALTER COLUMN amount SET NOT NULL;\n")


@scenario(REFUSED, says=("FOREIGN KEY",), quick=False)
def big_foreign_key(scene: Scene) -> None:
    """ADD FOREIGN KEY, which locks two tables and compares 5,000,000 rows."""
    scene.table("customers", rows=500_000)
    scene.table("orders", rows=5_000_000)
    with scene.canaries("customers", "orders"):
        scene.migrate(
            "ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY (amount) REFERENCES customers (id);\n",
        )


@scenario(REFUSED, says=("UPDATE orders",))
def slow_backfill(scene: Scene) -> None:
    """UPDATE of all rows, which takes 4 s: they stay locked until its end. The canary's is wherever it has moved to."""
    scene.table("orders")
    scene.slow(3)
    with scene.canaries("orders"):
        scene.migrate(
            "UPDATE orders SET amount = slow(amount) WHERE id = 2;\n"
            "UPDATE orders SET amount = slow(amount) WHERE id <> 2;\n"
        )


@scenario(REFUSED, says=("COMMIT", "Deferred"))
def slow_commit(scene: Scene) -> None:
    """ADD COLUMN, and an UPDATE whose deferred triggers take 4 s of work at COMMIT."""
    scene.table("orders")
    scene.make(
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.004); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER later AFTER UPDATE OF amount ON orders DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION later();"
    )
    with scene.canaries("orders"):
        scene.migrate(f"{ADD_COLUMN}UPDATE orders SET amount = 3 WHERE id > 2;\n")


@scenario(WAIT, says=("did not heed a cancel",))
def caught_cancel(scene: Scene) -> None:
    """ADD COLUMN within DO, and 6 s of work that catches every cancel."""
    scene.table("orders")
    with scene.canaries("orders"):
        scene.migrate(
            "DO $$ BEGIN\nALTER TABLE orders ADD COLUMN note text;\nFOR i IN 1..12 LOOP BEGIN PERFORM pg_sleep(0.5);\n"
            "EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;\nEND $$;\n"
        )


@scenario(DONE, psql_stalls=False)
def validation(scene: Scene) -> None:
    """VALIDATE CONSTRAINT, which takes 2 s and blocks nobody."""
    scene.table("orders", rows=400)
    scene.slow()
    scene.make("ALTER TABLE orders ADD CONSTRAINT positive CHECK (slow(id) > 0) NOT VALID")
    with scene.canaries("orders"):
        scene.migrate("ALTER TABLE orders VALIDATE CONSTRAINT positive;\n")


@scenario(DONE, psql_stalls=False)
def online_build_beside_an_old_transaction(scene: Scene) -> None:
    """CREATE INDEX CONCURRENTLY while a session keeps an old snapshot for 1.5 s."""
    scene.table("orders", rows=20_000, padding=100)
    scene.table("elsewhere")
    with scene.canaries("orders"), scene.session("old") as old:
        old.run("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT FROM elsewhere")
        scene.migrate_past(
            f"{NONE}CREATE INDEX CONCURRENTLY orders_padding ON orders (padding);\n",
            lambda: old.run("COMMIT"),
        )
    assert scene.database.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_padding'::regclass") == [
        (True,)
    ]


@scenario(DONE)
def online_build_in_the_way_of_who_is_in_its_way(scene: Scene) -> None:
    """CREATE INDEX CONCURRENTLY waits for a transaction that has written, and that then waits to analyze the table."""
    scene.table("orders", rows=20_000, padding=100)
    with scene.canaries("orders"), scene.session("writer") as writer:
        writer.run("BEGIN", "UPDATE orders SET amount = 2 WHERE id = 5")
        scene.migrate_past(
            f"{NONE}CREATE INDEX CONCURRENTLY orders_padding ON orders (padding);\n",
            lambda: writer.run("ANALYZE orders", "COMMIT"),
        )


# Runners that die or freeze.


@scenario()
def killed_in_a_detach(scene: Scene) -> None:
    """SIGKILL in DETACH CONCURRENTLY that waits for a session idle in its transaction, which has read the partition."""
    _partitions(scene)
    with scene.canaries("orders"), scene.session("reader") as reader, scene.session("idle") as idle:
        idle.run("BEGIN", "SELECT FROM orders_7")
        migration = scene.start(f"{NONE}ALTER TABLE orders DETACH PARTITION orders_7 CONCURRENTLY;\n")
        scene.until_it_waits("orders_7")
        reader.start("SELECT count(*) FROM orders_7")
        migration.send(signal.SIGKILL)
        migration.wait()
        scene.until_it_lets_go("orders_7")
        idle.run("COMMIT")


@scenario()
def killed_in_a_rewrite(scene: Scene) -> None:
    """SIGKILL in ALTER COLUMN TYPE, whose rewrite takes 5 s, while it has the table locked."""
    scene.table("orders")
    scene.slow()
    with scene.canaries("orders"):
        migration = scene.start("ALTER TABLE orders ALTER COLUMN amount TYPE bigint USING slow(amount);\n")
        scene.until_it_holds("orders")
        migration.send(signal.SIGKILL)
        migration.wait()
        scene.until_it_lets_go("orders")


@scenario(psql_stalls=False, quick=False)
def killed_in_a_big_file(scene: Scene) -> None:
    """SIGKILL in a file of 4 MB that has locked the table before."""
    scene.table("orders")
    with scene.canaries("orders"):
        migration = scene.start(_big_file())
        scene.until_it_holds("orders")
        migration.send(signal.SIGKILL)
        migration.wait()
        scene.until_it_lets_go("orders")


@scenario(WAIT, DONE)
def frozen_in_a_big_file(scene: Scene) -> None:
    """SIGSTOP in a file of 4 MB that has locked the table before, then SIGCONT."""
    scene.table("orders")
    with scene.canaries("orders"):
        migration = scene.start(_big_file())
        scene.until_it_holds("orders")
        migration.send(signal.SIGSTOP)
        scene.until_it_lets_go("orders")
        migration.send(signal.SIGCONT)
        migration.wait()


@scenario(REFUSED)
def frozen_in_a_rewrite(scene: Scene) -> None:
    """SIGSTOP in ALTER COLUMN TYPE, whose rewrite takes 5 s, with the server as guard; then SIGCONT."""
    scene.table("orders")
    scene.slow()
    with scene.canaries("orders"):
        migration = scene.start("ALTER TABLE orders ALTER COLUMN amount TYPE bigint USING slow(amount);\n", **SERVER)
        scene.until_it_holds("orders")
        migration.send(signal.SIGSTOP)
        scene.until_it_lets_go("orders")
        migration.send(signal.SIGCONT)
        migration.wait()


@scenario(DONE)
def frozen_in_short_work(scene: Scene) -> None:
    """SIGSTOP in ALTER COLUMN TYPE, whose rewrite takes 200 ms; what was sent ends without us."""
    scene.table("orders", rows=35)
    scene.slow()
    with scene.canaries("orders"):
        migration = scene.start("ALTER TABLE orders ALTER COLUMN amount TYPE bigint USING slow(amount);\n")
        scene.until_it_holds("orders")
        migration.send(signal.SIGSTOP)
        scene.until_it_lets_go("orders")
        migration.send(signal.SIGCONT)
        migration.wait()


@scenario(REFUSED, says=("ALTER COLUMN amount TYPE",))
def rewrite_with_the_server_as_guard(scene: Scene) -> None:
    """ALTER COLUMN TYPE, whose rewrite takes 4 s, with the server as guard."""
    scene.table("orders")
    scene.slow(3)
    with scene.canaries("orders"):
        scene.migrate("ALTER TABLE orders ALTER COLUMN amount TYPE bigint USING slow(amount);\n", **SERVER)


# What they share.

_TWO_ROWS = "UPDATE orders SET amount = 2 WHERE id = 2;\nUPDATE orders SET amount = 2 WHERE id = 900;\n"

_SLOW_VACUUM = (
    "ALTER TABLE orders SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, "
    "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);"
)


@contextmanager
def _frequent_autovacuum(scene: Scene) -> Iterator[None]:
    """Let the server look for work every second."""
    with scene.database.server.connect() as connection:
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET autovacuum_naptime")
            connection.execute("SELECT pg_reload_conf()")


def _is_vacuumed(scene: Scene) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_progress_vacuum JOIN pg_stat_activity AS own USING (pid) "
        "WHERE relid = 'orders'::regclass AND own.backend_type = 'autovacuum worker'"
    )
    return bool(scene.database.execute(query))


def _many_tables(scene: Scene, rows: int = 5000) -> None:
    """Make four tables that a dump begins with, because they are known to be big, and 300 that it takes for empty."""
    scene.make(
        f"""
        DO $$ BEGIN
            FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE a_%s (id int)', i); END LOOP;
            FOR i IN 1..4 LOOP
                EXECUTE format('CREATE TABLE big_%s AS SELECT repeat(i::text, 200) FROM generate_series(1, {rows}) i', i);
            END LOOP;
        END $$
        """
    )
    scene.database.execute("ANALYZE big_1, big_2, big_3, big_4")


@contextmanager
def _dump(scene: Scene) -> Iterator["subprocess.Popen[str]"]:
    """Dump the database with two jobs; the block's end waits for the dump's, which is a failure if it is none."""
    pg_dump = program(scene.database, "pg_dump")
    folder = scene.folder / "dump"
    process = subprocess.Popen(
        [pg_dump, "--format=directory", "--compress=0", "--jobs=2", f"--file={folder}", scene.database.url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        _, said = process.communicate()
        if process.returncode != 0:
            scene.failed(f"pg_dump ended with {process.returncode}: {said.strip()}")


def _is_under_way(scene: Scene) -> bool:
    """Whether both jobs of a dump copy; by then the dump has locked every table."""
    query = "SELECT count(*) >= 2 FROM pg_stat_activity WHERE application_name = 'pg_dump' AND query LIKE 'COPY %'"
    return bool(scene.database.execute(query)[0][0])


def _partitions(scene: Scene) -> None:
    """Make a table of eight partitions; the rows of the canaries are in the first."""
    scene.make(
        "CREATE TABLE orders (id int NOT NULL, touched int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);"
        + "".join(
            f"CREATE TABLE orders_{n} PARTITION OF orders FOR VALUES FROM ({n * 100}) TO ({n * 100 + 100});"
            for n in range(8)
        )
        + "INSERT INTO orders SELECT generate_series(0, 799); CREATE INDEX ON orders (id);"
    )


def _cross(session: Session) -> None:
    """Write to items, then to orders, again and again."""
    session.repeat(
        "BEGIN",
        "UPDATE items SET touched = touched + 1 WHERE id = 5",
        "SELECT pg_sleep(0.06)",
        "UPDATE orders SET touched = touched + 1 WHERE id = 5",
        "COMMIT",
        "SELECT pg_sleep(0.02)",
    )


def _big_file() -> str:
    """Return a file that locks the table, works for 100 ms, and then has more text than is sent at once."""
    line = "INSERT INTO made VALUES ('" + "x" * 1000 + "');\n"
    return f"CREATE TABLE made (text text);\n{ADD_COLUMN}SELECT pg_sleep(0.1);\n{line * 4000}"
