"""
The command line: which commands there are, and how they end.

A command's module is imported when the command is called, so ``--version`` and ``--help`` cost no more than click.
``main`` turns errors into one paragraph on stderr and the exit code of their class, never a traceback.
"""

import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module, metadata
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from pgrollout import __version__
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.interrupts import INTERRUPTS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("status", "Show what is applied and what is pending."),
    "plan": ("plan", "Show what a run would do, statement by statement."),
    "build": ("build", "Freeze the directory into a release: manifest, archive, digest."),
    "validate": ("validate", "Split, parse, lint and replay the directory on a shadow database."),
    "hash": ("hash", "Write atlas.sum anew; with --check compare it, and the history, with the files."),
    "backup": ("backup", "Dump the database, and check that the dump can be read back."),
    "apply": ("apply", "Run the pending migrations, exactly once."),
    "verify": ("verify", "Compare the live database with what the directory makes."),
    "run-stages": ("run_stages", "Run all six stages in this process, one after the other."),
    "drift": ("drift", "Tell what somebody has changed in the live schema since the last run."),
    "schema": ("schema", "Show a schema, or what two schemas differ in."),
    "restore": ("restore", "Bring a backup back into an empty database."),
    "new": ("new", "Add an empty migration to the directory."),
    "set": ("set", "Make a version the current one in the history, without running anything."),
    "resolve": ("resolve", "Say whether a statement took effect whose end nobody saw."),
    "run-stage": ("run_stage", "Run one stage from a request in JSON; what a Kubernetes Job calls."),
    "metrics": ("metrics", "Serve what Prometheus wants to know of the databases."),
    "server": ("server", "Keep the embedded PostgreSQL running until Ctrl-C."),
    "completion": ("completion", "Print the completion script for bash, zsh or fish."),
}
_FROM_FLOWS: Mapping[str, str] = {
    "migrate": "Run all six stages as a Prefect flow.",
    "check-drift": "Run stage drift as a Prefect flow, with an alert and a table of what has drifted.",
    "submit": "Start a run on a Prefect server, follow it, and end with its exit code.",
}
"""Commands of other packages of this distribution join by entry point; what their help says stands here, unimported."""
_ENTRY_POINTS = "pgrollout.commands"


class _Commands(click.Group):
    """The group of all commands; imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a release."""
        return [*_COMMANDS, *_FROM_FLOWS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if there is none of that name."""
        if cmd_name in _COMMANDS:
            command = import_module(f"pgrollout.commands.{_COMMANDS[cmd_name][0]}").command
        else:
            found = metadata.entry_points(group=_ENTRY_POINTS, name=cmd_name)
            if not found:
                return None
            try:
                command = next(iter(found)).load()
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "prefect":
                    raise
                raise click.UsageError(
                    f"`pgrollout {cmd_name}` needs Prefect: pip install 'pgrollout[flows]'. "
                    "`pgrollout apply` and the other stages do without."
                ) from error
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(_short_helps())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands that begin so without importing one: Tab must be quick, and work without Prefect."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=text) for name, text in _short_helps() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


def _short_helps() -> list[tuple[str, str]]:
    return [*((name, text) for name, (_, text) in _COMMANDS.items()), *_FROM_FLOWS.items()]


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `pgrollout status`; each command has --help with an example.",
)
@click.version_option(__version__, "-V", "--version", prog_name="pgrollout", message="%(prog)s %(version)s")
def cli() -> None:
    """Take a folder of plain SQL migrations to a PostgreSQL database in six guarded stages."""


def main() -> NoReturn:
    """Run the command line; the process ends with the exit code of the contract."""
    signal.signal(signal.SIGTERM, _interrupt)
    code = run(sys.argv[1:])
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)  # too late: all is done and told, only the exit code is not
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are told on stderr, and as JSON on stdout where that was asked."""
    stdout = sys.stdout
    try:
        return _ended(arguments)
    except BrokenPipeError:
        # The reader of our output has gone, as with ``| head``, and there is nobody to tell.
        return _without_stdout(ExitCode.DONE)
    except OSError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_code is not click.echo.__code__:
            raise
        click.echo(f"Error: the answer cannot be written to stdout: {error.strerror}.", err=True)
        return _without_stdout(ExitCode.FAILED)
    except SystemExit:
        # click saw the broken pipe first: it has put something else in the place of stdout, and would end with 1.
        if sys.stdout is not stdout:
            return _without_stdout(ExitCode.DONE)
        raise


def _ended(arguments: list[str]) -> int:
    try:
        result = cli.main(arguments, prog_name="pgrollout", standalone_mode=False)
        return int(result) if isinstance(result, int) else ExitCode.DONE
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except PgrolloutError as error:
        tell(error, as_json=_wants_json(arguments))
        return error.code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Nothing is left half done: run the same command again.", err=True)
        return ExitCode.WAIT


def _without_stdout(code: ExitCode) -> ExitCode:
    """Let what is still to be written to stdout vanish: Python would try again at its end, and exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def tell(error: PgrolloutError, *, as_json: bool = False) -> None:
    """Print an error for a person on stderr and, where answers are JSON, as an object on stdout."""
    red = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    click.echo(f"{click.style('Error:', fg='red', bold=True) if red else 'Error:'} {error}", err=True, color=red)
    if as_json:
        body = {"error": type(error).__name__, "message": str(error), "exit_code": int(error.code)}
        click.echo(json.dumps(body, ensure_ascii=False))


def _wants_json(arguments: list[str]) -> bool:
    return "--format=json" in arguments or ("--format", "json") in itertools.pairwise(arguments)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # As Ctrl-C does: the statement under way is cancelled, its transaction undone.
    raise KeyboardInterrupt
