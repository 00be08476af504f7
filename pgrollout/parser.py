"""
The parser: one SQL command in, what it does to the schema out (``nodes``).

The only place that knows ``postgast``, PostgreSQL's own grammar (version 18) behind a Python package. It is imported
when the first command is parsed, because that takes 0.1 s; where its wheel cannot be had, ``is_available`` says so,
once, and whoever asks goes on without rules. What the grammar accepts may still be refused by the server.
"""

import logging
import re
import threading
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from pgrollout.mentions import in_text, of_parts
from pgrollout.nodes import (
    Action,
    AddColumn,
    AddConstraint,
    AlterDomain,
    AlterTable,
    AttachPartition,
    ChangeType,
    ColumnDefinition,
    Constraint,
    ConstraintKind,
    CreateDomain,
    CreateIndex,
    CreateSchema,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropForeignTable,
    DropIndex,
    DropMaterializedView,
    DropNotNull,
    DropSchema,
    DropTable,
    DropType,
    MoveTable,
    Name,
    Node,
    Other,
    RenameColumn,
    RenameConstraint,
    RenameIndex,
    RenameSchema,
    RenameTable,
    RunCode,
    SetNotNull,
    SetSearchPath,
    TypeName,
    ValidateConstraint,
)

log = logging.getLogger(__name__)

Message = Any
"""A node of the parse tree: a protobuf message, whose classes exist only once ``postgast`` is imported."""

SERIALS = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}
"""Pseudo types that stand for an integer with a sequence."""
LONGEST_MESSAGE = 120
LONG_CHARACTERS = 50_000
"""From here on a text may be nested so deeply that parsing it needs a large stack."""
LARGE_STACK_BYTES = 256 * 1024 * 1024
INTERVAL_FULL_RANGE = 0x7FFF
"""The first modifier of ``interval(3)``: no restriction to fields. Source: ``utils/timestamp.h``."""


class SyntaxProblem(ValueError):
    """The text is not SQL."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(offset, message)
        self.offset, self.message = offset, message
        """Offset of the character where the parser gave up, from 0; what it says."""

    def __str__(self) -> str:
        return self.message


class CannotAnalyse(ValueError):
    """The text may be SQL, but the parser cannot hand over what it says."""


def is_available() -> bool:
    """Return whether there is a parser on this machine; if there is none, the log says so once."""
    return _postgast() is not None


def parse_statement(text: str) -> tuple[Node, ...]:
    """
    Return the commands of a text; a statement of a file is one, empty text is none.

    Raises:
        SyntaxProblem: It is not SQL.
        CannotAnalyse: The parser has no wheel here, or the text is nested too deeply for it.
    """
    try:
        return tuple(_node(raw.stmt) for raw in _parse(text).stmts)
    except RecursionError as error:
        raise CannotAnalyse("it is nested too deeply") from error


def statement_count(text: str) -> int:
    """
    Return how many commands a whole file has, so that it can be compared with what our splitter finds.

    Raises:
        SyntaxProblem: It is not SQL.
        CannotAnalyse: The parser has no wheel here, or the text is nested too deeply for it.
    """
    return len(_parse(text).stmts)


def commands(text: str) -> tuple[tuple[str, Message], ...]:
    """
    Return the commands of a text as they stand in the parse tree, each with its kind: ``("index_stmt", …)``.

    For a module that asks of many kinds of command what the nodes do not hold.

    Raises:
        SyntaxProblem: It is not SQL.
        CannotAnalyse: The parser has no wheel here, or the text is nested too deeply for it.
    """
    return tuple(inner(raw.stmt) for raw in _parse(text).stmts)


def inner(node: Message) -> tuple[str, Message]:
    """Return what a node holds, with its kind; an empty one has the kind ``""``."""
    return _inner(node)


def enum_name(enum: str, number: int) -> str:
    """Return the name of an enum's value: ``enum_name("ObjectType", statement.remove_type)`` is ``"OBJECT_TABLE"``."""
    return _enum_names(enum)[number]


