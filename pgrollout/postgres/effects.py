"""
Effects: whether a statement outside a transaction, whose end nobody saw, took effect.

Before such a statement ``before`` notes what it will change; that is kept with the intent. After a crash ``settle`` looks
again, and judges by the difference: names alone would take somebody else's index for ours. Only reads; what is left to be
dropped or finished is for ``carcasses``. Whoever asks has made sure that no backend of an earlier attempt is left.

Source: PostgreSQL manual, "pg_index", "pg_inherits", "pg_subscription"; ``reference/apply-safety.md`` of the design, B.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pgrollout.errors import IndexBuildUnderWay
from pgrollout.nodes import Name
from pgrollout.outside import NOTHING, Form, Outside
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.index_definition import CannotTell, Settings, compare, definition, read_settings
from pgrollout.postgres.sqlstate import explained
from pgrollout.quoting import literal, name

Before = Mapping[str, Any]
"""What ``before`` noted, as JSON brings it back."""


class Effect(StrEnum):
    """What to do with an intent that has no end."""

    TOOK_EFFECT = "took effect"
    """Record it."""
    RUN_AGAIN = "run again"
    """Nothing of it is there, or doing it twice does no harm."""
    UNKNOWN = "unknown"
    """The catalog does not tell: ask a person."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a statement whose end nobody saw."""

    effect: Effect
    """What to do."""
    says: str
    """What was found, one clause for log and ledger: ``index "app"."i" is there and valid``."""
    left: tuple[str, ...] = ()
    """Quoted names of invalid indexes that must be dropped first."""
    detach: tuple[str, str] | None = None
    """Quoted names of a parent and its partition whose detaching must be finalized first."""
    advice: str = ""
    """What a person may look at and run, where one is asked; several lines."""


class State(StrEnum):
    """What has the name of an index that is to be built."""

    NONE = "none"
    """Nothing."""
    EQUAL = "equal"
    """A valid index with the definition that is asked for."""
    CARCASS = "carcass"
    """The same, invalid: somebody's try that was interrupted. Drop it, then build."""
    DIFFERS = "differs"
    """Something else."""
    CANNOT_TELL = "cannot tell"
    """An index of the table, whose definition could not be compared."""


@dataclass(frozen=True, slots=True)
class Found:
    """What has the name of an index that is to be built online."""

    state: State
    """What it is."""
    index: str = ""
    """Its quoted name, with its schema."""
    is_valid: bool = True
    """Whether queries use it."""
    there: str = ""
    """Its definition, for a person."""
    asked: str = ""
    """The definition that the statement asks for; where that could not be told, why."""


def before(connection: Connection, what: Outside) -> dict[str, Any]:
    """
    Return what there is before a statement changes it, to be kept with its intent: JSON.

    Args:
        connection: The executing connection, with the settings that the statement runs with.
        what: What the statement is about.

    Raises:
        ServerRefused: The server does not let us look.
        ConnectionBroken: The connection was lost.
    """
    looks = _BEFORE.get(what.form)
    if looks is None:
        return {}
    with explained("looking at what a statement will change"):
        return looks(connection, what)


def settle(connection: Connection, what: Outside | None, text: str, before: Before | None) -> Verdict:
    """
    Return what became of a statement whose end nobody saw.

    Args:
        connection: The executing connection; no backend of an earlier attempt is left.
        what: What the statement is about; None for one that only the server's answer told, a CALL for example.
        text: The statement.
        before: What ``before`` noted; None where nothing was.

    Raises:
        IndexBuildUnderWay: Somebody else builds an index there.
        ServerRefused: The server does not let us look.
        ConnectionBroken: The connection was lost.
    """
    if what is None:
        return Verdict(Effect.UNKNOWN, "nothing in the catalog tells whether it took effect")
    with explained("looking at what a statement has changed"):
        return _SETTLE[what.form](connection, what, text, before)


