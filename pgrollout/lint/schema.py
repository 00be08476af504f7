"""
The schema as the directory makes it: tables, columns, proofs and domains, statement by statement.

Follows what earlier statements did, as far as they can be read; it never guesses. What it does not know (a table
that no file creates, the columns of a partition, whatever a DO block touched) is absent, and rules then say "may".
A name without a schema is looked up in the file's search path, ``public`` unless the file sets another.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

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

TEMPORARY = "pg_temp"
"""Schema of temporary tables: they go with the session, which is the file's."""
CHANGES = frozenset({"alter", "create", "drop", "execute", "rename"})
"""Words without which a DO block changes no table's definition."""


@dataclass(slots=True)
class Column:
    """What is known of a column."""

    type: TypeName
    not_null: bool
    is_virtual: bool
    file: str
    """The file that added it; empty if it came with a table that may be older."""


@dataclass(slots=True)
class Proof:
    """A constraint that proves columns to be not null, once it is valid."""

    name: str
    """Empty if the server found one."""
    columns: tuple[str, ...]
    is_valid: bool
    is_not_null: bool
    """NOT NULL itself, rather than a CHECK."""


@dataclass(slots=True)
class Table:
    """What is known of a table."""

    name: str
    file: str
    """The file that created it; empty if none did."""
    is_partitioned: bool = False
    is_foreign: bool = False
    may_be_older: bool = False
    """The file that created it said IF NOT EXISTS: it may have found the table, and rows."""
    columns: dict[str, Column] = field(default_factory=dict)
    """Those that are known; there may be others unless a file created the table."""
    proofs: list[Proof] = field(default_factory=list)
    inherits: bool = False
    """A partition, or a child: its columns change with its parent's, so they are not followed."""

    def add_column(self, definition: ColumnDefinition, file: str) -> None:
        """Add a column."""
        if self.inherits:
            return
        self.columns[definition.name] = Column(definition.type, definition.not_null, definition.is_virtual, file)
        for constraint in definition.constraints:
            self.add_constraint(constraint)

    def add_constraint(self, constraint: Constraint) -> None:
        """Note what a constraint proves."""
        match constraint.kind:
            case ConstraintKind.CHECK if constraint.not_null_columns and constraint.enforced:
                proof = Proof(constraint.name, constraint.not_null_columns, not constraint.not_valid, False)
            case ConstraintKind.NOT_NULL | ConstraintKind.PRIMARY_KEY:
                is_not_null = constraint.kind is ConstraintKind.NOT_NULL
                proof = Proof(constraint.name, constraint.columns, not constraint.not_valid, is_not_null)
            case _:
                return
        if constraint.kind is ConstraintKind.CHECK or constraint.not_valid:
            self.proofs.append(proof)
        else:
            self._set_not_null(proof.columns)
            if proof.is_not_null:
                self.proofs.append(proof)

    def validate(self, name: str) -> None:
        """Note that a constraint has been validated."""
        for proof in self.proofs:
            if self._name_of(proof) == name:
                proof.is_valid = True
                if proof.is_not_null:
                    self._set_not_null(proof.columns)

    def drop_constraint(self, name: str) -> None:
        """Forget what a constraint proved; one whose name the server found may be meant, so those go, too."""
        for proof in self.proofs:
            if proof.is_not_null and self._name_of(proof) == name:
                self._set_nullable(proof.columns)
        for column in self.columns:
            if name.endswith(f"_{column}_not_null"):
                self._set_nullable((column,))
        self.proofs = [proof for proof in self.proofs if proof.name not in ("", name)]

    def attach(self) -> None:
        """Make it a partition, or a child."""
        self.inherits = True
        self.columns.clear()

    def forget(self) -> None:
        """Forget what is known so far."""
        self.columns.clear()
        self.proofs.clear()

    def drop_not_null(self, name: str) -> None:
        """Note that a column takes NULL again."""
        self._set_nullable((name,))
        self.proofs = [proof for proof in self.proofs if not (proof.is_not_null and name in proof.columns)]

    def rename_constraint(self, old: str, new: str) -> None:
        """Follow a renamed constraint."""
        for proof in self.proofs:
            if self._name_of(proof) == old:
                proof.name = new

    def drop_column(self, name: str) -> None:
        """Forget a column and the constraints that go with it."""
        self.columns.pop(name, None)
        self.proofs = [proof for proof in self.proofs if name not in proof.columns]

    def rename_column(self, old: str, new: str) -> None:
        """Follow a renamed column."""
        if column := self.columns.pop(old, None):
            self.columns[new] = column
        for proof in self.proofs:
            proof.columns = tuple(new if column == old else column for column in proof.columns)

    def proves_not_null(self, column: str, dropped: Iterable[str] = ()) -> bool:
        """Whether a valid CHECK, none of ``dropped``, proves that a column has no NULL."""
        return any(proof.is_valid and column in proof.columns and proof.name not in dropped for proof in self.proofs)

    def _name_of(self, proof: Proof) -> str:
        if proof.name:
            return proof.name
        return f"{self.name}_{proof.columns[0]}_{'not_null' if proof.is_not_null else 'check'}"

    def _set_not_null(self, names: Iterable[str]) -> None:
        for name in names:
            if column := self.columns.get(name):
                column.not_null = True

    def _set_nullable(self, names: Iterable[str]) -> None:
        for name in names:
            if column := self.columns.get(name):
                column.not_null = False


