"""Retries: which ends of a stage are tried again, and how often."""

from typing import Any

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Completed, Failed

from pgrollout.errors import (
    ChecksumMismatch,
    ConfigurationError,
    ConnectionBroken,
    Interrupted,
    JobFailed,
    LockNotAcquired,
    PgrolloutError,
    PlanChanged,
    ServerUnavailable,
    StageFailed,
    StatementFailed,
    TableNotReadable,
)
from tasks.apply import apply
from tasks.backup import backup
from tasks.build import build
from tasks.hash import hash
from tasks.retries import waiting_may_cure
from tasks.validate import validate
from tasks.verify import verify

TASKS: list[Task[Any, Any]] = [build, validate, hash, backup, apply, verify]


def is_tried_again(error: BaseException) -> bool:
    """Ask as Prefect does, of a task that ended with this error."""
    run = TaskRun(task_key="apply", dynamic_key="0", flow_run_id=None)
    return waiting_may_cure(apply, run, Failed(data=error))


def refused(sqlstate: str, exit_code: int) -> StatementFailed:
    """A statement that the server refused."""
    return StatementFailed(None, "1", sqlstate, "no", "SELECT 1", "Look.", exit_code)


@pytest.mark.parametrize(
    "error",
    [
        LockNotAcquired(1000, "pgrollout/1"),
        TableNotReadable(1000, "psql"),
        ServerUnavailable("db.example", "connection refused"),
        ConnectionBroken("applying 1", "server closed the connection"),
        refused("40P01", 75),
    ],
    ids=lambda error: type(error).__name__,
)
def test_waiting_can_cure(error: BaseException) -> None:
    """What ends with 75 is tried again."""
    assert is_tried_again(error)


@pytest.mark.parametrize(
    "error",
    [
        refused("22012", 1),
        ConfigurationError("pgrollout.toml", "is not there."),
        PlanChanged("sha256:1", "sha256:2"),
        ChecksumMismatch("1_a.sql", "edited", 2),
        ValueError("a mistake of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_waiting_cannot_cure(error: BaseException) -> None:
    """An answer that stays the same is given once."""
    assert not is_tried_again(error)


def test_who_asked_for_the_end_gets_it() -> None:
    """A run that was interrupted ends with 75 as well, and is not started again by its own task."""
    assert not is_tried_again(Interrupted(1, 2))


@pytest.mark.parametrize(
    ("error", "is_again"),
    [
        (StageFailed("apply", "ConnectionBroken", "lost", 75), True),
        (StageFailed("apply", "Interrupted", "evicted", 75), True),
        (StageFailed("apply", "Interrupted", "cancelled", 75, True), False),
        (StageFailed("apply", "StatementFailed", "no", 1), False),
        (JobFailed("job", "shop", "its process was killed", "", 75), True),
        (JobFailed("job", "shop", "somebody deleted it", "", 75, True), False),
        (JobFailed("job", "shop", "its container ran out of memory", "", 1), False),
    ],
)
def test_a_stage_elsewhere_is_tried_again_unless_its_end_was_wanted(error: PgrolloutError, is_again: bool) -> None:
    """A pod that was evicted says that it was interrupted, and nobody asked for the run's end."""
    assert is_tried_again(error) is is_again


def test_success_is_not_tried_again() -> None:
    """There is nothing to retry in what ended well."""
    run = TaskRun(task_key="apply", dynamic_key="0", flow_run_id=None)

    assert not waiting_may_cure(apply, run, Completed(data=None))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_tasks_are_never_answered_from_a_cache(task: Task[Any, Any]) -> None:
    """A stage runs whenever it is called; no result of it is kept by Prefect."""
    assert task.cache_policy is NO_CACHE
    assert task.persist_result is False


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_tasks_retry_only_where_waiting_can_cure(task: Task[Any, Any]) -> None:
    """A task is retried by our condition, with pauses that grow."""
    assert (task.retries, task.retry_condition_fn) == (3, waiting_may_cure)
    assert task.retry_delay_seconds == [5, 10, 20]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_tasks_are_named_for_people(task: Task[Any, Any]) -> None:
    """A task's run says which stage of which database it is; the page explains the stage."""
    assert task.task_run_name == f"{task.name} {{request.database.name}}"
    assert task.description
