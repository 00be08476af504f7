"""
Kinds: what a schema consists of, each with where it is in the system catalogs and what its properties are.

Every module here that has ``KINDS`` is found by itself: a new kind of object is a new entry in one of them, or a new
module, and nothing else.
"""

from importlib import import_module
from pkgutil import iter_modules

from pgrollout.catalog.kind import Kind

KINDS: tuple[Kind, ...] = tuple(
    sorted(
        (kind for module in iter_modules(__path__) for kind in import_module(f"{__name__}.{module.name}").KINDS),
        key=lambda kind: (kind.order, kind.name),
    )
)
"""All kinds, in the order of a listing."""

BY_NAME = {kind.name: kind for kind in KINDS}
"""The same by name."""
