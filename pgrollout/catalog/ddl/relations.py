"""Tables and foreign tables with their columns, views, sequences."""

from collections.abc import Iterator

from pgrollout.catalog.ddl import (
    Later,
    Parts,
    is_its_own,
    list_of,
    name_of,
    options_sql,
    parameters,
    relation_of,
    role_sql,
    text_of,
)
from pgrollout.catalog.ddl.table_parts import constraint_clause, is_in_create_table
from pgrollout.catalog.model import MIGRATING_ROLE, Object, quoted
from pgrollout.quoting import literal


def table(it: Object, parts: Parts) -> Iterator[str]:
    """Yield CREATE TABLE with its columns and constraints, foreign keys excepted, and what is set by ALTER TABLE."""
    name, kind, typed = name_of(it), it.identity.kind, "of type" in it.properties
    attached = _is_attached(it, parts)
    unlogged = "UNLOGGED " if "persistence" in it.properties else ""
    body = [
        _definition(column, parts, typed=typed)
        for column in parts.of(it, "COLUMN")
        if attached or (_says_more(column) if typed else _is_local(column, parts))
    ]
    body += [clause for column in parts.of(it, "COLUMN") if not attached and (clause := _own_not_null(column, parts))]
    # What is attached must have the parent's checks already.
    body += [
        constraint_clause(one)
        for one in parts.of(it, "CONSTRAINT")
        if is_in_create_table(one, parts) or (attached and text_of(one, "definition").startswith("CHECK"))
    ]
    head = f"CREATE {unlogged}{kind} {name}"
    if typed:
        head += f" OF {text_of(it, 'of type')}"
    if "partition of" in it.properties and not attached:
        head += f" PARTITION OF {text_of(it, 'partition of')}"
    if body:
        head += " (\n    " + ",\n    ".join(body) + "\n)"
    elif not typed and ("partition of" not in it.properties or attached):
        head += " ()"
    yield head + _clauses(it, attached) + ";"
    if attached:
        yield f"ALTER TABLE {text_of(it, 'partition of')} ATTACH PARTITION {name} {text_of(it, 'partition bound')};"
    yield from _secured(it)
    yield from _indexed(it)


def _clauses(it: Object, attached: bool) -> str:
    clauses = []
    if "inherits" in it.properties:
        clauses.append(f"INHERITS ({', '.join(list_of(it, 'inherits'))})")
    if "partition of" in it.properties and not attached:
        clauses.append(text_of(it, "partition bound"))
    if "partition key" in it.properties:
        clauses.append(f"PARTITION BY {text_of(it, 'partition key')}")
    if "server" in it.properties:
        clauses.append(f"SERVER {quoted(text_of(it, 'server'))}{options_sql(it)}")
    if "access method" in it.properties:
        clauses.append(f"USING {quoted(text_of(it, 'access method'))}")
    storage = [
        *parameters(list_of(it, "storage parameters")),
        *parameters(list_of(it, "toast storage parameters"), "toast."),
    ]
    if storage:
        clauses.append(f"WITH ({', '.join(storage)})")
    return "".join(f"\n{clause}" for clause in clauses)


def _indexed(it: Object) -> Iterator[str]:
    alter = f"ALTER TABLE {name_of(it)}"
    if "clustered on" in it.properties:
        yield Later(f"ALTER {it.identity.kind} {name_of(it)} CLUSTER ON {quoted(text_of(it, 'clustered on'))};")
    if identity := text_of(it, "replica identity"):
        yield Later(f"{alter} REPLICA IDENTITY {identity.replace('INDEX', 'USING INDEX', 1)};")


def _secured(it: Object) -> Iterator[str]:
    alter = f"ALTER TABLE {name_of(it)}"
    if "row level security" in it.properties:
        yield f"{alter} ENABLE ROW LEVEL SECURITY;"
    if "row level security for the owner" in it.properties:
        yield f"{alter} FORCE ROW LEVEL SECURITY;"


