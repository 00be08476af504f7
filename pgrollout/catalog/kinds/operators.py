"""Operators, operator classes and families."""

from pgrollout.catalog.ddl import operators as ddl
from pgrollout.catalog.kind import Form, Kind, Property, function, operator

OPERATOR = Kind(
    name="OPERATOR",
    order=330,
    catalog="pg_operator",
    source="pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace",
    oid="o.oid",
    schema_sql="n.nspname",
    name_sql="o.oprname",
    detail_sql=(
        "' (' || CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END || ', ' "
        "|| format_type(o.oprright, NULL) || ')'"
    ),
    where="o.oprcode <> 0",
    owner="o.oprowner",
    properties=(
        Property("function", "o.oprcode::oid::regprocedure::text"),
        operator("commutator", "o.oprcom"),
        operator("negator", "o.oprnegate"),
        function("restrict", "o.oprrest"),
        function("join", "o.oprjoin"),
        Property("hashes", "o.oprcanhash"),
        Property("merges", "o.oprcanmerge"),
    ),
    ddl=ddl.operator,
)

# The members that a class was made with depend on the class; those that ALTER OPERATOR FAMILY added, on the family.
_OPERATORS = """ARRAY(
    SELECT format('%%s %%s', m.amopstrategy, m.amopopr::regoperator) || coalesce((
        SELECT format(' FOR ORDER BY %%I.%%I', sn.nspname, s.opfname) FROM pg_opfamily s
        JOIN pg_namespace sn ON sn.oid = s.opfnamespace WHERE s.oid = m.amopsortfamily), '')
    FROM pg_amop m JOIN pg_depend d ON d.classid = 'pg_amop'::regclass AND d.objid = m.oid
        AND d.refclassid = '{catalog}'::regclass AND d.refobjid = {oid} AND d.deptype IN ('a', 'i')
)"""
_FUNCTIONS = """ARRAY(
    SELECT format('%%s (%%s, %%s) %%s', m.amprocnum, format_type(m.amproclefttype, NULL),
        format_type(m.amprocrighttype, NULL), m.amproc::oid::regprocedure)
    FROM pg_amproc m JOIN pg_depend d ON d.classid = 'pg_amproc'::regclass AND d.objid = m.oid
        AND d.refclassid = '{catalog}'::regclass AND d.refobjid = {oid} AND d.deptype IN ('a', 'i')
)"""


def _members(catalog: str, oid: str) -> tuple[Property, ...]:
    return (
        Property("operators", _OPERATORS.format(catalog=catalog, oid=oid), form=Form.SET),
        Property("functions", _FUNCTIONS.format(catalog=catalog, oid=oid), form=Form.SET),
    )


OPERATOR_FAMILY = Kind(
    name="OPERATOR FAMILY",
    order=335,
    catalog="pg_opfamily",
    source="pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m_ ON m_.oid = f.opfmethod",
    oid="f.oid",
    schema_sql="n.nspname",
    name_sql="f.opfname",
    detail_sql="' USING ' || quote_ident(m_.amname)",
    owner="f.opfowner",
    properties=_members("pg_opfamily", "f.oid"),
    ddl=ddl.operator_family,
)

OPERATOR_CLASS = Kind(
    name="OPERATOR CLASS",
    order=340,
    catalog="pg_opclass",
    source=(
        "pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am m_ ON m_.oid = c.opcmethod "
        "JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace"
    ),
    oid="c.oid",
    schema_sql="n.nspname",
    name_sql="c.opcname",
    detail_sql="' USING ' || quote_ident(m_.amname)",
    owner="c.opcowner",
    properties=(
        Property("type", "format_type(c.opcintype, NULL)"),
        Property("default", "c.opcdefault"),
        Property("family", "format('%%I.%%I', fn.nspname, f.opfname)"),
        Property("storage", "CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END"),
        *_members("pg_opclass", "c.oid"),
    ),
    ddl=ddl.operator_class,
)

KINDS = (OPERATOR, OPERATOR_FAMILY, OPERATOR_CLASS)
