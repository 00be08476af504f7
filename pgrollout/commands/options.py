"""
Options that the commands share, and the settings that come of them.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from pgrollout import settings
from pgrollout.commands.logs import set_up_logging
from pgrollout.settings import Database, masked

P = ParamSpec("P")
R = TypeVar("R")

_DATABASE = (
    click.option("--database", "-d", metavar="NAME", help="Its table in pgrollout.toml; needed if there are several."),
    click.option(
        "--url", metavar="URL", help="Database URL; keep passwords out of it, other users see a command line."
    ),
    click.option("--dir", "migrations", metavar="PATH", help="Migration directory, a path or file://…  [migrations]"),
    click.option("--revisions-schema", metavar="NAME", help="Schema of atlas_schema_revisions."),
)
_LOG = (
    click.option(
        "--log-format",
        envvar="PGROLLOUT_LOG_FORMAT",
        type=click.Choice(["text", "json"]),
        help="Log lines on stderr.  [text on a terminal, else json]",
    ),
    click.option("--verbose", "-v", is_flag=True, help="Log debug messages too."),
)

format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The answer's form.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
release_option = click.option(
    "--release", metavar="DIGEST", envvar="PGROLLOUT_RELEASE", help="Refuse a directory that is not this release."
)


def database_options(function: Callable[Concatenate[Database, P], R]) -> Callable[..., R]:
    """Add the options that say which database is meant; the command gets its settings first."""

    @wraps(function)
    def command(database: str | None, log_format: str | None, verbose: bool, *args: P.args, **kwargs: P.kwargs) -> R:
        set_up_logging(log_format, verbose)
        flags = {key: kwargs.pop(key, None) for key in (*_FLAGS, *extra, *others)}
        loaded = settings.load(database, flags)
        url = flags["url"]
        if isinstance(url, str) and masked(url) != url:
            logging.getLogger("pgrollout").warning("the password in --url is visible to every user of this host")
        return function(loaded, *args, **kwargs)

    extra: tuple[str, ...] = getattr(function, "__settings__", ())
    # Every setting is a flag; those that a command does not explain are in docs/configuration.md, not in its help.
    others = [key for key in settings.flag_keys() if key not in (*_FLAGS, *extra)]
    hidden = [click.option("--" + key.replace("_", "-"), key, hidden=True) for key in others]
    for option in reversed((*_DATABASE, *_LOG, *hidden)):
        command = option(command)
    return command


_FLAGS = ("url", "migrations", "revisions_schema")


def setting_options(*options: Callable[[Any], Any], keys: tuple[str, ...]) -> Callable[[Any], Any]:
    """Add options that are settings of the database; ``keys`` names them. Stands below ``database_options``."""

    def add(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        function.__settings__ = (*getattr(function, "__settings__", ()), *keys)
        return function

    return add


def log_options(function: Callable[..., R]) -> Callable[..., R]:
    """Add the options of the log alone, for a command that is told its database otherwise."""
    for option in reversed(_LOG):
        function = option(function)
    return function


def example(command: str) -> str:
    """Return the end of a command's help: an example that no terminal's width breaks, so that it can be copied."""
    return f"\b\nExample:\n  {command}"


def answer(text: str) -> None:
    """Print an answer to stdout."""
    click.echo(text)


def sentence(summary: str) -> str:
    """Return a report's summary as a sentence begins."""
    return summary[:1].upper() + summary[1:]
