"""What belongs to a table or view: constraints, indexes, rules, triggers, policies; and extended statistics."""

from pgrollout.catalog.ddl import part_address
from pgrollout.catalog.ddl import table_parts as ddl
from pgrollout.catalog.kind import Across, Form, Kind, Property, depends_on_extension, role

_RELATION = "JOIN pg_class c ON c.oid = {} JOIN pg_namespace n ON n.oid = c.relnamespace"
_ENABLED = "CASE {} WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END"

_HAS_INDEX = "k.contype IN ('p', 'u', 'x')"
_TARGETS = (
    "ARRAY(SELECT a.attnum || ': ' || a.attstattarget FROM pg_attribute a WHERE a.attrelid = x.oid "
    "AND a.attstattarget >= 0)"
)

CONSTRAINT = Kind(
    name="CONSTRAINT",
    order=520,
    catalog="pg_constraint",
    source="pg_constraint k " + _RELATION.format("k.conrelid") + " LEFT JOIN pg_class x ON x.oid = k.conindid",
    oid="k.oid",
    schema_sql="n.nspname",
    relation_sql="c.relname",
    name_sql="k.conname",
    # What a foreign key makes on the other partitions of either side is the server's own business.
    where="k.contype IN ('c', 'p', 'u', 'x') OR (k.contype = 'f' AND k.conparentid = 0)",
    relation_oid="c.oid",
    part_of=(
        "CASE WHEN k.conparentid <> 0 THEN (SELECT ARRAY['CONSTRAINT', pn.nspname, p.relname, pk.conname] "
        "FROM pg_constraint pk JOIN pg_class p ON p.oid = pk.conrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace "
        "WHERE pk.oid = k.conparentid) WHEN k.coninhcount > 0 THEN ARRAY(SELECT ARRAY['CONSTRAINT', pn.nspname, "
        "p.relname, k.conname] FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn "
        "ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) END"
    ),
    folds=True,
    properties=(
        Property(
            "definition",
            "regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')",
            across=Across.WORDED,
        ),
        Property("not valid", "NOT k.convalidated", before=18),
        # What is not enforced is never validated, and meant so.
        Property("not valid", "k.conenforced AND NOT k.convalidated", since=18),
        Property(
            "inheritance",
            "CASE WHEN k.coninhcount > 0 AND NOT c.relispartition THEN CASE WHEN k.conislocal "
            "THEN 'inherited and its own' ELSE 'inherited' END END",
            if_both=True,
        ),
        # ALTER TABLE … DISABLE TRIGGER ALL switches a foreign key off; a dump does not say so.
        Property(
            "triggers disabled",
            "k.contype = 'f' AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgenabled <> 'O')",
        ),
        Property("index storage parameters", f"CASE WHEN {_HAS_INDEX} THEN x.reloptions END", form=Form.SET),
        Property("index statistics targets", f"CASE WHEN {_HAS_INDEX} THEN {_TARGETS} END", form=Form.SET),
        Property(
            "index comment",
            f"CASE WHEN {_HAS_INDEX} THEN obj_description(k.conindid, 'pg_class') END",
        ),
        Property(
            "index invalid",
            f"{_HAS_INDEX} AND NOT (SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = k.conindid)",
        ),
    ),
    ddl=ddl.constraint,
    is_inline=ddl.is_in_create_table,
    address=part_address,
)

# What stands after the index's own name, which may look like anything.
_AFTER_NAME = (
    "(SELECT substr(whole.text, strpos(whole.text, format('INDEX %%I ON ', x.relname)) "
    "+ length(format('INDEX %%I ON ', x.relname))) AS text "
    "FROM pg_get_indexdef(i.indexrelid) whole(text) OFFSET 0)"
)
_ONLY = "starts_with(printed.text, 'ONLY ')"
_BEFORE_TABLE = f"CASE WHEN {_ONLY} THEN 'ONLY ' ELSE '' END"
_AFTER_TABLE = f"substr(printed.text, length({_BEFORE_TABLE} || format('%%I.%%I ', n.nspname, c.relname)) + 1)"

INDEX = Kind(
    name="INDEX",
    order=530,
    catalog="pg_class",
    # Printed once for each, which OFFSET keeps apart; it is most of what reading an index takes.
    source="pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
    + _RELATION.format("i.indrelid")
    + f" CROSS JOIN LATERAL {_AFTER_NAME} printed",
    oid="x.oid",
    schema_sql="n.nspname",
    name_sql="x.relname",
    where="NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))",
    relation_oid="c.oid",
    part_of=(
        "ARRAY[ARRAY[CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, n.nspname, '', c.relname]] "
        "|| ARRAY(SELECT ARRAY['INDEX', pn.nspname, '', p.relname] FROM pg_inherits h JOIN pg_class p "
        "ON p.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = x.oid)"
    ),
    folds=True,
    properties=(
        Property("table", "c.relname::text"),
        Property("unique", "i.indisunique"),
        Property("only", f"c.relkind = 'p' AND {_ONLY}"),
        Property("definition", _AFTER_TABLE, across=Across.WORDED),
        Property("invalid", "NOT i.indisvalid"),
        depends_on_extension("pg_class", "x.oid"),
        Property(
            "statistics targets",
            _TARGETS,
            form=Form.SET,
        ),
        Property(
            "attached to",
            "(SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = x.oid)",
        ),
    ),
    ddl=ddl.index,
)

