"""Task build; the stage is ``pgrollout.stages.build``."""

from prefect import task

from pgrollout.stages import build as stage
from pgrollout.stages.build import BuildReport, BuildRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="build", task_run_name="build {request.database.name}", **RETRIED)
def build(request: BuildRequest) -> BuildReport:
    """Freeze the directory into a release."""
    return launcher().run(stage.run, request)
