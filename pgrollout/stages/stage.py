"""
What all stages share: the shape of a request and of a report, and what the log says while a stage runs.

A request names the database and the release; a report says what happened in one line, and the details as fields.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pgrollout.log_fields import about
from pgrollout.settings import Database
from pgrollout.stages.reviewed import new_run_id

FORMAT_VERSION = 1


class Request(BaseModel):
    """What a stage is asked to do. Serialised, it has no URL: the process that runs it finds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    database: Database = Field(description="The database's settings.")
    run_id: str = Field("", description="The run this stage belongs to; names its files and its connections.")
    release: str | None = Field(
        None, description="Release digest that the directory must have; None takes what is there."
    )
    dry_run: bool = Field(False, description="Say what would be done, and write nothing.")


class Outcome(StrEnum):
    """How a stage ended; one that failed raises instead."""

    DONE = "done"
    NOTHING_TO_DO = "nothing to do"
    SKIPPED = "skipped"
    """The configuration says not to."""


class Report(BaseModel):
    """What a stage did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    outcome: Outcome = Outcome.DONE
    summary: str = Field(description="One line for a person.")
    duration_ms: int = Field(0, description="How long it took, in milliseconds.")


RequestT = TypeVar("RequestT", bound=Request)
ReportT = TypeVar("ReportT", bound=Report)


def logged(stage: Callable[[RequestT], ReportT]) -> Callable[[RequestT], ReportT]:
    """Let whatever a stage logs say which stage of which run of which database it is; a run without a name gets one."""
    name = stage.__module__.rpartition(".")[2]

    @wraps(stage)
    def run(request: RequestT) -> ReportT:
        named = request if request.run_id else request.model_copy(update={"run_id": new_run_id()})
        with about(run=named.run_id, stage=name, database=named.database.name):
            return stage(named)

    return run
