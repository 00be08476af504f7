"""``pgrollout metrics``: what the ledger and the directory tell, for Prometheus."""

import os

import click

from pgrollout import settings
from pgrollout.commands.logs import set_up_logging
from pgrollout.commands.options import example, log_options
from pgrollout.errors import ExitCode


@click.command(name="metrics", epilog=example("pgrollout metrics --port 9187"))
@click.option("--database", "-d", metavar="NAME", help="Its table in pgrollout.toml.  [all of them]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9187, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--address", default="0.0.0.0", show_default=True, help="Address to listen on.")  # noqa: S104  a pod's
@log_options
def command(database: str | None, port: int, address: str, log_format: str | None, verbose: bool) -> int:
    """
    Serve /metrics for Prometheus, and /healthz, until SIGTERM or Ctrl-C.

    A request reads the databases anew, at most every few seconds. Nothing is written, and no lock is taken that anybody
    waits for; a database that is down is told by pgrollout_up 0.
    """
    set_up_logging(log_format, verbose)
    try:
        from pgrollout.commands.exposition import Exposition, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise click.UsageError(
            "`pgrollout metrics` needs prometheus_client: pip install 'pgrollout[kubernetes]'."
        ) from error
    named = database or os.environ.get("PGROLLOUT_DATABASE")
    names = (named,) if named else settings.database_names()
    serve(Exposition([settings.load(name) for name in names]), address, port)
    return ExitCode.DONE
