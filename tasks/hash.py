"""Task hash; the stage is ``pgrollout.stages.hash``."""

from prefect import task

from pgrollout.stages import hash as stage
from pgrollout.stages.hash import HashReport, HashRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="hash", task_run_name="hash {request.database.name}", **RETRIED)
def hash(request: HashRequest) -> HashReport:
    """Compare the directory with its sum file and the history."""
    return launcher().run(stage.run, request)