def names_in(text: str) -> frozenset[Name]:
    """
    Return every name in a text that may be one of the schema's objects, but for columns; all of a schema is ``Name("x", "")``.

    Of code, which is not parsed, and of strings that functions get, every word is one.

    Raises:
        SyntaxProblem: It is not SQL.
        CannotAnalyse: The parser has no wheel here, or the text is nested too deeply for it.
    """
    found: set[Name] = set()
    try:
        for raw in _parse(text).stmts:
            kind, statement = _inner(raw.stmt)
            if kind in _CODE:
                found |= in_text(text)
            found.update(Name(schema, "") for schema in _whole_schemas(kind, statement))
            _collect(raw.stmt, found)
    except RecursionError as error:
        raise CannotAnalyse("it is nested too deeply") from error
    return frozenset(found)


@cache
def _postgast() -> Message | None:
    try:
        postgast = import_module("postgast")
    except (ImportError, OSError) as error:
        log.warning("parser missing, lint rules do not run reason=%r", str(error))
        return None
    # protobuf refuses to nest deeper than 100 messages, which 48 `||` in a row reach. The switch is not a public
    # one, so it may go away; then such statements are reported as not analysed.
    try:
        messages = import_module("google._upb._message")
    except ImportError:
        return postgast
    if hasattr(messages, "SetAllowOversizeProtos"):
        messages.SetAllowOversizeProtos(True)
    return postgast


def _parse(text: str) -> Message:
    postgast = _postgast()
    if postgast is None:
        raise CannotAnalyse("there is no parser for this platform")
    if "\0" in text:
        raise SyntaxProblem(text.index("\0"), "NUL byte")  # the C library would stop here, and not say so
    try:
        return postgast.parse(text) if len(text) < LONG_CHARACTERS else _on_a_large_stack(postgast.parse, text)
    except postgast.PgQueryError as error:
        # Its documentation says that cursorpos counts bytes. It counts characters, from 1; 0 is "unknown".
        raise SyntaxProblem(max(error.cursorpos - 1, 0), _first_line(error.message)) from error
    except Exception as error:
        if type(error).__name__ != "DecodeError":
            raise
        raise CannotAnalyse("it is nested too deeply for the parser") from error


def _on_a_large_stack(parse: Callable[[str], Message], text: str) -> Message:
    """The C library goes down a tree by recursion: 50,000 terms in one expression end the process on a usual stack."""
    from concurrent.futures import ThreadPoolExecutor  # not for the texts that most files have

    before = threading.stack_size(LARGE_STACK_BYTES)
    try:
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(parse, text).result()
    finally:
        threading.stack_size(before)


def _first_line(message: str) -> str:
    """An unclosed quote is quoted up to the end of the file; nobody reads that."""
    line = message.partition("\n")[0]
    return line if line == message and len(line) <= LONGEST_MESSAGE else f'{line[:LONGEST_MESSAGE]} …"'


# Names in a parse tree, wherever they stand.

_CODE = ("do_stmt", "call_stmt", "create_function_stmt", "execute_stmt")
_NO_NAMES = frozenset({"ColumnRef", "RoleSpec", "Alias", "VariableSetStmt", "VariableShowStmt", "A_Const"})
"""Messages in which no object of the schema is named."""
_NO_OBJECTS = frozenset(
    re.findall(
        r"\w+",
        """
            access_method catalogname cmd_name colname comment compression conname defname filename fk_del_action
            fk_matchtype fk_upd_action generated_kind generated_when label payload priv_name storage strategy subname
            subtype colnames fk_attrs keys pk_attrs using_clause
        """,
    )
)
"""Fields that name a column or another part of something, or nothing."""
_NAME_IS_A_PART = frozenset({"AlterTableCmd", "IndexElem", "ResTarget", "StatsElem"})
"""Messages whose ``name`` is that of a column, or of another part of the table."""


