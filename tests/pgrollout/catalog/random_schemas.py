"""
Random schemas: SQL of objects of every kind an application uses, with random options, that refer to each other.

A schema is a list of statements for PostgreSQL 15 and newer, each valid after those before it but for a few that the server
refuses (an unlogged table that a logged one refers to). Nothing here talks to a server.
"""

from dataclasses import dataclass, field

from hypothesis import strategies as st

Draw = st.DrawFn

SCHEMAS = ("app", '"Odd Names"', "audit")
ROLES = ("catalog_app", "catalog_reader", "catalog_lead", '"catalog Odd.Röle"')
WORDS = (
    "item",
    '"Item"',
    '"two words"',
    '"user"',
    '"dot.ted"',
    '"q""uote"',
    "a_rather_long_name_for_something_simple",
    "ünï",
    '"$1"',
)
TEXTS = ("''", "'x'", "'it''s'", "E'tab\\tand\\nline'", "'\"q\"'", "'100 % – €'", "'$$'", "'back\\slash'")
TYPES = (
    "integer", "bigint", "smallint", "numeric", "numeric(12, 2)", "text", "varchar", "varchar(30)", "char(3)", "boolean",
    "date", "timestamptz", "timestamp(3)", "time(2)", "interval", "interval day to second(3)", "uuid", "jsonb", "bytea",
    "inet", "text[]", "integer[]", "double precision", "bit(3)", "int4range", "point", "tsvector", "name", "oid",
)  # fmt: skip
DEFAULTS = {
    "integer": ("1", "-1", "1 + 2 * 3", "length('abc')"),
    "bigint": ("0", "9223372036854775807"),
    "numeric": ("1.50", "-0.1", "1e3"),
    "numeric(12, 2)": ("1.5", "round(2.55, 1)"),
    "text": (*TEXTS, "CURRENT_USER", "'a' || 'b'", "upper('x')", "NULL"),
    "varchar": (*TEXTS, "'x'::varchar(3)"),
    "varchar(30)": TEXTS,
    "boolean": ("true", "(NOT false)", "(1 IN (1, 2))", "('x'::varchar IN ('x', 'y'))"),
    "date": ("CURRENT_DATE", "'2024-02-29'", "CURRENT_DATE + 1"),
    "timestamptz": ("now()", "'2024-01-01 12:00+02'", "now() - interval '1 day'"),
    "interval": ("'1 day 02:03:04.5'", "make_interval(days => 3)"),
    "jsonb": ("'{}'", '\'{"b": [1, null], "a": "x"}\'', "jsonb_build_object('a', 1)"),
    "text[]": ("'{}'", "ARRAY['a', 'b''c']", "'{\"x y\",NULL}'"),
    "integer[]": ("'{1,2}'", "ARRAY[]::integer[]"),
    "uuid": ("gen_random_uuid()",),
    "double precision": ("0.1", "'NaN'", "random()"),
    "bytea": ("'\\x00ff'",),
    "int4range": ("'[1,5)'", "int4range(1, 3, '[]')"),
    "bit(3)": ("B'101'",),
}


@dataclass
class Table:
    """A table that was made, with what others may refer to."""

    name: str
    columns: dict[str, str]
    """Type of each column."""
    keys: list[str] = field(default_factory=list)
    """Columns that are unique by themselves."""
    is_partitioned: bool = False
    has_children: bool = False
    """Whether another table inherits from it."""


@dataclass
class State:
    """What there is so far."""

    statements: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    count: int = 0

    def name(self, draw: Draw) -> str:
        """Return a name that nothing else has, unqualified."""
        self.count += 1
        word = draw(st.sampled_from(WORDS))
        return f'{word[:-1]}{self.count}"' if word.endswith('"') else f"{word}{self.count}"

    def qualified(self, draw: Draw) -> str:
        """Return such a name in one of the schemas."""
        return f"{draw(st.sampled_from(SCHEMAS))}.{self.name(draw)}"

    def add(self, *statements: str) -> None:
        """Append statements."""
        self.statements += statements


