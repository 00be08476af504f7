"""Constraints, indexes, rules, triggers, policies, statistics."""

import re
from collections.abc import Iterator

from pgrollout.catalog.ddl import (
    Later,
    Parts,
    is_its_own,
    list_of,
    name_of,
    parameters,
    relation_of,
    role_sql,
    switched,
    text_of,
)
from pgrollout.catalog.model import Object, quoted
from pgrollout.quoting import literal

_AFTER_EVENTS = re.compile(r" (?:FROM|NOT DEFERRABLE|DEFERRABLE|REFERENCING|FOR EACH) ")


def constraint_clause(it: Object) -> str:
    """Return the constraint as CREATE TABLE has it."""
    return f"CONSTRAINT {quoted(it.identity.name)} {text_of(it, 'definition')}"


def is_in_create_table(it: Object, parts: Parts) -> bool:
    """Whether CREATE TABLE has it: foreign keys come later, so that tables may refer to each other."""
    if text_of(it, "definition").startswith("FOREIGN KEY") or _is_not_valid(it):
        return False
    return is_its_own(it) or not parts.parents(it)


def _is_not_valid(it: Object) -> bool:
    # What is not enforced was never checked either, and says so itself.
    return bool(it.properties.get("not valid")) and not text_of(it, "definition").endswith("NOT ENFORCED")


def constraint(it: Object, parts: Parts) -> Iterator[str]:
    """Yield ALTER TABLE … ADD CONSTRAINT; what a child inherits comes by itself."""
    not_valid = " NOT VALID" if _is_not_valid(it) else ""
    if parts.parents(it) and not is_its_own(it):
        yield ""
    else:
        statement = f"ALTER TABLE {relation_of(it)} ADD {constraint_clause(it)}{not_valid};"
        yield Later(statement) if text_of(it, "definition").startswith("FOREIGN KEY") else statement
    index = name_of(it)
    if "index storage parameters" in it.properties:
        yield f"ALTER INDEX {index} SET ({', '.join(parameters(list_of(it, 'index storage parameters')))});"
    yield from _targets(it, "index statistics targets")
    if "index comment" in it.properties:
        yield f"COMMENT ON INDEX {index} IS {literal(text_of(it, 'index comment'))};"


def index(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE INDEX, and ATTACH PARTITION."""
    unique = "UNIQUE " if it.properties.get("unique") else ""
    only = "ONLY " if it.properties.get("only") else ""
    table = f"{quoted(it.identity.schema)}.{quoted(text_of(it, 'table'))}"
    statement = f"CREATE {unique}INDEX {quoted(it.identity.name)} ON {only}{table} {text_of(it, 'definition')};"
    # A partition that is made after its table's index has one already, of another name.
    yield Later(statement) if only or "attached to" in it.properties else statement
    yield from _targets(it, "statistics targets")
    if "attached to" in it.properties:
        yield f"ALTER INDEX {text_of(it, 'attached to')} ATTACH PARTITION {name_of(it)};"


def _targets(it: Object, name: str) -> Iterator[str]:
    for said in list_of(it, name):
        column, _, target = said.partition(": ")
        yield f"ALTER INDEX {name_of(it)} ALTER COLUMN {column} SET STATISTICS {target};"


def rule(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE RULE."""
    yield f"CREATE RULE {quoted(it.identity.name)} {text_of(it, 'definition').rstrip(';')};"
    yield from switched(it, "RULE")


def trigger(it: Object, parts: Parts) -> Iterator[str]:
    """Yield CREATE TRIGGER; a partition has its parent's."""
    kind, events = "TRIGGER", text_of(it, "definition")
    if events.startswith("CONSTRAINT "):
        kind, events = "CONSTRAINT TRIGGER", events.removeprefix("CONSTRAINT ")
    end = _AFTER_EVENTS.search(events)
    at = end.start() if end else len(events)
    inherited = bool(parts.parents(it))
    yield (
        ""
        if inherited
        else f"CREATE {kind} {quoted(it.identity.name)} {events[:at]} ON {relation_of(it)}{events[at:]};"
    )
    yield from switched(it, "TRIGGER")


def policy(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE POLICY."""
    lines = [f"CREATE POLICY {quoted(it.identity.name)} ON {relation_of(it)}"]
    if "kind" in it.properties:
        lines.append("AS RESTRICTIVE")
    lines.append(f"FOR {text_of(it, 'command')} TO {', '.join(role_sql(role) for role in list_of(it, 'roles'))}")
    if "using" in it.properties:
        lines.append(f"USING ({text_of(it, 'using')})")
    if "with check" in it.properties:
        lines.append(f"WITH CHECK ({text_of(it, 'with check')})")
    yield "\n    ".join(lines) + ";"


def statistics(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE STATISTICS."""
    yield f"CREATE STATISTICS {name_of(it)} {text_of(it, 'definition')};"
    if "target" in it.properties:
        yield f"ALTER STATISTICS {name_of(it)} SET STATISTICS {text_of(it, 'target')};"
