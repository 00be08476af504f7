"""
The pipeline: calls the stages' tasks one after the other, keeps how each ended, and publishes that on the run page.

Prefect is told, and not needed: what it cannot record is logged, and the stages go on. Which stages there are, and what
they are asked, is the flow's business.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC
from typing import Any, TypeVar
from uuid import UUID

from prefect import Task, get_client, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_UI_URL, temporary_settings
from prefect.utilities.annotations import opaque

from flows.report import RunReport, run_report
from flows.runner import sign
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.log_fields import about
from pgrollout.plan import Plan
from pgrollout.plan_text import as_markdown
from pgrollout.stages.reviewed import new_run_id
from pgrollout.stages.stage import Report, Request

log = logging.getLogger("pgrollout.flow")

RequestT = TypeVar("RequestT", bound=Request)
ReportT = TypeVar("ReportT", bound=Report)

RETRIES = 2
"""How often an artifact that cannot be made is tried again: six seconds. Prefect's own five take more than a minute."""

LABEL_SECONDS = 5
"""How long a server may take to note the stage; each stage waits for that."""

STAGE_LABEL = "pgrollout.stage"
"""Label of a flow run on Prefect's server: the stage that it is at, also when its process is gone."""

LATEST: list[RunReport] = []
"""The reports of this process's runs: what is known of them when Prefect's server is gone."""


class Stages:
    """Calls the task of a stage, and keeps how it ended."""

    def __init__(self, report: RunReport, stack: ExitStack) -> None:
        self._report = report
        self._stack = stack
        self._client: SyncPrefectClient | None = None
        self._before: Report | None = None

    def __call__(self, task: Task[[RequestT], ReportT], request: RequestT) -> ReportT:
        """Run the stage and return its report; whatever it raises goes on."""
        with about(stage=task.name):
            return self._run(task, request)

    def _run(self, task: Task[[RequestT], ReportT], request: RequestT) -> ReportT:
        started = time.monotonic()
        self._label(task.name)
        try:
            # An arrow on the run page from stage to stage. Else Prefect draws one from every task whose report shares any
            # value with the request: a web.
            asked: Any = opaque(request)
            ended = task(asked, wait_for=[self._before] if self._before else None)
        except BaseException as error:
            text, code = _ending(error)
            self._report.failed(task.name, text, round((time.monotonic() - started) * 1000), code)
            # For the run page, whose log has little else than tracebacks; a terminal shows it at the end.
            log.error("stage failed stage=%s\n%s", task.name, text)
            raise
        self._report.ended(task.name, ended)
        log.info(
            'stage ended stage=%s outcome="%s" duration_ms=%d summary="%s"',
            task.name,
            ended.outcome,
            ended.duration_ms,
            ended.summary.replace('"', "'"),
        )
        self._before = ended
        return ended

    def _label(self, stage: str) -> None:
        """Let Prefect's server know the stage, trying once: what it tells people of a run that is killed has it."""
        if (run_id := runtime.flow_run.id) is None:
            return
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                if self._client is None:
                    # One of our own: Prefect's waits a minute for an answer.
                    client = get_client(httpx_settings={"timeout": LABEL_SECONDS}, sync_client=True)
                    self._client = self._stack.enter_context(client)
                self._client.update_flow_run_labels(UUID(str(run_id)), {STAGE_LABEL: stage})
        except Exception as error:
            log.debug("stage not labelled stage=%s reason=%s", stage, type(error).__name__)


def _ending(error: BaseException) -> tuple[str, ExitCode]:
    """Return what a stage ended with, for people, and the exit code of it."""
    if isinstance(error, PgrolloutError):
        return str(error), error.code
    if isinstance(error, (KeyboardInterrupt, TerminationSignal)):
        # What the stage itself said of the interrupt, before Prefect had the signal.
        said = error.__context__
        return str(said) if isinstance(said, PgrolloutError) else "Interrupted.", ExitCode.WAIT
    return f"{type(error).__name__}: {error}", ExitCode.FAILED


@contextmanager
def reported(report: RunReport, key: str = "run-report") -> Iterator[Stages]:
    """Give what runs the stages, and publish the report of the run however it ends, under the key and the database."""
    LATEST.append(report)
    sign()
    with about(run=report.run_id, database=report.database), ExitStack() as stack:
        try:
            yield Stages(report, stack)
        finally:
            publish(
                f"{key}-{artifact_key(report.database)}", run_report(report), f"{report.database}: {report.headline}"
            )


def publish_plan(plan: Plan | None) -> None:
    """Publish the plan as an artifact of its own."""
    if plan is not None:
        count = f"{len(plan.files)} pending, {plan.statement_count} statements"
        publish(f"plan-{artifact_key(plan.database)}", as_markdown(plan), f"{plan.database}: {count}")


def publish(key: str, markdown: str, description: str) -> None:
    """Make a page of an artifact; a run never fails for want of one, and does not wait long for a server that is gone."""
    _publish(key, lambda: create_markdown_artifact(markdown, key=key, description=description))


def publish_table(key: str, rows: list[dict[str, str]], description: str) -> None:
    """Make a table of an artifact, on the same terms."""
    _publish(key, lambda: create_table_artifact(rows, key=key, description=description))


def _publish(key: str, make: Callable[[], object]) -> None:
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: min(RETRIES, PREFECT_CLIENT_MAX_RETRIES.value())}):
            make()
    except Exception as error:
        log.warning("artifact not made key=%s reason=%s", key, type(error).__name__)


def page() -> str:
    """Return the address of this run's page; empty where nobody serves one."""
    return f"{PREFECT_UI_URL.value()}/runs/flow-run/{runtime.flow_run.id}" if PREFECT_UI_URL.value() else ""


def run_id() -> str:
    """
    Return the run's name, ``20261123T101530Z-3fa9c1``: of a flow run that Prefect starts anew, the same again.

    So Jobs that an earlier process of this flow run has started are found, and not made twice.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.created is None:
        return new_run_id()  # called as a plain function, with no flow run about it
    return f"{context.flow_run.created.astimezone(UTC):%Y%m%dT%H%M%SZ}-{context.flow_run.id.hex[-6:]}"


def artifact_key(database: str) -> str:
    """Return the name as an artifact's key may be: lower case, digits, dashes."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in database.lower()).strip("-") or "database"
