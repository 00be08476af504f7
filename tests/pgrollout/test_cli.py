"""The command line: its help, its exit codes, where it says what, and what it costs to ask."""

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pgrollout import __version__
from pgrollout.cli import cli, run, tell
from pgrollout.errors import ConfigurationError, ExitCode, UnknownVersion

PROGRAM = [sys.executable, "-c", "from pgrollout.cli import main; main()"]
NAMES = cli.list_commands(click.Context(cli))
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("PGROLLOUT_", "PG")) and key not in ("DATABASE_URL", "NO_COLOR")
}


def call(*arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a process of its own."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=CLEAN | {"PYTHONPATH": str(Path(__file__).parents[2])} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def command(name: str) -> click.Command:
    """The command of that name."""
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def example(name: str) -> list[str]:
    """The arguments of a command's example."""
    text = command(name).epilog or ""
    line = text.partition("Example:\n")[2]
    words = shlex.split(line[line.index(f"pgrollout {name}") :])[2:]
    ends = [number for number, word in enumerate(words) if word in ("&&", "&", "|", ">")]
    return words[: ends[0]] if ends else words


def test_version_and_help_cost_no_more_than_click() -> None:
    """Neither imports what only commands need."""
    heavy = "{'pydantic', 'psycopg', 'prefect', 'postgast', 'rich', 'pgrollout.settings'}"
    code = f"import sys; from pgrollout.cli import run; run(sys.argv[1:]); print(sorted({heavy} & set(sys.modules)))"
    for option in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-c", code, option], env=CLEAN, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Name and version, for a script to read."""
    assert run(["--version"]) == run(["-V"]) == 0
    assert capsys.readouterr().out == f"pgrollout {__version__}\n" * 2


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of a release, each with its sentence."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out

    assert re.findall(r"^  ([a-z-]+)  +[A-Z]", shown.partition("Commands:")[2], re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_reads_well(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence first, an explanation of each option, an example last."""
    assert run([name, "--help"]) == run([name, "-h"]) == 0
    shown = capsys.readouterr().out
    found = command(name)

    assert f"Usage: pgrollout {name}" in shown
    assert re.match(r"[A-Z][^.]*[.:]", (found.help or "").strip())
    assert "Example:" in shown
    for option in found.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"{name} {option.opts} says nothing"
            assert re.search(r"[.\]]$", option.help), f"{name} {option.opts}: {option.help}"


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_command_can_be_called(name: str) -> None:
    """Every option of it exists, every value can be."""
    assert command(name).make_context(name, example(name)).params is not None


@pytest.mark.parametrize(
    "arguments",
    [
        ["aply"],
        ["--nope"],
        ["apply", "--nope"],
        ["apply", "0"],
        ["apply", "many"],
        ["apply", "1", "2"],
        ["apply", "--baseline", "1", "--allow-dirty"],
        ["apply", "--exec-order", "LINEAR"],
        ["status", "--format", "yaml"],
        ["resolve", "1"],
        ["resolve", "1", "0", "--as", "done", "--reason", "x"],
        ["resolve", "1", "1", "--as", "done", "--reason", " "],
        ["run-stage", "deploy"],
        ["completion", "powershell"],
        ["restore"],
    ],
)
def test_what_cannot_be_asked_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    """Unknown commands, options and values: the usage on stderr, nothing on stdout, no traceback."""
    done = call(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_one_paragraph_and_an_exit_code(tmp_path: Path) -> None:
    """Also when it is about the configuration: on stderr, without a traceback."""
    (tmp_path / "pgrollout.toml").write_text("[database.reader]\nrolle = 'x'\n")

    done = call("status", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert re.match(
        r"Error: .*pgrollout.toml, \[database.reader\]: unknown key 'rolle'. Did you mean 'role'\? Known: ", done.stderr
    )


@pytest.mark.parametrize("arguments", [["--format=json"], ["--format", "json"]])
def test_an_error_is_json_where_answers_are(arguments: list[str], tmp_path: Path) -> None:
    """One object on stdout, for the program that asked; the sentence is on stderr all the same."""
    done = call("status", "--dir", "none", *arguments, cwd=tmp_path)

    answer = json.loads(done.stdout)
    assert answer["error"] == "UnreadableDirectory"
    assert answer["exit_code"] == done.returncode == ExitCode.USAGE
    assert answer["message"] in done.stderr


def test_letters_stay_letters_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence is readable in either form."""
    tell(UnknownVersion("é", "set"), as_json=True)

    shown = capsys.readouterr()
    assert "'é'" in shown.err
    assert "'é'" in shown.out


def on_a_terminal(**environment: str) -> str:
    """What stderr says of an error when it is a terminal."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [*PROGRAM, "completion", "--help"],
            env=CLEAN,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            check=True,
            timeout=60,
        )
        code = "from pgrollout.cli import tell; from pgrollout.errors import *; tell(ConfigurationError('here', 'no.'))"
        subprocess.run([sys.executable, "-c", code], env=CLEAN | environment, stderr=theirs, check=True, timeout=60)
        return os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_colour_is_for_terminals_that_want_it(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the word Error is red; with NO_COLOR, and in files, it is not."""
    tell(ConfigurationError("here", "no."))

    assert capsys.readouterr().err == "Error: here: no.\n"
    assert on_a_terminal() == "\x1b[31m\x1b[1mError:\x1b[0m here: no.\r\n"
    assert on_a_terminal(NO_COLOR="1") == "Error: here: no.\r\n"


def test_a_reader_that_leaves_is_no_failure() -> None:
    """``pgrollout status | head -1``: the answer's reader may have had enough."""
    ours, theirs = os.pipe()
    os.close(ours)
    with subprocess.Popen([*PROGRAM, "--help"], env=CLEAN, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        said = process.communicate(timeout=60)[1]

    assert (process.returncode, said) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["status", "--dir", "none", "--format=json"]], ids=str)
def test_a_full_disk_is_a_failure(arguments: list[str], tmp_path: Path) -> None:
    """An answer that cannot be written is told in a sentence, also where it was an error."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=tmp_path,
            env=CLEAN | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == ExitCode.FAILED
    assert done.stderr.endswith("Error: the answer cannot be written to stdout: No space left on device.\n")
    assert "Traceback" not in done.stderr


def test_an_interrupted_command_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C and SIGTERM end with 75, for the next run continues."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "invoke", interrupted)
    assert run(["status"]) == ExitCode.WAIT


# Completion.


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_the_shell_s_own(shell: str) -> None:
    """Each shell gets a script for this program; the shells that are here find nothing wrong with it."""
    done = call("completion", shell)

    assert done.returncode == 0
    assert f"_PGROLLOUT_COMPLETE={shell}_complete" in done.stdout
    assert "pgrollout" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True, timeout=60)
    if shell == "fish":
        assert 'string split ","' not in done.stdout


@pytest.mark.parametrize(
    ("shell", "typed", "expected"),
    [
        ("bash", "pgrollout sta", {"status"}),
        ("zsh", "pgrollout ba", {"backup"}),
        ("fish", "pgrollout res", {"restore", "resolve"}),
        ("bash", "pgrollout apply --exec-order lin", {"linear", "linear-skip"}),
        ("bash", "pgrollout completion ", {"bash", "zsh", "fish"}),
        ("bash", "pgrollout apply --wait", {"--wait-for-run-ms"}),
    ],
)
def test_tab_completes(shell: str, typed: str, expected: set[str]) -> None:
    """Commands, options and their values."""
    words = typed.split(" ")
    complete, current = f"{shell}_complete", words[-1] if shell == "fish" else str(len(words) - 1)

    done = call(_PGROLLOUT_COMPLETE=complete, COMP_WORDS=typed, COMP_CWORD=current)

    found = set(re.findall(r"^(?:plain,)?([a-z-]+)(?:\t.*)?$", done.stdout, re.MULTILINE)) - {"plain"}
    assert found == expected


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_shows_whole_descriptions(tmp_path: Path) -> None:
    """A comma in a description does not end it."""
    program = tmp_path / "pgrollout"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    script = (
        f"set -p PATH {shlex.quote(str(tmp_path))}; pgrollout completion fish | source; complete -C 'pgrollout app'"
    )

    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=CLEAN | {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "apply\tRun the pending migrations, exactly once.\n"


def test_tab_imports_no_command() -> None:
    """All commands are offered, that of the flows too, and none is loaded for it: Tab is quick, Prefect may be missing."""
    code = (
        "import sys\nfrom pgrollout.cli import cli\nimport click\n"
        "print(*(item.value for item in cli.shell_complete(click.Context(cli), '')))\n"
        "print([name for name in sys.modules if name.startswith(('pgrollout.commands.', 'flows', 'prefect', 'pydantic'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=CLEAN, capture_output=True, text=True, check=True, timeout=60
    )

    offered, imported = done.stdout.splitlines()
    assert offered.split() == NAMES
    assert imported == "[]"


INTERRUPTED_AT_THE_END = """
import atexit, os, signal, time
from pgrollout import cli

def interrupt_from_now_on():
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            os.kill(parent, signal.SIGINT)
            time.sleep(0.001)
        os._exit(0)

atexit.register(interrupt_from_now_on)
cli.run = lambda _: 75
cli.main()
"""


def test_exit_code_stands_when_interrupted_again() -> None:
    """Ctrl-C once more, when all is told and Python is about to end, does not end it by the signal."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED_AT_THE_END], check=False, capture_output=True)

    assert ended.returncode == ExitCode.WAIT
