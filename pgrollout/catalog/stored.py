"""
Stored catalogs: a catalog as compressed bytes, as the ledger keeps it, and back.

JSON, compressed: readable without us, and by whatever version of us comes later.
"""

import json
import zlib
from itertools import groupby
from typing import Any

from pgrollout.catalog.model import Catalog, Identity, Object, Value
from pgrollout.catalog.rows import ordered
from pgrollout.errors import StoredCatalogUnreadable

FORMAT_VERSION = 1


def stored(catalog: Catalog) -> bytes:
    """Return the catalog as compressed JSON."""
    kinds = [
        {
            "kind": kind,
            "objects": [
                [
                    *it.identity[1:],
                    list(it.properties.items()),
                    [list(of) for of in it.part_of],
                    list(it.number),
                ]
                for it in objects
            ],
        }
        for kind, objects in groupby(sorted(catalog.objects.values(), key=_kind), key=_kind)
    ]
    content = {
        "format_version": FORMAT_VERSION,
        "server_version": catalog.server_version,
        "database": catalog.database,
        "kinds": kinds,
    }
    return zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), 9)


def loaded(content: bytes) -> Catalog:
    """
    Return the catalog that these bytes hold.

    Raises:
        StoredCatalogUnreadable: They hold none, or one of a later format.
    """
    try:
        read: dict[str, Any] = json.loads(zlib.decompress(content))
        if read["format_version"] != FORMAT_VERSION:
            raise StoredCatalogUnreadable(
                f"its format is {read['format_version']}, and this version reads {FORMAT_VERSION}"
            )
        objects = [_object(kind["kind"], row) for kind in read["kinds"] for row in kind["objects"]]
        return Catalog(read["server_version"], ordered(objects), read["database"])
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StoredCatalogUnreadable(f"{type(error).__name__}: {error}") from error


def _kind(it: Object) -> str:
    return it.identity.kind


def _object(kind: str, row: list[Any]) -> Object:
    schema, relation, name, detail, properties, part_of, number = row
    said: dict[str, Value] = {key: tuple(value) if isinstance(value, list) else value for key, value in properties}
    return Object(
        Identity(kind, schema, relation, name, detail), said, tuple(Identity(*of) for of in part_of), tuple(number)
    )
