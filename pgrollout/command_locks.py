"""
Command locks: which existing relations a command locks in SHARE or stronger, read from PostgreSQL's parse tree.

Those modes make somebody's reads or writes wait. What the text does not tell (partitions, the other end of a foreign key,
the table of an index) is left to the server, and named by ``Reach``. Where versions differ, the strongest counts. Measured
on 15, 16 and 18: ``tests/pgrollout/test_locks.py`` compares with ``pg_locks``. Not told, because only running it does: what
functions, DO and CALL lock, REASSIGN OWNED, DROP OWNED, DROP EXTENSION, DROP FUNCTION … CASCADE.

Source: PostgreSQL, ``commands/tablecmds.c``, ``AlterTableGetLockLevel``; ``access/common/reloptions.c``.
"""

from collections.abc import Callable, Iterator

from pgrollout.lock_mode import Lock, Mode, Reach
from pgrollout.nodes import Name
from pgrollout.parser import Message, enum_name, inner

EXCLUSIVE = Mode.ACCESS_EXCLUSIVE

RELATIONS = frozenset(
    {"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_INDEX"}
)
"""Kinds of object that have a row in ``pg_class``."""

_LIGHT = frozenset(
    {
        "AT_AttachPartition",
        "AT_ClusterOn",
        "AT_DetachPartitionFinalize",
        "AT_DropCluster",
        "AT_ResetOptions",
        "AT_SetOptions",
        "AT_SetStatistics",
        "AT_ValidateConstraint",
    }
)
"""ALTER TABLE subcommands that take SHARE UPDATE EXCLUSIVE, which no reader or writer waits for."""
_TRIGGERS = frozenset(
    {
        "AT_DisableTrig",
        "AT_DisableTrigAll",
        "AT_DisableTrigUser",
        "AT_EnableAlwaysTrig",
        "AT_EnableReplicaTrig",
        "AT_EnableTrig",
        "AT_EnableTrigAll",
        "AT_EnableTrigUser",
    }
)
"""Those that take SHARE ROW EXCLUSIVE."""
_ALONE = frozenset(
    {
        "AT_AddInherit",
        "AT_AddOf",
        "AT_ChangeOwner",
        "AT_DetachPartition",
        "AT_DisableRowSecurity",
        "AT_DisableRule",
        "AT_DropInherit",
        "AT_DropOf",
        "AT_EnableAlwaysRule",
        "AT_EnableReplicaRule",
        "AT_EnableRowSecurity",
        "AT_EnableRule",
        "AT_ForceRowSecurity",
        "AT_NoForceRowSecurity",
        "AT_ReplicaIdentity",
        "AT_ResetRelOptions",
        "AT_SetAccessMethod",
        "AT_SetLogged",
        "AT_SetRelOptions",
        "AT_SetTableSpace",
        "AT_SetUnLogged",
    }
)
"""Those that leave partitions, and children that inherit, alone."""
_ONLY_PARTITIONS = _TRIGGERS | {"AT_AlterConstraint"}
"""Those that go on to partitions, not to children that inherit."""
_LIGHT_OPTIONS = frozenset(
    {
        "deduplicate_items",
        "fillfactor",
        "gin_pending_list_limit",
        "log_autovacuum_min_duration",
        "parallel_workers",
        "toast_tuple_target",
        "vacuum_index_cleanup",
        "vacuum_max_eager_freeze_failure_rate",
        "vacuum_truncate",
    }
)
"""Storage parameters, beside ``autovacuum_…``, that are set under SHARE UPDATE EXCLUSIVE."""


def command_locks(kind: str, command: Message) -> Iterator[Lock]:
    """Yield the locks of a command of the parse tree, temporary tables and the relations that it makes left out."""
    find = _FINDERS.get(kind)
    if find:
        yield from (lock for lock in find(command) if lock.relation.schema != "pg_temp")


def made(kind: str, command: Message) -> Name | None:
    """Return the relation that a command makes for certain: one that it may find there already does not count."""
    match kind:
        case "create_stmt" | "create_foreign_table_stmt":
            base = command.base_stmt if kind == "create_foreign_table_stmt" else command
            return None if base.if_not_exists else relation_name(base.relation)
        case "create_table_as_stmt" if not command.if_not_exists:
            return relation_name(command.into.rel)
        case "create_seq_stmt" if not command.if_not_exists:
            return relation_name(command.sequence)
        case "view_stmt" if not command.replace:
            return relation_name(command.view)
    return None