@st.composite
def schemas(draw: Draw) -> list[str]:
    """Return the statements of a schema."""
    state = State()
    state.add(*(f"CREATE SCHEMA {name}" for name in SCHEMAS))
    for make in (_type, _sequence, _routine, _table, _table):
        make(draw, state)
    for _ in range(draw(st.integers(4, 25))):
        draw(st.sampled_from(MAKERS))(draw, state)
    return state.statements


def _maybe(draw: Draw, text: str, of: int = 2) -> str:
    return text if draw(st.integers(1, of)) == 1 else ""


def _some(draw: Draw, values: "list[str] | tuple[str, ...]", least: int = 1, most: int = 3) -> list[str]:
    return draw(st.lists(st.sampled_from(list(values)), min_size=least, max_size=most, unique=True))


def _condition(draw: Draw, column: str, type_: str, prefix: str = "") -> str:
    """Return a condition over a column."""
    it = f"{prefix}{column}"
    conditions = [f"{it} IS NOT NULL"]
    if type_.startswith(("varchar", "text", "char")) and "[" not in type_:
        conditions += [
            f"{it} IN ('a', 'b')", f"{it} NOT IN ('x')", f"{it} NOT IN ('x', 'y''z')", f"{it} = 'a'", f"{it} <> ''",
            f"{it} ~ '^[a-z]+$'", f"{it} LIKE 'a%%'", f"length({it}) BETWEEN 1 AND 5", f"{it} = ANY (ARRAY['p', 'q'])",
            f"CASE WHEN {it} IN ('m', 'n') THEN true ELSE {it} IS NULL END", f"lower({it}) IN ('r', 's') OR {it} IS NULL",
            f"({it})::varchar(5) IN ('t', 'u')", f"{it} COLLATE \"C\" > 'a'",
        ]  # fmt: skip
    elif type_ in ("integer", "bigint", "smallint", "numeric", "numeric(12, 2)", "double precision"):
        conditions += [
            f"{it} > 0",
            f"{it} IN (1, 2, 3)",
            f"{it} BETWEEN -5 AND 5",
            f"NOT ({it} = 0 OR {it} = 7)",
            f"-{it} < 3",
        ]
    elif type_ == "date":
        conditions += [f"{it} >= '2024-01-01'", f"extract(year FROM {it}) > 2000"]
    elif type_ == "jsonb":
        conditions += [f"{it} ->> 'a' = 'b'", f"{it} ? 'x'"]
    elif type_ == "boolean":
        conditions += [it, f"NOT {it}", f"{it} IS DISTINCT FROM false"]
    return draw(st.sampled_from(conditions)).replace("%%", "%")


