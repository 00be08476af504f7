"""
What all stages share: the shape of a request and of a report.

A request names the database and the release; a report says what happened in one line, and the details as fields.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from pgrollout.settings import Database

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
