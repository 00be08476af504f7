"""Foreign data: wrappers, servers, user mappings. Values of options that may be secrets are not read."""

from pgrollout.catalog.ddl import others as ddl
from pgrollout.catalog.kind import FIRST_OID, Kind, Property, function, options, role
from pgrollout.catalog.model import HIDDEN

FOREIGN_DATA_WRAPPER = Kind(
    name="FOREIGN DATA WRAPPER",
    order=150,
    catalog="pg_foreign_data_wrapper",
    source="pg_foreign_data_wrapper w",
    oid="w.oid",
    name_sql="w.fdwname",
    where=f"w.oid >= {FIRST_OID}",
    owner="w.fdwowner",
    acl="w.fdwacl",
    acl_type="F",
    properties=(
        function("handler", "w.fdwhandler"),
        function("validator", "w.fdwvalidator"),
        options("w.fdwoptions"),
    ),
    ddl=ddl.foreign_data_wrapper,
)

SERVER = Kind(
    name="SERVER",
    order=160,
    catalog="pg_foreign_server",
    source="pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw",
    oid="s.oid",
    name_sql="s.srvname",
    owner="s.srvowner",
    acl="s.srvacl",
    acl_type="S",
    properties=(
        Property("foreign data wrapper", "w.fdwname::text"),
        Property("type", "s.srvtype"),
        Property("version", "s.srvversion"),
        options("s.srvoptions"),
    ),
    ddl=ddl.server,
    granted_on="FOREIGN SERVER",
)

# The table is for superusers; the view shows everybody what they may see, and nothing for the rest.
_MAY_SEE = (
    "CASE WHEN m.umuser = 0 THEN pg_has_role(s.srvowner, 'USAGE') ELSE m.usename = current_user AND "
    "(pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')) END "
    "OR (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)"
)
USER_MAPPING = Kind(
    name="USER MAPPING",
    order=170,
    catalog="pg_user_mapping",
    source="pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid",
    oid="m.umid",
    name_sql="''",
    detail_sql=(
        f"'FOR ' || CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE {role('m.umuser')} END || ' SERVER ' || quote_ident(m.srvname)"
    ),
    part_of="ARRAY['SERVER', '', '', m.srvname]",
    properties=(options(f"CASE WHEN {_MAY_SEE} THEN m.umoptions ELSE ARRAY['{HIDDEN}'] END"),),
    ddl=ddl.user_mapping,
)

KINDS = (FOREIGN_DATA_WRAPPER, SERVER, USER_MAPPING)
