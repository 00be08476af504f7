"""Types, domains, casts, collations, conversions."""

from collections.abc import Iterator

from pgrollout.catalog.ddl import Parts, function_name, functions, list_of, name_of, relation_of, settings, text_of
from pgrollout.catalog.ddl.table_parts import constraint_clause
from pgrollout.catalog.model import Object, quoted
from pgrollout.quoting import literal

_ALIGNMENTS = {"c": "char", "s": "int2", "i": "int4", "d": "double"}


def enum(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE TYPE … AS ENUM."""
    yield f"CREATE TYPE {name_of(it)} AS ENUM ({', '.join(literal(value) for value in list_of(it, 'values'))});"


def type_(it: Object, parts: Parts) -> Iterator[str]:
    """Yield CREATE TYPE of a composite, a base or a shell type."""
    form = text_of(it, "form")
    if form == "composite":
        attributes = [
            f"{quoted(one.identity.name)} {text_of(one, 'type')}"
            + (f" COLLATE {text_of(one, 'collation')}" if "collation" in one.properties else "")
            for one in parts.of(it, "COLUMN")
        ]
        yield (
            f"CREATE TYPE {name_of(it)} AS ("
            + ("\n    " + ",\n    ".join(attributes) + "\n" if attributes else "")
            + ");"
        )
        return
    yield f"CREATE TYPE {name_of(it)};"
    if form == "base":
        yield f"CREATE TYPE {name_of(it)} (\n    " + ",\n    ".join(_base(it)) + "\n);"


def _base(it: Object) -> Iterator[str]:
    yield from functions(it, {name: name.upper() for name in ("input", "output", "receive", "send")})
    yield from functions(it, {"typmod input": "TYPMOD_IN", "typmod output": "TYPMOD_OUT", "analyze": "ANALYZE"})
    yield from functions(it, {"subscript": "SUBSCRIPT"})
    length = text_of(it, "length")
    yield f"INTERNALLENGTH = {'VARIABLE' if length == '-1' else length}"
    if it.properties.get("passed by value"):
        yield "PASSEDBYVALUE"
    yield f"ALIGNMENT = {_ALIGNMENTS[text_of(it, 'alignment')]}"
    yield f"STORAGE = {text_of(it, 'storage')}"
    yield f"CATEGORY = {literal(text_of(it, 'category'))}"
    yield f"DELIMITER = {literal(text_of(it, 'delimiter'))}"
    yield from settings(it, {"preferred": "PREFERRED", "collatable": "COLLATABLE", "element": "ELEMENT"})
    if "default" in it.properties:
        yield f"DEFAULT = {literal(text_of(it, 'default'))}"


def domain(it: Object, parts: Parts) -> Iterator[str]:
    """Yield CREATE DOMAIN with its constraints."""
    lines = [f"CREATE DOMAIN {name_of(it)} AS {text_of(it, 'type')}"]
    if "collation" in it.properties:
        lines[0] += f" COLLATE {text_of(it, 'collation')}"
    if "default" in it.properties:
        lines.append(f"DEFAULT {text_of(it, 'default')}")
    if it.properties.get("not null"):
        lines.append("NOT NULL")
    lines += [constraint_clause(one) for one in parts.of(it, "DOMAIN CONSTRAINT") if "not valid" not in one.properties]
    yield "\n    ".join(lines) + ";"


def domain_constraint(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield ALTER DOMAIN … ADD CONSTRAINT."""
    not_valid = " NOT VALID" if it.properties.get("not valid") else ""
    yield f"ALTER DOMAIN {relation_of(it)} ADD {constraint_clause(it)}{not_valid};"


def range_(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE TYPE … AS RANGE."""
    said = settings(
        it,
        {
            "subtype": "SUBTYPE",
            "operator class": "SUBTYPE_OPCLASS",
            "collation": "COLLATION",
            "multirange type": "MULTIRANGE_TYPE_NAME",
        },
    )
    said += functions(it, {"canonical": "CANONICAL", "subtype diff": "SUBTYPE_DIFF"})
    if "canonical" in it.properties:
        yield f"CREATE TYPE {name_of(it)};"
    yield f"CREATE TYPE {name_of(it)} AS RANGE ({', '.join(said)});"


def cast(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE CAST."""
    method = {"function": f"WITH FUNCTION {text_of(it, 'function')}", "inout": "WITH INOUT"}
    context = text_of(it, "context")
    how = "" if context == "explicit" else f" AS {context.upper()}"
    yield f"CREATE CAST {it.identity.detail} {method.get(text_of(it, 'method'), 'WITHOUT FUNCTION')}{how};"


def collation(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE COLLATION."""
    said = [f"PROVIDER = {text_of(it, 'provider')}"]
    said += [
        f"{word} = {literal(text_of(it, name))}"
        for name, word in {
            "lc_collate": "LC_COLLATE",
            "lc_ctype": "LC_CTYPE",
            "locale": "LOCALE",
            "rules": "RULES",
        }.items()
        if name in it.properties
    ]
    if it.properties.get("deterministic") is False:
        said.append("DETERMINISTIC = false")
    yield f"CREATE COLLATION {name_of(it)} ({', '.join(said)});"


def conversion(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE CONVERSION."""
    default = "DEFAULT " if it.properties.get("default") else ""
    source, destination = (literal(text_of(it, f"{side} encoding")) for side in ("source", "destination"))
    yield (
        f"CREATE {default}CONVERSION {name_of(it)} FOR {source} TO {destination} "
        f"FROM {function_name(text_of(it, 'function'))};"
    )
