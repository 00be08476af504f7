"""Publications, subscriptions, event triggers."""

from pgrollout.catalog.ddl import others as ddl
from pgrollout.catalog.kind import Across, Form, Kind, Property

_LIST = "ARRAY(SELECT format('%%I.%%I', n.nspname, c.relname){} FROM pg_publication_rel r " \
    "JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid)"  # fmt: skip
_COLUMNS_AND_FILTER = (
    " || coalesce(' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a "
    "WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)) || ')', '') "
    "|| coalesce(' WHERE ' || pg_get_expr(r.prqual, r.prrelid), '')"
)

PUBLICATION = Kind(
    name="PUBLICATION",
    order=600,
    catalog="pg_publication",
    source="pg_publication p",
    oid="p.oid",
    name_sql="p.pubname",
    owner="p.pubowner",
    properties=(
        Property("all tables", "p.puballtables"),
        Property("all sequences", "(to_jsonb(p) ->> 'puballsequences')::boolean", since=19),
        Property(
            "publish",
            "array_remove(ARRAY[CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END, "
            "CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END], NULL)",
            form=Form.SET,
        ),
        Property("publish via partition root", "p.pubviaroot"),
        Property(
            "publish generated columns",
            "CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'stored' END",
            since=18,
        ),
        Property("tables", _LIST.format(""), form=Form.SET, before=15),
        Property("tables", _LIST.format(_COLUMNS_AND_FILTER), across=Across.WORDED, form=Form.SET, since=15),
        Property(
            "tables in schemas",
            "ARRAY(SELECT n.nspname::text FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid "
            "WHERE s.pnpubid = p.oid)",
            form=Form.SET,
            since=15,
        ),
    ),
    ddl=ddl.publication,
)

# Where it connects to has a password, and is only for superusers to see.
SUBSCRIPTION = Kind(
    name="SUBSCRIPTION",
    order=610,
    catalog="pg_subscription",
    source="pg_subscription s",
    oid="s.oid",
    name_sql="s.subname",
    where="s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
    owner="s.subowner",
    properties=(
        Property("enabled", "s.subenabled"),
        Property("publications", "s.subpublications", form=Form.SET),
        Property("slot name", "s.subslotname::text"),
        Property("synchronous commit", "s.subsynccommit", implied="off"),
        Property("binary", "s.subbinary"),
        Property(
            "streaming",
            "CASE s.substream::text WHEN 'true' THEN 'on' WHEN 't' THEN 'on' WHEN 'p' THEN 'parallel' ELSE 'off' END",
            # 18 streams in parallel where nothing is said, 17 and before do not stream.
            across=Across.WORDED,
        ),
        Property("two phase", "s.subtwophasestate <> 'd'", since=15),
        Property("disable on error", "s.subdisableonerr", since=15),
        Property("password required", "s.subpasswordrequired", implied=True, since=16),
        Property("run as owner", "s.subrunasowner", since=16),
        Property("origin", "s.suborigin", implied="any", since=16),
        Property("failover", "s.subfailover", since=17),
    ),
    ddl=ddl.subscription,
)

EVENT_TRIGGER = Kind(
    name="EVENT TRIGGER",
    order=620,
    catalog="pg_event_trigger",
    source="pg_event_trigger e",
    oid="e.oid",
    name_sql="e.evtname",
    owner="e.evtowner",
    properties=(
        Property("event", "e.evtevent::text"),
        Property("tags", "e.evttags", form=Form.SET),
        Property("function", "e.evtfoid::regprocedure::text"),
        Property(
            "enabled", "CASE e.evtenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END"
        ),
    ),
    ddl=ddl.event_trigger,
)

KINDS = (PUBLICATION, SUBSCRIPTION, EVENT_TRIGGER)
