"""
Migrations: the files of the migration directory.

A migration is one SQL file, ``<version>_<description>.sql``. Files are ordered by their whole
name, byte by byte. Nothing here reads a disk or a database.

Source: Atlas, ``sql/migrate/dir.go``, ``LocalFile``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migration directory."""

    name: str
    """File name: ``20260314091500_create_orders.sql``."""
    content: bytes
    """The file's bytes, untouched: checksums are taken over them."""

    @property
    def version(self) -> str:
        """The name up to its first ``_``: the migration's identity, compared as text."""
        return self.name.removesuffix(".sql").partition("_")[0]

    @property
    def description(self) -> str:
        """The name after its first ``_``; empty if there is none."""
        return self.name.removesuffix(".sql").partition("_")[2]


def is_migration_name(name: str) -> bool:
    """Whether a file of the directory's root counts as a migration: Atlas takes every ``*.sql``, lower case."""
    return name.endswith(".sql")


def directory_order(name: str) -> bytes:
    """Sort key of file names: byte by byte, so ``2.5_b.sql`` comes before ``2_b.sql``."""
    return name.encode("utf-8", "surrogateescape")
