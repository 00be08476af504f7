"""Task apply; the stage is ``pgrollout.stages.apply``."""

from prefect import task

from pgrollout.stages import apply as stage
from pgrollout.stages.apply import ApplyReport, ApplyRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="apply", task_run_name="apply {request.database.name}", **RETRIED)
def apply(request: ApplyRequest) -> ApplyReport:
    """Run the pending migrations, exactly once: a retry finds what is done, and goes on."""
    return launcher().run(stage.run, request)
