"""
DDL: an object's SQL, put together from what the server printed of it.

For reading, beside the properties in which two objects differ; it is not run by anything. Kinds whose SQL the server
does not print have none.
"""

import re

from pgrollout.catalog.model import Object, Value, quoted
from pgrollout.quoting import literal

_AFTER_EVENTS = re.compile(r" (?:FROM|NOT DEFERRABLE|DEFERRABLE|REFERENCING|FOR EACH) ")


def constraint(it: Object) -> str:
    """Return ALTER TABLE … ADD CONSTRAINT."""
    not_valid = " NOT VALID" if it.properties.get("not valid") else ""
    return (
        f"ALTER TABLE {_relation(it)} ADD CONSTRAINT {quoted(it.identity.name)} {_text(it, 'definition')}{not_valid};"
    )


def enum(it: Object) -> str:
    """Return CREATE TYPE … AS ENUM."""
    values = ", ".join(literal(value) for value in _list(it, "values"))
    return f"CREATE TYPE {_name(it)} AS ENUM ({values});"


def index(it: Object) -> str:
    """Return CREATE INDEX."""
    unique = "UNIQUE " if it.properties.get("unique") else ""
    only = "ONLY " if it.properties.get("only") else ""
    table = f"{quoted(it.identity.schema)}.{quoted(_text(it, 'table'))}"
    return f"CREATE {unique}INDEX {quoted(it.identity.name)} ON {only}{table} {_text(it, 'definition')};"


def policy(it: Object) -> str:
    """Return CREATE POLICY."""
    parts = [f"CREATE POLICY {quoted(it.identity.name)} ON {_relation(it)}"]
    if "kind" in it.properties:
        parts.append("AS RESTRICTIVE")
    parts.append(f"FOR {_text(it, 'command')} TO {', '.join(_list(it, 'roles'))}")
    if "using" in it.properties:
        parts.append(f"USING ({_text(it, 'using')})")
    if "with check" in it.properties:
        parts.append(f"WITH CHECK ({_text(it, 'with check')})")
    return "\n    ".join(parts) + ";"


def routine(it: Object) -> str:
    """Return CREATE FUNCTION or CREATE PROCEDURE."""
    attributes = [f"LANGUAGE {quoted(_text(it, 'language'))}"]
    for name in ("volatility", "parallel", "cost", "rows", "support"):
        if name in it.properties:
            word = "" if name == "volatility" else f"{name.upper()} "
            attributes.append(word + _text(it, name).upper() if name != "support" else word + _text(it, name))
    flags = ("window", "strict", "leakproof", "security definer")
    attributes += [name.upper() for name in flags if it.properties.get(name)]
    lines = [f"CREATE {it.identity.kind} {_name(it)}({_text(it, 'arguments')})"]
    if "returns" in it.properties:
        lines.append(f"RETURNS {_text(it, 'returns')}")
    lines.append(" ".join(attributes))
    lines += [f"SET {setting.replace('=', ' TO ', 1)}" for setting in _list(it, "settings")]
    body = _text(it, "body")
    if "library" in it.properties:
        lines.append(f"AS {literal(_text(it, 'library'))}, {literal(body)}")
    elif body.startswith(("BEGIN ATOMIC", "RETURN ")):
        lines.append(body)
    else:
        tag = "$$"
        while tag in body:
            tag = f"${tag.strip('$')}_$"
        lines.append(f"AS {tag}{body}{tag}")
    return "\n".join(lines) + ";"


def rule(it: Object) -> str:
    """Return CREATE RULE."""
    return f"CREATE RULE {quoted(it.identity.name)} {_text(it, 'definition').rstrip(';')};"


def sequence(it: Object) -> str:
    """Return CREATE SEQUENCE."""
    cycle = " CYCLE" if it.properties.get("cycle") else ""
    return (
        f"CREATE SEQUENCE {_name(it)} AS {_text(it, 'type')} START {_text(it, 'start')} "
        f"INCREMENT {_text(it, 'increment')} MINVALUE {_text(it, 'minimum')} MAXVALUE {_text(it, 'maximum')} "
        f"CACHE {it.properties.get('cache', '1')}{cycle};"
    )


def statistics(it: Object) -> str:
    """Return CREATE STATISTICS."""
    return f"CREATE STATISTICS {_name(it)} {_text(it, 'definition')};"


def trigger(it: Object) -> str:
    """Return CREATE TRIGGER."""
    kind, events = "TRIGGER", _text(it, "definition")
    if events.startswith("CONSTRAINT "):
        kind, events = "CONSTRAINT TRIGGER", events.removeprefix("CONSTRAINT ")
    end = _AFTER_EVENTS.search(events)
    at = end.start() if end else len(events)
    return f"CREATE {kind} {quoted(it.identity.name)} {events[:at]} ON {_relation(it)}{events[at:]};"


def view(it: Object) -> str:
    """Return CREATE VIEW or CREATE MATERIALIZED VIEW."""
    given = _list(it, "options") or _list(it, "storage parameters")
    options = f" WITH ({', '.join(given)})" if given else ""
    return f"CREATE {it.identity.kind} {_name(it)}{options} AS\n{_text(it, 'definition').rstrip(';')};"


def _name(it: Object) -> str:
    return f"{quoted(it.identity.schema)}.{quoted(it.identity.name)}"


def _relation(it: Object) -> str:
    return f"{quoted(it.identity.schema)}.{quoted(it.identity.relation)}"


def _text(it: Object, name: str) -> str:
    return str(it.properties.get(name, ""))


def _list(it: Object, name: str) -> tuple[str, ...]:
    value: Value = it.properties.get(name, ())
    return value if isinstance(value, tuple) else (str(value),)
