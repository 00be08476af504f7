"""
The runner: a Prefect worker in a cluster, which first takes up what the one before it left behind; ``python -m flows.runner``.

A worker that is killed takes its runs with it, while the Jobs of their stages go on. Prefect itself would leave such a run
under way for ever. The next worker of the same name has it start again: the run finds the Jobs it has made, follows them, and
goes on where it was.
"""

import logging
import os
import sys
from uuid import UUID

from prefect import get_client, runtime
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import AwaitingRetry

from flows.api import answered, client
from pgrollout.commands.logs import set_up_logging
from pgrollout.errors import PgrolloutError

log = logging.getLogger("pgrollout.runner")

NAME = "PGROLLOUT_RUNNER"
"""Variable with the runner's name, the same for each pod of one Deployment; two runners have two."""
LABEL = "pgrollout.runner"
CONNECT_SECONDS = 60.0


def sign() -> None:
    """Note on this process's flow run which runner it belongs to; a run never fails for want of that."""
    name = os.environ.get(NAME)
    if not name or not runtime.flow_run.id:
        return
    try:
        with get_client(sync_client=True) as server:
            server.update_flow_run_labels(UUID(str(runtime.flow_run.id)), {LABEL: name})
    except Exception as error:
        log.warning("run not signed reason=%s", type(error).__name__)


def take_up(server: SyncPrefectClient, name: str, pool: str = "") -> list[FlowRun]:
    """
    Have every run start again that a runner of this name had under way, or of its pool had taken, and return them.

    Only for a runner that begins: none of that name is left, so nobody else carries these runs out.
    """
    types = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    found = answered(
        lambda: server.read_flow_runs(flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=types))),
        CONNECT_SECONDS,
    )
    left = [run for run in found if _is_left(run, name, pool)]
    for run in left:
        # Forced: from the server's point of view it is under way. It gives the place in the deployment's queue free.
        server.set_flow_run_state(
            run.id, AwaitingRetry(message="Its runner has gone; the next one goes on."), force=True
        )
        log.info('run taken up flow_run=%s name="%s"', run.id, run.name)
    return left


def _is_left(run: FlowRun, name: str, pool: str) -> bool:
    if run.state is not None and run.state.type is StateType.PENDING:
        # Taken, and not begun: it has not signed yet. A pool has one runner.
        return bool(pool) and run.work_pool_name == pool
    return run.labels.get(LABEL) == name


def main() -> None:
    """Take up what was left, then become Prefect's worker, with the arguments that it takes."""
    set_up_logging(None, verbose=False)
    if name := os.environ.get(NAME):
        try:
            with client() as server:
                pools = [each.partition("=")[2] for each in sys.argv if each.startswith("--pool=")]
                take_up(server, name, *pools)
        except PgrolloutError as error:
            # The worker itself waits for a server that is away.
            log.warning('runs not taken up reason="%s"', str(error).replace('"', "'"))
    os.execvp(sys.executable, [sys.executable, "-m", "prefect", "worker", "start", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
