"""``pgrollout run-stage``: run one stage from a request in JSON."""

import logging
import os
import sys
from importlib import import_module
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr, ValidationError

from pgrollout import delivery
from pgrollout.commands.logs import set_up_logging
from pgrollout.commands.options import answer, example, log_options
from pgrollout.delivery import MESSAGE, REQUEST, Outcome
from pgrollout.errors import ConfigurationError, PgrolloutError
from pgrollout.settings import Database
from pgrollout.stages.stage import Report, Request

log = logging.getLogger(__name__)

STAGES = ("build", "validate", "hash", "backup", "apply", "verify", "drift")


@click.command(
    name="run-stage", epilog=example('echo \'{"database": {"name": "reader"}}\' | pgrollout run-stage verify')
)
@click.argument("stage", type=click.Choice(STAGES))
@click.option(
    "--request",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with it.  [{REQUEST}, else standard input]",
)
@log_options
def command(stage: str, path: Path | None, log_format: str | None, verbose: bool) -> int:
    """
    Run one stage from a request in JSON, and print its report in JSON.

    The request holds no URL: the process finds it in its own environment, as every command does. In a Job, where
    PGROLLOUT_TERMINATION_MESSAGE names a file, that file gets how it ended, and the log the report.
    """
    set_up_logging(log_format, verbose)
    if MESSAGE not in os.environ:
        answer(_run(stage, path).model_dump_json())
        return 0
    outcome = _outcome(stage, path)
    for line in delivery.lines(outcome):
        answer(line)
    try:
        Path(os.environ[MESSAGE]).write_text(delivery.notice(outcome).to_json(), "utf-8")
    except OSError as error:
        log.warning('termination message not written reason="%s"', error.strerror)
    return outcome.exit_code


def _outcome(stage: str, path: Path | None) -> Outcome:
    try:
        report = _run(stage, path)
    except (Exception, KeyboardInterrupt) as error:
        outcome = delivery.failed(error)
        is_ours = isinstance(error, (PgrolloutError, KeyboardInterrupt))
        log.error("%s stage=%s\n%s", delivery.FAILED, stage, outcome.summary, exc_info=None if is_ours else error)
        return outcome
    return Outcome(0, report.summary, report=report.model_dump_json())


def _run(stage: str, path: Path | None) -> Report:
    module = import_module(f"pgrollout.stages.{stage}")
    request = _request(stage, path, getattr(module, f"{stage.capitalize()}Request"))
    # What has drifted is a report too; who asked judges it.
    run = module.examine if stage == "drift" else module.run
    report: Report = run(request)
    return report


def _request(stage: str, path: Path | None, kind: type[Request]) -> Request:
    try:
        text = path.read_text("utf-8") if path else os.environ.get(REQUEST) or sys.stdin.read()
        request = kind.model_validate_json(text)
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise ConfigurationError(f"request of stage {stage}", f"{where}: {first['msg']}.") from error
    return request.model_copy(update={"database": _with_urls(request.database)})


def _with_urls(database: Database) -> Database:
    """Return the settings with what only the environment of this process says."""
    found: dict[str, BaseModel | SecretStr] = {}
    if url := os.environ.get("PGROLLOUT_URL"):
        found["url"] = SecretStr(url)
    if url := os.environ.get("PGROLLOUT_SHADOW_URL"):
        found["shadow"] = database.shadow.model_copy(update={"url": SecretStr(url)})
    return database.model_copy(update=found)
