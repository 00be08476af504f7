"""Types: enums, domains with their constraints, ranges, composite and base types, casts, collations, conversions."""

from pgrollout.catalog.ddl import Writer, name_of, part_address
from pgrollout.catalog.ddl import types as ddl
from pgrollout.catalog.kind import FIRST_OID, NOT_OF_A_TYPE, Across, Form, Kind, Property, function

_SOURCE = "pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"


def _type(
    name: str, order: int, where: str, properties: tuple[Property, ...], source: str = _SOURCE, *, write: Writer
) -> Kind:
    return Kind(
        name=name,
        order=order,
        catalog="pg_type",
        source=source,
        oid="t.oid",
        schema_sql="n.nspname",
        name_sql="t.typname",
        where=where,
        owner="t.typowner",
        acl="t.typacl",
        acl_type="T",
        properties=properties,
        has_parts=name == "TYPE",
        ddl=write,
        address=None if name == "DOMAIN" else lambda it: f"TYPE {name_of(it)}",
        granted_on="TYPE",
    )


_STORAGE = "CASE {} WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' WHEN 'x' THEN 'extended' END"

ENUM = _type(
    "ENUM",
    200,
    "t.typtype = 'e'",
    (
        Property(
            "values",
            "ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)",
        ),
    ),
    write=ddl.enum,
)

TYPE = _type(
    "TYPE",
    205,
    "(t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid)) "
    "OR (t.typtype = 'p' AND NOT t.typisdefined) OR (t.typtype = 'c' AND c.relkind = 'c')",
    (
        Property("form", "CASE WHEN t.typtype = 'c' THEN 'composite' WHEN t.typisdefined THEN 'base' ELSE 'shell' END"),
        Property(
            "attributes",
            "CASE WHEN t.typtype = 'c' THEN ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a "
            "WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END",
            form=Form.ORDER,
        ),
        *(
            Property(name, f"CASE WHEN t.typtype = 'b' THEN {expression} END")
            for name, expression in (
                ("length", "t.typlen::integer"),
                ("passed by value", "t.typbyval"),
                ("category", "t.typcategory::text"),
                ("preferred", "t.typispreferred"),
                ("delimiter", "t.typdelim::text"),
                ("alignment", "t.typalign::text"),
                ("storage", _STORAGE.format("t.typstorage")),
                ("collatable", "t.typcollation <> 0"),
                ("default", "t.typdefault"),
                ("element", "CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) END"),
                ("input", "nullif(t.typinput::oid, 0)::regprocedure::text"),
                ("output", "nullif(t.typoutput::oid, 0)::regprocedure::text"),
                ("receive", "nullif(t.typreceive::oid, 0)::regprocedure::text"),
                ("send", "nullif(t.typsend::oid, 0)::regprocedure::text"),
                ("typmod input", "nullif(t.typmodin::oid, 0)::regprocedure::text"),
                ("typmod output", "nullif(t.typmodout::oid, 0)::regprocedure::text"),
                ("analyze", "nullif(t.typanalyze::oid, 0)::regprocedure::text"),
                ("subscript", "nullif(t.typsubscript::oid, 0)::regprocedure::text"),
            )
        ),
    ),
    f"{_SOURCE} LEFT JOIN pg_class c ON c.oid = t.typrelid",
    write=ddl.type_,
)

DOMAIN = _type(
    "DOMAIN",
    210,
    "t.typtype = 'd'",
    (
        Property("type", "format_type(t.typbasetype, t.typtypmod)"),
        Property(
            "collation",
            "CASE WHEN t.typcollation <> (SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype) "
            "THEN t.typcollation::regcollation::text END",
        ),
        Property("default", "coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault)", across=Across.WORDED),
        Property("not null", "t.typnotnull"),
        Property(
            "not null constraint",
            "(SELECT k.conname::text FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n' "
            "AND k.conname !~ '_not_null[0-9]*$')",
            since=17,
        ),
        Property(
            "not null comment",
            "(SELECT obj_description(k.oid, 'pg_constraint') FROM pg_constraint k WHERE k.contypid = t.oid "
            "AND k.contype = 'n')",
            since=17,
        ),
    ),
    write=ddl.domain,
)

