"""
Stored catalogs: a catalog as compressed bytes, as the ledger keeps it, and back.

JSON, compressed: readable without us, and by whatever version of us comes later. A list per property rather than a record
per object: what is alike stands together, which takes less than half of the room, and a fraction of the time to read.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import accumulate, groupby, pairwise
from operator import attrgetter
from typing import Any

from pgrollout.catalog.bulk import uncollected
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.model import Catalog, Identity, Object, Value
from pgrollout.catalog.rows import ordered
from pgrollout.errors import StoredCatalogUnreadable

FORMAT_VERSION = 1

_kind = attrgetter("identity.kind")
_PLACE = ("schema", "relation", "name", "detail")


def stored(catalog: Catalog) -> bytes:
    """Return the catalog as compressed JSON."""
    content = {
        "format_version": FORMAT_VERSION,
        "server_version": catalog.server_version,
        "database": catalog.database,
        "kinds": [
            _columns(kind, list(objects))
            for kind, objects in groupby(sorted(catalog.objects.values(), key=_kind), _kind)
        ],
    }
    return zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), 9)


def loaded(content: bytes) -> Catalog:
    """
    Return the catalog that these bytes hold.

    Raises:
        StoredCatalogUnreadable: They hold none, or one of another format.
    """
    try:
        with uncollected():
            read: dict[str, Any] = json.loads(zlib.decompress(content))
            if read["format_version"] != FORMAT_VERSION:
                raise StoredCatalogUnreadable(
                    f"its format is {read['format_version']}, and this version reads {FORMAT_VERSION}"
                )
            objects = [it for kind in read["kinds"] for it in _objects(kind)]
            return Catalog(read["server_version"], ordered(objects), read["database"])
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StoredCatalogUnreadable(f"{type(error).__name__}: {error}") from error


def _columns(kind: str, objects: list[Object]) -> dict[str, Any]:
    """Return the objects of a kind, a list for each thing that is said of them; null where nothing is said."""
    said = {name for it in objects for name in it.properties}
    # In the order of the kind, which digests are made in.
    names = dict.fromkeys(each.name for each in BY_NAME[kind].all_properties() if each.name in said)
    oids = [it.number[0] for it in objects]
    return {
        "kind": kind,
        **{part: [getattr(it.identity, part) for it in objects] for part in _PLACE},
        "properties": {name: [it.properties.get(name) for it in objects] for name in names},
        "part_of": [it.part_of for it in objects],
        # Each less the one before it: what was made together has numbers close to each other.
        "oid": [*oids[:1], *(after - before for before, after in pairwise(oids))],
        "number": [it.number[1] for it in objects],
    }


def _objects(kind: Mapping[str, Any]) -> Iterator[Object]:
    properties = kind["properties"].items()
    rows = zip(*(kind[part] for part in _PLACE), kind["part_of"], accumulate(kind["oid"]), kind["number"], strict=True)
    for at, (schema, relation, name, detail, part_of, oid, number) in enumerate(rows):
        said: dict[str, Value] = {
            key: tuple(values[at]) if isinstance(values[at], list) else values[at]
            for key, values in properties
            if values[at] is not None
        }
        of = tuple(Identity(*each) for each in part_of)
        yield Object(Identity(kind["kind"], schema, relation, name, detail), said, of, (oid, number))