def _collect(message: Message, found: set[Name]) -> None:
    kind = message.DESCRIPTOR.name
    if kind in _NO_NAMES:
        return
    if kind == "RangeVar":
        found.add(_name(message) if message.schemaname else Name("", message.relname))
        return
    if kind == "FuncCall" or (kind == "TypeCast" and _is_reg(message)):
        for argument in message.args if kind == "FuncCall" else [message.arg]:
            found |= in_text(_literal(argument))
    for field, value in message.ListFields():
        if field.name in _NO_OBJECTS or (field.name == "name" and kind in _NAME_IS_A_PART):
            continue
        if isinstance(value, str):
            found.add(Name("", value))
        elif hasattr(value, "DESCRIPTOR"):
            _collect(value, found)
        elif not isinstance(value, bool | int | float | bytes):
            _collect_all(field.name, value, found)


def _collect_all(field: str, values: Message, found: set[Name]) -> None:
    members = [value for value in values if hasattr(value, "DESCRIPTOR")]
    kinds = [member.WhichOneof("node") if member.DESCRIPTOR.name == "Node" else None for member in members]
    if members and all(kind == "string" for kind in kinds):
        parts = _strings(values)
        if field == "objects":  # of DROP and GRANT: a list of names rather than parts of one
            found.update(Name("", part) for part in parts)
        else:
            found.update(of_parts(parts))
        return
    for member in members:
        _collect(member, found)


def _is_reg(cast: Message) -> bool:
    """Whether a text is taken for the name of something: ``'shop.orders'::regclass``."""
    return _strings(cast.type_name.names)[-1].startswith("reg")


def _literal(node: Message) -> str:
    kind, inner = _inner(node)
    if kind == "type_cast":
        return _literal(inner.arg)
    return str(inner.sval.sval) if kind == "a_const" else ""


def _whole_schemas(kind: str, statement: Message) -> tuple[str, ...]:
    """Return the schemas whose every object a command is about."""
    match kind:
        case "drop_stmt" if _enum_names("ObjectType")[statement.remove_type] == "OBJECT_SCHEMA":
            return _strings(statement.objects)
        case "rename_stmt" if _enum_names("ObjectType")[statement.rename_type] == "OBJECT_SCHEMA":
            return (statement.subname,)
        case "grant_stmt" if _enum_names("GrantTargetType")[statement.targtype] == "ACL_TARGET_ALL_IN_SCHEMA":
            return _strings(statement.objects)
        case "reindex_stmt" if statement.name:
            return (statement.name,)
    return ()


# From the parse tree to our nodes. Enum values come as numbers; they are compared by their name.


@cache
def _enum_names(enum: str) -> dict[int, str]:
    numbers = getattr(import_module("postgast.pg_query_pb2"), enum)
    return {number: name for name, number in numbers.items()}


def _inner(node: Message) -> tuple[str, Message]:
    kind = node.WhichOneof("node")
    return (kind, getattr(node, kind)) if kind else ("", None)


def _node(node: Message) -> Node:
    kind, statement = _inner(node)
    convert = CONVERTERS.get(kind)
    return convert(statement) if convert else Other(kind)


def _strings(nodes: Message) -> tuple[str, ...]:
    return tuple(node.string.sval for node in nodes)


def _name(relation: Message) -> Name:
    return Name("pg_temp" if relation.relpersistence == "t" else relation.schemaname, relation.relname)


def _dotted(parts: tuple[str, ...]) -> Name:
    return Name(parts[-2] if len(parts) > 1 else "", parts[-1])


def _type(type_name: Message) -> TypeName:
    *schema, name = _strings(type_name.names)
    modifiers = tuple(m.a_const.ival.ival for m in type_name.typmods)
    if name == "interval" and modifiers:
        name, modifiers = (
            ("interval", modifiers[1:]) if modifiers[0] == INTERVAL_FULL_RANGE else ("interval of fields", ())
        )
    is_own = schema in ([], ["pg_catalog"])
    return TypeName(
        SERIALS.get(name, name) if is_own else name,
        modifiers,
        bool(type_name.array_bounds),
        "" if is_own else schema[-1],
    )


