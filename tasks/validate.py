"""Task validate; the stage is ``pgrollout.stages.validate``."""

from prefect import task

from pgrollout.stages import validate as stage
from pgrollout.stages.validate import ValidateReport, ValidateRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="validate", task_run_name="validate {request.database.name}", **RETRIED)
def validate(request: ValidateRequest) -> ValidateReport:
    """Split, parse, lint and replay the directory on a shadow database, and plan."""
    return launcher().run(stage.run, request)
