"""Text search: parsers, templates, dictionaries, configurations."""

from pgrollout.catalog.ddl import others as ddl
from pgrollout.catalog.kind import Form, Kind, Property, function


def _name(catalog: str, prefix: str, oid: str) -> str:
    return (
        f"(SELECT format('%%I.%%I', n_.nspname, x_.{prefix}name) FROM {catalog} x_ "
        f"JOIN pg_namespace n_ ON n_.oid = x_.{prefix}namespace WHERE x_.oid = {oid})"
    )


def _kind(word: str, order: int, prefix: str, properties: tuple[Property, ...], owner: str = "") -> Kind:
    catalog = "pg_" + {"prs": "ts_parser", "tmpl": "ts_template", "dict": "ts_dict", "cfg": "ts_config"}[prefix]
    return Kind(
        name=f"TEXT SEARCH {word}",
        order=order,
        catalog=catalog,
        source=f"{catalog} x JOIN pg_namespace n ON n.oid = x.{prefix}namespace",
        oid="x.oid",
        schema_sql="n.nspname",
        name_sql=f"x.{prefix}name",
        owner=owner,
        properties=properties,
        ddl=ddl.text_search,
    )


PARSER = _kind(
    "PARSER",
    400,
    "prs",
    (
        function("start", "x.prsstart"),
        function("gettoken", "x.prstoken"),
        function("end", "x.prsend"),
        function("headline", "x.prsheadline"),
        function("lextypes", "x.prslextype"),
    ),
)

TEMPLATE = _kind("TEMPLATE", 405, "tmpl", (function("init", "x.tmplinit"), function("lexize", "x.tmpllexize")))

DICTIONARY = _kind(
    "DICTIONARY",
    410,
    "dict",
    (
        Property("template", _name("pg_ts_template", "tmpl", "x.dicttemplate")),
        Property("options", "x.dictinitoption"),
    ),
    "x.dictowner",
)

CONFIGURATION = _kind(
    "CONFIGURATION",
    415,
    "cfg",
    (
        Property("parser", _name("pg_ts_parser", "prs", "x.cfgparser")),
        Property(
            "mappings",
            "ARRAY(SELECT (SELECT t.alias FROM ts_token_type(x.cfgparser) t WHERE t.tokid = m.maptokentype) || ': ' "
            f"|| string_agg({_name('pg_ts_dict', 'dict', 'm.mapdict')}, ', ' ORDER BY m.mapseqno) "
            "FROM pg_ts_config_map m WHERE m.mapcfg = x.oid GROUP BY m.maptokentype)",
            form=Form.SET,
        ),
    ),
    "x.cfgowner",
)

KINDS = (PARSER, TEMPLATE, DICTIONARY, CONFIGURATION)