def found(connection: Connection, what: Outside, text: str) -> Found:
    """
    Return what has the name of an index before it is built online; also after an intent was settled.

    Args:
        connection: The executing connection, with the settings that the statement runs with.
        what: A build.
        text: The statement.

    Raises:
        IndexBuildUnderWay: An invalid index has the name, and somebody else builds one on that table.
        ServerRefused: The server does not let us look.
        ConnectionBroken: The connection was lost.
    """
    with explained("looking for an index"):
        table = _relation(connection, what.table)
        if table is None or what.name == NOTHING:
            return Found(State.NONE)
        there = _row(connection, _NAMED, [table.schema, what.name.name])
        if there is None:
            return Found(State.NONE)
        oid, of_table, is_valid = there
        index = name(table.schema, what.name.name)
        if of_table is None:
            return Found(State.DIFFERS, index, there="no index", asked=_asked(connection, text, table))
        if of_table != table.oid:
            shown = definition(connection, oid).shown
            return Found(State.DIFFERS, index, is_valid, f"of another table, {shown}", _asked(connection, text, table))
        if not is_valid:
            _check_nobody_builds(connection, table)
        return _compared(connection, text, table, index, oid, is_valid)


# Relations.


@dataclass(frozen=True, slots=True)
class _Relation:
    """A relation, by what stays and by what people know."""

    oid: int
    schema: str
    name: str

    @property
    def quoted(self) -> str:
        return name(self.schema, self.name)


_RESOLVED = """
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)
"""
_BY_OID = (
    "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s"
)
_NAMED = """
SELECT c.oid, i.indrelid, i.indisvalid FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname = %s AND c.relname = %s
"""


def _relation(connection: Connection, named: Name) -> _Relation | None:
    """Look for a relation as the session does."""
    if named == NOTHING:
        return None
    shown = name(*filter(None, (named.schema, named.name)))
    row = connection.execute(_RESOLVED.encode(), [shown]).fetchone()
    return _Relation(*row) if row else None


def _by_oid(connection: Connection, oid: int | None) -> _Relation | None:
    row = _row(connection, _BY_OID, [oid]) if oid is not None else None
    return _Relation(*row) if row else None


