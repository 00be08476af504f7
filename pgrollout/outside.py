"""
Outside: which statements cannot run in a transaction, as far as their text tells, and what each is about.

Read from the tokens, so it needs neither a parser nor a server. A procedure or DO block that commits cannot be told by
its text, nor REINDEX TABLE, REINDEX INDEX or CLUSTER of a partitioned relation: of those the server's 25001 tells. What
such a statement has done is asked of the catalog: see ``postgres.effects``. DISCARD ALL, which would drop the run lock, is
refused elsewhere.

Source: PostgreSQL, ``PreventInTransactionBlock`` and who calls it, versions 14 to 18.
"""

from dataclasses import dataclass
from enum import StrEnum

from pgrollout.nodes import Name
from pgrollout.reader import Reader, is_on
from pgrollout.splitter import Unclosed

NOTHING = Name("", "")
"""Where a statement names none."""


class Form(StrEnum):
    """The kinds of statements that cannot run in a transaction."""

    ONLINE_BUILD = "online build"
    """CREATE INDEX CONCURRENTLY."""
    ONLINE_REINDEX = "online reindex"
    """REINDEX … CONCURRENTLY."""
    ONLINE_DROP = "online drop"
    """DROP INDEX CONCURRENTLY."""
    DETACH = "detach"
    """ALTER TABLE … DETACH PARTITION … CONCURRENTLY."""
    CREATE_DATABASE = "create database"
    DROP_DATABASE = "drop database"
    MOVE_DATABASE = "move database"
    """ALTER DATABASE … SET TABLESPACE."""
    CREATE_TABLESPACE = "create tablespace"
    DROP_TABLESPACE = "drop tablespace"
    CREATE_SUBSCRIPTION = "create subscription"
    """One that makes a slot on the publisher."""
    DROP_SUBSCRIPTION = "drop subscription"
    """Without a slot it could run in a transaction; the text does not tell."""
    ALTER_SUBSCRIPTION = "alter subscription"
    """One that asks the publisher: it refreshes, or changes the slot."""
    VACUUM = "vacuum"
    VACUUM_FULL = "vacuum full"
    CLUSTER = "cluster"
    """Of all tables, or of a partitioned one."""
    REINDEX = "reindex"
    """Of a schema, the database or its system tables, or of a partitioned relation."""
    ALTER_SYSTEM = "alter system"
    COMMIT_PREPARED = "commit prepared"
    ROLLBACK_PREPARED = "rollback prepared"


@dataclass(frozen=True, slots=True)
class Outside:
    """A statement that cannot run in a transaction."""

    form: Form
    """Which kind it is."""
    name: Name = NOTHING
    """
    What it is about: the index, partition, database, tablespace, subscription or prepared transaction. A schema that is
    reindexed as a whole is ``Name("x", "")``.
    """
    table: Name = NOTHING
    """The table, the first of several, or the parent of the partition."""
    unique: bool = False
    """Whether the index that is built is a unique one."""
    if_exists: bool = False
    """Whether it says IF EXISTS or IF NOT EXISTS."""
    tablespace: str = ""
    """Where the database is moved to."""
    slot: str = ""
    """The slot that a new subscription makes on the publisher."""


def outside(text: str, keywords: tuple[str, ...], *, refused: bool = False) -> Outside | None:
    """
    Return what a statement that cannot run in a transaction is about; None if it can, as far as its text tells.

    Args:
        text: The statement.
        keywords: Its first words, as ``Statement`` has them.
        refused: Whether the server has said that it cannot run in one: then a relation that REINDEX or CLUSTER names is
            a partitioned one.
    """
    if not _looks_like_one(text, keywords):
        return None
    try:
        reader = Reader(text)
    except Unclosed:
        return None
    match reader.token().upper():
        case "CREATE":
            return _create(reader)
        case "DROP":
            return _drop(reader)
        case "ALTER":
            return _alter(reader, refused)
        case "REINDEX":
            return _reindex(reader, refused)
        case "VACUUM":
            return _vacuum(reader)
        case "CLUSTER":
            return _cluster(reader, refused)
        case "COMMIT" if reader.take("PREPARED"):
            return Outside(Form.COMMIT_PREPARED, Name("", reader.string()))
        case "ROLLBACK" if reader.take("PREPARED"):
            return Outside(Form.ROLLBACK_PREPARED, Name("", reader.string()))
    return None


def as_plain(text: str) -> str:
    """Return a CREATE INDEX CONCURRENTLY without that word; spaces in its place keep all positions. Others stay as they are."""
    reader = Reader(text)
    if reader.take("CREATE") and (reader.take("INDEX") or reader.take("UNIQUE", "INDEX")):
        start = reader.start
        if reader.take("CONCURRENTLY"):
            return text[:start] + " " * (reader.end - start) + text[reader.end :]
    return text


def _looks_like_one(text: str, keywords: tuple[str, ...]) -> bool:
    match keywords:
        case ("REINDEX" | "VACUUM" | "CLUSTER", *_) | ("COMMIT" | "ROLLBACK", "PREPARED", *_):
            return True
        case ("CREATE" | "DROP" | "ALTER", "DATABASE" | "TABLESPACE" | "SUBSCRIPTION" | "SYSTEM", *_):
            return True
        case ("CREATE" | "DROP", "INDEX", "CONCURRENTLY", *_) | ("CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"):
            return True
        case ("ALTER", "TABLE", *_):
            return "CONCURRENTLY" in text.upper()
    return False


