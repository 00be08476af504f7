"""Tables, foreign tables, views, materialised views, sequences, and the columns of all of them."""

from pgrollout.catalog.ddl import relations as ddl
from pgrollout.catalog.kind import Across, Form, Kind, Property, depends_on_extension, options

_SOURCE = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
_PARENTS = "ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno)"
_PARENT_KIND = "CASE p.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END"
_INDEX_NAME = "(SELECT x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid " \
    "WHERE i.indrelid = c.oid AND i.{})"  # fmt: skip

_STORAGE_PARAMETERS = Property("storage parameters", "c.reloptions", form=Form.SET)
_TOAST_PARAMETERS = Property(
    "toast storage parameters",
    # The TOAST table outlives the last column that needs it; a dump does not make it again.
    "(SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid AND t.reloptions IS NOT NULL AND EXISTS "
    "(SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attstorage <> 'p'))",
    form=Form.SET,
)
_ACCESS_METHOD = Property("access method", "(SELECT m.amname::text FROM pg_am m WHERE m.oid = c.relam)", implied="heap")
_CLUSTERED = Property("clustered on", _INDEX_NAME.format("indisclustered"))
_REPLICA_IDENTITY = Property(
    "replica identity",
    "CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' "
    f"WHEN 'i' THEN 'INDEX ' || quote_ident({_INDEX_NAME.format('indisreplident')}) END",
)
_COLUMNS = Property(
    "columns",
    # A dump has what is inherited before the rest, in the parents' order: who restores it can do nothing about that.
    "ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 "
    "AND NOT a.attisdropped AND (a.attinhcount = 0 OR c.relispartition) ORDER BY a.attnum)",
    form=Form.ORDER,
)
_OUTPUT = Property(
    "columns",
    "ARRAY(SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation "
    "NOT IN (0, t.typcollation) THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END FROM pg_attribute a "
    "JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "ORDER BY a.attnum)",
)


def _relation(name: str, order: int, letters: str, properties: tuple[Property, ...], source: str = _SOURCE) -> Kind:
    return Kind(
        name=name,
        order=order,
        catalog="pg_class",
        source=source,
        oid="c.oid",
        schema_sql="n.nspname",
        name_sql="c.relname",
        where=f"c.relkind IN ({letters})",
        owner="c.relowner",
        acl="c.relacl",
        acl_type="s" if name == "SEQUENCE" else "r",
        part_of=(
            f"CASE WHEN c.relispartition THEN (SELECT ARRAY[{_PARENT_KIND}, pn.nspname, '', p.relname] FROM pg_inherits i "
            "JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace "
            "WHERE i.inhrelid = c.oid) END"
        ),
        properties=properties,
        has_parts=True,
        ddl=ddl.view if name.endswith("VIEW") else ddl.table,
        granted_on="TABLE",
    )


_TABLE = (
    Property("persistence", "CASE c.relpersistence WHEN 'u' THEN 'unlogged' END"),
    _ACCESS_METHOD,
    Property("of type", "CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END"),
    _COLUMNS,
    Property("inherits", f"CASE WHEN NOT c.relispartition THEN {_PARENTS} END"),
    Property("partition of", f"CASE WHEN c.relispartition THEN ({_PARENTS})[1] END"),
    Property("partition bound", "pg_get_expr(c.relpartbound, c.oid)", across=Across.WORDED),
    Property("detach pending", "EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhdetachpending)"),
    Property("partition key", "CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END", across=Across.WORDED),
    _STORAGE_PARAMETERS,
    _TOAST_PARAMETERS,
    _REPLICA_IDENTITY,
    _CLUSTERED,
    Property("row level security", "CASE WHEN c.relrowsecurity THEN 'ENABLED' END"),
    Property("row level security for the owner", "CASE WHEN c.relforcerowsecurity THEN 'FORCED' END"),
)

TABLE = _relation("TABLE", 500, "'r', 'p'", _TABLE)

FOREIGN_TABLE = _relation(
    "FOREIGN TABLE",
    501,
    "'f'",
    (
        Property("server", "s.srvname::text"),
        options("ft.ftoptions"),
        *(p for p in _TABLE if p.name in ("columns", "inherits", "partition of", "partition bound")),
    ),
    f"{_SOURCE} JOIN pg_foreign_table ft ON ft.ftrelid = c.oid JOIN pg_foreign_server s ON s.oid = ft.ftserver",
)

# What the columns of a view are follows from its text; across versions they can be compared and the text cannot.
VIEW = _relation(
    "VIEW",
    502,
    "'v'",
    (
        _OUTPUT,
        Property("options", "c.reloptions", form=Form.SET),
        Property("definition", "pg_get_viewdef(c.oid)", across=Across.NEVER),
    ),
)

MATERIALIZED_VIEW = _relation(
    "MATERIALIZED VIEW",
    503,
    "'m'",
    (
        _OUTPUT,
        _ACCESS_METHOD,
        _STORAGE_PARAMETERS,
        _TOAST_PARAMETERS,
        _REPLICA_IDENTITY,
        _CLUSTERED,
        depends_on_extension("pg_class", "c.oid"),
        Property("definition", "pg_get_viewdef(c.oid)", across=Across.NEVER),
    ),
)

_IDENTITY = "d.deptype = 'i'"
_OWNER_COLUMN = (
    "LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 "
    "AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') "
    "LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace "
    "LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
)