def _type(draw: Draw, state: State) -> None:
    name = state.qualified(draw)
    match draw(st.sampled_from(["enum", "domain", "composite", "range"])):
        case "enum":
            values = draw(st.lists(st.sampled_from(TEXTS[:3] + TEXTS[4:]), unique=True, max_size=4))
            state.add(f"CREATE TYPE {name} AS ENUM ({', '.join(values)})")
            for value in draw(st.lists(st.sampled_from(["'more'", "'yet more'"]), unique=True)):
                state.add(
                    f"ALTER TYPE {name} ADD VALUE {value}" + (_maybe(draw, f" BEFORE {values[0]}") if values else "")
                )
            state.add(f"COMMENT ON TYPE {name} IS {draw(st.sampled_from(TEXTS[1:]))}")
        case "domain":
            type_ = draw(st.sampled_from([*DEFAULTS]))
            default = _maybe(draw, f" DEFAULT {draw(st.sampled_from(DEFAULTS[type_]))}")
            check = f" CONSTRAINT {state.name(draw)} CHECK ({_condition(draw, 'VALUE', type_)})"
            collate = _maybe(draw, ' COLLATE "C"', 3) if type_ in ("text", "varchar", "varchar(30)") else ""
            state.add(
                f"CREATE DOMAIN {name} AS {type_}{collate}{default}{_maybe(draw, ' NOT NULL', 4)}{_maybe(draw, check)}"
            )
            check = f"ALTER DOMAIN {name} ADD CONSTRAINT {state.name(draw)} CHECK ({_condition(draw, 'VALUE', type_)})"
            state.add(check + _maybe(draw, " NOT VALID"))
        case "composite":
            columns = [f"{state.name(draw)} {draw(st.sampled_from(TYPES))}" for _ in range(draw(st.integers(0, 3)))]
            state.add(f"CREATE TYPE {name} AS ({', '.join(columns)})")
            state.add(f"ALTER TYPE {name} ADD ATTRIBUTE gone integer", f"ALTER TYPE {name} DROP ATTRIBUTE gone")
        case "range":
            subtype = draw(st.sampled_from(["text", "float8", "time", "varchar"]))
            state.add(
                f"CREATE TYPE {name} AS RANGE (SUBTYPE = {subtype}, MULTIRANGE_TYPE_NAME = {state.qualified(draw)})"
            )
    state.types.append(name)
    if draw(st.booleans()):
        state.add(f"REVOKE USAGE ON TYPE {name} FROM PUBLIC")
    if draw(st.booleans()):
        state.add(f"GRANT USAGE ON TYPE {name} TO {draw(st.sampled_from(ROLES))}{_maybe(draw, ' WITH GRANT OPTION')}")


def _sequence(draw: Draw, state: State) -> None:
    name = state.qualified(draw)
    step = draw(st.sampled_from([1, 5, -3]))
    bounds = _maybe(draw, " MINVALUE -1000 MAXVALUE 1000")
    type_ = draw(st.sampled_from(["", " AS integer", " AS smallint"]))
    options = f"{type_} INCREMENT {step}{bounds}{_maybe(draw, ' CACHE 5')}{_maybe(draw, ' CYCLE')}"
    state.add(f"CREATE {_maybe(draw, 'UNLOGGED ', 4)}SEQUENCE {name}{options}")
    _finish(draw, state, "SEQUENCE", name, ("USAGE", "SELECT", "UPDATE"))


def _routine(draw: Draw, state: State) -> None:
    name = state.qualified(draw)
    arguments = [
        f"{state.name(draw)} {draw(st.sampled_from([*TYPES, *state.types]))}" for _ in range(draw(st.integers(0, 3)))
    ]
    if draw(st.booleans()):
        arguments.append(f"{state.name(draw)} integer DEFAULT {draw(st.sampled_from(['1', 'NULL', '2 + 3']))}")
    security = _maybe(draw, " SECURITY DEFINER SET search_path = app, pg_temp")
    match draw(st.sampled_from(["function", "set", "body", "procedure", "aggregate"])):
        case "procedure":
            state.add(f"CREATE PROCEDURE {name}({', '.join(arguments)}) LANGUAGE plpgsql{security} AS 'BEGIN END'")
            _finish(draw, state, "PROCEDURE", name, ("EXECUTE",))
        case "aggregate":
            initial = _maybe(draw, ", INITCOND = '0'")
            parallel = _maybe(draw, ", PARALLEL = SAFE")
            state.add(f"CREATE AGGREGATE {name}(integer) (SFUNC = int4pl, STYPE = integer{initial}{parallel})")
            _finish(draw, state, "AGGREGATE", f"{name}(integer)", ())
        case how:
            options = (
                draw(st.sampled_from(["", " IMMUTABLE", " STABLE"]))
                + _maybe(draw, " STRICT")
                + _maybe(draw, " LEAKPROOF", 4)
            )
            options += draw(st.sampled_from(["", " PARALLEL SAFE", " PARALLEL RESTRICTED"])) + _maybe(draw, " COST 12")
            returns, body = "integer", draw(st.sampled_from(["AS 'SELECT 1'", "AS $$SELECT 2 -- it's\n$$"]))
            if how == "set":
                returns, options = (
                    draw(st.sampled_from(["SETOF text", "TABLE (a integer, b text)"])),
                    options + _maybe(draw, " ROWS 7"),
                )
                body = "AS $$SELECT 'x'::text$$" if returns.startswith("SETOF") else "AS $$SELECT 1, 'x'::text$$"
            elif how == "body":
                body = draw(st.sampled_from(["RETURN 1 + 1", "BEGIN ATOMIC SELECT 1; SELECT 2; END"]))
            state.add(
                f"CREATE FUNCTION {name}({', '.join(arguments)}) RETURNS {returns} LANGUAGE sql{options}{security} {body}"
            )
            _finish(draw, state, "FUNCTION", name, ("EXECUTE",))