def _create(reader: Reader) -> Outside | None:
    if reader.take("DATABASE"):
        return Outside(Form.CREATE_DATABASE, reader.name())
    if reader.take("TABLESPACE"):
        return Outside(Form.CREATE_TABLESPACE, reader.name())
    if reader.take("SUBSCRIPTION"):
        return _create_subscription(reader)
    unique = reader.take("UNIQUE")
    if not reader.take("INDEX", "CONCURRENTLY"):
        return None
    if_exists = reader.take("IF", "NOT", "EXISTS")
    name = NOTHING if reader.take("ON") else reader.name()
    if name != NOTHING and not reader.take("ON"):
        return None
    reader.take("ONLY")
    return Outside(Form.ONLINE_BUILD, name, reader.name(), unique, if_exists)


def _create_subscription(reader: Reader) -> Outside | None:
    name, options = reader.name(), {}
    while not reader.is_at_end:
        if reader.take("WITH") and reader.see() == "(":
            options = reader.options()
        else:
            reader.token()
    if not is_on(options, "connect", True) or not is_on(options, "create_slot", True):
        return None
    return Outside(Form.CREATE_SUBSCRIPTION, name, slot=options.get("slot_name", "").strip("'\"") or name.name)


def _drop(reader: Reader) -> Outside | None:
    for word, form in (
        ("DATABASE", Form.DROP_DATABASE),
        ("TABLESPACE", Form.DROP_TABLESPACE),
        ("SUBSCRIPTION", Form.DROP_SUBSCRIPTION),
    ):
        if reader.take(word):
            if_exists = reader.take("IF", "EXISTS")
            return Outside(form, reader.name(), if_exists=if_exists)
    if reader.take("INDEX", "CONCURRENTLY"):
        if_exists = reader.take("IF", "EXISTS")
        return Outside(Form.ONLINE_DROP, reader.name(), if_exists=if_exists)
    return None


def _alter(reader: Reader, refused: bool) -> Outside | None:
    if reader.take("SYSTEM"):
        return Outside(Form.ALTER_SYSTEM)
    if reader.take("TABLE"):
        return _detach(reader)
    if reader.take("SUBSCRIPTION"):
        name = reader.name()
        return Outside(Form.ALTER_SUBSCRIPTION, name) if refused or _asks_the_publisher(reader) else None
    if reader.take("DATABASE"):
        name = reader.name()
        if reader.take("SET", "TABLESPACE") or reader.take("WITH", "TABLESPACE") or reader.take("TABLESPACE"):
            reader.take("=")
            return Outside(Form.MOVE_DATABASE, name, tablespace=reader.part())
    return None


def _detach(reader: Reader) -> Outside | None:
    if_exists = reader.take("IF", "EXISTS")
    reader.take("ONLY")
    table = reader.name()
    reader.take("*")
    if not reader.take("DETACH", "PARTITION"):
        return None
    name = reader.name()
    return Outside(Form.DETACH, name, table, if_exists=if_exists) if reader.take("CONCURRENTLY") else None


def _asks_the_publisher(reader: Reader) -> bool:
    if reader.take("REFRESH"):
        return True
    if reader.take("SET") and reader.see() == "(":
        return not reader.options().keys().isdisjoint({"failover", "two_phase"})
    reader.take("ADD") or reader.take("DROP")
    if not reader.take("PUBLICATION"):
        return False
    while not reader.is_at_end:
        if reader.take("WITH") and reader.see() == "(":
            return is_on(reader.options(), "refresh", True)
        reader.token()
    return True


def _reindex(reader: Reader, refused: bool) -> Outside | None:
    is_online = is_on(reader.options(), "concurrently", False)
    target = reader.token().upper()
    is_online = reader.take("CONCURRENTLY") or is_online
    form = Form.ONLINE_REINDEX if is_online else Form.REINDEX
    match target:
        case "SCHEMA":
            return Outside(form, Name(reader.part(), ""))
        case "DATABASE" | "SYSTEM":
            return Outside(form)
        case "INDEX" if is_online or refused:
            return Outside(form, reader.name())
        case "TABLE" if is_online or refused:
            return Outside(form, table=reader.name())
    return None


def _vacuum(reader: Reader) -> Outside:
    is_full = is_on(reader.options(), "full", False)
    is_full = reader.take("FULL") or is_full
    while reader.take("FREEZE") or reader.take("VERBOSE") or reader.take("ANALYZE") or reader.take("ANALYSE"):
        pass
    form = Form.VACUUM_FULL if is_full else Form.VACUUM
    if reader.is_at_end:
        return Outside(form)
    reader.take("ONLY")
    return Outside(form, table=reader.name())


def _cluster(reader: Reader, refused: bool) -> Outside | None:
    reader.options()
    reader.take("VERBOSE")
    if reader.is_at_end:
        return Outside(Form.CLUSTER)
    return Outside(Form.CLUSTER, table=reader.name()) if refused else None
