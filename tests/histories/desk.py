"""
Desk: where a project's authors write, edit and remove migrations.

They look at the database first, as a person would: which file stopped, and at which statement. Nothing here starts a run.
"""

import re
from collections.abc import Iterator

from tests.histories.files import BASE, File, Part, Piece, parts
from tests.histories.history import Add, Change, Edit
from tests.kill_matrix.sql import commands
from tests.project import Project


class Desk:
    """The migrations of one project."""

    def __init__(self, project: Project) -> None:
        self.files: list[File] = []
        """All but the first one, which is as it is."""
        self.statements = set(commands(BASE))
        """All that ever stood in a file, each in one spelling."""
        self.suspect: tuple[File, list[Part]] | None = None
        """The file that may be refused, for a statement was edited that may have taken effect; and what it said before."""
        self._project = project
        self._database = project.database
        self._number = 0

    # What they do.

    def add(self, step: Add) -> File:
        """Add a file."""
        file = File(f"{200 + len(self.files)}_change.sql", step.txmode_none)
        for piece in step.pieces:
            file.parts += self._parts(piece, file)
        self.files.append(file)
        return self._write(file)

    def remove(self) -> None:
        """Remove the last file, if nothing of it has run."""
        if self.files and self.files[-1].version not in self._applied():
            self._project.remove(self.files.pop().name)

    def edit(self, step: Edit) -> File | None:
        """Edit the file that is next, where it has not run; None if there is nothing that somebody would edit."""
        applied = self._applied()
        file = next((each for each in self.files if applied.get(each.version, 0) < each.statements), None)
        intent = self._open_intent(file) if file else ""
        if file is None or self.suspect or "CALL" in intent:
            return None
        done = file.parts_of(applied.get(file.version, 0))
        before, at = list(file.parts), done + step.which % (len(file.parts) - done)
        match step.change:
            case Change.REPLACE:
                file.replace(at, self._parts(step.piece, file))
            case Change.INSERT:
                file.parts[at:at] = self._parts(step.piece, file)
            case Change.CUT if at > 0:
                del file.parts[at:]
            case Change.UNWRAP:
                file.txmode_none = True
            case _:
                self._mend(file)
        if intent and file.parts[done : done + 1] != before[done : done + 1]:
            self.suspect = file, before
        return self._write(file)

    def mend(self) -> None:
        """Replace whatever fails."""
        for file in self.files:
            self._mend(file)
            self._write(file)

    def tamper(self, which: int) -> tuple[File, list[Part]] | None:
        """Edit what has run; return the file, and what it said before. None if nothing has run."""
        applied = self._applied()
        done = [(file, i) for file in self.files for i in range(file.parts_of(applied.get(file.version, 0)))]
        if not done or self.suspect:
            return None
        file, index = done[-1 - which % len(done)]
        before = list(file.parts)
        file.parts[index : index + 1] = self._parts(Piece.ROW, file)
        return self._write(file), before

    def take_back(self, file: File, before: list[Part]) -> None:
        """Write what the file said before."""
        file.parts = before
        self._write(file)

    # What they know.

    def is_suspect(self) -> bool:
        """Whether the statement that was edited may still turn out to have taken effect."""
        return self.suspect is not None and bool(self._open_intent(self.suspect[0]))

    def is_all_done(self) -> bool:
        """Whether nothing is left to run."""
        applied = self._applied()
        return "1" in applied and all(applied.get(file.version) == file.statements for file in self.files)

    def has_base(self) -> bool:
        """Whether the first migration has run."""
        return "1" in self._applied()

    def failures(self) -> Iterator[str]:
        """Yield, as patterns, what runs of these files may fail with."""
        for file in self.files:
            for part in file.parts:
                if part.fails:
                    yield re.escape(part.text)
                    yield "child_id_fkey"
                if part.text.startswith("CALL"):
                    yield rf"pgrollout resolve {file.version} "

    def number_of(self, version: str, statement: int) -> int:
        """Return the number of the part that a statement, counted from 1, belongs to."""
        file = next(file for file in self.files if file.version == version)
        return file.parts[file.parts_of(statement - 1)].number

    def _applied(self) -> dict[str, int]:
        """Return how many statements of each version have run, as the history has it."""
        if not self._project.exists("atlas_schema_revisions.atlas_schema_revisions"):
            return {}
        return {version: applied for version, _, _, applied, *_ in self._project.rows()}

    def _open_intent(self, file: File) -> str:
        """Return the statement of the file whose end nobody saw; empty if there is none."""
        if not self._project.exists("pgrollout.step"):
            return ""
        query = "SELECT statement FROM pgrollout.step WHERE ended_at IS NULL AND version = %s"
        return next((str(text) for (text,) in self._database.execute(query, file.version)), "")

    def _mend(self, file: File) -> None:
        while (at := next((i for i, part in enumerate(file.parts) if part.fails), None)) is not None:
            file.replace(at, self._parts(Piece.ROW, file))

    def _parts(self, piece: Piece, file: File) -> list[Part]:
        self._number += 1
        return parts(piece, self._number, txmode_none=file.txmode_none)

    def _write(self, file: File) -> File:
        self.statements |= {each for each in commands(file.text) if each not in ("BEGIN", "COMMIT")}
        self._project.write({file.name: file.text})
        return file
