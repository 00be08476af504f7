"""
Failure: what happens when a flow run fails or crashes, an alert to the operator, unless Prefect's server sends one.

Prefect calls a hook by the names ``flow, flow_run, state``, and after a SIGKILL in another process, the worker's: what it
tells must not depend on what this process remembers.
"""

import logging
from typing import Any

from prefect import Flow, State, get_client
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import TaskRunSort
from prefect.settings import PREFECT_UI_URL

from flows import project_root
from flows.alerts import is_told_by_server
from flows.ending import PREFIX
from flows.pipeline import LATEST
from pgrollout import settings
from pgrollout.errors import PgrolloutError
from pgrollout.settings import Database
from tasks.alert import alert

log = logging.getLogger("pgrollout.alert")


def tell_operator(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Send the alert: which database, which stage, what went wrong, where to look."""
    given = flow_run.parameters.get("request") or {}
    name = given.get("database") if isinstance(given, dict) else getattr(given, "database", "")
    try:
        database = settings.load(name or None)
    except PgrolloutError:
        # The run failed for that very reason: nobody says where an alert would go, but the log is there.
        database = Database(name=name or "unknown", root=project_root())
    if flow_run.deployment_id is not None and _is_told_by_server(database.name):
        log.info("alert left to Prefect's server flow_run=%s", flow_run.id)
        return
    page = PREFECT_UI_URL.value()
    lines = (
        f"{flow.name} of database {database.name}: {state.name} at stage {_stage(flow_run)}",
        (state.message or "").removeprefix(PREFIX),
        f"{page}/runs/flow-run/{flow_run.id}" if page else f"flow run {flow_run.name}",
    )
    alert(database, str(flow_run.id), "\n".join(line for line in lines if line))


def _is_told_by_server(database: str) -> bool:
    """Whether the server does; one that does not answer may never have heard of the failure: rather twice than never."""
    try:
        with get_client(sync_client=True) as client:
            return is_told_by_server(client, database)
    except Exception as error:
        log.warning("alerts of Prefect's server not read reason=%s", type(error).__name__)
        return False


def _stage(flow_run: FlowRun) -> str:
    """Return the stage that the run ended in: as this process knows, else as Prefect's server does."""
    if LATEST and LATEST[-1].ends:
        return LATEST[-1].ends[-1].name
    try:
        with get_client(sync_client=True) as client:
            found = client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])),
                sort=TaskRunSort.EXPECTED_START_TIME_DESC,
                limit=1,
            )
    except Exception:
        return "unknown"
    return found[0].name.partition(" ")[0] if found else "unknown"