def _is_attached(it: Object, parts: Parts) -> bool:
    """Whether a partition must be made as a table of its own first: its columns stand in another order than the parent's."""
    return "partition of" in it.properties and any(
        of.properties.get("columns") != it.properties.get("columns") for of in parts.parents(it)
    )


def _is_local(column: Object, parts: Parts) -> bool:
    """Whether the table itself says that it has the column."""
    return is_its_own(column) or not parts.parents(column)


def _says_more(column: Object) -> bool:
    return any(name in column.properties for name in ("not null", "default", "generated", "identity"))


def _own_not_null(column: Object, parts: Parts) -> str:
    """Return the table's own name for an inherited column's NOT NULL; empty without one."""
    named = text_of(column, "not null constraint")
    inherited = [text_of(of, "not null constraint") for of in parts.parents(column)]
    if not named or not inherited or named in inherited or is_its_own(column):
        return ""
    return f"CONSTRAINT {quoted(named)} NOT NULL {quoted(column.identity.name)}"


def _definition(it: Object, parts: Parts, *, typed: bool = False) -> str:
    """Return the column as CREATE TABLE has it."""
    words = [quoted(it.identity.name), "WITH OPTIONS" if typed else text_of(it, "type")]
    if "foreign options" in it.properties:
        words.append(options_sql(it, "foreign options").strip())
    if "compression" in it.properties:
        words.append(f"COMPRESSION {text_of(it, 'compression')}")
    if "collation" in it.properties:
        words.append(f"COLLATE {text_of(it, 'collation')}")
    if it.properties.get("not null") and "not null not valid" not in it.properties:
        if named := text_of(it, "not null constraint"):
            words.append(f"CONSTRAINT {quoted(named)}")
        words.append("NOT NULL" + (" NO INHERIT" if "not null no inherit" in it.properties else ""))
    if "default" in it.properties:
        words.append(f"DEFAULT {text_of(it, 'default')}")
    if generated := text_of(it, "generated"):
        how, _, expression = generated.partition(" ")
        words.append(f"GENERATED ALWAYS AS ({expression}) {how.upper()}")
    if identity := text_of(it, "identity"):
        options = "".join(_identity_options(it, one) for one in parts.of(it, "SEQUENCE"))
        words.append(f"GENERATED {identity.upper()} AS IDENTITY" + (f" ({options.strip()})" if options else ""))
    return " ".join(words)


def _identity_options(column: Object, sequence: Object) -> str:
    own = column.identity
    usual = own._replace(kind="SEQUENCE", relation="", name=f"{own.relation}_{own.name}_seq")
    named = "" if sequence.identity == usual else f" SEQUENCE NAME {name_of(sequence)}"
    return named + _sequence_options(sequence)


def column(it: Object, parts: Parts) -> Iterator[str]:
    """Yield ALTER TABLE … ADD COLUMN, and what is set by ALTER COLUMN."""
    whole = next((of for of in parts.wholes(it) if of.identity.kind != "COLUMN"), None)
    kind = whole.identity.kind if whole else "TABLE"
    # What children have is said of them.
    only = "ONLY " if kind == "TABLE" else ""
    alter, column = f"ALTER {kind} {only}{relation_of(it)}", quoted(it.identity.name)
    if kind == "TYPE":
        collation = f" COLLATE {text_of(it, 'collation')}" if "collation" in it.properties else ""
        yield f"{alter} ADD ATTRIBUTE {column} {text_of(it, 'type')}{collation};"
        return
    if kind in ("VIEW", "MATERIALIZED VIEW"):
        yield ""
        if "default" in it.properties:
            yield f"{alter} ALTER COLUMN {column} SET DEFAULT {text_of(it, 'default')};"
    elif (inherited := parts.parents(it)) or (whole and "of type" in whole.properties):
        yield ""
        if inherited and not (whole and _is_attached(whole, parts)):
            yield from _overridden(it, inherited, f"{alter} ALTER COLUMN {column}")
    else:
        yield f"ALTER {kind} {relation_of(it)} ADD COLUMN {_definition(it, parts)};"
    named = text_of(it, "not null constraint") or f"{it.identity.relation}_{it.identity.name}_not_null"
    if "not null not valid" in it.properties:
        yield f"{alter} ADD CONSTRAINT {quoted(named)} NOT NULL {column} NOT VALID;"
    if "not null comment" in it.properties:
        said = literal(text_of(it, "not null comment"))
        yield f"COMMENT ON CONSTRAINT {quoted(named)} ON {relation_of(it)} IS {said};"
    for name, word in (("statistics target", "STATISTICS"), ("storage", "STORAGE")):
        if name in it.properties:
            yield f"{alter} ALTER COLUMN {column} SET {word} {text_of(it, name).upper()};"
    if "options" in it.properties:
        yield f"{alter} ALTER COLUMN {column} SET ({', '.join(parameters(list_of(it, 'options')))});"