def _column(definition: Message) -> ColumnDefinition:
    type_name = _type(definition.type_name)
    is_serial = definition.type_name.names[-1].string.sval in SERIALS
    not_null, is_virtual = is_serial, False
    has_default: bool | None = is_serial or None
    constraints = []
    for wrapped in definition.constraints:
        constraint = wrapped.constraint
        match _enum_names("ConstrType")[constraint.contype]:
            case "CONSTR_NOTNULL":
                not_null = True
                if constraint.conname:
                    constraints.append(Constraint(ConstraintKind.NOT_NULL, constraint.conname, (definition.colname,)))
            case "CONSTR_DEFAULT":
                has_default = not _is_null(constraint.raw_expr)
            case "CONSTR_IDENTITY":
                not_null = has_default = True
            case "CONSTR_GENERATED":
                has_default, is_virtual = True, constraint.generated_kind == "v"
            case "CONSTR_PRIMARY":
                not_null = True
            case "CONSTR_CHECK" | "CONSTR_FOREIGN":
                constraints.append(_constraint(constraint))
    return ColumnDefinition(definition.colname, type_name, not_null, has_default, is_virtual, tuple(constraints))


def _is_null(expression: Message) -> bool:
    kind, inner = _inner(expression)
    return (kind == "a_const" and inner.isnull) or (kind == "type_cast" and _is_null(inner.arg))


CONSTRAINT_KINDS = {
    "CONSTR_CHECK": ConstraintKind.CHECK,
    "CONSTR_FOREIGN": ConstraintKind.FOREIGN_KEY,
    "CONSTR_NOTNULL": ConstraintKind.NOT_NULL,
    "CONSTR_PRIMARY": ConstraintKind.PRIMARY_KEY,
    "CONSTR_UNIQUE": ConstraintKind.UNIQUE,
    "CONSTR_EXCLUSION": ConstraintKind.EXCLUDE,
}


def _constraint(constraint: Message) -> Constraint:
    kind = CONSTRAINT_KINDS[_enum_names("ConstrType")[constraint.contype]]
    checks = kind in (ConstraintKind.CHECK, ConstraintKind.FOREIGN_KEY)
    return Constraint(
        kind,
        constraint.conname,
        _strings(constraint.fk_attrs if kind is ConstraintKind.FOREIGN_KEY else constraint.keys),
        constraint.skip_validation,
        constraint.is_enforced or not checks,
        _name(constraint.pktable) if constraint.pktable.relname else None,
        _not_null_columns(constraint.raw_expr) if kind is ConstraintKind.CHECK else (),
    )


def _not_null_columns(expression: Message, truth: bool = True) -> tuple[str, ...]:
    """Return the columns that are not null where the expression is true; with ``truth`` False, where it is false."""
    kind, inner = _inner(expression)
    if kind == "null_test":
        proves = _enum_names("NullTestType")[inner.nulltesttype] == ("IS_NOT_NULL" if truth else "IS_NULL")
        column = _column_of(inner.arg)
        return (column,) if proves and column else ()
    if kind == "bool_expr":
        operator = _enum_names("BoolExprType")[inner.boolop]
        if operator == "NOT_EXPR":
            return _not_null_columns(inner.args[0], not truth)
        if operator == ("AND_EXPR" if truth else "OR_EXPR"):
            return tuple(column for term in inner.args for column in _not_null_columns(term, truth))
    return ()


def _column_of(expression: Message) -> str:
    kind, inner = _inner(expression)
    if kind == "column_ref" and inner.fields and inner.fields[-1].WhichOneof("node") == "string":
        return str(inner.fields[-1].string.sval)
    return ""


