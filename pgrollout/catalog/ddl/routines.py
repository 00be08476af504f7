"""Functions, procedures, aggregates."""

from collections.abc import Iterator

from pgrollout.catalog.ddl import Parts, function_name, functions, list_of, name_of, operator_name, text_of
from pgrollout.catalog.model import Object, quoted
from pgrollout.quoting import literal

_LISTS = frozenset({"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"})
"""Settings that the server keeps as a list of quoted names."""


def routine(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE FUNCTION or CREATE PROCEDURE."""
    lines = [f"CREATE {it.identity.kind} {name_of(it)}({text_of(it, 'arguments')})"]
    if "returns" in it.properties:
        lines.append(f"RETURNS {text_of(it, 'returns')}")
    lines.append(" ".join(_attributes(it)))
    for setting in list_of(it, "settings"):
        key, _, value = setting.partition("=")
        lines.append(f"SET {quoted(key)} TO {value if key in _LISTS else literal(value)}")
    body = text_of(it, "body")
    if "library" in it.properties:
        lines.append(f"AS {literal(text_of(it, 'library'))}, {literal(body)}")
    elif body.startswith(("BEGIN ATOMIC", "RETURN ")) and text_of(it, "language") == "sql":
        lines.append(body)
    else:
        tag = "$$"
        while tag in body:
            tag = f"${tag.strip('$')}_$"
        lines.append(f"AS {tag}{body}{tag}")
    yield "\n".join(lines) + ";"


def _attributes(it: Object) -> Iterator[str]:
    yield f"LANGUAGE {quoted(text_of(it, 'language'))}"
    if "transforms" in it.properties:
        yield "TRANSFORM " + ", ".join(f"FOR TYPE {one}" for one in list_of(it, "transforms"))
    if "volatility" in it.properties:
        yield text_of(it, "volatility").upper()
    if "parallel" in it.properties:
        yield f"PARALLEL {text_of(it, 'parallel').upper()}"
    for name in ("cost", "rows"):
        if name in it.properties:
            yield f"{name.upper()} {text_of(it, name)}"
    if "support" in it.properties:
        yield f"SUPPORT {function_name(text_of(it, 'support'))}"
    yield from (
        name.upper() for name in ("window", "strict", "leakproof", "security definer") if it.properties.get(name)
    )


def aggregate_address(it: Object) -> str:
    """Return how other statements name an aggregate."""
    return f"AGGREGATE {name_of(it)}({text_of(it, 'arguments') or '*'})"


def aggregate(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE AGGREGATE."""
    said = [
        *functions(it, {"sfunc": "SFUNC"}),
        *_settings(it, "stype", "sspace"),
        *functions(it, {"finalfunc": "FINALFUNC"}),
        *_extra(it, "finalfunc"),
        *functions(it, {name: name.upper() for name in ("combinefunc", "serialfunc", "deserialfunc")}),
        *_initial(it, "initcond"),
        *functions(it, {"msfunc": "MSFUNC", "minvfunc": "MINVFUNC"}),
        *_settings(it, "mstype", "msspace"),
        *functions(it, {"mfinalfunc": "MFINALFUNC"}),
        *_extra(it, "mfinalfunc"),
        *_initial(it, "minitcond"),
    ]
    if "sort operator" in it.properties:
        said.append(f"SORTOP = {operator_name(text_of(it, 'sort operator'))}")
    if "parallel" in it.properties:
        said.append(f"PARALLEL = {text_of(it, 'parallel').upper()}")
    if text_of(it, "form") == "hypothetical set":
        said.append("HYPOTHETICAL")
    yield f"CREATE {aggregate_address(it)} (\n    " + ",\n    ".join(said) + "\n);"


def _settings(it: Object, *names: str) -> list[str]:
    return [f"{name.upper()} = {text_of(it, name)}" for name in names if name in it.properties]


def _extra(it: Object, name: str) -> Iterator[str]:
    if it.properties.get(f"{name} extra"):
        yield f"{name.upper()}_EXTRA"
    if name in it.properties:
        yield f"{name.upper()}_MODIFY = {text_of(it, f'{name} modify').upper().replace(' ', '_')}"


def _initial(it: Object, name: str) -> Iterator[str]:
    if name in it.properties:
        yield f"{name.upper()} = {literal(text_of(it, name))}"
