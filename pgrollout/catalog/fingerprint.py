"""
Fingerprints: a canonical text and a digest for each object, and one digest for the whole schema.

Equal for schemas that are the same however they were made; what differs between equal schemas, OIDs, the order of
creation, dropped columns, the owner's name, is not in the text. Between major versions of the server digests mean
nothing: the server words some objects anew.
"""

import hashlib
import json
from collections.abc import Iterable

from pgrollout.catalog.folding import folded
from pgrollout.catalog.kind import Across
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.model import Catalog, Object, Value

FORMAT_VERSION = 1
"""Changes when the same schema would get another digest."""


def canonical(it: Object) -> str:
    """Return the object's text: its identity, then one property a line, as JSON, in the order of its kind."""
    worded = {property.name for property in BY_NAME[it.identity.kind].properties if property.across is not Across.SAME}
    lines = [str(it.identity)]
    for name, value in it.properties.items():
        lines.append(f"{name}: {json.dumps(comparable(value) if name in worded else value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def comparable(value: Value) -> Value:
    """Return the value of an expression as it is compared."""
    if isinstance(value, str):
        return folded(value)
    return tuple(sorted(folded(member) for member in value)) if isinstance(value, tuple) else value


def digest(it: Object) -> str:
    """Return the object's digest: SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(canonical(it).encode()).hexdigest()


def fingerprint(catalog: Catalog) -> str:
    """Return the digest of the whole schema: ``sha256:…`` over the format version, the major version and all objects."""
    return _digest(catalog.major, (canonical(it) for it in catalog.objects.values()))


def _digest(major: int, texts: Iterable[str]) -> str:
    whole = hashlib.sha256(f"{FORMAT_VERSION} {major}\n".encode())
    for text in sorted(texts):
        whole.update(text.encode())
    return "sha256:" + whole.hexdigest()
