"""
The sum file, ``atlas.sum``: one checksum per migration and one over all, byte for byte as Atlas writes it.

Here the text is made, read and compared. Finding and writing the file is left to ``directory``.

Source: Atlas, ``sql/migrate/dir.go``, ``NewHashFile``, ``HashFile``, ``Validate``.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from pgrollout.errors import ChecksumMismatch, SumFileInvalid, SumFileMissing
from pgrollout.migration import Migration

SUM_FILE_NAME = "atlas.sum"
PREFIX = "h1:"
DIRECTIVE = re.compile(rb"[ -~]*atlas:(\w+)(?: +(.+))?")

Reason = Literal["removed", "edited", "added"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the sum file: a migration and its checksum."""

    name: str
    """File name."""
    hash: str
    """SHA-256 over the directory up to the end of this file, in base64, without ``h1:``."""


@dataclass(frozen=True, slots=True)
class SumFile:
    """All checksums of a migration directory."""

    directory_hash: str
    """SHA-256 over the entries, in base64, without ``h1:``."""
    entries: tuple[Entry, ...]
    """In directory order; a migration that is sum-ignored has none."""
    _hashes: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The first entry of a name counts, as in Atlas.
        object.__setattr__(self, "_hashes", {entry.name: entry.hash for entry in reversed(self.entries)})

    def text(self) -> str:
        """Return the text of ``atlas.sum``."""
        lines = [f"{PREFIX}{self.directory_hash}\n"]
        lines += [f"{entry.name} {PREFIX}{entry.hash}\n" for entry in self.entries]
        return "".join(lines)

    def hash_of(self, name: str) -> str | None:
        """Return the checksum of a file; None if it has none."""
        return self._hashes.get(name)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a directory is not what its sum file says."""

    file: str
    """File name."""
    reason: Reason
    """What happened to it."""
    line: int
    """Line of the sum file, from 1; one behind the last where a file was added at the end."""


def sum_of(migrations: Iterable[Migration]) -> SumFile:
    """
    Compute the sum file of a directory.

    One SHA-256 runs through the whole directory, so an entry vouches for every file before it.

    Args:
        migrations: The files in directory order.
    """
    running = sha256()
    entries = []
    for migration in migrations:
        running.update(_bytes(migration.name))
        if is_sum_ignored(migration.content):
            continue
        running.update(migration.content)
        entries.append(Entry(migration.name, b64encode(running.digest()).decode()))
    return SumFile(_directory_hash(entries), tuple(entries))


def is_sum_ignored(content: bytes) -> bool:
    """Whether the first line has ``atlas:sum ignore``: the name is hashed then, the content is not."""
    match = DIRECTIVE.match(content) if content.find(b"atlas:sum", 0, _line_end(content)) >= 0 else None
    return match is not None and match[1] == b"sum" and match[2] == b"ignore"


def parse(text: str) -> SumFile:
    """
    Read the text of ``atlas.sum``.

    As Atlas does: white space before ``h1:``, CRLF and a missing last line break are accepted.

    Raises:
        SumFileInvalid: A line has no checksum, or the first one is not that of the others.
    """
    lines = text.removesuffix("\n").split("\n") if text else []
    entries = []
    for number, line in enumerate(lines[1:], start=2):
        name, mark, checksum = line.removesuffix("\r").partition(PREFIX)
        if not mark:
            raise SumFileInvalid(number, "it has no checksum (checksum file format invalid)")
        entries.append(Entry(name.strip(), checksum))
    directory_hash = lines[0].removesuffix("\r").removeprefix(PREFIX) if lines else ""
    if directory_hash != _directory_hash(entries):
        raise SumFileInvalid(1, "it is not the checksum of the lines below it (checksum mismatch)")
    return SumFile(directory_hash, tuple(entries))


def first_difference(recorded: SumFile, computed: SumFile) -> Difference | None:
    """Return where a directory first differs from its sum file; None if it is what was hashed."""
    if recorded.directory_hash == computed.directory_hash:
        return None
    there = computed.entries
    for index, entry in enumerate(recorded.entries):
        if index < len(there) and there[index] == entry:
            continue
        line = index + 2
        if computed.hash_of(entry.name) is None:
            return Difference(entry.name, "removed", line)
        if index < len(there) and there[index].name == entry.name:
            return Difference(entry.name, "edited", line)
        # It stands elsewhere: something came in before it.
        return Difference(there[index].name, "added", line) if index < len(there) else _moved(entry, line)
    return Difference(there[len(recorded.entries)].name, "added", len(recorded.entries) + 2)


def check(migrations: Sequence[Migration], recorded: SumFile | None, path: str = "The directory") -> SumFile:
    """
    Compare a directory with its sum file, and return the computed one.

    Args:
        migrations: The files in directory order.
        recorded: The sum file as it stands on the disk; None if there is none.
        path: What an error calls the directory.

    Raises:
        SumFileMissing: There are migrations, but no sum file.
        ChecksumMismatch: They differ; the first difference is named.
    """
    computed = sum_of(migrations)
    if recorded is None:
        if migrations:
            raise SumFileMissing(path)
        return computed
    difference = first_difference(recorded, computed)
    if difference is not None:
        raise ChecksumMismatch(difference.file, difference.reason, difference.line)
    return computed


def _directory_hash(entries: Iterable[Entry]) -> str:
    return b64encode(sha256(_bytes("".join([entry.name + entry.hash for entry in entries]))).digest()).decode()


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _line_end(content: bytes) -> int:
    end = content.find(b"\n")
    return len(content) if end < 0 else end


def _moved(entry: Entry, line: int) -> Difference:
    """A sum file that lists a file twice: Atlas fails here without a word."""
    return Difference(entry.name, "removed", line)
