"""Schemas, and what roles get by default on what is made later."""

from pgrollout.catalog.ddl import others as ddl
from pgrollout.catalog.kind import Form, Kind, Property, role
from pgrollout.catalog.scope import REVISIONS_TABLE

_NAMES = "CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' " \
    "WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END"  # fmt: skip
_DEFAULT_TYPE = "CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END::\"char\""
_GRANTEE = f"CASE g.grantee WHEN 0 THEN 'PUBLIC' WHEN d.defaclrole THEN 'the owner' ELSE {role('g.grantee')} END"
_GRANT = f"{_GRANTEE} || ': ' || g.privilege_type || CASE WHEN g.is_grantable AND g.grantee <> d.defaclrole " \
    "THEN ' WITH GRANT OPTION' ELSE '' END"  # fmt: skip

SCHEMA = Kind(
    name="SCHEMA",
    order=100,
    catalog="pg_namespace",
    source="pg_namespace n",
    oid="n.oid",
    schema_sql="n.nspname",
    name_sql="''",
    owner="n.nspowner",
    acl="n.nspacl",
    acl_type="n",
    properties=(
        # Beside what the schema is: verify and drift do not miss a migration that makes it.
        Property(
            "made for",
            "CASE WHEN EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid "
            f"AND c.relname = '{REVISIONS_TABLE}') AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid "
            f"AND c.relkind <> 'i' AND c.relname <> '{REVISIONS_TABLE}') THEN '{REVISIONS_TABLE}' END",
            if_both=True,
        ),
    ),
    ddl=ddl.schema,
)

DEFAULT_PRIVILEGES = Kind(
    name="DEFAULT PRIVILEGES",
    order=910,
    catalog="pg_default_acl",
    source="pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace",
    oid="d.oid",
    schema_sql="coalesce(n.nspname::text, '')",
    name_sql="''",
    detail_sql=f"'FOR ' || {role('d.defaclrole')} || coalesce(' IN ' || quote_ident(n.nspname), '') || ' ON ' || {_NAMES}",
    properties=(
        # Those for all schemas take the place of the built-in ones; those for one schema come on top.
        Property(
            "granted",
            f"ARRAY(SELECT {_GRANT} FROM aclexplode(d.defaclacl) g EXCEPT SELECT {_GRANT} FROM aclexplode("
            f"CASE WHEN d.defaclnamespace = 0 THEN acldefault({_DEFAULT_TYPE}, d.defaclrole) END) g)",
            form=Form.SET,
            privileges=True,
        ),
        Property(
            "revoked",
            f"ARRAY(SELECT {_GRANT} FROM aclexplode(CASE WHEN d.defaclnamespace = 0 "
            f"THEN acldefault({_DEFAULT_TYPE}, d.defaclrole) END) g "
            f"EXCEPT SELECT {_GRANT} FROM aclexplode(d.defaclacl) g)",
            form=Form.SET,
            privileges=True,
        ),
    ),
    ddl=ddl.default_privileges,
)

KINDS = (SCHEMA, DEFAULT_PRIVILEGES)