@contextmanager
def _catalog(connection: Connection) -> Iterator[None]:
    """Let names and operators in our queries be the catalog's, whatever the session has set."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        yield


def _rows(connection: Connection, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with _catalog(connection):
        return connection.execute(query.encode(), values).fetchall()


def _row(connection: Connection, query: str, values: list[Any]) -> tuple[Any, ...] | None:
    return next(iter(_rows(connection, query, values)), None)


# Who builds. An index that is being built is invalid, too. The view hides the table of somebody else's build from
# a role without pg_read_all_stats, so the lock says which table it is: every online build holds it from start to end.
_BUILDERS = """
SELECT p.pid, a.usename, a.application_name FROM pg_stat_progress_create_index p
JOIN pg_locks l ON l.pid = p.pid
JOIN pg_stat_activity a ON a.pid = p.pid
WHERE l.locktype = 'relation' AND l.relation = %s AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND p.pid <> pg_backend_pid()
"""


def _check_nobody_builds(connection: Connection, table: _Relation) -> None:
    row = _row(connection, _BUILDERS, [table.oid])
    if row:
        pid, user, application = row
        raise IndexBuildUnderWay(table.quoted, f"pid {pid} ({user}, {application or 'no application name'})")


# CREATE INDEX CONCURRENTLY.

_INDEXES = """
SELECT i.indexrelid, n.nspname, c.relname, i.indisvalid FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid = %s ORDER BY i.indexrelid
"""


def _before_build(connection: Connection, what: Outside) -> dict[str, Any]:
    table = _relation(connection, what.table)
    if table is None:
        return {"table": None}
    indexes = [oid for oid, *_ in _rows(connection, _INDEXES, [table.oid])]
    return {"table": table.oid, "indexes": indexes, "settings": asdict(read_settings(connection))}


def _settle_build(connection: Connection, what: Outside, text: str, before: Before | None) -> Verdict:
    known = before or {}
    settings = Settings(**known["settings"]) if "settings" in known else None
    table = _by_oid(connection, known["table"]) if before else _relation(connection, what.table)
    if table is None:
        return Verdict(Effect.RUN_AGAIN, f"table {what.table} is not there")
    earlier = frozenset(known.get("indexes", ()))
    all_indexes = _rows(connection, _INDEXES, [table.oid])
    if what.name != NOTHING:
        candidates = [row for row in all_indexes if row[2] == what.name.name]
    elif before:
        candidates = [row for row in all_indexes if row[0] not in earlier]
    else:
        return Verdict(Effect.UNKNOWN, f"the index has no name to look for on {table.quoted}")
    if not candidates:
        return Verdict(Effect.RUN_AGAIN, f"no such index is on {table.quoted}")
    try:
        comparison = compare(connection, text, table.schema, table.name, [oid for oid, *_ in candidates], settings)
    except CannotTell as reason:
        if not all(is_valid for *_, is_valid in candidates):
            _check_nobody_builds(connection, table)
        return _settle_build_blindly(what, candidates, earlier, bool(before), str(reason))
    equal = [row for row in candidates if comparison.is_equal(row[0])]
    valid = [name(schema, index) for _, schema, index, is_valid in equal if is_valid]
    if valid:
        return Verdict(Effect.TOOK_EFFECT, f"index {valid[0]} is there and valid")
    if equal or (what.name != NOTHING and not candidates[0][3]):
        _check_nobody_builds(connection, table)  # what is invalid may be theirs
    if what.name != NOTHING and not equal:
        ((oid, schema, index, _),) = candidates
        there, asked = comparison.there[oid].shown, comparison.asked.shown
        return Verdict(Effect.UNKNOWN, f"index {name(schema, index)} is another one: there {there}, asked for {asked}")
    left = tuple(name(schema, index) for _, schema, index, _ in equal)
    if left:
        return Verdict(Effect.RUN_AGAIN, f"index {left[0]} is there and invalid", left)
    return Verdict(Effect.RUN_AGAIN, f"no such index is on {table.quoted}")


def _settle_build_blindly(
    what: Outside, candidates: list[tuple[Any, ...]], earlier: frozenset[int], is_noted: bool, reason: str
) -> Verdict:
    """Where definitions cannot be compared, a name that was not there before is proof enough; nothing less is."""
    (oid, schema, index, is_valid), *others = candidates
    shown = f"index {name(schema, index)} is there and {'valid' if is_valid else 'invalid'}"
    if others or what.name == NOTHING or not is_noted or oid in earlier:
        return Verdict(Effect.UNKNOWN, f"{shown}, and its definition cannot be compared ({reason})")
    if is_valid:
        return Verdict(Effect.TOOK_EFFECT, f"{shown}, and was not before")
    return Verdict(Effect.RUN_AGAIN, f"{shown}, and was not before", (name(schema, index),))


def _compared(connection: Connection, text: str, table: _Relation, index: str, oid: int, is_valid: bool) -> Found:
    try:
        comparison = compare(connection, text, table.schema, table.name, [oid])
    except CannotTell as reason:
        return Found(State.CANNOT_TELL, index, is_valid, definition(connection, oid).shown, str(reason))
    there, asked = comparison.there[oid].shown, comparison.asked.shown
    if not comparison.is_equal(oid):
        return Found(State.DIFFERS, index, is_valid, there, asked)
    return Found(State.EQUAL if is_valid else State.CARCASS, index, is_valid, there, asked)


def _asked(connection: Connection, text: str, table: _Relation) -> str:
    try:
        return compare(connection, text, table.schema, table.name, []).asked.shown
    except CannotTell as reason:
        return f"cannot be told ({reason})"


# REINDEX … CONCURRENTLY. Partitions are reindexed with their parent, a TOAST table with its table.

_TABLES_OF_INDEX = (
    "SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT {oid} UNION SELECT relid FROM pg_partition_tree({oid}))"
)
_TABLES_OF_TABLE = "SELECT {oid} UNION SELECT relid FROM pg_partition_tree({oid})"
_TABLES_OF_SCHEMA = "SELECT oid FROM pg_class WHERE relnamespace = {oid} AND relkind IN ('r', 'm', 'p')"
_TABLES_OF_DATABASE = "SELECT oid FROM pg_class WHERE relkind IN ('r', 'm', 'p')"
_IN_SCOPE = """
WITH named (oid) AS ({tables}),
scope (oid) AS (SELECT oid FROM named UNION SELECT c.reltoastrelid FROM pg_class c JOIN named USING (oid))
SELECT i.indexrelid, n.nspname, c.relname, i.indisvalid, i.indrelid,
  c.relname ~ '_cc(new|old)[0-9]*$' AND NOT i.indisvalid, has_schema_privilege(n.oid, 'USAGE')
