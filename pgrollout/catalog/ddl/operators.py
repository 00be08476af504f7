"""Operators, operator families and classes."""

from collections.abc import Iterator

from pgrollout.catalog.ddl import Parts, functions, list_of, name_of, operator_name, text_of
from pgrollout.catalog.model import Object, quoted


def operator(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE OPERATOR."""
    left, _, right = it.identity.detail.strip()[1:-1].partition(", ")
    if "(" in left and ")" not in left:  # numeric(5, 2) is no argument's type, but a quoted name may have a comma
        left, _, right = it.identity.detail.strip()[1:-1].rpartition(", ")
    said = [*functions(it, {"function": "FUNCTION"})]
    said += [f"{word} = {type_}" for word, type_ in (("LEFTARG", left), ("RIGHTARG", right)) if type_ != "NONE"]
    said += [
        f"{name.upper()} = {operator_name(text_of(it, name))}"
        for name in ("commutator", "negator")
        if name in it.properties
    ]
    said += functions(it, {"restrict": "RESTRICT", "join": "JOIN"})
    said += [name.upper() for name in ("hashes", "merges") if it.properties.get(name)]
    yield f"CREATE OPERATOR {quoted(it.identity.schema)}.{it.identity.name} (\n    " + ",\n    ".join(said) + "\n);"


def _members(it: Object) -> list[str]:
    operators = [f"OPERATOR {member}" for member in list_of(it, "operators")]
    return operators + [f"FUNCTION {member}" for member in list_of(it, "functions")]


def operator_family(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE OPERATOR FAMILY, and what was added to it."""
    yield f"CREATE OPERATOR FAMILY {name_of(it)}{it.identity.detail};"
    if members := _members(it):
        yield f"ALTER OPERATOR FAMILY {name_of(it)}{it.identity.detail} ADD\n    " + ",\n    ".join(members) + ";"


def operator_class(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE OPERATOR CLASS."""
    default = " DEFAULT" if it.properties.get("default") else ""
    storage = [f"STORAGE {text_of(it, 'storage')}"] if "storage" in it.properties else []
    members = _members(it) + storage or [f"STORAGE {text_of(it, 'type')}"]
    yield (
        f"CREATE OPERATOR CLASS {name_of(it)}{default} FOR TYPE {text_of(it, 'type')}{it.identity.detail} "
        f"FAMILY {text_of(it, 'family')} AS\n    " + ",\n    ".join(members) + ";"
    )