def _column(draw: Draw, state: State, table: Table) -> str:
    name = state.name(draw)
    type_ = draw(st.sampled_from([*TYPES, *state.types]) if draw(st.booleans()) else st.sampled_from([*DEFAULTS]))
    text = f"{name} {type_}"
    if type_ in ("text", "varchar", "varchar(30)", "text[]"):
        text += draw(st.sampled_from(["", "", ' COLLATE "C"', ' COLLATE "POSIX"']))
    if type_ in ("integer", "bigint", "smallint") and draw(st.integers(1, 4)) == 1:
        how = draw(st.sampled_from(["ALWAYS", "BY DEFAULT"]))
        text += f" GENERATED {how} AS IDENTITY{_maybe(draw, ' (START 5 INCREMENT 2 CACHE 3)')}"
    elif type_ == "integer" and draw(st.integers(1, 4)) == 1 and "integer" in table.columns.values():
        of = next(column for column, its in table.columns.items() if its == "integer")
        text += f" GENERATED ALWAYS AS ({of} + 1) STORED"
        type_ = "generated"
    elif type_ in DEFAULTS:
        text += _maybe(draw, f" DEFAULT {draw(st.sampled_from(DEFAULTS[type_]))}")
    text += _maybe(draw, " NOT NULL", 3)
    table.columns[name] = type_
    return text