RANGE = _type(
    "RANGE TYPE",
    215,
    "t.typtype = 'r'",
    (
        Property("subtype", "format_type(r.rngsubtype, NULL)"),
        Property("multirange type", "format_type(r.rngmultitypid, NULL)"),
        Property("collation", "nullif(r.rngcollation, 0)::regcollation::text"),
        Property("operator class", "(SELECT format('%%I.%%I', on_.nspname, o.opcname) FROM pg_opclass o "
            "JOIN pg_namespace on_ ON on_.oid = o.opcnamespace WHERE o.oid = r.rngsubopc)"),
        function("canonical", "r.rngcanonical"),
        function("subtype diff", "r.rngsubdiff"),
    ),
    f"{_SOURCE} JOIN pg_range r ON r.rngtypid = t.oid",
    write=ddl.range_,
)  # fmt: skip

DOMAIN_CONSTRAINT = Kind(
    name="DOMAIN CONSTRAINT",
    order=211,
    catalog="pg_constraint",
    source="pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace",
    oid="k.oid",
    schema_sql="n.nspname",
    relation_sql="t.typname",
    name_sql="k.conname",
    # Of an extension it is the domain that is recorded.
    where="k.contype = 'c' AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_type'::regclass "
    "AND x.objid = t.oid AND x.deptype = 'e')",
    part_of="ARRAY['DOMAIN', n.nspname, '', t.typname]",
    properties=(
        Property("definition", "regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')", across=Across.WORDED),
        Property("not valid", "NOT k.convalidated"),
    ),
    ddl=ddl.domain_constraint,
    is_inline=lambda it, _: "not valid" not in it.properties,
    address=lambda it: part_address(it, "DOMAIN "),
)

CAST = Kind(
    name="CAST",
    order=230,
    catalog="pg_cast",
    source="pg_cast c",
    oid="c.oid",
    name_sql="''",
    detail_sql="'(' || format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL) || ')'",
    where=f"c.oid >= {FIRST_OID} AND {NOT_OF_A_TYPE.format(catalog='pg_cast', oid='c.oid')}",
    properties=(
        Property(
            "method", "CASE c.castmethod WHEN 'f' THEN 'function' WHEN 'i' THEN 'inout' WHEN 'b' THEN 'binary' END"
        ),
        function("function", "c.castfunc"),
        Property(
            "context", "CASE c.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment' ELSE 'implicit' END"
        ),
    ),
    ddl=ddl.cast,
)

COLLATION = Kind(
    name="COLLATION",
    order=195,
    catalog="pg_collation",
    source="pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace",
    oid="c.oid",
    schema_sql="n.nspname",
    name_sql="c.collname",
    owner="c.collowner",
    properties=(
        Property(
            "provider",
            "CASE c.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'default' END",
        ),
        Property("lc_collate", "c.collcollate::text"),
        Property("lc_ctype", "c.collctype::text"),
        Property(
            "locale", "to_jsonb(c) ->> CASE WHEN to_jsonb(c) ? 'colllocale' THEN 'colllocale' ELSE 'colliculocale' END"
        ),
        Property("rules", "to_jsonb(c) ->> 'collicurules'"),
        Property("deterministic", "c.collisdeterministic", implied=True),
    ),
    ddl=ddl.collation,
)

CONVERSION = Kind(
    name="CONVERSION",
    order=245,
    catalog="pg_conversion",
    source="pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace",
    oid="c.oid",
    schema_sql="n.nspname",
    name_sql="c.conname",
    owner="c.conowner",
    properties=(
        Property("source encoding", "pg_encoding_to_char(c.conforencoding)::text"),
        Property("destination encoding", "pg_encoding_to_char(c.contoencoding)::text"),
        function("function", "c.conproc"),
        Property("default", "c.condefault"),
    ),
    ddl=ddl.conversion,
)

KINDS = (ENUM, TYPE, DOMAIN, RANGE, DOMAIN_CONSTRAINT, CAST, COLLATION, CONVERSION)
