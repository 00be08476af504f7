"""
Releases: the migration directory frozen under a digest.

The manifest lists every file with its size and SHA-256; its digest names the release from pull request to production.
The archive holds the same files, byte for byte the same whoever builds it. Nothing here reads a disk.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgrollout import __version__
from pgrollout.migration import Migration
from pgrollout.sum_file import SUM_FILE_NAME, SumFile

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release."""

    name: str
    """File name."""
    size_bytes: int
    """Its length."""
    sha256: str
    """Digest of its bytes, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Release:
    """The migration directory, frozen."""

    files: tuple[ReleaseFile, ...]
    """The migrations, in directory order."""
    sum_digest: str
    """First line of the sum file, without ``h1:``."""

    @property
    def digest(self) -> str:
        """
        ``sha256:…`` over the format version, the files and the sum file's digest.

        The tool's version is in the manifest, not in the digest: the same files are the same release.
        """
        digested = {key: value for key, value in self.manifest().items() if key not in ("digest", "tool_version")}
        text = json.dumps(digested, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def manifest(self) -> dict[str, Any]:
        """Return what ``release.json`` says, without the digest."""
        return {
            "format_version": FORMAT_VERSION,
            "tool_version": __version__,
            "sum_digest": self.sum_digest,
            "files": [{"name": f.name, "size_bytes": f.size_bytes, "sha256": f.sha256} for f in self.files],
        }

    def text(self) -> str:
        """Return ``release.json``."""
        return json.dumps({"digest": self.digest, **self.manifest()}, indent=2, ensure_ascii=False) + "\n"


def release_of(migrations: Sequence[Migration], sum_file: SumFile) -> Release:
    """Return the release of these migrations with this sum file."""
    files = tuple(ReleaseFile(m.name, len(m.content), hashlib.sha256(m.content).hexdigest()) for m in migrations)
    return Release(files, sum_file.directory_hash)


def archive(migrations: Sequence[Migration], sum_file: SumFile) -> bytes:
    """
    Return ``release.tar``: the manifest, the sum file and the migrations.

    Order, times, owners and modes are fixed, so the same files give the same bytes.
    """
    release = release_of(migrations, sum_file)
    members = [
        ("release.json", release.text().encode()),
        (f"migrations/{SUM_FILE_NAME}", sum_file.text().encode()),
        *((f"migrations/{migration.name}", migration.content) for migration in migrations),
    ]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 0
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()
