"""
Guards: look who is in the way of a statement's locks, then take them all at once, briefly.

A guard is one DO statement, put before a statement that locks existing tables. It refuses (SQLSTATE PR003) where others hold
a lock that would make us wait, and so everybody behind us; else it locks all tables in one go. The caller bounds it with
``bounded`` and, where it is refused or runs out of time, rolls back and waits outside the lock queue (``wait_until_clear``, on
the supervising connection). Names are resolved in the server, with the session's own search path; beyond that nothing of the
session is relied upon: neither what its search path holds, nor its role, nor a schema of ours. Views, materialized views,
sequences and foreign tables are looked at only, for LOCK TABLE does not take them, or would take more than them; so are
tables that the role may not lock. There the statement itself waits, and the watchdog bounds it.

Source: PostgreSQL manual, "LOCK", "pg_locks", "pg_depend".
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgrollout.lock_mode import Lock, Mode, Reach
from pgrollout.postgres import sqlstate
from pgrollout.postgres.connection import Connection
from pgrollout.quoting import literal, name

IN_THE_WAY = sqlstate.BLOCKED
"""SQLSTATE of a guard that found others in the way; its DETAIL is a JSON array of them."""
YOUNG_MS = 100
"""A transaction that is younger than this is likely to end in time: the guard waits for it in the queue."""
STEADY_SECONDS = 1.0
"""After so long of ever new transactions in the way, those count as young that are younger than we may wait in the queue."""
DUMP_TABLES = 32
"""
With ACCESS SHARE on so many tables a session is taken for a dump, which dies when somebody waits between its locks.

No usual query has so many: from twelve on the planner gives up to look at every order of joins (``geqo_threshold``). All
partitions of a table count once, so that queries over a large tree, of which there are always some, do not keep us out.
"""
SAVED_TIMEOUT = "pgrollout.statement_timeout"
"""Setting that keeps the file's own ``statement_timeout`` while a guard runs."""

_NAMED = "pgrollout.named"
"""Setting that carries the OIDs of names without schema from one statement to the next."""

FIRST_GAP_SECONDS = 0.03
LONGEST_GAP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session, or a prepared transaction, that holds what conflicts with a lock we want."""

    pid: int | None
    """None for a prepared transaction."""
    application_name: str
    user: str
    """Empty for a process of the server's own."""
    state: str | None
    """As ``pg_stat_activity`` has it; None where we may not see it, and for a prepared transaction."""
    age_ms: int | None
    """How old its transaction is, by the server's clock; None where we may not see it."""
    mode: Mode
    """The strongest mode that it holds and that conflicts."""
    relation: str
    """On what: quoted name; the first, where there are several."""
    more: int
    """On how many others besides."""
    virtualtransaction: str
    """What tells two looks at one transaction from two transactions of one session."""
    is_autovacuum: bool
    prevents_wraparound: bool
    """An autovacuum that does not give way."""
    gid: str | None
    """Name of the prepared transaction."""
    looks_like_dump: bool
    seen_by: str
    """The role that looked."""

    @property
    def is_prepared(self) -> bool:
        """Whether it is a prepared transaction: no session, and nothing but COMMIT or ROLLBACK PREPARED ends it."""
        return self.gid is not None

    @property
    def gives_way(self) -> bool:
        """Whether it is an autovacuum that ``evict_sql`` ends."""
        return self.is_autovacuum and not self.prevents_wraparound

    @property
    def is_in_the_way(self) -> bool | None:
        """Whether to wait for it outside the queue; None where one look cannot tell."""
        if self.looks_like_dump:
            return True
        return None if self.age_ms is None else self.age_ms >= YOUNG_MS

    def __str__(self) -> str:
        if self.is_prepared:
            who = f"prepared transaction {self.gid!r} of {self.user}"
        elif self.is_autovacuum:
            who = f"autovacuum{' to prevent wraparound' if self.prevents_wraparound else ''} (pid {self.pid})"
        else:
            who = f"pid {self.pid} ({', '.join(part for part in (self.application_name, self.user) if part)})"
        doing = f" {self.state}" if self.state and not self.is_autovacuum else ""
        since = "" if self.age_ms is None else f" for {_duration(self.age_ms)}"
        more = f" and {self.more} more" if self.more else ""
        text = f"{who}{doing}{since} holds {self.mode.sql} on {self.relation}{more}"
        if self.age_ms is None:
            text += f"; cannot see since when: GRANT pg_read_all_stats TO {name(self.seen_by)}"
        return text


