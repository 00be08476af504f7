"""``pgrollout run-stage``: run one stage from a request in JSON."""

import sys
from importlib import import_module
from pathlib import Path

import click
from pydantic import BaseModel, ValidationError

from pgrollout.commands.logs import set_up_logging
from pgrollout.commands.options import answer, example, log_options
from pgrollout.errors import ConfigurationError

STAGES = ("build", "validate", "hash", "backup", "apply", "verify", "drift")


@click.command(
    name="run-stage", epilog=example('echo \'{"database": {"name": "reader"}}\' | pgrollout run-stage verify')
)
@click.argument("stage", type=click.Choice(STAGES))
@click.option(
    "--request", "path", type=click.Path(path_type=Path, dir_okay=False), help="File with it.  [standard input]"
)
@log_options
def command(stage: str, path: Path | None, log_format: str | None, verbose: bool) -> None:
    """
    Run one stage from a request in JSON, and print its report in JSON.

    The request holds no URL: the process finds it in its own environment, as every command does.
    """
    set_up_logging(log_format, verbose)
    module = import_module(f"pgrollout.stages.{stage}")
    request_type: type[BaseModel] = getattr(module, f"{stage.capitalize()}Request")
    try:
        text = path.read_text("utf-8") if path else sys.stdin.read()
        request = request_type.model_validate_json(text)
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise ConfigurationError(f"request of stage {stage}", f"{where}: {first['msg']}.") from error
    report: BaseModel = module.run(request)
    answer(report.model_dump_json())
