"""Task check_drift; the stage is ``pgrollout.stages.drift``."""

from prefect import task

from pgrollout.stages import drift as stage
from pgrollout.stages.drift import DriftReport, DriftRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="drift", task_run_name="drift {request.database.name}", **RETRIED)
def check_drift(request: DriftRequest) -> DriftReport:
    """Compare the live schema with what the last run left and what the directory makes; what is found is the flow's to judge."""
    return launcher().run(stage.examine, request)