def _casts(column: str, using: Message) -> tuple[TypeName, ...] | None:
    kind, inner = _inner(using)
    if kind == "collate_clause":
        return _casts(column, inner.arg)
    if kind == "type_cast":
        before = _casts(column, inner.arg)
        return None if before is None else (*before, _type(inner.type_name))
    return () if kind == "" or _column_of(using) == column else None


def _create_table(statement: Message, is_foreign: bool = False) -> Node:
    columns, constraints = [], []
    for element in statement.table_elts:
        match element.WhichOneof("node"):
            case "column_def":
                columns.append(_column(element.column_def))
            case "constraint":
                constraints.append(_constraint(element.constraint))
    return CreateTable(
        _name(statement.relation),
        tuple(columns),
        tuple(constraints),
        statement.if_not_exists,
        bool(statement.partspec.part_params),
        bool(statement.inh_relations) or bool(statement.of_typename.names),
        is_foreign,
    )


def _create_table_as(statement: Message) -> Node:
    return CreateTable(_name(statement.into.rel), if_not_exists=statement.if_not_exists)


def _select(statement: Message) -> Node:
    if statement.into_clause.rel.relname:
        return CreateTable(_name(statement.into_clause.rel))
    for target in statement.target_list:
        call = target.res_target.val.func_call
        if call.funcname and call.funcname[-1].string.sval == "set_config" and len(call.args) == 3:
            setting, value = (argument.a_const.sval.sval for argument in call.args[:2])
            if setting.lower() == "search_path":
                return SetSearchPath(_path(value))
    return Other("select_stmt")


def _path(value: str) -> tuple[str, ...]:
    return tuple(part.strip().strip('"') for part in value.split(",") if part.strip())


def _set(statement: Message) -> Node:
    kind = _enum_names("VariableSetKind")[statement.kind]
    if kind == "VAR_RESET_ALL" or (statement.name == "search_path" and kind in ("VAR_RESET", "VAR_SET_DEFAULT")):
        return SetSearchPath(("public",))
    if statement.name == "search_path" and kind == "VAR_SET_VALUE":
        return SetSearchPath(tuple(value for a in statement.args if (value := a.a_const.sval.sval)))
    return Other("variable_set_stmt")


def _alter_table(statement: Message) -> Node:
    kind = _enum_names("ObjectType")[statement.objtype]
    if kind not in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE", "OBJECT_MATVIEW"):
        return Other("alter_table_stmt")
    table = _name(statement.relation)
    actions = tuple(_action(table, command.alter_table_cmd) for command in statement.cmds)
    return AlterTable(table, actions, kind == "OBJECT_FOREIGN_TABLE")


def _action(table: Name, command: Message) -> Action:
    kind = _enum_names("AlterTableType")[command.subtype]
    match kind:
        case "AT_AddColumn":
            return AddColumn(_column(getattr(command, "def").column_def), command.missing_ok)
        case "AT_DropColumn":
            return DropColumn(command.name)
        case "AT_AlterColumnType":
            definition = getattr(command, "def").column_def
            return ChangeType(command.name, _type(definition.type_name), _casts(command.name, definition.raw_default))
        case "AT_SetNotNull":
            return SetNotNull(command.name)
        case "AT_DropNotNull":
            return DropNotNull(command.name)
        case "AT_AddConstraint":
            return AddConstraint(_constraint(getattr(command, "def").constraint))
        case "AT_ValidateConstraint":
            return ValidateConstraint(command.name)
        case "AT_DropConstraint":
            return DropConstraint(command.name)
        case "AT_AttachPartition":
            return AttachPartition(_name(getattr(command, "def").partition_cmd.name))
        case "AT_AddInherit":
            return AttachPartition(table)
    return Other(kind)


