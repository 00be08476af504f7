"""Schemas, extensions, languages, text search, foreign data, replication, default privileges."""

import re
from collections.abc import Iterator

from pgrollout.catalog.ddl import Parts, function_name, functions, list_of, name_of, options_sql, role_sql, text_of
from pgrollout.catalog.model import Object, quoted
from pgrollout.quoting import literal


def schema(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE SCHEMA; every database has public."""
    yield f"CREATE SCHEMA {'IF NOT EXISTS ' if it.identity.schema == 'public' else ''}{quoted(it.identity.schema)};"


def extension(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE EXTENSION."""
    yield (
        f"CREATE EXTENSION IF NOT EXISTS {name_of(it)} WITH SCHEMA {quoted(text_of(it, 'schema'))} "
        f"VERSION {literal(text_of(it, 'version'))};"
    )


def language(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE LANGUAGE."""
    words = [f"CREATE {'TRUSTED ' if it.properties.get('trusted') else ''}LANGUAGE {name_of(it)}"]
    words += [
        f"{word} {function_name(text_of(it, name))}"
        for name, word in {"handler": "HANDLER", "inline handler": "INLINE", "validator": "VALIDATOR"}.items()
        if name in it.properties
    ]
    yield " ".join(words) + ";"


def transform(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE TRANSFORM."""
    ways = {"from sql": "FROM SQL", "to sql": "TO SQL"}
    said = [f"{word} WITH FUNCTION {text_of(it, name)}" for name, word in ways.items() if name in it.properties]
    yield f"CREATE TRANSFORM {it.identity.detail} ({', '.join(said)});"


def access_method(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE ACCESS METHOD."""
    handler = function_name(text_of(it, "handler"))
    yield f"CREATE ACCESS METHOD {name_of(it)} TYPE {text_of(it, 'type')} HANDLER {handler};"


def text_search(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE TEXT SEARCH PARSER, TEMPLATE, DICTIONARY or CONFIGURATION."""
    names = ("start", "gettoken", "end", "headline", "lextypes", "init", "lexize")
    said = functions(it, {name: name.upper() for name in names})
    said += [f"{name.upper()} = {text_of(it, name)}" for name in ("template", "parser") if name in it.properties]
    if options := text_of(it, "options"):
        said.append(options)
    yield f"CREATE {it.identity.kind} {name_of(it)} ({', '.join(said)});"
    for mapping in list_of(it, "mappings"):
        token, _, dictionaries = mapping.partition(": ")
        yield f"ALTER {it.identity.kind} {name_of(it)} ADD MAPPING FOR {token} WITH {dictionaries};"


def foreign_data_wrapper(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE FOREIGN DATA WRAPPER."""
    words = [
        f" {name.upper()} {function_name(text_of(it, name))}"
        for name in ("handler", "validator")
        if name in it.properties
    ]
    yield f"CREATE FOREIGN DATA WRAPPER {name_of(it)}{''.join(words)}{options_sql(it)};"


def server(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE SERVER."""
    words = [f" {name.upper()} {literal(text_of(it, name))}" for name in ("type", "version") if name in it.properties]
    wrapper = quoted(text_of(it, "foreign data wrapper"))
    yield f"CREATE SERVER {name_of(it)}{''.join(words)} FOREIGN DATA WRAPPER {wrapper}{options_sql(it)};"


def user_mapping(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE USER MAPPING."""
    role, _, server = it.identity.detail.removeprefix("FOR ").rpartition(" SERVER ")
    yield f"CREATE USER MAPPING FOR {role_sql(role)} SERVER {server}{options_sql(it)};"


def publication(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE PUBLICATION."""
    what = [f"TABLE {_filtered(table)}" for table in list_of(it, "tables")]
    what += [f"TABLES IN SCHEMA {quoted(one)}" for one in list_of(it, "tables in schemas")]
    if it.properties.get("all tables"):
        what = ["ALL TABLES"]
    said = [f"publish = {literal(', '.join(list_of(it, 'publish')))}"]
    if it.properties.get("publish via partition root"):
        said.append("publish_via_partition_root = true")
    if "publish generated columns" in it.properties:
        said.append(f"publish_generated_columns = {text_of(it, 'publish generated columns')}")
    for_ = f" FOR {', '.join(what)}" if what else ""
    yield f"CREATE PUBLICATION {name_of(it)}{for_} WITH ({', '.join(said)});"


def _filtered(table: str) -> str:
    name, where, condition = table.partition(" WHERE ")
    return f"{name} WHERE ({condition})" if where else name


_OPTIONS = ("binary", "two phase", "disable on error", "run as owner", "failover")


def subscription(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE SUBSCRIPTION without where it connects to, which is not read."""
    slot = quoted(text_of(it, "slot name")) if "slot name" in it.properties else "NONE"
    said = ["connect = false", "enabled = false", "create_slot = false", f"slot_name = {slot}"]
    said += [
        f"{name.replace(' ', '_')} = {literal(text_of(it, name))}"
        for name in ("synchronous commit", "streaming", "origin")
        if name in it.properties
    ]
    said += [f"{name.replace(' ', '_')} = true" for name in _OPTIONS if it.properties.get(name)]
    if it.properties.get("password required") is False:
        said.append("password_required = false")
    publications = ", ".join(quoted(one) for one in list_of(it, "publications"))
    yield f"CREATE SUBSCRIPTION {name_of(it)} CONNECTION '' PUBLICATION {publications} WITH ({', '.join(said)});"
    if it.properties.get("enabled"):
        yield f"ALTER SUBSCRIPTION {name_of(it)} ENABLE;"


def event_trigger(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield CREATE EVENT TRIGGER."""
    tags = ", ".join(literal(tag) for tag in list_of(it, "tags"))
    when = f" WHEN TAG IN ({tags})" if tags else ""
    yield (
        f"CREATE EVENT TRIGGER {name_of(it)} ON {text_of(it, 'event')}{when} "
        f"EXECUTE FUNCTION {text_of(it, 'function')};"
    )
    how = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}.get(text_of(it, "enabled"))
    if how:
        yield f"ALTER EVENT TRIGGER {name_of(it)} {how};"


_DEFAULTS = re.compile(r'FOR (?P<role>.*?)(?: IN (?P<schema>"(?:[^"]|"")*"|\S+))? ON (?P<objects>[A-Z ]+)')


def default_privileges(it: Object, _parts: Parts) -> Iterator[str]:
    """Yield ALTER DEFAULT PRIVILEGES."""
    if (found := _DEFAULTS.fullmatch(it.identity.detail)) is None:
        return
    owner = role_sql(found["role"])
    alter = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner}"
    if found["schema"]:
        alter += f" IN SCHEMA {found['schema']}"
    for property, verb, to in (("revoked", "REVOKE", "FROM"), ("granted", "GRANT", "TO")):
        for grant in list_of(it, property):
            role, _, privilege = grant.rpartition(": ")
            privilege, option, _ = privilege.partition(" WITH GRANT OPTION")
            role = owner if role == "the owner" else role_sql(role)
            yield f"{alter} {verb} {privilege} ON {found['objects']} {to} {role}{option};"
