"""
Nodes: what a command does to the schema, as far as the lint rules ask.

Small values that a rule can match on; ``parser`` makes them from PostgreSQL's own parse tree. A name keeps what was
written: without a schema it is empty, and ``lint.schema`` says which one is meant. Anything else is ``Other``.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a table, an index or another object of a schema."""

    schema: str
    """Schema as written; empty if there is none, ``pg_temp`` where a temporary table is made."""
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class TypeName:
    """A column's type: ``varchar(20)``, ``numeric(10,2)[]``, ``app.mood``."""

    name: str
    """PostgreSQL's internal name for its own types: ``int4``, ``bpchar``, ``timestamptz``."""
    modifiers: tuple[int, ...] = ()
    """What stands in the parentheses."""
    is_array: bool = False
    schema: str = ""
    """Schema as written; empty for PostgreSQL's own types."""

    def __str__(self) -> str:
        name = f"{self.schema}.{self.name}" if self.schema else self.name
        modifiers = f"({','.join(map(str, self.modifiers))})" if self.modifiers else ""
        return f"{name}{modifiers}{'[]' if self.is_array else ''}"


class ConstraintKind(StrEnum):
    """What a constraint demands."""

    CHECK = "CHECK"
    FOREIGN_KEY = "FOREIGN KEY"
    NOT_NULL = "NOT NULL"
    PRIMARY_KEY = "PRIMARY KEY"
    UNIQUE = "UNIQUE"
    EXCLUDE = "EXCLUDE"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table or of a column."""

    kind: ConstraintKind
    name: str = ""
    """Empty if the server is to find one."""
    columns: tuple[str, ...] = ()
    """The columns it is on, where it lists them."""
    not_valid: bool = False
    """NOT VALID: existing rows are not looked at."""
    enforced: bool = True
    """False for NOT ENFORCED: no row is ever looked at."""
    references: Name | None = None
    """The table a foreign key points to."""
    not_null_columns: tuple[str, ...] = ()
    """The columns that a CHECK proves to be not null: ``a IS NOT NULL AND NOT b IS NULL``."""


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column, as CREATE TABLE or ADD COLUMN define it."""

    name: str
    type: TypeName
    not_null: bool = False
    """NOT NULL or PRIMARY KEY."""
    has_default: bool | None = None
    """A row that does not say gets a value: a default other than NULL, serial, identity, generated; None: as by its type."""
    is_virtual: bool = False
    """Generated when it is read; nothing is stored."""
    constraints: tuple[Constraint, ...] = ()
    """Its CHECK and FOREIGN KEY constraints, and NOT NULL if that has a name."""