def moved(kind: str, command: Message) -> tuple[Name, Name] | None:
    """Return the old and the new name of a relation that a command renames or puts into another schema."""
    if kind == "rename_stmt" and enum_name("ObjectType", command.rename_type) in RELATIONS:
        old = relation_name(command.relation)
        return old, Name(old.schema, command.newname)
    if kind == "alter_object_schema_stmt" and enum_name("ObjectType", command.object_type) in RELATIONS:
        old = relation_name(command.relation)
        return old, Name(command.newschema, old.name)
    return None


def relation_name(relation: Message) -> Name:
    """Return the name in a RangeVar; a temporary relation is in ``pg_temp``."""
    return Name("pg_temp" if relation.relpersistence == "t" else relation.schemaname, relation.relname)


# Tables and their parts.


def _alter_table(command: Message) -> Iterator[Lock]:
    kind = enum_name("ObjectType", command.objtype)
    relation = relation_name(command.relation)
    actions = [each.alter_table_cmd for each in command.cmds]
    if kind == "OBJECT_TYPE":
        if any(_cascades(action) for action in actions):
            yield Lock(relation, EXCLUSIVE, Reach.TYPE)
        return
    if kind not in RELATIONS:
        return
    modes = [_action_mode(action) for action in actions]
    mode = max(modes)
    if mode >= Mode.SHARE:
        yield Lock(relation, mode, _reach(actions) if command.relation.inh else Reach.ALONE)
    for action in actions:
        yield from _action_locks(relation, action, kind == "OBJECT_INDEX")


def _name_of(action: Message) -> str:
    return enum_name("AlterTableType", action.subtype)


def _action_mode(action: Message) -> Mode:
    name, definition = _name_of(action), getattr(action, "def")
    if name in _LIGHT or (name == "AT_DetachPartition" and definition.partition_cmd.concurrent):
        return Mode.SHARE_UPDATE_EXCLUSIVE
    if name in _TRIGGERS or (name == "AT_AddConstraint" and _is_foreign_key(definition.constraint)):
        return Mode.SHARE_ROW_EXCLUSIVE
    if name in ("AT_SetRelOptions", "AT_ResetRelOptions"):
        options = [each.def_elem.defname for each in definition.list.items]
        if all(option in _LIGHT_OPTIONS or option.startswith("autovacuum_") for option in options):
            return Mode.SHARE_UPDATE_EXCLUSIVE
    return EXCLUSIVE


def _reach(actions: list[Message]) -> Reach:
    names = {_name_of(action) for action in actions}
    if names <= _ALONE:
        return Reach.ALONE
    return Reach.PARTITIONS if names <= _ALONE | _ONLY_PARTITIONS else Reach.TREE


def _action_locks(relation: Name, action: Message, is_index: bool) -> Iterator[Lock]:
    """Yield what a subcommand locks beside the relation itself."""
    definition = getattr(action, "def")
    match _name_of(action):
        case "AT_AddColumn":
            yield from _referenced(definition.column_def.constraints)
        case "AT_AddConstraint":
            yield from _referenced([definition])
        case "AT_DropColumn" | "AT_AlterColumnType":
            yield Lock(relation, EXCLUSIVE, Reach.COLUMN, action.name)
        case "AT_DropConstraint":
            yield Lock(relation, EXCLUSIVE, Reach.CONSTRAINT, action.name)
        case "AT_AlterConstraint" if definition.atalter_constraint.alter_enforceability:
            name = definition.atalter_constraint.conname
            yield Lock(relation, Mode.SHARE_ROW_EXCLUSIVE, Reach.CONSTRAINT, name)
        case "AT_AttachPartition" if is_index:
            yield Lock(relation_name(definition.partition_cmd.name), EXCLUSIVE, Reach.ALONE)
        case "AT_AttachPartition":
            yield Lock(relation_name(definition.partition_cmd.name), EXCLUSIVE, Reach.PARTITIONS)
            yield from _partition_comes(relation)
        case "AT_DetachPartitionFinalize":
            yield Lock(relation_name(definition.partition_cmd.name), EXCLUSIVE, Reach.ALONE)
        case "AT_DetachPartition" if not definition.partition_cmd.concurrent:
            yield Lock(relation_name(definition.partition_cmd.name), EXCLUSIVE, Reach.ALONE)
            yield Lock(relation, EXCLUSIVE, Reach.DEFAULT)
            yield Lock(relation, EXCLUSIVE, Reach.REFERENCING)
            yield Lock(relation, Mode.SHARE_ROW_EXCLUSIVE, Reach.REFERENCED)