def _overridden(it: Object, inherited: list[Object], alter: str) -> Iterator[str]:
    """Yield what a child changed of what it inherits."""
    first = inherited[0].properties
    for name, said, unsaid in (("default", "SET DEFAULT {}", "DROP DEFAULT"), ("not null", "SET NOT NULL", "")):
        own = is_its_own(it) and name in it.properties  # said when it was made
        if it.properties.get(name) != first.get(name) and not own:
            change = said.format(text_of(it, name)) if name in it.properties else unsaid
            if change:
                yield f"{alter} {change};"


def view(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE VIEW or CREATE MATERIALIZED VIEW."""
    method = f"\nUSING {quoted(text_of(it, 'access method'))}" if "access method" in it.properties else ""
    given = [
        *parameters(list_of(it, "options") or list_of(it, "storage parameters")),
        *parameters(list_of(it, "toast storage parameters"), "toast."),
    ]
    options = f" WITH ({', '.join(given)})" if given else ""
    kind = it.identity.kind
    yield f"CREATE {kind} {name_of(it)}{method}{options} AS\n{text_of(it, 'definition').rstrip(';')};"
    yield from _indexed(it)


def sequence(it: Object, parts: Parts) -> Iterator[str]:
    """Yield CREATE SEQUENCE; that of an identity column is made with the column."""
    owned = text_of(it, "owned by")
    if owned.endswith(" (identity)"):
        return
    unlogged = "UNLOGGED " if "persistence" in it.properties else ""
    yield f"CREATE {unlogged}SEQUENCE {name_of(it)} AS {text_of(it, 'type')}{_sequence_options(it)};"
    if owned:
        # The two must have one owner.
        owner = next((text_of(of, "owner") for of in parts.wholes(it)), MIGRATING_ROLE)
        if owner != MIGRATING_ROLE:
            yield Later(f"ALTER SEQUENCE {name_of(it)} OWNER TO {role_sql(owner)};")
        yield Later(f"ALTER SEQUENCE {name_of(it)} OWNED BY {owned};")


def _sequence_options(it: Object) -> str:
    """Return the options that a sequence does not have by itself, each with a space before."""
    largest = 2 ** ({"smallint": 16, "integer": 32}.get(text_of(it, "type"), 64) - 1)
    rises = not text_of(it, "increment").startswith("-")
    minimum, maximum = ("1", str(largest - 1)) if rises else (str(-largest), "-1")
    start = text_of(it, "minimum" if rises else "maximum")
    usual = {"increment": "1", "minimum": minimum, "maximum": maximum, "start": start}
    words = {"increment": "INCREMENT BY", "minimum": "MINVALUE", "maximum": "MAXVALUE", "start": "START WITH"}
    said = [f" {words[name]} {text_of(it, name)}" for name, value in usual.items() if text_of(it, name) != value]
    if "cache" in it.properties:
        said.append(f" CACHE {text_of(it, 'cache')}")
    return "".join([*said, *([" CYCLE"] if it.properties.get("cycle") else [])])
