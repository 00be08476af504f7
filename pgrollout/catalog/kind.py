"""
Kinds of objects: what a schema can consist of, and the query that reads each.

A kind says where its objects are in the system catalogs and what properties they have, as SQL expressions; the parts
that all kinds share (owner, grants, comment, security labels, what belongs to an extension) are added here. One module
of ``kinds`` per kind or family of kinds, and no other place.

Source: PostgreSQL manual, "System Catalogs"; ``src/backend/utils/adt/ruleutils.c`` for what the server prints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache

from pgrollout.catalog.ddl import Parts, Writer
from pgrollout.catalog.model import MIGRATING_ROLE, Object, Value

FIRST_OID = 16384
"""The first OID that is not the server's own (``FirstNormalObjectId``)."""


NOT_OF_A_TYPE = (
    "NOT EXISTS (SELECT FROM pg_depend i_ WHERE i_.classid = '{catalog}'::regclass AND i_.objid = {oid} "
    "AND i_.deptype = 'i' AND i_.refclassid = 'pg_type'::regclass)"
)
"""Leaves out what the server makes and drops with a type."""


class Across(Enum):
    """How far values from two major versions of the server can be compared."""

    SAME = "same"
    """They are the same or they differ."""
    WORDED = "worded"
    """The server words expressions: the same text is the same, other text says nothing."""
    NEVER = "never"
    """Not even the same text need mean the same: bodies of functions, texts of views."""


class Form(Enum):
    """What counts in a value."""

    VALUE = "value"
    """All of it."""
    SET = "set"
    """The members, in any order."""
    ORDER = "order"
    """The order of the members that both sides have; that one is missing is said of the member itself."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a kind."""

    name: str
    """As SQL or the manual calls it, in lower case: ``storage parameters``."""
    sql: str
    """Expression over the kind's source: text, integer, boolean or ``text[]``."""
    across: Across = Across.SAME
    form: Form = Form.VALUE
    implied: Value | None = None
    """The value that goes without saying, beside NULL, false and the empty list."""
    since: int = 0
    """First major version that has it; in a comparison with an older server it is left out."""
    before: int = 99
    """First major version that does not have it."""
    if_both: bool = False
    """Whether it counts only where both objects have it: that one does not follows from something else."""
    privileges: bool = False
    """Whether its members are privileges, of which newer servers know more."""
    secret: bool = False
    """Whether it is a list of options whose values may be secrets: those are read as ``***``."""

    def is_in(self, major: int) -> bool:
        """Whether servers of this major version have it."""
        return self.since <= major < self.before


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    name: str
    """As in ``Identity.kind``."""
    order: int
    """Where its objects stand in a listing; parts of a relation stand after it, in this order."""
    catalog: str
    """System catalog of its objects: ``pg_class``. Comments and labels name it."""
    source: str
    """What stands after FROM."""
    oid: str
    """Expression for the object's OID."""
    properties: tuple[Property, ...]
    name_sql: str
    schema_sql: str = "''"
    """Expression for its schema's name; left out, or empty, it is in none."""
    relation_sql: str = "''"
    """Expression for the name of the relation it is part of."""
    detail_sql: str = "''"
    where: str = "true"
    sub_id: str = "0"
    """Expression for the column's number, where comments are on columns."""
    owner: str = ""
    """Expression for the owner's OID; empty where there is none."""
    acl: str = ""
    """Expression for its grants; empty where there are none."""
    acl_type: str = ""
    """The letter that ``acldefault`` knows it by."""
    acl_owner: str = ""
    """Expression for the OID of the role whose grants they are, where that is not the owner's."""
    relation_oid: str = ""
    """Expression for the OID of the relation it is part of: what an extension made is left out with its parts."""
    part_of: str = ""
    """Expression for more identities that it comes and goes with: a ``text[]`` of kind, schema, relation, name each."""
    follows: str = ""
    """Property of what it is part of: when that changes, the object comes or goes with it."""
    has_parts: bool = False
    """Whether parts of it name it as their relation."""
    folds: bool = False
    """Whether a change that what it is part of shares is said once: ALTER TABLE passes it on to the partitions."""
    since: int = 0
    """First major version that has it."""
    ddl: Writer | None = None
    """Writes its SQL from what the server printed; None where nobody can."""
    is_inline: Callable[[Object, Parts], bool] | None = None
    """Whether the SQL of what it is part of makes it, too."""
    address: Callable[[Object], str] | None = None
    """How COMMENT ON and ALTER name it, where that is not its kind and its name."""
    granted_on: str = ""
    """What GRANT calls it, where that is not its kind."""
    can_be_given: bool = True
    """Whether its owner can be changed."""

    def all_properties(self) -> tuple[Property, ...]:
        """Return its properties, with those that all kinds share at the end."""
        return (*self.properties, *(shared for shared in SHARED if self._has(shared)))

    def _has(self, shared: Property) -> bool:
        return bool({"owner": self.owner, "grants": self.acl}.get(shared.name, True))


OWNER = Property("owner", "", if_both=True)  # a sequence that a column owns has none of its own
GRANTS = Property("grants", "", form=Form.SET, privileges=True)
COMMENT = Property("comment", "")
LABELS = Property("security labels", "", form=Form.SET)
SHARED = (OWNER, GRANTS, COMMENT, LABELS)