SEQUENCE = Kind(
    name="SEQUENCE",
    order=490,
    catalog="pg_class",
    source=f"{_SOURCE} JOIN pg_sequence s ON s.seqrelid = c.oid {_OWNER_COLUMN}",
    oid="c.oid",
    schema_sql="n.nspname",
    name_sql="c.relname",
    where="c.relpersistence <> 't'",
    # One that a column owns has the table's owner, always.
    owner="CASE WHEN t.oid IS NULL THEN c.relowner END",
    acl="c.relacl",
    acl_type="s",
    acl_owner="c.relowner",
    relation_oid="coalesce(t.oid, 0)",
    part_of=(
        f"CASE WHEN {_IDENTITY} THEN ARRAY['COLUMN', tn.nspname, t.relname, a.attname] "
        "WHEN t.oid IS NOT NULL THEN ARRAY[CASE t.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, "
        "tn.nspname, '', t.relname] END"
    ),
    follows="identity",
    properties=(
        Property("persistence", "CASE c.relpersistence WHEN 'u' THEN 'unlogged' END"),
        Property("type", "format_type(s.seqtypid, NULL)"),
        Property("start", "s.seqstart::text"),
        Property("increment", "s.seqincrement::text"),
        Property("minimum", "s.seqmin::text"),
        Property("maximum", "s.seqmax::text"),
        Property("cache", "s.seqcache::text", implied="1"),
        Property("cycle", "s.seqcycle"),
        Property(
            "owned by",
            "CASE WHEN t.oid IS NOT NULL THEN format('%%I.%%I.%%I', tn.nspname, t.relname, a.attname) || "
            f"CASE WHEN {_IDENTITY} THEN ' (identity)' ELSE '' END END",
        ),
    ),
    ddl=ddl.sequence,
)

_STORAGE = "CASE {} WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' WHEN 'x' THEN 'extended' END"
# pg_attver is a counter that servers with the security fixes of 2026 keep there for themselves.
_ATTRIBUTE_OPTIONS = "ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%%')"
COLUMN = Kind(
    name="COLUMN",
    order=510,
    catalog="pg_class",
    source=(
        f"{_SOURCE} JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid "
        "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        # Joined at once: asked for each column by each property, it is half of the time that reading takes.
        "LEFT JOIN pg_constraint k ON k.contype = 'n' AND k.conrelid = a.attrelid AND k.conkey[1] = a.attnum"
    ),
    oid="c.oid",
    sub_id="a.attnum",
    schema_sql="n.nspname",
    relation_sql="c.relname",
    name_sql="a.attname",
    where=(
        "a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') "
        # That an extension made a composite type is said of the type.
        "AND NOT (c.relkind = 'c' AND EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_type'::regclass "
        "AND x.objid = c.reltype AND x.deptype = 'e'))"
    ),
    acl="a.attacl",
    acl_owner="c.relowner",
    relation_oid="c.oid",
    part_of=(
        "CASE WHEN a.attinhcount > 0 THEN ARRAY(SELECT ARRAY['COLUMN', pn.nspname, p.relname, a.attname] "
        "FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace "
        "WHERE i.inhrelid = c.oid) END"
    ),
    follows="columns",
    folds=True,
    properties=(
        Property("type", "CASE WHEN c.relkind NOT IN ('v', 'm') THEN format_type(a.atttypid, a.atttypmod) END"),
        Property(
            "collation",
            "CASE WHEN c.relkind NOT IN ('v', 'm') AND a.attcollation NOT IN (0, t.typcollation) "
            "THEN a.attcollation::regcollation::text END",
        ),
        Property("not null", "a.attnotnull"),
        Property(
            "not null constraint",
            # Generated names differ between a dump of 15 restored on 18 and the same SQL run there.
            "CASE WHEN a.attnotnull AND k.conname !~ '_not_null[0-9]*$' THEN k.conname::text END",
            since=18,
        ),
        Property(
            "not null no inherit",
            "CASE WHEN a.attnotnull THEN k.connoinherit END",
            since=18,
        ),
        Property(
            "not null not valid",
            "CASE WHEN a.attnotnull THEN NOT k.convalidated END",
            since=18,
        ),
        Property(
            "not null comment",
            "CASE WHEN a.attnotnull THEN obj_description(k.oid, 'pg_constraint') END",
            since=18,
        ),
        Property(
            "default",
            "CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END",
            across=Across.WORDED,
        ),
        Property(
            "generated",
            "CASE a.attgenerated WHEN 's' THEN 'stored ' WHEN 'v' THEN 'virtual ' END || pg_get_expr(d.adbin, d.adrelid)",
            across=Across.WORDED,
        ),
        Property("identity", "CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END"),
        Property("storage", f"CASE WHEN a.attstorage <> t.typstorage THEN {_STORAGE.format('a.attstorage')} END"),
        Property("compression", "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END"),
        Property("statistics target", "CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::integer END"),
        Property("options", _ATTRIBUTE_OPTIONS, form=Form.SET),
        options("a.attfdwoptions", name="foreign options"),
        Property(
            "inheritance",
            "CASE WHEN a.attinhcount > 0 AND NOT c.relispartition THEN CASE WHEN a.attislocal "
            "THEN 'inherited and its own' ELSE 'inherited' END END",
            if_both=True,
        ),
    ),
    ddl=ddl.column,
    is_inline=lambda *_: True,
)

KINDS = (TABLE, FOREIGN_TABLE, VIEW, MATERIALIZED_VIEW, SEQUENCE, COLUMN)