def _partition_comes(parent: Name) -> Iterator[Lock]:
    yield Lock(parent, EXCLUSIVE, Reach.DEFAULT)
    yield Lock(parent, Mode.SHARE_ROW_EXCLUSIVE, Reach.REFERENCED)
    yield Lock(parent, Mode.SHARE_ROW_EXCLUSIVE, Reach.REFERENCING)


def _is_foreign_key(constraint: Message) -> bool:
    return bool(enum_name("ConstrType", constraint.contype) == "CONSTR_FOREIGN")


def _referenced(constraints: Message) -> Iterator[Lock]:
    for wrapped in constraints:
        if _is_foreign_key(wrapped.constraint):
            yield Lock(relation_name(wrapped.constraint.pktable), Mode.SHARE_ROW_EXCLUSIVE, Reach.PARTITIONS)


def _create_table(command: Message) -> Iterator[Lock]:
    new = relation_name(command.relation)
    for element in command.table_elts:
        kind, definition = inner(element)
        constraints = definition.constraints if kind == "column_def" else [element] if kind == "constraint" else ()
        yield from (lock for lock in _referenced(constraints) if lock.relation != new)
    if command.HasField("partbound"):
        parent = relation_name(command.inh_relations[0].range_var)
        yield Lock(parent, EXCLUSIVE, Reach.ALONE)
        yield from _partition_comes(parent)


def _create_schema(command: Message) -> Iterator[Lock]:
    for element in command.schema_elts:
        yield from command_locks(*inner(element))


def _create_index(command: Message) -> Iterator[Lock]:
    if not command.concurrent:
        reach = Reach.PARTITIONS if command.relation.inh else Reach.ALONE
        yield Lock(relation_name(command.relation), Mode.SHARE, reach)


def _create_trigger(command: Message) -> Iterator[Lock]:
    reach = Reach.PARTITIONS if command.row else Reach.ALONE
    yield Lock(relation_name(command.relation), Mode.SHARE_ROW_EXCLUSIVE, reach)


def _view(command: Message) -> Iterator[Lock]:
    if command.replace:
        yield Lock(relation_name(command.view), EXCLUSIVE, Reach.ALONE)


def _rename(command: Message) -> Iterator[Lock]:
    kind = enum_name("ObjectType", command.rename_type)
    if kind == "OBJECT_ATTRIBUTE" and _cascades(command):
        yield Lock(relation_name(command.relation), EXCLUSIVE, Reach.TYPE)
    elif kind in ("OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"):
        yield Lock(relation_name(command.relation), EXCLUSIVE, Reach.TREE if command.relation.inh else Reach.ALONE)
    elif kind == "OBJECT_TRIGGER":
        yield Lock(relation_name(command.relation), EXCLUSIVE, Reach.PARTITIONS)
    elif kind in ("OBJECT_POLICY", "OBJECT_RULE") or (kind in RELATIONS and kind != "OBJECT_INDEX"):
        yield Lock(relation_name(command.relation), EXCLUSIVE, Reach.ALONE)


def _whole_relation(command: Message) -> Iterator[Lock]:
    if enum_name("ObjectType", command.object_type) in RELATIONS:
        yield Lock(relation_name(command.relation), EXCLUSIVE, Reach.ALONE)


def _alter_domain(command: Message) -> Iterator[Lock]:
    adds = command.subtype == "C" and not getattr(command, "def").constraint.skip_validation
    if adds or command.subtype in ("O", "V"):
        yield Lock(_dotted(command.type_name), Mode.SHARE, Reach.TYPE)


def _truncate(command: Message) -> Iterator[Lock]:
    for each in command.relations:
        yield Lock(relation_name(each.range_var), EXCLUSIVE, Reach.TREE if each.range_var.inh else Reach.ALONE)
        if _cascades(command):
            yield Lock(relation_name(each.range_var), EXCLUSIVE, Reach.EMPTIED)


def _lock_table(command: Message) -> Iterator[Lock]:
    if command.mode >= Mode.SHARE:
        for each in command.relations:
            reach = Reach.TREE if each.range_var.inh else Reach.ALONE
            yield Lock(relation_name(each.range_var), Mode(command.mode), reach)