def _table(draw: Draw, state: State) -> None:
    table = Table(state.qualified(draw), {})
    parts = [_column(draw, state, table) for _ in range(draw(st.integers(1, 6)))]
    key = state.name(draw)
    table.columns[key] = "bigint"
    parts.insert(draw(st.integers(0, len(parts))), f"{key} bigint")
    parts.append(f"CONSTRAINT {state.name(draw)} PRIMARY KEY ({key})")
    table.keys.append(key)
    table.is_partitioned = draw(st.integers(1, 5)) == 1
    drops = draw(st.integers(1, 3)) == 1
    if table.is_partitioned:
        state.add(f"CREATE TABLE {table.name} ({', '.join(parts)}) PARTITION BY RANGE ({key})")
        for bound in draw(
            st.sampled_from(["", "FOR VALUES FROM (MINVALUE) TO (10)", "FOR VALUES FROM (10) TO (20);DEFAULT"])
        ).split(";"):
            if bound:
                state.add(f"CREATE TABLE {state.qualified(draw)} PARTITION OF {table.name} {bound}")
    else:
        with_ = _maybe(draw, " WITH (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off)", 3)
        drops = drops and not with_  # without its last long column it would keep a TOAST table that no dump makes
        state.add(f"CREATE {_maybe(draw, 'UNLOGGED ', 5)}TABLE {table.name} ({', '.join(parts)}){with_}")
        table.has_children = draw(st.integers(1, 4)) == 1
        if table.has_children:
            state.add(
                f"CREATE TABLE {state.qualified(draw)} ({state.name(draw)} text DEFAULT 'x') INHERITS ({table.name})"
            )
        if draw(st.integers(1, 3)) == 1:
            state.add(f"ALTER TABLE {table.name} REPLICA IDENTITY {draw(st.sampled_from(['FULL', 'NOTHING']))}")
    if drops:
        gone = next(iter(table.columns))
        if gone not in table.keys and "generated" not in table.columns.values():
            state.add(f"ALTER TABLE {table.name} DROP COLUMN {gone}")
            del table.columns[gone]
    state.tables.append(table)
    _finish(draw, state, "TABLE", table.name, ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"))


def _alter_column(draw: Draw, state: State) -> None:
    table = draw(st.sampled_from(state.tables))
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    changes = ["SET STATISTICS 50", "SET (n_distinct = -0.5)", "SET NOT NULL"]
    if type_ in ("text", "jsonb", "bytea", "text[]", "varchar"):
        changes += ["SET STORAGE EXTERNAL", "SET STORAGE MAIN"]
        if not table.has_children:  # which do not get it, but do from a dump
            changes.append("SET COMPRESSION pglz")
    state.add(f"ALTER TABLE {table.name} ALTER COLUMN {column} {draw(st.sampled_from(changes))}")
    if draw(st.booleans()):
        state.add(f"COMMENT ON COLUMN {table.name}.{column} IS {draw(st.sampled_from(TEXTS[1:]))}")
    if draw(st.booleans()):
        right = draw(st.sampled_from(["SELECT", "UPDATE", "REFERENCES"]))
        state.add(f"GRANT {right} ({column}) ON {table.name} TO {draw(st.sampled_from([*ROLES, 'PUBLIC']))}")


def _constraint(draw: Draw, state: State) -> None:
    table, name = draw(st.sampled_from(state.tables)), state.name(draw)
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    head = f"ALTER TABLE {table.name} ADD CONSTRAINT {name}"
    match draw(st.sampled_from(["check", "foreign", "unique", "exclude"])):
        case "foreign":
            other = draw(st.sampled_from(state.tables))
            action = draw(
                st.sampled_from(
                    ["", " ON DELETE CASCADE", " ON UPDATE SET NULL", " ON DELETE SET DEFAULT", " MATCH FULL"]
                )
            )
            action += draw(st.sampled_from(["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"]))
            valid = "" if table.is_partitioned else _maybe(draw, " NOT VALID", 3)
            state.add(f"{head} FOREIGN KEY ({table.keys[0]}) REFERENCES {other.name} ({other.keys[0]}){action}{valid}")
        case "unique" if not table.is_partitioned:
            nulls = _maybe(draw, " NULLS NOT DISTINCT", 3)
            rest = (
                _maybe(draw, f" INCLUDE ({table.keys[0]})", 3)
                + _maybe(draw, " WITH (fillfactor = 60)", 4)
                + _maybe(draw, " DEFERRABLE", 3)
            )
            if type_ not in ("point", "jsonb"):
                more = _maybe(draw, f", {column}") if column != table.keys[0] else ""
                state.add(f"{head} UNIQUE{nulls} ({table.keys[0]}{more}){rest}")
        case "exclude" if not table.is_partitioned:
            where = _maybe(draw, f" WHERE ({_condition(draw, column, type_)})")
            state.add(f"{head} EXCLUDE USING btree ({table.keys[0]} WITH =){where}")
        case _:
            check = _condition(draw, column, type_)
            inherit = "" if table.is_partitioned else _maybe(draw, " NO INHERIT", 4)
            state.add(f"{head} CHECK ({check}){inherit}{_maybe(draw, ' NOT VALID', 4)}")
    if draw(st.integers(1, 4)) == 1 and state.statements[-1].startswith(head):
        state.add(f"COMMENT ON CONSTRAINT {name} ON {table.name} IS {draw(st.sampled_from(TEXTS[1:]))}")


def _index(draw: Draw, state: State) -> None:
    table, name = draw(st.sampled_from(state.tables)), state.name(draw)
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    key, method = table.keys[0], "btree"
    if type_ in ("text", "varchar", "varchar(30)"):
        key = draw(
            st.sampled_from(
                [
                    column,
                    f"lower({column})",
                    f'{column} COLLATE "C"',
                    f"({column} || 'x') DESC",
                    f"{column} text_pattern_ops",
                ]
            )
        )
    elif type_ in ("jsonb", "tsvector", "text[]"):
        key, method = column, "gin"
    elif type_ in ("integer", "date", "numeric"):
        key = draw(
            st.sampled_from(
                [column, f"{column} DESC NULLS LAST", f"(-{column})" if type_ != "date" else f"({column} + 1)"]
            )
        )
        method = draw(st.sampled_from(["btree", "brin"])) if "(" not in key and "DESC" not in key else "btree"
    where = _maybe(draw, f" WHERE {_condition(draw, column, type_)}")
    include = _maybe(draw, f" INCLUDE ({table.keys[0]})", 3) if method == "btree" else ""
    with_ = {
        "btree": " WITH (fillfactor = 55)",
        "gin": " WITH (fastupdate = off)",
        "brin": " WITH (pages_per_range = 8)",
    }[method]
    state.add(f"CREATE INDEX {name} ON {table.name} USING {method} ({key}){include}{_maybe(draw, with_, 3)}{where}")
    schema = table.name.partition('".')[0] + '"' if table.name.startswith('"') else table.name.partition(".")[0]
    if draw(st.integers(1, 3)) == 1:
        state.add(f"COMMENT ON INDEX {schema}.{name} IS {draw(st.sampled_from(TEXTS[1:]))}")
    if draw(st.integers(1, 4)) == 1 and method == "btree" and not where and not table.is_partitioned:
        state.add(f"ALTER TABLE {table.name} CLUSTER ON {name}")


def _view(draw: Draw, state: State) -> None:
    name, table = state.qualified(draw), draw(st.sampled_from(state.tables))
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    where = _condition(draw, column, type_, "t.")
    key, other = table.keys[0], state.name(draw)
    queries = [
        f"SELECT * FROM {table.name} t WHERE {where}",
        f"SELECT t.{column} AS {other}, count(*) FROM {table.name} t WHERE {where} GROUP BY 1 HAVING count(*) > 1",
        f"SELECT t.{key}, rank() OVER (PARTITION BY t.{key}) FROM {table.name} t LEFT JOIN {table.name} u USING ({key})",
        f"WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) "
        f"SELECT n, ({where}) AS x FROM r, {table.name} t",
        f"SELECT 'p' AS a, 'it''s' AS b UNION ALL SELECT 'x', CASE WHEN {where} THEN 'a' END FROM {table.name} t",
    ]
    query = draw(st.sampled_from(queries))
    if type_ in ("point", "generated"):
        query = f"SELECT t.{key} FROM {table.name} t WHERE {where} ORDER BY 1 LIMIT 5"
    if draw(st.booleans()):
        options = draw(
            st.sampled_from(
                ["", " WITH (security_barrier)", " WITH (security_invoker = true, security_barrier = false)"]
            )
        )
        state.add(f"CREATE VIEW {name}{options} AS {query}")
        state.views.append(name)
        _finish(draw, state, "VIEW", name, ("SELECT", "INSERT"))
    else:
        state.add(
            f"CREATE MATERIALIZED VIEW {name}{_maybe(draw, ' WITH (fillfactor = 80)')} AS {query}{_maybe(draw, ' WITH NO DATA')}"
        )
        _finish(draw, state, "MATERIALIZED VIEW", name, ("SELECT",))


def _trigger(draw: Draw, state: State) -> None:
    table, name, function = draw(st.sampled_from(state.tables)), state.name(draw), state.qualified(draw)
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    state.add(f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    event = draw(st.sampled_from(["INSERT", f"UPDATE OF {column}", "DELETE OR UPDATE", "INSERT OR UPDATE"]))
    when = ""
    if event == "INSERT" and type_ != "generated":
        when = _maybe(draw, f" WHEN ({_condition(draw, column, type_, 'NEW.')})")
    call = f"FOR EACH ROW{when} EXECUTE FUNCTION {function}({_maybe(draw, TEXTS[2])})"
    if draw(st.integers(1, 4)) == 1:
        state.add(
            f"CREATE CONSTRAINT TRIGGER {name} AFTER {event} ON {table.name} DEFERRABLE INITIALLY DEFERRED {call}"
        )
    else:
        state.add(f"CREATE TRIGGER {name} {draw(st.sampled_from(['BEFORE', 'AFTER']))} {event} ON {table.name} {call}")
    if draw(st.integers(1, 3)) == 1:
        state.add(
            f"ALTER TABLE {table.name} {draw(st.sampled_from(['DISABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA']))} TRIGGER {name}"
        )


def _policy(draw: Draw, state: State) -> None:
    table, name = draw(st.sampled_from(state.tables)), state.name(draw)
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    command = draw(st.sampled_from(["ALL", "SELECT", "UPDATE", "DELETE"]))
    roles = ", ".join(_some(draw, ROLES)) if draw(st.booleans()) else "PUBLIC"
    kind = _maybe(draw, " AS RESTRICTIVE", 3)
    state.add(
        f"CREATE POLICY {name} ON {table.name}{kind} FOR {command} TO {roles} USING ({_condition(draw, column, type_)})"
    )
    state.add(f"ALTER TABLE {table.name} {draw(st.sampled_from(['ENABLE', 'FORCE']))} ROW LEVEL SECURITY")


def _rule(draw: Draw, state: State) -> None:
    table, name = draw(st.sampled_from(state.tables)), state.name(draw)
    column, type_ = draw(st.sampled_from([*table.columns.items()]))
    where = _condition(draw, column, type_, "OLD.")
    state.add(f"CREATE RULE {name} AS ON DELETE TO {table.name} WHERE {where} DO INSTEAD NOTHING")
    if draw(st.integers(1, 3)) == 1:
        state.add(f"ALTER TABLE {table.name} {draw(st.sampled_from(['DISABLE', 'ENABLE ALWAYS']))} RULE {name}")


def _statistics(draw: Draw, state: State) -> None:
    table, name = draw(st.sampled_from(state.tables)), state.qualified(draw)
    columns = [c for c, type_ in table.columns.items() if type_ in DEFAULTS and type_ not in ("jsonb", "point")]
    if len(columns) < 2:
        return
    chosen = draw(st.lists(st.sampled_from(columns), min_size=2, max_size=4, unique=True))
    kinds = draw(st.sampled_from(["", " (mcv)", " (ndistinct, dependencies)"]))
    state.add(f"CREATE STATISTICS {name}{kinds} ON {', '.join(chosen)} FROM {table.name}")
    if draw(st.booleans()):
        state.add(f"ALTER STATISTICS {name} SET STATISTICS 77")


def _publication(draw: Draw, state: State) -> None:
    name, table = state.name(draw), draw(st.sampled_from(state.tables))
    what = draw(
        st.sampled_from(["", " FOR ALL TABLES", f" FOR TABLES IN SCHEMA {SCHEMAS[0]}", f" FOR TABLE {table.name}"])
    )
    if what.startswith(" FOR TABLE ") and not table.is_partitioned and draw(st.booleans()):
        what += f" WHERE ({table.keys[0]} > 5)"
    publish = _maybe(draw, " WITH (publish = 'insert')")
    state.add(f"CREATE PUBLICATION {name}{what}{publish}")


def _defaults(draw: Draw, state: State) -> None:
    role, to = draw(st.sampled_from(ROLES)), draw(st.sampled_from([*ROLES, "PUBLIC"]))
    schema = _maybe(draw, f" IN SCHEMA {draw(st.sampled_from(SCHEMAS))}")
    grant = draw(st.sampled_from(["SELECT ON TABLES", "USAGE ON SEQUENCES", "EXECUTE ON FUNCTIONS", "USAGE ON TYPES"]))
    state.add(f"ALTER DEFAULT PRIVILEGES FOR ROLE {role}{schema} GRANT {grant} TO {to}")


def _others(draw: Draw, state: State) -> None:
    name = state.qualified(draw)
    match draw(st.sampled_from(["collation", "search", "operator", "cast", "foreign", "schema"])):
        case "collation":
            state.add(f"CREATE COLLATION {name} (PROVIDER = libc, LOCALE = '{draw(st.sampled_from(['C', 'POSIX']))}')")
        case "search":
            state.add(f"CREATE TEXT SEARCH CONFIGURATION {name} (COPY = pg_catalog.english)")
            state.add(
                f"ALTER TEXT SEARCH CONFIGURATION {name} DROP MAPPING FOR {draw(st.sampled_from(['email', 'url', 'int']))}"
            )
        case "operator":
            schema = draw(st.sampled_from(SCHEMAS))
            state.add(
                f"CREATE OPERATOR {schema}.{'+' * (state.count % 40)}# (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)"
            )
        case "cast":
            state.add(
                f"CREATE TYPE {name} AS (a integer)",
                f"CREATE CAST ({name} AS text) WITH INOUT{_maybe(draw, ' AS ASSIGNMENT')}",
            )
        case "foreign":
            wrapper, server = state.name(draw), state.name(draw)
            state.add(
                f"CREATE FOREIGN DATA WRAPPER {wrapper}",
                f"CREATE SERVER {server} FOREIGN DATA WRAPPER {wrapper} OPTIONS (a 'b''c')",
            )
            state.add(
                f"CREATE FOREIGN TABLE {name} (a integer OPTIONS (x 'y'), b varchar CHECK (b IN ('a', 'b'))) SERVER {server}"
            )
        case "schema":
            schema = draw(st.sampled_from(SCHEMAS))
            state.add(f"GRANT USAGE ON SCHEMA {schema} TO {draw(st.sampled_from(ROLES))}")
            state.add(f"COMMENT ON SCHEMA {schema} IS {draw(st.sampled_from(TEXTS[1:]))}")


def _finish(draw: Draw, state: State, kind: str, name: str, rights: tuple[str, ...]) -> None:
    """Add what can be said of objects of most kinds."""
    if draw(st.integers(1, 3)) == 1:
        state.add(f"COMMENT ON {kind} {name} IS {draw(st.sampled_from(TEXTS[1:]))}")
    if rights and draw(st.integers(1, 2)) == 1:
        on = "TABLE" if kind.endswith(("VIEW", "TABLE")) else kind
        given = ", ".join(_some(draw, rights))
        option = _maybe(draw, " WITH GRANT OPTION", 3)
        state.add(f"GRANT {given} ON {on} {name} TO {', '.join(_some(draw, ROLES))}{option}")
    if rights and draw(st.integers(1, 5)) == 1:
        on = "TABLE" if kind.endswith(("VIEW", "TABLE")) else kind
        state.add(f"REVOKE {rights[0]} ON {on} {name} FROM {draw(st.sampled_from(['PUBLIC', 'CURRENT_USER']))}")
    if draw(st.integers(1, 5)) == 1:
        state.add(f"ALTER {kind} {name} OWNER TO {draw(st.sampled_from(ROLES))}")


MAKERS = (
    _type, _sequence, _routine, _table, _alter_column, _alter_column, _constraint, _constraint, _constraint, _index, _index,
    _view, _view, _trigger, _policy, _rule, _statistics, _publication, _defaults, _others,
)  # fmt: skip