@dataclass(frozen=True, slots=True)
class Other:
    """A command that no rule asks about."""

    kind: str
    """Its name in PostgreSQL's parse tree: ``insert_stmt``."""


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE in all its forms, CREATE MATERIALIZED VIEW, SELECT INTO; LIKE and AS make more columns than listed."""

    name: Name
    columns: tuple[ColumnDefinition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    if_not_exists: bool = False
    is_partitioned: bool = False
    inherits: bool = False
    """Its columns change with those of another: PARTITION OF, INHERITS, OF a type."""
    is_foreign: bool = False
    """Its rows are elsewhere: CREATE FOREIGN TABLE."""


@dataclass(frozen=True, slots=True)
class AddColumn:
    """ALTER TABLE … ADD COLUMN."""

    column: ColumnDefinition
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropColumn:
    """ALTER TABLE … DROP COLUMN."""

    column: str


@dataclass(frozen=True, slots=True)
class ChangeType:
    """ALTER TABLE … ALTER COLUMN … TYPE."""

    column: str
    type: TypeName
    casts: tuple[TypeName, ...] | None = ()
    """The types that USING casts to on the way, ``v::varchar::text``; None if it has another expression."""


@dataclass(frozen=True, slots=True)
class SetNotNull:
    """ALTER TABLE … ALTER COLUMN … SET NOT NULL."""

    column: str


@dataclass(frozen=True, slots=True)
class DropNotNull:
    """ALTER TABLE … ALTER COLUMN … DROP NOT NULL."""

    column: str


@dataclass(frozen=True, slots=True)
class AddConstraint:
    """ALTER TABLE … ADD CONSTRAINT."""

    constraint: Constraint


@dataclass(frozen=True, slots=True)
class ValidateConstraint:
    """ALTER TABLE … VALIDATE CONSTRAINT."""

    name: str


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """ALTER TABLE … DROP CONSTRAINT."""

    name: str


@dataclass(frozen=True, slots=True)
class AttachPartition:
    """ALTER TABLE … ATTACH PARTITION, and INHERIT, which ties a table's columns to another's just as well."""

    child: Name


Action = (
    AddColumn
    | DropColumn
    | ChangeType
    | SetNotNull
    | DropNotNull
    | AddConstraint
    | ValidateConstraint
    | DropConstraint
    | AttachPartition
    | Other
)
"""One part of an ALTER TABLE."""


@dataclass(frozen=True, slots=True)
class AlterTable:
    """ALTER TABLE: the table and what is done to it, in order."""

    table: Name
    actions: tuple[Action, ...]
    is_foreign: bool = False
    """Written ALTER FOREIGN TABLE, which the server refuses for other tables."""


@dataclass(frozen=True, slots=True)
class RenameTable:
    """ALTER TABLE … RENAME TO; the server takes it for an index, too."""

    table: Name
    new: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """ALTER TABLE … RENAME COLUMN."""

    table: Name
    column: str
    new: str


@dataclass(frozen=True, slots=True)
class RenameConstraint:
    """ALTER TABLE … RENAME CONSTRAINT."""

    table: Name
    constraint: str
    new: str


@dataclass(frozen=True, slots=True)
class RenameIndex:
    """ALTER INDEX … RENAME TO."""

    index: Name
    new: str


@dataclass(frozen=True, slots=True)
class RenameSchema:
    """ALTER SCHEMA … RENAME TO."""

    schema: str
    new: str


@dataclass(frozen=True, slots=True)
class MoveTable:
    """ALTER TABLE … SET SCHEMA."""

    table: Name
    schema: str


@dataclass(frozen=True, slots=True)
class DropTable:
    """DROP TABLE of one or more."""

    tables: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class DropForeignTable:
    """DROP FOREIGN TABLE of one or more."""

    tables: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class DropMaterializedView:
    """DROP MATERIALIZED VIEW of one or more."""

    views: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class DropSchema:
    """DROP SCHEMA of one or more, with what is in them."""

    schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """CREATE INDEX."""

    table: Name
    name: str = ""
    """Empty if the server is to find one."""
    concurrently: bool = False
    only: bool = False
    """ON ONLY: not on the partitions."""


@dataclass(frozen=True, slots=True)
class DropIndex:
    """DROP INDEX of one or more."""

    indexes: tuple[Name, ...]
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """CREATE SCHEMA, with the commands inside it; the tables they name are in it."""

    schema: str
    elements: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class CreateDomain:
    """CREATE DOMAIN."""

    name: Name
    type: TypeName
    """What it is based on, perhaps another domain."""
    not_null: bool = False
    has_default: bool | None = None
    """It gives a value other than NULL; None: as by its type."""


@dataclass(frozen=True, slots=True)
class AlterDomain:
    """ALTER DOMAIN … SET or DROP of NOT NULL or DEFAULT; the other one is None."""

    domain: Name
    not_null: bool | None = None
    has_default: bool | None = None


@dataclass(frozen=True, slots=True)
class DropType:
    """DROP TYPE or DROP DOMAIN of one or more; either drops a domain."""

    types: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class SetSearchPath:
    """SET search_path, by any way; RESET of it leads back to ``public``."""

    schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunCode:
    """DO or CALL: code that can do anything, which nobody sees here."""

    what: str
    """``DO`` or ``CALL``."""
    words: frozenset[str]
    """The words of its text in lower case: the tables it could change are among them, unless it reads their names."""


Node = (
    Other
    | CreateTable
    | AlterTable
    | RenameTable
    | RenameColumn
    | RenameConstraint
    | RenameIndex
    | RenameSchema
    | MoveTable
    | DropTable
    | DropForeignTable
    | DropMaterializedView
    | DropSchema
    | CreateIndex
    | DropIndex
    | CreateSchema
    | CreateDomain
    | AlterDomain
    | DropType
    | SetSearchPath
    | RunCode
)
"""One command."""
