"""
Exported catalogs: a catalog as JSON that a person, a program and a later version of us can read, and back.

One object a line, so that two files can be compared by anybody's tools. Secrets in texts are masked, so what is read back
is equal to the catalog as ``masked_catalog`` gives it.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pgrollout.catalog.fingerprint import digest, fingerprint
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.listing import selected
from pgrollout.catalog.model import Catalog, Identity, Object, Value
from pgrollout.catalog.rows import ordered
from pgrollout.errors import StoredCatalogUnreadable
from pgrollout.secrets import mask_statement

FORMAT_VERSION = 1


def masked_catalog(catalog: Catalog) -> Catalog:
    """Return the catalog with the secrets in its texts masked."""
    return replace(
        catalog,
        objects={
            identity: replace(it, properties={name: masked_value(value) for name, value in it.properties.items()})
            for identity, it in catalog.objects.items()
        },
    )


def masked_value(value: Value) -> Value:
    """Return a property's value with the secrets in it masked."""
    if isinstance(value, str):
        return mask_statement(value)
    return tuple(mask_statement(member) for member in value) if isinstance(value, tuple) else value


def exported(catalog: Catalog, label: str, scope: str, pattern: str | None = None) -> str:
    """
    Return the catalog as JSON.

    Args:
        catalog: The catalog.
        label: What it is of, for people.
        scope: What was looked at, as JSON.
        pattern: Objects to which it is limited; what is read back must be whole.
    """
    head = {
        "format_version": FORMAT_VERSION,
        "schema": label,
        "server_version": catalog.server_version,
        "database": catalog.database,
        "fingerprint": fingerprint(catalog),
        "scope": json.loads(scope),
        **({"only": pattern} if pattern else {}),
    }
    objects = masked_catalog(catalog).objects.values()
    lines = ",\n".join(_line(it) for it in (selected(objects, pattern) if pattern else objects))
    return f'{json.dumps(head, ensure_ascii=False, indent=2)[:-2]},\n  "objects": [\n{lines}\n]}}'


def imported(text: str) -> tuple[Catalog, str | None]:
    """
    Return the catalog that the JSON holds, and what was looked at.

    Raises:
        StoredCatalogUnreadable: It holds none, only a part of one, or one of a later format.
    """
    try:
        read: dict[str, Any] = json.loads(text)
        if read["format_version"] != FORMAT_VERSION:
            raise StoredCatalogUnreadable(
                f"its format is {read['format_version']}, and this version reads {FORMAT_VERSION}"
            )
        if "only" in read:
            raise StoredCatalogUnreadable(f"it has only the objects {read['only']!r}, not the whole schema")
        objects = [_object(row) for row in read["objects"]]
        scope = json.dumps(read["scope"], sort_keys=True)
        return Catalog(int(read["server_version"]), ordered(objects), str(read["database"])), scope
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoredCatalogUnreadable(f"it holds no schema ({type(error).__name__}: {error})") from error


def _line(it: Object) -> str:
    return json.dumps(dict(_fields(it)), ensure_ascii=False)


def _fields(it: Object) -> Iterator[tuple[str, Any]]:
    own = it.identity
    yield "object", str(own)
    yield from ((field, value) for field, value in zip(own._fields, own, strict=True) if value)
    yield "properties", it.properties
    if it.part_of:
        yield "part_of", it.part_of
    yield "number", it.number
    yield "digest", digest(it)


def _object(row: dict[str, Any]) -> Object:
    identity = Identity(*(str(row.get(field, "")) for field in Identity._fields))
    for of in (identity, *(Identity(*of) for of in row.get("part_of", ()))):
        if of.kind not in BY_NAME:
            raise ValueError(f"unknown kind {of.kind!r}")
    said: dict[str, Value] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row["properties"].items()
    }
    oid, number = row["number"]
    return Object(identity, said, tuple(Identity(*of) for of in row.get("part_of", ())), (int(oid), int(number)))
