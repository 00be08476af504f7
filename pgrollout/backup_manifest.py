"""
Backup manifests: what stands beside a dump, and whether the files still are what it says.

The manifest names the database, never its URL, and holds no secret. Its digest covers everything in it, and so, by the
files' own digests, the whole backup. Nothing here reads a disk or talks to a server.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
DUMP_NAME = "dump"
"""The folder, beside the manifest, that ``pg_dump`` filled."""

Policy = Literal["dump", "schema"]


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file of a dump."""

    name: str
    """File name."""
    size_bytes: int
    """Its length."""
    sha256: str
    """Digest of its bytes, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is, of what, and how it was made."""

    database: str
    """The database's name in the settings."""
    dbname: str
    """Its name on the server."""
    run_id: str
    """The run it was taken for."""
    taken_at: str
    """When, ISO 8601 in UTC."""
    policy: Policy
    """``dump``: schema and rows; ``schema``: no rows."""
    server_version: str
    """As people write it: ``18.6``."""
    pg_dump_version: str
    """Likewise."""
    wal_position: str
    """The server's position in its write-ahead log at the moment that the dump shows."""
    tables: tuple[str, ...]
    """Tables of the dump, ``schema.table``."""
    roles: tuple[str, ...]
    """Roles that own something in it or are granted something; a restore needs them."""
    toc_entries: int
    """Objects that ``pg_restore --list`` named when the dump was read back."""
    files: tuple[BackupFile, ...]
    """The dump's files, by name."""

    @property
    def digest(self) -> str:
        """``sha256:…`` over everything else that the manifest says."""
        return _digest(_content(self))

    @property
    def size_bytes(self) -> int:
        """How big the dump is on the disk."""
        return sum(file.size_bytes for file in self.files)

    @property
    def server_major(self) -> int:
        """Major version of the server."""
        return _major(self.server_version)

    @property
    def pg_dump_major(self) -> int:
        """Major version of the ``pg_dump`` that made it; an older ``pg_restore`` cannot read it."""
        return _major(self.pg_dump_version)

    def text(self) -> str:
        """Return ``manifest.json``."""
        content = _content(self)
        return json.dumps({"digest": _digest(content), **content}, indent=2, ensure_ascii=False) + "\n"


def parse(text: str) -> Manifest:
    """
    Return the manifest that the text holds.

    Raises:
        ValueError: It is none, one of a newer pgrollout, or was changed since it was written; with the reason.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        recorded, version = content.pop("digest"), content.pop("format_version")
        if version != FORMAT_VERSION:
            raise ValueError(f"has format version {version}, this pgrollout knows {FORMAT_VERSION}.")
        files = tuple(BackupFile(**file) for file in content.pop("files"))
        tables, roles = tuple(content.pop("tables")), tuple(content.pop("roles"))
        manifest = Manifest(**content, tables=tables, roles=roles, files=files)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("cannot be read.") from error
    if manifest.digest != recorded:
        raise ValueError("was changed since it was written: its digest does not fit.")
    return manifest


def first_problem(manifest: Manifest, found: Mapping[str, BackupFile]) -> str | None:
    """Return what is wrong with the dump's files as they were found on the disk; None if they are what was written."""
    for file in manifest.files:
        now = found.get(file.name)
        if now is None:
            return f"file {file.name} is missing."
        if now.size_bytes != file.size_bytes:
            return f"file {file.name} has {now.size_bytes} bytes; {file.size_bytes} were written."
        if now.sha256 != file.sha256:
            return f"file {file.name} was changed since it was written: its SHA-256 does not fit."
    unknown = sorted(set(found).difference(file.name for file in manifest.files))
    return f"file {unknown[0]} is not of this backup." if unknown else None


def folder_name(database: str, taken_at: datetime, run_id: str) -> str:
    """Return the name of a backup's folder: ``reader-20261123T101530Z-3fa9c1``."""
    short = _safe(run_id.rpartition("-")[2])[:12]
    return f"{_safe(database)}-{taken_at:%Y%m%dT%H%M%SZ}-{short}"


def in_words(size_bytes: float) -> str:
    """Return a size as people read it: ``312 kB``, ``4.7 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" or size_bytes >= 10 else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def _content(manifest: Manifest) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, **asdict(manifest)}


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", name).lstrip(".") or "_"