FROM pg_index i
JOIN scope s ON s.oid = i.indrelid
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'i' ORDER BY i.indexrelid
"""
_SCHEMA = "SELECT oid FROM pg_namespace WHERE nspname = %s"


def _before_reindex(connection: Connection, what: Outside) -> dict[str, Any]:
    noted = _scope(connection, what)
    rows = _in_scope(connection, noted)
    noted["invalid"] = [oid for oid, *_, is_leftover, _ in rows if is_leftover]
    if noted["scope"] in ("index", "table"):  # a schema may have thousands
        noted["indexes"] = [oid for oid, *_ in rows if noted["scope"] == "table" or oid == noted["oid"]]
    return noted


def _scope(connection: Connection, what: Outside) -> dict[str, Any]:
    if what.table != NOTHING or what.name.name:
        relation = _relation(connection, what.table if what.table != NOTHING else what.name)
        kind = "table" if what.table != NOTHING else "index"
        schema = {"schema": relation.schema, "name": relation.name} if relation else {}
        return {"scope": kind, "oid": relation.oid if relation else None} | schema
    if what.name.schema:
        row = _row(connection, _SCHEMA, [what.name.schema])
        return {"scope": "schema", "oid": row[0] if row else None}
    return {"scope": "database", "oid": 0}


def _in_scope(connection: Connection, noted: Before) -> list[tuple[Any, ...]]:
    if noted["oid"] is None:
        return []
    tables = {
        "index": _TABLES_OF_INDEX,
        "table": _TABLES_OF_TABLE,
        "schema": _TABLES_OF_SCHEMA,
        "database": _TABLES_OF_DATABASE,
    }[noted["scope"]]
    oid = f"CAST({int(noted['oid'])} AS oid)"
    return _rows(connection, _IN_SCOPE.format(tables=tables.format(oid=oid)), [])


def _settle_reindex(connection: Connection, _what: Outside, _text: str, before: Before | None) -> Verdict:
    if not before:
        return Verdict(Effect.RUN_AGAIN, "a reindex may be run again; what it may have left is not known")
    now = dict(before)
    if before["scope"] == "index" and before["oid"] is not None:
        # Reindexed, it is another index of the same name; the old one goes last.
        row = _row(connection, _NAMED, [before["schema"], before["name"]])
        now["oid"] = row[0] if row else None
    rows = _in_scope(connection, now)
    known = frozenset(before["invalid"])
    leftovers = [row for row in rows if row[5] and row[0] not in known]
    for table in {row[4] for row in leftovers}:
        relation = _by_oid(connection, table)
        if relation:
            _check_nobody_builds(connection, relation)
    left = tuple(name(schema, index) for _, schema, index, *_, may_drop in leftovers if may_drop)
    if leftovers:
        shown = ", ".join(name(schema, index) for _, schema, index, *_ in leftovers)
        beyond = "; a superuser must drop those of pg_toast" if len(left) < len(leftovers) else ""
        return Verdict(Effect.RUN_AGAIN, f"it has left {shown}{beyond}", left)
    done = [row[0] for row in rows if row[3] and (now["scope"] != "index" or row[0] == now["oid"])]
    if done and "indexes" in before and not set(done).intersection(before["indexes"]):
        return Verdict(Effect.TOOK_EFFECT, "what it names has been built anew")
    return Verdict(Effect.RUN_AGAIN, "what it names has not been built anew")


# DROP INDEX CONCURRENTLY.


def _before_drop(connection: Connection, what: Outside) -> dict[str, Any]:
    index = _relation(connection, what.name)
    return {"oid": index.oid if index else None}


def _settle_drop(connection: Connection, what: Outside, _text: str, before: Before | None) -> Verdict:
    if not before:
        # A name without a schema was looked for where the session's path led then.
        there = bool(_rows(connection, _ANYWHERE, [what.name.name, what.name.schema, what.name.schema]))
        if there and not what.name.schema:
            return Verdict(Effect.UNKNOWN, f"an index {what.name} is there, in a schema that was not noted")
        return _there_or_not(f"index {what.name}", there, wanted=False)
    if before["oid"] is None:
        effect = Effect.TOOK_EFFECT if what.if_exists else Effect.RUN_AGAIN
        return Verdict(effect, f"index {what.name} was not there before")
    index = _by_oid(connection, before["oid"])
    return _there_or_not(f"index {index.quoted if index else what.name}", index is not None, wanted=False)


_ANYWHERE = """
SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %s AND c.relkind = 'i' AND (%s = '' OR n.nspname = %s)
"""


def _there_or_not(subject: str, is_there: bool, *, wanted: bool) -> Verdict:
    effect = Effect.TOOK_EFFECT if is_there is wanted else Effect.RUN_AGAIN
    return Verdict(effect, f"{subject} is {'there' if is_there else 'not there'}")


# ALTER TABLE … DETACH PARTITION … CONCURRENTLY.

_ATTACHED = "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = %s AND inhparent = %s"


def _before_detach(connection: Connection, what: Outside) -> dict[str, Any]:
    parent, partition = _relation(connection, what.table), _relation(connection, what.name)
    if parent is None or partition is None:
        return {"parent": None, "partition": None, "attached": False}
    row = _row(connection, _ATTACHED, [partition.oid, parent.oid])
    return {"parent": parent.oid, "partition": partition.oid, "attached": row is not None}


def _settle_detach(connection: Connection, what: Outside, _text: str, before: Before | None) -> Verdict:
    if not before:
        parent, partition = _relation(connection, what.table), _relation(connection, what.name)
        if parent is None or partition is None:
            return Verdict(Effect.UNKNOWN, f"{what.table} and {what.name} are not both to be found")
    else:
        if not before["attached"]:
            return Verdict(Effect.RUN_AGAIN, f"{what.name} was no partition of {what.table} before")
        parent, partition = _by_oid(connection, before["parent"]), _by_oid(connection, before["partition"])
        if parent is None or partition is None:
            return Verdict(Effect.TOOK_EFFECT, f"{what.table if parent is None else what.name} is gone")
    row = _row(connection, _ATTACHED, [partition.oid, parent.oid])
    if row is None:
        return Verdict(Effect.TOOK_EFFECT, f"{partition.quoted} is detached from {parent.quoted}")
    if row[0]:
        says = f"{partition.quoted} is half detached from {parent.quoted}, where its rows are not to be seen"
        return Verdict(Effect.TOOK_EFFECT, says, detach=(parent.quoted, partition.quoted))
    return Verdict(Effect.RUN_AGAIN, f"{partition.quoted} is attached to {parent.quoted}")


# What is there or not: databases, tablespaces, subscriptions, prepared transactions.

_EXISTS = {
    "database": "SELECT oid, datconnlimit = -2 FROM pg_database WHERE datname = %s",
    "tablespace": "SELECT oid, false FROM pg_tablespace WHERE spcname = %s",
    "subscription": (
        "SELECT oid, false FROM pg_subscription WHERE subname = %s "
        "AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ),
}
"""OID, and whether it is half dropped."""


def _kind(what: Outside) -> str:
    return what.form.partition(" ")[2]


def _before_existence(connection: Connection, what: Outside) -> dict[str, Any]:
    row = _row(connection, _EXISTS[_kind(what)], [what.name.name])
    return {"oid": row[0] if row else None}


def _settle_create(connection: Connection, what: Outside, _text: str, before: Before | None) -> Verdict:
    subject = f"{_kind(what)} {what.name}"
    row = _row(connection, _EXISTS[_kind(what)], [what.name.name])
    if row is None:
        return Verdict(Effect.RUN_AGAIN, f"{subject} is not there")
    if row[1]:
        return Verdict(Effect.UNKNOWN, f"{subject} is half dropped, by an interrupted DROP DATABASE")
    if before and before["oid"] == row[0]:
        return Verdict(Effect.RUN_AGAIN, f"{subject} was there before")
    return Verdict(Effect.TOOK_EFFECT, f"{subject} is there")


def _settle_drop_of(connection: Connection, what: Outside, _text: str, before: Before | None) -> Verdict:
    subject = f"{_kind(what)} {what.name}"
    if before and before["oid"] is None:
        effect = Effect.TOOK_EFFECT if what.if_exists else Effect.RUN_AGAIN
        return Verdict(effect, f"{subject} was not there before")
    row = _row(connection, _EXISTS[_kind(what)], [what.name.name])
    if row is None or (before and row[0] != before["oid"]):
        return Verdict(Effect.TOOK_EFFECT, f"{subject} is gone")
    return Verdict(Effect.RUN_AGAIN, f"{subject} is {'half dropped' if row[1] else 'still there'}")


# A subscription and its slot on another server: the row alone can be seen from here.

_SLOT = (
    "SELECT subslotname FROM pg_subscription WHERE subname = %s "
    "AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _settle_create_subscription(connection: Connection, what: Outside, text: str, before: Before | None) -> Verdict:
    verdict = _settle_create(connection, what, text, before)
    if verdict.effect is not Effect.RUN_AGAIN or (before and before["oid"] is not None):
        return verdict
    slot = literal(what.slot)
    advice = (
        f"On the publisher, look whether its slot was made, and drop it:\n"
        f"    SELECT slot_name, active FROM pg_replication_slots WHERE slot_name = {slot};\n"
        f"    SELECT pg_drop_replication_slot({slot});\n"
        "Then let the statement run again."
    )
    return Verdict(Effect.UNKNOWN, f"{verdict.says}, its slot on the publisher may be", advice=advice)


def _settle_drop_subscription(connection: Connection, what: Outside, text: str, before: Before | None) -> Verdict:
    verdict = _settle_drop_of(connection, what, text, before)
    slot = _row(connection, _SLOT, [what.name.name])
    if verdict.effect is not Effect.RUN_AGAIN or slot is None or slot[0] is None:
        return verdict
    subscription = name(what.name.name)
    advice = (
        "On the publisher, look whether its slot is there still:\n"
        f"    SELECT slot_name, active FROM pg_replication_slots WHERE slot_name = {literal(slot[0])};\n"
        "If it is, let the statement run again. If it is not, drop the subscription without it, and say that it is done:\n"
        f"    ALTER SUBSCRIPTION {subscription} DISABLE;\n"
        f"    ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE);\n"
        f"    DROP SUBSCRIPTION {subscription};"
    )
    return Verdict(Effect.UNKNOWN, f"{verdict.says}, its slot on the publisher may not be", advice=advice)


_PUBLICATIONS = (
    "SELECT subpublications FROM pg_subscription WHERE subname = %s "
    "AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _before_alter_subscription(connection: Connection, what: Outside) -> dict[str, Any]:
    row = _row(connection, _PUBLICATIONS, [what.name.name])
    return {"publications": row[0] if row else None}


def _settle_alter_subscription(connection: Connection, what: Outside, _text: str, before: Before | None) -> Verdict:
    """Refreshing twice does no harm; adding or dropping twice is refused, but changes the row when it is done once."""
    row = _row(connection, _PUBLICATIONS, [what.name.name])
    now = row[0] if row else None
    if before and now != before["publications"]:
        return Verdict(Effect.TOOK_EFFECT, f"subscription {what.name} has other publications than before")
    return Verdict(Effect.RUN_AGAIN, f"subscription {what.name} has the publications it had before")


# ALTER DATABASE … SET TABLESPACE.

_TABLESPACE_OF = (
    "SELECT t.spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = %s"
)


def _settle_move(connection: Connection, what: Outside, _text: str, _before: Before | None) -> Verdict:
    row = _row(connection, _TABLESPACE_OF, [what.name.name])
    if row is None:
        return Verdict(Effect.RUN_AGAIN, f"database {what.name} is not there")
    effect = Effect.TOOK_EFFECT if row[0] == what.tablespace else Effect.RUN_AGAIN
    return Verdict(effect, f"database {what.name} is in tablespace {row[0]}")


# COMMIT PREPARED, ROLLBACK PREPARED.

_PREPARED = "SELECT FROM pg_prepared_xacts WHERE gid = %s"


def _before_prepared(connection: Connection, what: Outside) -> dict[str, Any]:
    return {"there": bool(_rows(connection, _PREPARED, [what.name.name]))}


def _settle_prepared(connection: Connection, what: Outside, _text: str, before: Before | None) -> Verdict:
    subject = f"prepared transaction {literal(what.name.name)}"
    if _rows(connection, _PREPARED, [what.name.name]):
        return Verdict(Effect.RUN_AGAIN, f"{subject} is still there")
    if not before:
        return Verdict(Effect.UNKNOWN, f"{subject} is not there, and whether it was before is not known")
    if not before["there"]:
        return Verdict(Effect.RUN_AGAIN, f"{subject} was not there before")
    return Verdict(Effect.TOOK_EFFECT, f"{subject} is gone")


def _may_run_again(_connection: Connection, what: Outside, _text: str, _before: Before | None) -> Verdict:
    return Verdict(Effect.RUN_AGAIN, f"{what.form.upper()} may be run again")


_Before = Callable[[Connection, Outside], dict[str, Any]]
_Settle = Callable[[Connection, Outside, str, Before | None], Verdict]

_BEFORE: dict[Form, _Before] = {
    Form.ONLINE_BUILD: _before_build,
    Form.ONLINE_REINDEX: _before_reindex,
    Form.ONLINE_DROP: _before_drop,
    Form.DETACH: _before_detach,
    Form.CREATE_DATABASE: _before_existence,
    Form.DROP_DATABASE: _before_existence,
    Form.CREATE_TABLESPACE: _before_existence,
    Form.DROP_TABLESPACE: _before_existence,
    Form.CREATE_SUBSCRIPTION: _before_existence,
    Form.DROP_SUBSCRIPTION: _before_existence,
    Form.ALTER_SUBSCRIPTION: _before_alter_subscription,
    Form.COMMIT_PREPARED: _before_prepared,
    Form.ROLLBACK_PREPARED: _before_prepared,
}
"""Forms that are not here leave nothing to compare."""
_SETTLE: dict[Form, _Settle] = {
    Form.ONLINE_BUILD: _settle_build,
    Form.ONLINE_REINDEX: _settle_reindex,
    Form.ONLINE_DROP: _settle_drop,
    Form.DETACH: _settle_detach,
    Form.CREATE_DATABASE: _settle_create,
    Form.DROP_DATABASE: _settle_drop_of,
    Form.MOVE_DATABASE: _settle_move,
    Form.CREATE_TABLESPACE: _settle_create,
    Form.DROP_TABLESPACE: _settle_drop_of,
    Form.CREATE_SUBSCRIPTION: _settle_create_subscription,
    Form.DROP_SUBSCRIPTION: _settle_drop_subscription,
    Form.ALTER_SUBSCRIPTION: _settle_alter_subscription,
    Form.VACUUM: _may_run_again,
    Form.VACUUM_FULL: _may_run_again,
    Form.CLUSTER: _may_run_again,
    Form.REINDEX: _may_run_again,
    Form.ALTER_SYSTEM: _may_run_again,
    Form.COMMIT_PREPARED: _settle_prepared,
    Form.ROLLBACK_PREPARED: _settle_prepared,
}