def _reindex(command: Message) -> Iterator[Lock]:
    # SHARE on the table, ACCESS EXCLUSIVE on the indexes: whoever plans a query opens all of them, so readers wait, too.
    online = any(each.def_elem.defname == "concurrently" for each in command.params)
    if command.relation.relname and not online:
        yield Lock(relation_name(command.relation), EXCLUSIVE, Reach.ALONE)


def _refresh(command: Message) -> Iterator[Lock]:
    mode = Mode.EXCLUSIVE if command.concurrent else EXCLUSIVE
    yield Lock(relation_name(command.relation), mode, Reach.ALONE)


def _one(mode: Mode, field: str) -> Callable[[Message], Iterator[Lock]]:
    """Return what finds the lock of a command that is about the one relation in a field of it."""

    def find(command: Message) -> Iterator[Lock]:
        if command.HasField(field):
            yield Lock(relation_name(getattr(command, field)), mode, Reach.ALONE)

    return find


# DROP.


def _drop(command: Message) -> Iterator[Lock]:
    kind, cascades = enum_name("ObjectType", command.remove_type), _cascades(command)
    for each in command.objects:
        match kind:
            case "OBJECT_TABLE" | "OBJECT_FOREIGN_TABLE":
                yield Lock(_dotted(each.list.items), EXCLUSIVE, Reach.PARTITIONS)
                yield Lock(_dotted(each.list.items), EXCLUSIVE, Reach.PARENT)
                yield Lock(_dotted(each.list.items), EXCLUSIVE, Reach.DEPENDENT)
            case "OBJECT_INDEX" if command.concurrent:
                pass
            case _ if kind in RELATIONS:
                yield Lock(_dotted(each.list.items), EXCLUSIVE, Reach.PARTITIONS)
                if cascades:
                    yield Lock(_dotted(each.list.items), EXCLUSIVE, Reach.DEPENDENT)
            case "OBJECT_TRIGGER":
                yield Lock(_dotted(each.list.items[:-1]), EXCLUSIVE, Reach.PARTITIONS)
            case "OBJECT_RULE" | "OBJECT_POLICY":
                yield Lock(_dotted(each.list.items[:-1]), EXCLUSIVE, Reach.ALONE)
            case "OBJECT_TYPE" | "OBJECT_DOMAIN" if cascades:
                yield Lock(_dotted(each.type_name.names), EXCLUSIVE, Reach.TYPE)
            case "OBJECT_SCHEMA" if cascades:
                yield Lock(Name("", each.string.sval), EXCLUSIVE, Reach.SCHEMA)


def dropped(kind: str, command: Message) -> tuple[Name, ...] | None:
    """Return the relations that a command drops; None if it may drop others, too."""
    if kind != "drop_stmt":
        return ()
    if _cascades(command) or enum_name("ObjectType", command.remove_type) == "OBJECT_SCHEMA":
        return None
    if enum_name("ObjectType", command.remove_type) in RELATIONS:
        return tuple(_dotted(each.list.items) for each in command.objects)
    return ()


def _cascades(command: Message) -> bool:
    return bool(enum_name("DropBehavior", command.behavior) == "DROP_CASCADE")


def _dotted(parts: Message) -> Name:
    names = [part.string.sval for part in parts]
    return Name(names[-2] if len(names) > 1 else "", names[-1])


_FINDERS: dict[str, Callable[[Message], Iterator[Lock]]] = {
    "alter_domain_stmt": _alter_domain,
    "alter_object_depends_stmt": _whole_relation,
    "alter_object_schema_stmt": _whole_relation,
    "alter_policy_stmt": _one(EXCLUSIVE, "table"),
    "alter_seq_stmt": _one(Mode.SHARE_ROW_EXCLUSIVE, "sequence"),
    "alter_table_stmt": _alter_table,
    "cluster_stmt": _one(EXCLUSIVE, "relation"),
    "create_foreign_table_stmt": lambda command: _create_table(command.base_stmt),
    "create_policy_stmt": _one(EXCLUSIVE, "table"),
    "create_schema_stmt": _create_schema,
    "create_stmt": _create_table,
    "create_trig_stmt": _create_trigger,
    "drop_stmt": _drop,
    "index_stmt": _create_index,
    "lock_stmt": _lock_table,
    "refresh_mat_view_stmt": _refresh,
    "reindex_stmt": _reindex,
    "rename_stmt": _rename,
    "rule_stmt": _one(EXCLUSIVE, "relation"),
    "truncate_stmt": _truncate,
    "view_stmt": _view,
}