def guard_sql(locks: Sequence[Lock], *, patient: bool = False, young_ms: int | None = None) -> str:
    """
    Return the statement that raises PR003 if somebody is in the way of the locks, and takes them otherwise.

    Args:
        locks: Of one statement.
        patient: We have waited until nobody was in the way, so that a session whose age we cannot see counts as young;
            without that it is in the way.
        young_ms: A transaction that is younger is not in the way; ``YOUNG_MS`` by default.
    """
    young_ms = YOUNG_MS if young_ms is None else young_ms
    hidden = "false" if patient else "age_ms IS NULL"
    return _do(
        locks,
        f"""
  IF pgrollout_is_contended THEN
    WITH {_MEMBERS_FOUND},{_TAKEN},{_CONFLICTING},{_HOLDER}
    SELECT json_agg(json_build_object('pid', pid, 'gid', gid, 'relation', relation, 'mode', held, 'age_ms', age_ms,
                                      'autovacuum', is_autovacuum, 'dump', is_dump))::text
    INTO pgrollout_holders
    FROM holder WHERE is_dump OR {hidden} OR age_ms >= {young_ms} OR {_WAITS_FOR_US};
    IF pgrollout_holders IS NOT NULL THEN
      RAISE EXCEPTION USING ERRCODE = '{IN_THE_WAY}', MESSAGE = 'others hold locks that are in the way',
        DETAIL = pgrollout_holders;
    END IF;
  END IF;""",
    )


def evict_sql(locks: Sequence[Lock]) -> str:
    """
    Return the statement that makes autovacuum workers give way: SHARE UPDATE EXCLUSIVE on the tables that they are at.

    No reader or writer waits for that mode. A worker gives way to somebody who has waited ``deadlock_timeout``, so it is to
    be bounded by two or three times that; one that prevents wraparound does not give way. The guard comes after it, in the
    same transaction.
    """
    return _do(
        locks,
        f"""
  WITH {_MEMBERS_FOUND},{_TAKEN},{_CONFLICTING},{_HOLDER}
  SELECT 'LOCK TABLE ' || string_agg(DISTINCT format('ONLY %I.%I', n.nspname, c.relname), ', ')
         || ' IN SHARE UPDATE EXCLUSIVE MODE'
  INTO pgrollout_commands
  FROM holding h JOIN pg_class c ON c.oid = h.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE h.is_autovacuum AND {_MAY_BE_LOCKED};""",
    )


def bounded(guard: str, wait_ms: int) -> list[str]:
    """Return the guard between two commands that bound how long it takes, for the same transaction; they go into one text."""
    return [
        f"SELECT pg_catalog.set_config('{SAVED_TIMEOUT}', pg_catalog.current_setting('statement_timeout'), true)",
        f"SELECT pg_catalog.set_config('statement_timeout', '{wait_ms}ms', true)",
        guard,
        f"SELECT pg_catalog.set_config('statement_timeout', pg_catalog.current_setting('{SAVED_TIMEOUT}'), true)",
    ]


def blockers(connection: Connection, locks: Sequence[Lock]) -> tuple[Blocker, ...]:
    """
    Return who holds, just now, what conflicts with the locks; those who are young, too.

    Args:
        connection: The supervising connection, in autocommit mode and idle. A name without schema is looked up in the
            lock's search path or, without one, in this session's.
        locks: Of one statement.
    """
    if not locks:
        return ()
    # One message, and so one transaction: its search path is ours from the second statement on.
    text = f"""
SELECT pg_catalog.set_config('{_NAMED}', ({_named_by_session(locks)})::pg_catalog.text, true);
SET LOCAL search_path = pg_catalog, pg_temp;
WITH RECURSIVE {_members(locks, f"current_setting('{_NAMED}')::oid[]", is_file_session=False)},{_TAKEN},{_CONFLICTING},{_HOLDER}
SELECT pid, application_name, username, state, age_ms, held, relation, others, virtualtransaction,
       is_autovacuum, prevents_wraparound, gid, is_dump, current_user
FROM holder ORDER BY age_ms DESC NULLS FIRST, pid"""
    cursor = connection.execute(text.encode())
    while cursor.nextset():
        pass
    return tuple(
        Blocker(pid, application or "", user or "", state, age, Mode(held), relation, others, *rest)
        for pid, application, user, state, age, held, relation, others, *rest in cursor.fetchall()
    )


