"""
Retries: only where waiting can cure, exit code 75, and not where somebody asked for the end.
"""

from typing import Any

from prefect import State, Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.tasks import exponential_backoff

from pgrollout.errors import ExitCode, Interrupted, JobFailed, PgrolloutError, StageFailed


def waiting_may_cure(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Whether the same call may succeed later, unchanged."""
    try:
        state.result()
    except Interrupted:
        return False
    except (StageFailed, JobFailed) as error:
        return error.code is ExitCode.WAIT and not error.is_wanted
    except PgrolloutError as error:
        return error.code is ExitCode.WAIT
    except BaseException:
        return False
    return False


# A side effect must never be answered from a cache, and its result is nobody's truth: the history is.
RETRIED: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": waiting_may_cure,
}
"""A stage: what it talks to, or runs on, may be away; three more tries, after about 5, 10 and 20 seconds."""
