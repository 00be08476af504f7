"""
Plans: what a run would do to one database, decided before anything is executed.

A plan is a value: printed, reviewed, compared. Its digest covers what was decided (release, files, segments,
statements, and by which rule each is run), not what fluctuates, as the size of a table, so that an approved plan still
holds when it is applied.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pgrollout.content import Content
from pgrollout.crossing import check_cuts
from pgrollout.history import Pending
from pgrollout.outside import Form
from pgrollout.secrets import mask_statement
from pgrollout.segments import Kind, Segment, enum_cuts, outside_of

FORMAT_VERSION = 3
MIB = 1024 * 1024


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class PlannedStatement:
    """One statement that would run; no model, for a file may have a million."""

    number: int
    """Position in its file, from 1."""
    line: int
    """Line of its first character, from 1."""
    offset: int
    """Offset of its first byte in the file, from 0."""
    sha256: str
    """Digest of its text."""
    text: str
    """The statement, password literals masked."""


class PlannedSegment(_Value):
    """Statements that commit together."""

    kind: Kind = Field(description="How they are run.")
    reason: str = Field(description="Why so.")
    statements: tuple[PlannedStatement, ...]

    @property
    def digest(self) -> str:
        """Digest over number, place and digest of each statement."""
        whole = hashlib.sha256()
        for one in self.statements:
            whole.update(f"{one.number} {one.line} {one.offset} {one.sha256}\n".encode())
        return whole.hexdigest()


class PlannedFile(_Value):
    """One file that would run."""

    name: str
    version: str
    description: str
    hash: str = Field(description="Its entry of the sum file, without h1:.")
    out_of_order: bool = Field(description="Whether it comes before files that are already applied.")
    resumes_after: int = Field(description="Statements that an earlier run has already done.")
    stall_budget_ms: int | None = Field(description="What its header asks for, in milliseconds.")
    segments: tuple[PlannedSegment, ...]


class Plan(_Value):
    """What a run would do to one database."""

    format_version: int = FORMAT_VERSION
    database: str
    release: str = Field(description="Digest of the release.")
    current: str | None = Field(description="Version of the newest applied migration.")
    baseline: str | None = Field(description="Version that is recorded as applied before, without being run.")
    backup: Literal["dump", "schema", "none"] = Field(description="What is dumped before.")
    stall_budget_ms: int = Field(description="Longest that anyone else may wait because of us, in milliseconds.")
    files: tuple[PlannedFile, ...]

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` over what was decided; the masked texts are left out, their digests are in."""
        # Statements one after the other: all at once would take several times the room of the files.
        statements = {"files": {"__all__": {"segments": {"__all__": {"statements"}}}}}
        decided = self.model_dump(mode="json", exclude={"database": True, **statements})
        for file, told in zip(self.files, decided["files"], strict=True):
            for segment, told_of_segment in zip(file.segments, told["segments"], strict=True):
                told_of_segment["statements"] = segment.digest
        text = json.dumps(decided, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def statement_count(self) -> int:
        """How many statements would run."""
        return sum(len(segment.statements) for file in self.files for segment in file.segments)


def make_plan(
    *,
    database: str,
    release: str,
    current: str | None,
    backup: Literal["dump", "schema", "none"],
    pending: Pending,
    contents: Mapping[str, Content],
    hashes: Mapping[str, str],
    stall_budget_ms: int = 1000,
    small_table_bytes: int = MIB,
) -> Plan:
    """
    Return the plan for the pending files.

    Args:
        database: Name of the database.
        release: Digest of the release.
        current: Version of the newest applied migration, None without one.
        backup: What is dumped before.
        pending: The files that would run.
        contents: What each of them says, by file name.
        hashes: Each one's entry of the sum file, by file name.
        stall_budget_ms: Longest that anyone else may wait because of us, where a file does not ask for another.
        small_table_bytes: Up to this size of its table an index is built in plain form rather than online.

    Raises:
        UnreadableFile: An explicit transaction of a file is not closed.
        StateCrosses: A file is cut, or continued, where a later statement may rely on what is lost there.
    """
    early = {migration.name for migration in pending.out_of_order}
    files = []
    for migration in pending.migrations:
        content = contents[migration.name]
        done = next((row.applied for row in pending.resumes if row.version == migration.version), 0)
        found = check_cuts(content, done)
        files.append(
            PlannedFile(
                name=migration.name,
                version=migration.version,
                description=migration.description,
                hash=hashes[migration.name],
                out_of_order=migration.name in early,
                resumes_after=done,
                stall_budget_ms=content.directives.stall_budget_ms,
                segments=tuple(_planned(content, segment, small_table_bytes) for segment in found),
            )
        )
    return Plan(
        database=database,
        release=release,
        current=current,
        baseline=pending.baseline.version if pending.baseline else None,
        backup=backup if files else "none",
        stall_budget_ms=stall_budget_ms,
        files=tuple(files),
    )


def _planned(content: Content, segment: Segment, small_table_bytes: int) -> PlannedSegment:
    return PlannedSegment(
        kind=segment.kind,
        reason="; ".join([segment.reason, *_choices(content, segment, small_table_bytes)]),
        statements=tuple(
            PlannedStatement(
                number=statement.index + 1,
                line=statement.line,
                offset=statement.start_byte,
                sha256=hashlib.sha256(statement.text.encode()).hexdigest(),
                text=mask_statement(statement.text),
            )
            for statement in content.statements[segment.first : segment.last + 1]
        ),
    )


def _choices(content: Content, segment: Segment, small_table_bytes: int) -> Iterator[str]:
    """Yield what is left for apply to choose, by which rule: it is the rule that is planned, not its outcome."""
    what = outside_of(content, segment.first) if segment.kind is Kind.ALONE else None
    if what is not None and what.form is Form.ONLINE_BUILD:
        where = "inside the file's transaction" if content.transactional else "in a transaction"
        yield f"online, or in plain form {where} while {what.table} has at most {_size(small_table_bytes)}"
    if what is not None and what.form in (Form.VACUUM_FULL, Form.CLUSTER, Form.REINDEX):
        yield "within the stall budget, for everybody else waits for it"
    if segment.kind is Kind.TRANSACTION:
        for index in sorted(enum_cuts(content)):
            if segment.first <= index < segment.last:
                yield f"cut after statement {index + 1} if the server asks for it (55P04)"


def _size(size_bytes: int) -> str:
    for unit, name in ((MIB, "MiB"), (1024, "KiB")):
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit} {name}"
    return f"{size_bytes} bytes"
