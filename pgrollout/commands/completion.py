"""``pgrollout completion``: the completion script of a shell."""

import click
from click.shell_completion import get_completion_class

from pgrollout.commands.options import example


@click.command(
    name="completion",
    epilog=example("pgrollout completion bash > ~/.local/share/bash-completion/completions/pgrollout"),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for bash, zsh or fish; source it, or put it where the shell looks."""
    from pgrollout.cli import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    script = found(cli, {}, "pgrollout", "_PGROLLOUT_COMPLETE").source()
    # click's script for fish ends a description at its first comma.
    click.echo(script.replace('string split ","', 'string split --max 1 ","'))