def in_the_way(message: str) -> str:
    """Return what a guard that refused says of who is in the way, for people; ``message`` is the server's, with its DETAIL."""
    found = [json.loads(line) for line in message.splitlines() if line.lstrip().startswith("[{")]
    return "; ".join(
        (f"prepared transaction {one['gid']!r}" if one["pid"] is None else f"pid {one['pid']}")
        + f" holds {Mode(one['mode']).sql} on {one['relation']}"
        for one in (found[0] if found else ())
    )


def wait_until_clear(
    connection: Connection,
    locks: Sequence[Lock],
    deadline: float,
    report: Callable[[tuple[Blocker, ...]], None],
    wants_end: Callable[[], bool],
    *,
    wait_ms: int = 0,
    besides: Callable[[], tuple[Blocker, ...]] = lambda: (),
) -> bool:
    """
    Wait, outside the lock queue, until nobody is in the way of the locks; return whether that is so.

    Not for an autovacuum that gives way: it may go on for hours, and ``evict_sql`` ends it.

    Args:
        connection: The supervising connection, in autocommit mode and idle.
        locks: Of one statement.
        deadline: When to give up, by ``time.monotonic``.
        report: Told after each look whom we wait for.
        wants_end: Asked after each look; once it says yes, we give up.
        wait_ms: How long may be waited in the queue then.
        besides: Returns who else is in the way, though of none of the locks.
    """
    first_look: float | None = None
    first_seen: dict[tuple[int | None, str], float] = {}
    gap = FIRST_GAP_SECONDS
    while True:
        found = tuple(each for each in (*blockers(connection, locks), *besides()) if not each.gives_way)
        now = time.monotonic()
        first_look = now if first_look is None else first_look
        first_seen = {_transaction(each): first_seen.get(_transaction(each), now) for each in found}
        young_ms = YOUNG_MS if now - first_look < STEADY_SECONDS else max(YOUNG_MS, wait_ms)
        old = tuple(each for each in found if _is_old(each, young_ms, now - first_seen[_transaction(each)]))
        is_sure = now - first_look >= YOUNG_MS / 1000 or all(each.is_in_the_way is not None for each in found)
        if not old and is_sure:
            return True
        if old:
            report(old)
        if wants_end() or now >= deadline:
            return False
        time.sleep(min(gap * random.uniform(0.5, 1.5), max(deadline - now, 0)))  # noqa: S311  jitter, no secret
        gap = min(gap * 1.5, LONGEST_GAP_SECONDS)


def _is_old(blocker: Blocker, young_ms: int, seen_seconds: float) -> bool:
    """One whose age we cannot see is old when it was there in a look that long ago."""
    if blocker.looks_like_dump:
        return True
    return (seen_seconds * 1000 if blocker.age_ms is None else blocker.age_ms) >= young_ms


def _transaction(blocker: Blocker) -> tuple[int | None, str]:
    return blocker.pid, blocker.virtualtransaction


