"""Extensions, procedural languages and transforms, access methods."""

from pgrollout.catalog.ddl import others as ddl
from pgrollout.catalog.kind import FIRST_OID, Kind, Property, function

EXTENSION = Kind(
    name="EXTENSION",
    order=110,
    catalog="pg_extension",
    source="pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace",
    oid="x.oid",
    name_sql="x.extname",
    # Its owner is whoever made it, plpgsql's the cluster's first superuser: nothing can change that.
    properties=(Property("version", "x.extversion"), Property("schema", "n.nspname::text")),
    ddl=ddl.extension,
    can_be_given=False,
)

LANGUAGE = Kind(
    name="LANGUAGE",
    order=120,
    catalog="pg_language",
    source="pg_language l",
    oid="l.oid",
    name_sql="l.lanname",
    where=f"l.oid >= {FIRST_OID}",
    owner="l.lanowner",
    acl="l.lanacl",
    acl_type="l",
    properties=(
        Property("trusted", "l.lanpltrusted"),
        function("handler", "l.lanplcallfoid"),
        function("inline handler", "l.laninline"),
        function("validator", "l.lanvalidator"),
    ),
    ddl=ddl.language,
)

TRANSFORM = Kind(
    name="TRANSFORM",
    order=240,
    catalog="pg_transform",
    source="pg_transform t JOIN pg_language l ON l.oid = t.trflang",
    oid="t.oid",
    name_sql="''",
    detail_sql="'FOR ' || format_type(t.trftype, NULL) || ' LANGUAGE ' || quote_ident(l.lanname)",
    where=f"t.oid >= {FIRST_OID}",
    properties=(
        function("from sql", "t.trffromsql"),
        function("to sql", "t.trftosql"),
    ),
    ddl=ddl.transform,
)

ACCESS_METHOD = Kind(
    name="ACCESS METHOD",
    order=130,
    catalog="pg_am",
    source="pg_am m",
    oid="m.oid",
    name_sql="m.amname",
    where=f"m.oid >= {FIRST_OID}",
    properties=(
        Property("type", "CASE m.amtype WHEN 't' THEN 'TABLE' WHEN 'i' THEN 'INDEX' END"),
        Property("handler", "m.amhandler::regprocedure::text"),
    ),
    ddl=ddl.access_method,
)

KINDS = (EXTENSION, LANGUAGE, TRANSFORM, ACCESS_METHOD)