_THE_OWNER = "the owner"
FIXED = 8
"""Columns of a query before the properties: OID, number, schema, relation, name, detail, part of, default grants."""


@cache
def query(kind: Kind, major: int) -> str:
    """
    Return the query that reads all objects of a kind.

    Its parameters are ``schemas``, the names of the schemas that are read, and ``owners``, the names that the migrating
    role goes by. Its columns are the ``FIXED`` ones, then ``columns(kind, major)``.
    """
    shared = {
        "owner": role(kind.owner) if kind.owner else "",
        "grants": _grants(kind, kind.acl) if kind.acl else "",
        "comment": "described_.description",
        "security labels": (
            "(SELECT array_agg(l_.provider || ': ' || l_.label) FROM pg_seclabel l_ "
            f"WHERE l_.classoid = '{kind.catalog}'::regclass AND l_.objoid = {kind.oid} AND l_.objsubid = {kind.sub_id})"
        ),
    }
    default = "NULL"
    if kind.acl_type:
        owner = kind.acl_owner or kind.owner
        default = _grants(kind, f"CASE WHEN {kind.acl} IS NOT NULL THEN acldefault('{kind.acl_type}', {owner}) END")
    selected = [
        f"{kind.oid}::bigint",
        f"{kind.sub_id}::integer",
        f"{kind.schema_sql}::text",
        f"{kind.relation_sql}::text",
        f"{kind.name_sql}::text",
        f"{kind.detail_sql}::text",
        f"{kind.part_of or 'NULL'}::text[]",
        f"{default}::text[]",
        *(shared.get(p.name) if p in SHARED else p.sql for p in columns(kind, major)),
    ]
    members = [f"('{kind.catalog}'::regclass, {kind.oid})"]
    if kind.relation_oid:
        members.append(f"('pg_class'::regclass, {kind.relation_oid})")
    conditions = [f"({kind.where})"]
    if kind.schema_sql != "''":
        conditions.append(f"({kind.schema_sql} = ANY (%(schemas)s) OR {kind.schema_sql} = '')")
    conditions += [
        f"NOT EXISTS (SELECT FROM pg_depend e_ WHERE (e_.classid, e_.objid) = {member} AND e_.deptype = 'e')"
        for member in members
    ]
    return (
        "SELECT " + ", ".join(str(expression) for expression in selected) + f" FROM {kind.source} "
        f"LEFT JOIN pg_description described_ ON described_.classoid = '{kind.catalog}'::regclass "
        f"AND described_.objoid = {kind.oid} AND described_.objsubid = {kind.sub_id} "
        "WHERE " + " AND ".join(conditions)
    )


def columns(kind: Kind, major: int) -> tuple[Property, ...]:
    """Return the properties that a server of this major version has, in the order of the query's columns."""
    return tuple(property for property in kind.all_properties() if property.is_in(major))


def role(oid: str) -> str:
    """Return the expression for a role's name; all that the migrating role goes by are the same."""
    name = f"pg_get_userbyid({oid})"
    return f"(CASE WHEN {name} = ANY (%(owners)s) THEN '{MIGRATING_ROLE}' ELSE {name}::text END)"


def function(name: str, column: str) -> Property:
    """Return the property for a function that an object uses, with its arguments; NULL where it uses none."""
    return Property(name, f"nullif({column}::oid, 0)::regprocedure::text")


def operator(name: str, column: str) -> Property:
    """Return the property for an operator that an object uses, with its operands; NULL where it uses none."""
    return Property(name, f"nullif({column}::oid, 0)::regoperator::text")


def depends_on_extension(catalog: str, oid: str) -> Property:
    """Return the property for the extensions that take the object along when they are dropped (DEPENDS ON EXTENSION)."""
    return Property(
        "depends on extension",
        f"ARRAY(SELECT x_.extname::text FROM pg_depend d_ JOIN pg_extension x_ ON x_.oid = d_.refobjid "
        f"WHERE d_.classid = '{catalog}'::regclass AND d_.objid = {oid} AND d_.deptype = 'x' "
        "AND d_.refclassid = 'pg_extension'::regclass)",
        form=Form.SET,
    )


def options(list_: str, *, since: int = 0, name: str = "options") -> Property:
    """Return the property for a list of options, as foreign data objects have them; secrets in it are not read."""
    return Property(name, list_, form=Form.SET, since=since, secret=True)


def _grants(kind: Kind, acl: str) -> str:
    """Return the expression for a list of grants; the owner's own are said of the owner, whoever that is."""
    owner = kind.acl_owner or kind.owner
    grantee = f"CASE g_.grantee WHEN 0 THEN 'PUBLIC' WHEN {owner} THEN '{_THE_OWNER}' ELSE {role('g_.grantee')} END"
    option = f"CASE WHEN g_.is_grantable AND g_.grantee <> {owner} THEN ' WITH GRANT OPTION' ELSE '' END"
    grantor = f"CASE WHEN g_.grantor <> {owner} THEN ' GRANTED BY ' || {role('g_.grantor')} ELSE '' END"
    return (
        f"(CASE WHEN {acl} IS NOT NULL THEN ARRAY(SELECT {grantee} || ': ' || g_.privilege_type || {option} || {grantor} "
        f"FROM aclexplode({acl}) g_) END)"
    )