@dataclass(slots=True)
class Domain:
    """What a column of a domain need not say itself."""

    not_null: bool = False
    has_default: bool = False


Key = tuple[str, str]
"""Schema and name."""


class Schema:
    """All that is known, up to a statement of a file."""

    def __init__(self) -> None:
        self.file = ""
        """The file that is being read."""
        self._tables: dict[Key, Table] = {}
        self._temporary: list[Key] = []
        """Tables that go with the session."""
        self._gone: set[Key] = set()
        """Tables that the file dropped or renamed."""
        self._indexes: dict[Key, tuple[Key, str]] = {}
        """The table of an index, and the file that created it."""
        self._domains: dict[Key, Domain] = {}
        self._search_path: tuple[str, ...] = ("public",)

    def begin(self, file: str) -> None:
        """Start with a file: each has a session of its own."""
        self.file, self._search_path = file, ("public",)
        for key in self._temporary:
            self._tables.pop(key, None)
        self._temporary.clear()
        self._gone.clear()

    def table(self, name: Name) -> Table | None:
        """Return what is known of a table, if anything."""
        return self._tables.get(self._key(name))

    def index_table(self, index: Name) -> tuple[Table | None, str]:
        """Return the table of an index and the file that created the index; None and empty where that is not known."""
        table, file = self._indexes.get(self._key(index), (None, ""))
        return (self._tables.get(table) if table else None), file

    def domain(self, type_name: TypeName) -> Domain:
        """Return what is known of a domain; of a type that is none, it is nothing."""
        known = self._domains.get(self._key(Name(type_name.schema, type_name.name)))
        return known if known and not type_name.is_array else Domain()

    def apply(self, node: Node) -> None:
        """Follow what a command does."""
        match node:
            case CreateTable():
                self._create(node)
            case AlterTable(table, actions):
                for action in actions:
                    self._alter(self._known(table), action)
            case RenameTable(name, new):
                self._rename(name, new)
            case RenameColumn(name, column, new):
                if known := self.table(name):
                    known.rename_column(column, new)
            case RenameConstraint(name, constraint, new):
                if known := self.table(name):
                    known.rename_constraint(constraint, new)
            case RenameIndex(name, new):
                self._rename_index(self._key(name), new)
            case MoveTable(name, schema):
                self._move(self._key(name), (schema, name.name))
            case DropTable(names) | DropForeignTable(names) | DropMaterializedView(names):
                for name in names:
                    self._remove(self._key(name))
            case DropIndex(names):
                for name in names:
                    self._indexes.pop(self._key(name), None)
            case RenameSchema(old, new):
                for key in [key for key in self._tables if key[0] == old]:
                    self._move(key, (new, key[1]))
            case DropSchema(schemas):
                for key in [key for key in self._tables if key[0] in schemas]:
                    self._remove(key)
            case CreateIndex(table, name) if name:
                key = self._key(table)
                self._indexes[key[0], name] = (key, self.file)
            case CreateSchema(schema, elements):
                outside, self._search_path = self._search_path, (schema,)
                for element in elements:
                    self.apply(element)
                self._search_path = outside
            case CreateDomain(name, base, not_null, has_default):
                inherited = self.domain(base)
                self._domains[self._new_key(name)] = Domain(
                    not_null or inherited.not_null, inherited.has_default if has_default is None else has_default
                )
            case AlterDomain(name, not_null, has_default):
                if domain := self._domains.get(self._key(name)):
                    domain.not_null = domain.not_null if not_null is None else not_null
                    domain.has_default = domain.has_default if has_default is None else has_default
            case DropType(names):
                for name in names:
                    self._domains.pop(self._key(name), None)
            case SetSearchPath(schemas):
                self._search_path = tuple(schema for schema in schemas if schema != "$user") or ("",)
            case RunCode(_, words) if words & CHANGES:
                for known in self._tables.values():
                    if known.name.lower() in words:
                        known.forget()
                for key in [key for key in self._domains if key[1].lower() in words]:
                    del self._domains[key]
            case _:
                pass

    def _key(self, name: Name) -> Key:
        if name.schema:
            return name.schema, name.name
        for schema in (TEMPORARY, *self._search_path):
            key = (schema, name.name)
            if key in self._tables or key in self._indexes or key in self._domains:
                return key
        return self._search_path[0], name.name

    def _new_key(self, name: Name) -> Key:
        return name.schema or self._search_path[0], name.name

    def _known(self, name: Name) -> Table:
        return self._tables.setdefault(self._key(name), Table(name.name, ""))

    def _create(self, node: CreateTable) -> None:
        key = self._new_key(node.name)
        if node.if_not_exists and key in self._tables:
            return
        may_be_older = node.if_not_exists and key not in self._gone and key[0] != TEMPORARY
        table = Table(
            node.name.name, self.file, node.is_partitioned, node.is_foreign, may_be_older, inherits=node.inherits
        )
        self._tables[key] = table
        if key[0] == TEMPORARY:
            self._temporary.append(key)
        for column in node.columns:
            table.add_column(column, "" if may_be_older else self.file)
        for constraint in node.constraints:
            table.add_constraint(constraint)

    def _remove(self, key: Key) -> Table | None:
        self._gone.add(key)
        return self._tables.pop(key, None)

    def _alter(self, table: Table, action: Action) -> None:
        match action:
            case AddColumn(definition, if_not_exists):
                if not (if_not_exists and definition.name in table.columns):
                    table.add_column(definition, self.file)
            case DropColumn(name):
                table.drop_column(name)
            case ChangeType(name, new):
                if column := table.columns.get(name):
                    column.type = new
            case SetNotNull(name):
                if column := table.columns.get(name):
                    column.not_null = True
            case DropNotNull(name):
                table.drop_not_null(name)
            case AddConstraint(constraint):
                table.add_constraint(constraint)
            case ValidateConstraint(name):
                table.validate(name)
            case DropConstraint(name):
                table.drop_constraint(name)
            case AttachPartition(child):
                self._known(child).attach()
            case _:
                pass

    def _rename(self, name: Name, new: str) -> None:
        key = self._key(name)
        if key in self._indexes:
            self._rename_index(key, new)
        else:
            self._move(key, (key[0], new))

    def _rename_index(self, key: Key, new: str) -> None:
        if index := self._indexes.pop(key, None):
            self._indexes[key[0], new] = index

    def _move(self, old: Key, new: Key) -> None:
        self._gone.discard(new)
        if table := self._remove(old):
            table.name = new[1]
            self._tables[new] = table
            for index, (key, file) in list(self._indexes.items()):
                if key == old:
                    self._indexes[index] = (new, file)