def _rename(statement: Message) -> Node:
    kind = _enum_names("ObjectType")[statement.rename_type]
    table, old, new = _name(statement.relation), statement.subname, statement.newname
    match kind:
        case "OBJECT_TABLE" | "OBJECT_MATVIEW" | "OBJECT_FOREIGN_TABLE":
            return RenameTable(table, new)
        case "OBJECT_COLUMN":
            return RenameColumn(table, old, new)
        case "OBJECT_TABCONSTRAINT":
            return RenameConstraint(table, old, new)
        case "OBJECT_INDEX":
            return RenameIndex(table, new)
        case "OBJECT_SCHEMA":
            return RenameSchema(old, new)
    return Other("rename_stmt")


def _move(statement: Message) -> Node:
    if _enum_names("ObjectType")[statement.object_type] in ("OBJECT_TABLE", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE"):
        return MoveTable(_name(statement.relation), statement.newschema)
    return Other("alter_object_schema_stmt")


def _drop(statement: Message) -> Node:
    match _enum_names("ObjectType")[statement.remove_type]:
        case "OBJECT_TABLE":
            return DropTable(_names(statement.objects))
        case "OBJECT_FOREIGN_TABLE":
            return DropForeignTable(_names(statement.objects))
        case "OBJECT_MATVIEW":
            return DropMaterializedView(_names(statement.objects))
        case "OBJECT_INDEX":
            return DropIndex(_names(statement.objects), statement.concurrent)
        case "OBJECT_SCHEMA":
            return DropSchema(_strings(statement.objects))
        case "OBJECT_DOMAIN" | "OBJECT_TYPE":
            return DropType(tuple(_dotted(_strings(wrapped.type_name.names)) for wrapped in statement.objects))
    return Other("drop_stmt")


def _names(objects: Message) -> tuple[Name, ...]:
    return tuple(_dotted(_strings(wrapped.list.items)) for wrapped in objects)


def _create_index(statement: Message) -> Node:
    return CreateIndex(_name(statement.relation), statement.idxname, statement.concurrent, not statement.relation.inh)


def _create_schema(statement: Message) -> Node:
    name = statement.schemaname or statement.authrole.rolename
    return CreateSchema(name, tuple(_node(element) for element in statement.schema_elts))


def _create_domain(statement: Message) -> Node:
    constraints = [wrapped.constraint for wrapped in statement.constraints]
    kinds = {_enum_names("ConstrType")[constraint.contype]: constraint.raw_expr for constraint in constraints}
    default = kinds.get("CONSTR_DEFAULT")
    return CreateDomain(
        _dotted(_strings(statement.domainname)),
        _type(statement.type_name),
        "CONSTR_NOTNULL" in kinds,
        None if default is None else not _is_null(default),
    )


def _alter_domain(statement: Message) -> Node:
    domain, default = _dotted(_strings(statement.type_name)), getattr(statement, "def")
    match statement.subtype:
        case "T":
            return AlterDomain(domain, has_default=_inner(default)[0] != "" and not _is_null(default))
        case "O" | "N":
            return AlterDomain(domain, not_null=statement.subtype == "O")
    return Other("alter_domain_stmt")


def _do(statement: Message) -> Node:
    return RunCode("DO", _words(" ".join(argument.def_elem.arg.string.sval for argument in statement.args)))


def _call(_statement: Message) -> Node:
    return RunCode("CALL", frozenset())


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d][\w$]*", text.lower()))


CONVERTERS: dict[str, Callable[[Message], Node]] = {
    "alter_domain_stmt": _alter_domain,
    "alter_object_schema_stmt": _move,
    "alter_table_stmt": _alter_table,
    "call_stmt": _call,
    "create_domain_stmt": _create_domain,
    "create_schema_stmt": _create_schema,
    "create_stmt": _create_table,
    "create_foreign_table_stmt": lambda statement: _create_table(statement.base_stmt, is_foreign=True),
    "create_table_as_stmt": _create_table_as,
    "do_stmt": _do,
    "drop_stmt": _drop,
    "index_stmt": _create_index,
    "rename_stmt": _rename,
    "select_stmt": _select,
    "variable_set_stmt": _set,
}
