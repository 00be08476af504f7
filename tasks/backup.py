"""Task backup; the stage is ``pgrollout.stages.backup``."""

from prefect import task

from pgrollout.stages import backup as stage
from pgrollout.stages.backup import BackupReport, BackupRequest
from tasks.launcher import launcher
from tasks.retries import RETRIED


@task(name="backup", task_run_name="backup {request.database.name}", **RETRIED)
def backup(request: BackupRequest) -> BackupReport:
    """Dump the database, and check that the dump can be read back."""
    return launcher().run(stage.run, request)