RULE = Kind(
    name="RULE",
    order=540,
    catalog="pg_rewrite",
    source="pg_rewrite r " + _RELATION.format("r.ev_class"),
    oid="r.oid",
    schema_sql="n.nspname",
    relation_sql="c.relname",
    name_sql="r.rulename",
    where="r.rulename <> '_RETURN'",
    relation_oid="c.oid",
    properties=(
        Property(
            "definition",
            "substr(pg_get_ruledef(r.oid), length(format('CREATE RULE %%I ', r.rulename)) + 1)",
            across=Across.NEVER,
        ),
        Property("enabled", _ENABLED.format("r.ev_enabled")),
    ),
    ddl=ddl.rule,
    address=part_address,
)

TRIGGER = Kind(
    name="TRIGGER",
    order=550,
    catalog="pg_trigger",
    source="pg_trigger g "
    + _RELATION.format("g.tgrelid")
    + " CROSS JOIN LATERAL (SELECT format(' ON %%I.%%I ', n.nspname, c.relname) AS place, regexp_replace("
    'pg_get_triggerdef(g.oid), \'^CREATE (CONSTRAINT )?TRIGGER ("([^"]|"")+"|[^ ]+) \', \'\\1\') AS rest OFFSET 0) named',
    oid="g.oid",
    schema_sql="n.nspname",
    relation_sql="c.relname",
    name_sql="g.tgname",
    where="NOT g.tgisinternal",
    relation_oid="c.oid",
    part_of=(
        "CASE WHEN g.tgparentid <> 0 THEN (SELECT ARRAY['TRIGGER', pn.nspname, p.relname, pg.tgname] FROM pg_trigger pg "
        "JOIN pg_class p ON p.oid = pg.tgrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace "
        "WHERE pg.oid = g.tgparentid) END"
    ),
    folds=True,
    properties=(
        # Without the trigger's name and the table's, which its identity has: the first of the rest, not what an argument says.
        Property(
            "definition",
            "overlay(named.rest PLACING ' ' FROM strpos(named.rest, named.place) FOR length(named.place))",
            across=Across.WORDED,
        ),
        Property("enabled", _ENABLED.format("g.tgenabled")),
        depends_on_extension("pg_trigger", "g.oid"),
    ),
    ddl=ddl.trigger,
    address=part_address,
)

POLICY = Kind(
    name="POLICY",
    order=560,
    catalog="pg_policy",
    source="pg_policy p " + _RELATION.format("p.polrelid"),
    oid="p.oid",
    schema_sql="n.nspname",
    relation_sql="c.relname",
    name_sql="p.polname",
    relation_oid="c.oid",
    properties=(
        Property("kind", "CASE WHEN NOT p.polpermissive THEN 'RESTRICTIVE' END"),
        Property(
            "command",
            "CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' "
            "ELSE 'ALL' END",
        ),
        Property(
            "roles",
            f"ARRAY(SELECT DISTINCT CASE r WHEN 0 THEN 'PUBLIC' ELSE {role('r')} END FROM unnest(p.polroles) r)",
            form=Form.SET,
        ),
        Property("using", "pg_get_expr(p.polqual, p.polrelid)", across=Across.WORDED),
        Property("with check", "pg_get_expr(p.polwithcheck, p.polrelid)", across=Across.WORDED),
    ),
    ddl=ddl.policy,
    address=part_address,
)

STATISTICS = Kind(
    name="STATISTICS",
    order=570,
    catalog="pg_statistic_ext",
    source="pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid "
    "JOIN pg_namespace cn ON cn.oid = c.relnamespace",
    oid="s.oid",
    schema_sql="n.nspname",
    name_sql="s.stxname",
    owner="s.stxowner",
    relation_oid="c.oid",
    part_of="ARRAY[CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, "
    "cn.nspname, '', c.relname]",
    properties=(
        Property(
            "definition",
            "substr(pg_get_statisticsobjdef(s.oid), length(format('CREATE STATISTICS %%I.%%I ', n.nspname, s.stxname)) + 1)",
            across=Across.WORDED,
        ),
        Property("target", "CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::integer END"),
    ),
    ddl=ddl.statistics,
)

KINDS = (CONSTRAINT, INDEX, RULE, TRIGGER, POLICY, STATISTICS)
