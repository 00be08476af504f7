"""Functions, procedures, aggregates."""

from pgrollout.catalog.ddl import routines as ddl
from pgrollout.catalog.kind import NOT_OF_A_TYPE, Across, Form, Kind, Property, depends_on_extension, function, operator

_SOURCE = (
    "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang "
    "LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid"
)


def _routine(name: str, order: int, letters: str, properties: tuple[Property, ...]) -> Kind:
    return Kind(
        name=name,
        order=order,
        catalog="pg_proc",
        source=_SOURCE,
        oid="p.oid",
        schema_sql="n.nspname",
        name_sql="p.proname",
        detail_sql="'(' || oidvectortypes(p.proargtypes) || ')'",
        # A range type comes with functions of its own.
        where=f"p.prokind IN ({letters}) AND {NOT_OF_A_TYPE.format(catalog='pg_proc', oid='p.oid')}",
        owner="p.proowner",
        acl="p.proacl",
        acl_type="f",
        properties=properties,
        ddl=ddl.routine if name != "AGGREGATE" else ddl.aggregate,
        address=ddl.aggregate_address if name == "AGGREGATE" else None,
        granted_on="FUNCTION" if name == "AGGREGATE" else "",
    )


_ARGUMENTS = Property("arguments", "pg_get_function_arguments(p.oid)", across=Across.WORDED)
_PARALLEL = Property(
    "parallel", "CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END"
)  # unsafe goes without saying
_COMMON = (
    Property("language", "l.lanname::text"),
    Property("security definer", "p.prosecdef"),
    Property("settings", "p.proconfig", form=Form.SET),
    Property("transforms", "ARRAY(SELECT format_type(t, NULL) FROM unnest(p.protrftypes) t)", form=Form.SET),
    Property("library", "p.probin"),
    depends_on_extension("pg_proc", "p.oid"),
    Property("body", "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)", across=Across.NEVER),
)

FUNCTION = _routine(
    "FUNCTION",
    300,
    "'f', 'w'",
    (
        _ARGUMENTS,
        Property("returns", "pg_get_function_result(p.oid)"),
        Property("window", "p.prokind = 'w'"),
        Property("volatility", "CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END",
            implied="volatile"),
        Property("strict", "p.proisstrict"),
        Property("leakproof", "p.proleakproof"),
        _PARALLEL,
        Property("cost", "p.procost::text", implied="100"),
        Property("rows", "CASE WHEN p.proretset THEN p.prorows::text END", implied="1000"),
        function("support", "p.prosupport"),
        *_COMMON,
    ),
)  # fmt: skip

PROCEDURE = _routine("PROCEDURE", 310, "'p'", (_ARGUMENTS, *_COMMON))

_MODIFY = "CASE {} WHEN 's' THEN 'shareable' WHEN 'w' THEN 'read write' ELSE 'read only' END"

AGGREGATE = _routine(
    "AGGREGATE",
    320,
    "'a'",
    (
        _ARGUMENTS,
        Property("returns", "pg_get_function_result(p.oid)"),
        Property("form", "CASE a.aggkind WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical set' END"),
        Property("direct arguments", "CASE WHEN a.aggkind <> 'n' THEN a.aggnumdirectargs::integer END"),
        _PARALLEL,
        function("sfunc", "a.aggtransfn"),
        Property("stype", "format_type(a.aggtranstype, NULL)"),
        Property("sspace", "nullif(a.aggtransspace, 0)"),
        function("finalfunc", "a.aggfinalfn"),
        Property("finalfunc extra", "a.aggfinalextra"),
        Property("finalfunc modify", _MODIFY.format("a.aggfinalmodify")),
        function("combinefunc", "a.aggcombinefn"),
        function("serialfunc", "a.aggserialfn"),
        function("deserialfunc", "a.aggdeserialfn"),
        Property("initcond", "a.agginitval"),
        function("msfunc", "a.aggmtransfn"),
        function("minvfunc", "a.aggminvtransfn"),
        Property("mstype", "CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END"),
        Property("msspace", "nullif(a.aggmtransspace, 0)"),
        function("mfinalfunc", "a.aggmfinalfn"),
        Property("mfinalfunc extra", "a.aggmfinalextra"),
        Property(
            "mfinalfunc modify", "CASE WHEN a.aggmtransfn <> 0 THEN " + _MODIFY.format("a.aggmfinalmodify") + " END"
        ),
        Property("minitcond", "a.aggminitval"),
        operator("sort operator", "a.aggsortop"),
    ),
)

KINDS = (FUNCTION, PROCEDURE, AGGREGATE)
