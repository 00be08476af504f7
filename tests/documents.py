"""
Documents: the commands, links and tables of the Markdown files, and a shell that runs the commands as a reader would.

A block to be run has ``<!-- test -->`` above it. One of language ``sh`` only has to succeed; one of language ``console``
shows each command after ``$``, its further lines after ``>``, and then exactly what it prints. ``…`` in a line stands for
anything, a line of ``…`` for any lines. Log lines, which are JSON where nobody watches, are left out.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = 120
MARK = "\x1e"

_BLOCK = re.compile(r"^(?P<test><!-- test -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LOG_LINE = re.compile(r'^\{"time": ".*\n', re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_CODE_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    line: int
    """Line of its first command, from 1."""
    language: str
    body: str
    is_tested: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One command, or a whole script, and what it prints."""

    line: int
    command: str
    shown: str | None
    """What the document shows; None if it only has to succeed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a step."""

    status: int | None
    """Its exit status; None if the shell ended in it."""
    output: str


@dataclass(frozen=True, slots=True)
class Document:
    """A Markdown file of the repository."""

    path: Path

    @property
    def name(self) -> str:
        """Path from the repository's root."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text("utf-8")

    @property
    def prose(self) -> str:
        """What is neither in a block nor in a comment."""
        return _COMMENT.sub("", _BLOCK.sub("", self.text))

    def blocks(self) -> Iterator[Block]:
        """Yield the fenced blocks."""
        text = self.text
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start("body")) + 1
            yield Block(line, found["language"], found["body"], found["test"] is not None)

    def steps(self) -> Iterator[Step]:
        """Yield what is to be run, in order."""
        for block in self.blocks():
            if block.is_tested:
                yield from _steps(block)

    def links(self) -> Iterator[str]:
        """Yield the targets of links and pictures within the repository."""
        yield from (target for target in _LINK.findall(self.prose) if "://" not in target)

    def anchors(self) -> frozenset[str]:
        """Return the names under which its headings can be linked to, as GitHub makes them."""
        headings = (heading.replace("`", "") for heading in _HEADING.findall(_BLOCK.sub("", self.text)))
        return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)

    def command_lines(self) -> Iterator[str]:
        """Yield everything in code that may be a command line, one command each."""
        code = [*_CODE_SPAN.findall(self.prose)]
        for block in self.blocks():
            if block.language in ("sh", "console"):
                code += block.body.replace("\\\n", " ").splitlines()
        for line in code:
            yield from re.split(r"[|;&]+|\$\(|<\(", line.removeprefix("$ ").strip())

    def tables(self, *header: str) -> list[list[str]]:
        """Return the rows of all tables with these columns, each a list of its cells."""
        rows: list[list[str]] = []
        within = False
        for line in self.prose.splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
            if cells == list(header):
                within = True
            elif not cells:
                within = False
            elif within and set("".join(cells)) - set("-: "):
                rows.append(cells)
        return rows

    def section(self, heading: str) -> str:
        """Return what stands under a heading of the second level; empty if there is none."""
        found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.text, re.MULTILINE | re.DOTALL)
        return found[1] if found else ""


def documents() -> list[Document]:
    """Return all Markdown files that readers are sent to."""
    return [
        Document(path)
        for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
    ]


def run(steps: list[Step], folder: Path, environment: Mapping[str, str]) -> list[Answer]:
    """Run the steps in one shell, as somebody who follows the document does; what they leave running ends with it."""
    script = "".join(
        f"printf '{MARK}'\n{'set -e' if step.shown is None else ':'}\n{step.command}\n"
        f"{{ printf '{MARK}%d{MARK}' $?; set +e; }} 2>/dev/null\n"
        for step in steps
    )
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    parts = output.split(MARK)[1:]
    return [
        Answer(
            int(parts[at + 1]) if at + 1 < len(parts) else None, _LOG_LINE.sub("", parts[at]) if at < len(parts) else ""
        )
        for at in range(0, 3 * len(steps), 3)
    ]


def matches(shown: str, printed: str) -> bool:
    """Whether what was printed is what the document shows."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n"
        for line in shown.splitlines()
    )
    return (
        re.fullmatch(pattern + r"\n*", printed if printed.endswith("\n") or not printed else printed + "\n") is not None
    )


def _steps(block: Block) -> Iterator[Step]:
    if block.language == "sh":
        yield Step(block.line, block.body, None)
        return
    line, command, shown = block.line, "", ""
    for number, text in enumerate(block.body.splitlines(keepends=True), block.line):
        if text.startswith("$ "):
            if command:
                yield Step(line, command, shown)
            line, command, shown = number, text[2:], ""
        elif text.startswith(("> ", ">\n")) and not shown:
            command += text[2:] or "\n"
        else:
            shown += text
    if command:
        yield Step(line, command, shown)
