"""Task verify; the stage is ``pgrollout.stages.verify``."""

from prefect import task

from pgrollout.stages import verify as stage
from pgrollout.stages.verify import VerifyReport, VerifyRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="verify", task_run_name="verify {request.database.name}", **RETRIED)
def verify(request: VerifyRequest) -> VerifyReport:
    """Compare the live database with what the directory makes."""
    return launcher().run(stage.run, request)