def _duration(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    if seconds < 1:
        return f"{milliseconds} ms"
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


# The SQL. It runs with a search path of our own, so that operators and functions are PostgreSQL's; only the names without
# schema are looked up before that, with the session's. The common case, that nobody is in the way, is told by one query.


def _do(locks: Sequence[Lock], then: str) -> str:
    """Return the block that finds out what is to be locked, does something then, and locks it."""
    # JIT would compile the query, whose cost the planner overrates, for longer than a guard may take.
    body = f"""
DECLARE
  pgrollout_named pg_catalog.oid[] := {_named_by_session(locks)};
  pgrollout_path pg_catalog.text := pg_catalog.current_setting('search_path');
  pgrollout_jit pg_catalog.text := pg_catalog.current_setting('jit');
  pgrollout_oids pg_catalog.oid[];
  pgrollout_modes pg_catalog.int4[];
  pgrollout_is_contended pg_catalog.bool;
  pgrollout_holders pg_catalog.text;
  pgrollout_commands pg_catalog.text;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('jit', 'off', true);
  WITH RECURSIVE {_members(locks, "pgrollout_named", is_file_session=True)},{_TAKEN},{_CONFLICTING}
  SELECT array_agg(oid), array_agg(mode), EXISTS (SELECT FROM conflicting), ({_COMMANDS})
  INTO pgrollout_oids, pgrollout_modes, pgrollout_is_contended, pgrollout_commands
  FROM member;{then}
  IF pgrollout_commands IS NOT NULL THEN
    EXECUTE pgrollout_commands;
  END IF;
  PERFORM pg_catalog.set_config('search_path', pgrollout_path, true), pg_catalog.set_config('jit', pgrollout_jit, true);
END """
    tag = "$pgrollout$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"DO {tag}{body}{tag}"


def _named_by_session(locks: Sequence[Lock]) -> str:
    """Return an array of the OIDs of what the locks name, as the session understands names without schema; others are NULL."""
    return f"ARRAY[{', '.join(_by_session(lock) for lock in locks)}]::pg_catalog.oid[]"


def _by_session(lock: Lock) -> str:
    if lock.relation.schema or lock.reach is Reach.SCHEMA:
        return "NULL"
    function = "to_regtype" if lock.reach is Reach.TYPE else "to_regclass"
    return f"pg_catalog.{function}({literal(name(lock.relation.name))})::pg_catalog.oid"


def _by_path(lock: Lock, path: tuple[str, ...]) -> str:
    """Return an expression for the OID of a name without schema, as a session with that search path understands it."""
    catalog, prefix = ("pg_type", "typ") if lock.reach is Reach.TYPE else ("pg_class", "rel")
    return (
        f"(SELECT c.oid FROM unnest(ARRAY[{', '.join(map(literal, path))}]::text[]) WITH ORDINALITY s(schema, place) "
        "JOIN pg_namespace n ON n.nspname = CASE WHEN s.schema = '$user' THEN current_user ELSE s.schema END "
        f"JOIN {catalog} c ON c.{prefix}namespace = n.oid AND c.{prefix}name = {literal(lock.relation.name)} "
        "ORDER BY s.place LIMIT 1)"
    )


def _oid(lock: Lock, by_session: str) -> str:
    """Return an expression for the OID of what a lock names; to_regclass would raise where the role may not use the schema."""
    wanted = literal(lock.relation.name)
    if lock.reach is Reach.SCHEMA:
        return f"(SELECT oid FROM pg_namespace WHERE nspname = {wanted})"
    if not lock.relation.schema:
        return by_session
    schema = f"(SELECT oid FROM pg_namespace WHERE nspname = {literal(lock.relation.schema)})"
    if lock.reach is Reach.TYPE:
        return f"(SELECT oid FROM pg_type WHERE typname = {wanted} AND typnamespace = {schema})"
    return f"(SELECT oid FROM pg_class WHERE relname = {wanted} AND relnamespace = {schema})"


# From what is named to the relations that are touched, by reach. A view goes with its rule, which the server keeps as the
# one that depends.
_GONE = """gone(classid, objid, objsubid, mode) AS (
  SELECT s.classid::oid, s.objid, s.objsubid, n.mode
  FROM named n
  LEFT JOIN pg_attribute a ON n.reach = 'column' AND a.attrelid = n.oid AND a.attname = n.part
  LEFT JOIN pg_constraint k ON n.reach = 'constraint' AND k.conrelid = n.oid AND k.conname = n.part
  JOIN LATERAL (VALUES
    ('dependent', 'pg_class'::regclass, n.oid, 0), ('column', 'pg_class'::regclass, a.attrelid, a.attnum::int),
    ('constraint', 'pg_constraint'::regclass, k.oid, 0), ('type', 'pg_type'::regclass, n.oid, 0),
    ('schema', 'pg_namespace'::regclass, n.oid, 0)) s(reach, classid, objid, objsubid) ON s.reach = n.reach
  UNION
  SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END, coalesce(r.ev_class, d.objid),
         CASE WHEN r.oid IS NULL THEN d.objsubid ELSE 0 END, g.mode
  FROM gone g
  JOIN pg_depend d ON d.refclassid = g.classid AND d.refobjid = g.objid AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid)
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid)"""
_EMPTIED = """emptied(oid, mode) AS (
  SELECT oid, mode FROM named WHERE reach = 'emptied'
  UNION
  SELECT k.conrelid, e.mode FROM emptied e JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = e.oid)"""

_TOUCHED = {
    frozenset({Reach.ALONE, Reach.PARTITIONS, Reach.TREE}): """
  SELECT coalesce(i.indrelid, c.oid), n.mode, CASE WHEN c.relkind = 'i' THEN 'alone' ELSE n.reach END
  FROM named n JOIN pg_class c ON c.oid = n.oid LEFT JOIN pg_index i ON i.indexrelid = c.oid
  WHERE n.reach IN ('alone', 'partitions', 'tree')""",
    frozenset({Reach.DEFAULT}): """
  SELECT p.partdefid, n.mode, 'partitions'
  FROM named n JOIN pg_partitioned_table p ON p.partrelid = n.oid WHERE n.reach = 'default'""",
    frozenset({Reach.PARENT}): """
  SELECT x.oid, n.mode, CASE WHEN x.oid = p.partdefid THEN 'partitions' ELSE 'alone' END
  FROM named n JOIN pg_inherits h ON h.inhrelid = n.oid JOIN pg_partitioned_table p ON p.partrelid = h.inhparent,
       LATERAL (VALUES (h.inhparent), (p.partdefid)) x(oid)
  WHERE n.reach = 'parent'""",
    frozenset({Reach.REFERENCED}): """
  SELECT k.confrelid, n.mode, 'partitions'
  FROM named n JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = n.oid WHERE n.reach = 'referenced'""",
    frozenset({Reach.REFERENCING}): """
  SELECT k.conrelid, n.mode, 'partitions'
  FROM named n JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = n.oid WHERE n.reach = 'referencing'""",
    frozenset({Reach.EMPTIED}): """
  SELECT oid, mode, 'partitions' FROM emptied""",
    frozenset({Reach.DEPENDENT, Reach.COLUMN, Reach.CONSTRAINT, Reach.TYPE, Reach.SCHEMA}): """
  SELECT x.oid, g.mode, 'alone'
  FROM gone g
  LEFT JOIN pg_constraint k ON g.classid = 'pg_constraint'::regclass AND k.oid = g.objid
  LEFT JOIN pg_trigger t ON g.classid = 'pg_trigger'::regclass AND t.oid = g.objid
  LEFT JOIN pg_attrdef d ON g.classid = 'pg_attrdef'::regclass AND d.oid = g.objid
  LEFT JOIN pg_policy p ON g.classid = 'pg_policy'::regclass AND p.oid = g.objid,
       LATERAL (VALUES (CASE WHEN g.classid = 'pg_class'::regclass THEN g.objid END),
                       (k.conrelid), (k.confrelid), (t.tgrelid), (d.adrelid), (p.polrelid)) x(oid)""",
}


def _members(locks: Sequence[Lock], array: str, *, is_file_session: bool) -> str:
    """
    Return the CTEs ``relation``, what is to be locked, and ``member``, those and the partitions and children that go with them.

    Args:
        locks: Of one statement.
        array: Expression for what ``_named_by_session`` gave.
        is_file_session: The session's search path is the file's.
    """
    reaches = {lock.reach for lock in locks}
    oids = [
        _oid(lock, f"({array})[{place}]" if is_file_session or lock.path is None else _by_path(lock, lock.path))
        for place, lock in enumerate(locks, 1)
    ]
    named = ", ".join(
        f"({oid}, {lock.mode}, {literal(lock.reach)}, {literal(lock.part)}::name)"
        for lock, oid in zip(locks, oids, strict=True)
    )
    branches = [branch for kinds, branch in _TOUCHED.items() if kinds & reaches]
    parts = [
        f"named(oid, mode, reach, part) AS (VALUES {named})",
        *([_EMPTIED] if Reach.EMPTIED in reaches else []),
        *([_GONE] if "FROM gone" in branches[-1] else []),
        f"touched(oid, mode, reach) AS ({'  UNION ALL'.join(branches)})",
        _MEMBERS,
    ]
    return ",\n".join(parts)


_MAY_BE_LOCKED = """c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE')
    AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE'
      || CASE WHEN current_setting('server_version_num')::int < 170000 THEN '' ELSE ', MAINTAIN' END)"""
_MEMBERS = f"""relation AS (
  SELECT c.oid, max(t.mode) AS mode, c.relname, n.nspname,
         bool_or(t.reach = 'tree' OR t.reach = 'partitions' AND c.relkind = 'p') AS recurse,
         {_MAY_BE_LOCKED} AS may_be_locked
  FROM touched t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't'
  GROUP BY c.oid, n.oid),
member(root, oid, mode, recurse) AS (
  SELECT oid, oid, mode, recurse FROM relation
  UNION
  SELECT m.root, h.inhrelid, m.mode, true FROM member m JOIN pg_inherits h ON h.inhparent = m.oid WHERE m.recurse)"""
_MEMBERS_FOUND = "member AS (SELECT * FROM unnest(pgrollout_oids, pgrollout_modes) found(oid, mode))"
_TAKEN = f"""
taken AS MATERIALIZED (
  SELECT pid, virtualtransaction, relation, array_position(ARRAY{[mode.in_pg_locks for mode in Mode]}, mode) AS mode
  FROM pg_locks
  WHERE locktype = 'relation' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
_CONFLICTS = ", ".join(f"({m}, ARRAY{[int(held) for held in m.conflicts_with]})" for m in Mode)
_CONFLICTING = f"""
conflicting AS (
  SELECT t.pid, t.virtualtransaction, m.oid, max(t.mode) AS held, max(m.mode) AS mode
  FROM member m
  JOIN taken t ON t.relation = m.oid
  JOIN (VALUES {_CONFLICTS}) k(mode, held) ON k.mode = m.mode AND t.mode = ANY (k.held)
  WHERE t.pid IS DISTINCT FROM pg_backend_pid()
  GROUP BY t.pid, t.virtualtransaction, m.oid)"""
_COMMANDS = f"""
    SELECT string_agg(command, '; ' ORDER BY mode) FROM (
      SELECT r.mode, format('LOCK TABLE %s IN %s MODE', string_agg(
               CASE WHEN r.recurse THEN '' ELSE 'ONLY ' END || format('%I.%I', r.nspname, r.relname), ', '
               ORDER BY r.nspname, r.relname), (ARRAY{[mode.sql for mode in Mode]})[r.mode]) AS command
      FROM relation r
      WHERE r.may_be_locked AND EXISTS (
        SELECT FROM member m WHERE m.root = r.oid AND NOT EXISTS (
          SELECT FROM taken t WHERE t.pid = pg_backend_pid() AND t.relation = m.oid AND t.mode >= m.mode))
      GROUP BY r.mode) each"""

# With somebody who waits for what this transaction has locked before, waiting is a deadlock.
_WAITS_FOR_US = """EXISTS (
      SELECT FROM pg_locks w
      WHERE w.pid = holder.pid AND NOT w.granted AND pg_backend_pid() = ANY (pg_blocking_pids(w.pid)))"""

# From the locks to who holds them: by relation (holding), and by session, with its strongest lock (holder).
# pg_locks has pid NULL for a prepared transaction. Of others' sessions a role sees pid, user and application_name; the rest
# only with pg_read_all_stats.
_HOLDER = f"""
prepared AS (
  SELECT l.virtualtransaction, p.gid, p.owner, p.prepared
  FROM pg_prepared_xacts p
  JOIN pg_locks l ON l.pid IS NULL AND l.locktype = 'transactionid' AND l.transactionid = p.transaction),
reading AS MATERIALIZED (
  SELECT t.pid, count(DISTINCT coalesce(pg_partition_root(t.relation), t.relation)) AS tables
  FROM taken t JOIN pg_class c ON c.oid = t.relation AND c.relkind IN ('r', 'p')
  WHERE t.mode = {Mode.ACCESS_SHARE} AND t.relation >= 16384 AND t.pid IN (SELECT pid FROM conflicting)
  GROUP BY t.pid),
holding AS (
  SELECT f.pid, f.virtualtransaction, f.oid, f.held, format('%I.%I', n.nspname, c.relname) AS relation,
         a.application_name, coalesce(a.usename, p.owner) AS username, a.state, p.gid,
         (extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::int8 AS age_ms,
         f.pid IS NOT NULL AND a.usesysid IS NULL AS is_autovacuum,
         f.pid IS NOT NULL AND a.usesysid IS NULL
           AND (a.query LIKE '%(to prevent wraparound)%'
                OR a.xact_start IS NULL AND age(c.relfrozenxid) > current_setting('autovacuum_freeze_max_age')::int)
           AS prevents_wraparound,
         coalesce(f.mode = {Mode.ACCESS_EXCLUSIVE} AND (a.application_name = 'pg_dump' OR d.tables >= {DUMP_TABLES}), false)
           AS is_dump
  FROM conflicting f
  JOIN pg_class c ON c.oid = f.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_activity a ON a.pid = f.pid
  LEFT JOIN reading d ON d.pid = f.pid
  LEFT JOIN prepared p ON f.pid IS NULL AND p.virtualtransaction = f.virtualtransaction
  WHERE a.pid IS NOT NULL OR p.gid IS NOT NULL),
holder AS (
  SELECT * FROM (
    SELECT *, count(*) OVER each - 1 AS others, row_number() OVER (each ORDER BY is_dump DESC, held DESC, relation) AS place
    FROM holding WINDOW each AS (PARTITION BY virtualtransaction, pid)) placed
  WHERE place = 1)"""
