"""
Stage hash: the directory against its sum file, and against what every applied revision recorded.

Atlas does the first and never the second. Reads only; ``pgrollout hash`` without ``--check`` is what rewrites the file.
"""

import time

from pydantic import Field

from pgrollout.postgres.connection import connect
from pgrollout.postgres.sqlstate import explained
from pgrollout.postgres.state import read_state
from pgrollout.stages.deciding import check_history
from pgrollout.stages.reviewed import new_run_id, read_reviewed
from pgrollout.stages.stage import Outcome, Report, Request, logged


class HashRequest(Request):
    """What to compare."""

    with_history: bool = Field(True, description="Compare the history too; needs the database.")


class HashReport(Report):
    """What was compared, and found equal."""

    release: str = Field(description="Digest of the release.")
    files: int = Field(description="Files whose sums are right.")
    revisions: int = Field(description="Applied revisions whose file is still the one that ran.")
    not_comparable: tuple[str, ...] = Field(
        (), description="Files whose recorded hash vouches for files removed since."
    )


@logged
def run(request: HashRequest) -> HashReport:
    """
    Compare, and raise on the first difference.

    Raises:
        HistoryError: The file, the line of the sum file or the version, and what is wrong with it.
    """
    started = time.monotonic()
    reviewed = read_reviewed(request.database, request.release)
    compared = 0
    not_comparable: tuple[str, ...] = ()
    if request.with_history:
        run_id = request.run_id or new_run_id()
        with (
            explained("reading the history"),
            connect(request.database, application_name=f"pgrollout/{run_id}/hash") as connection,
        ):
            found = check_history(reviewed, read_state(connection, request.database))
        compared, not_comparable = found.compared, found.not_comparable
    count = len(reviewed.migrations)
    files = "1 file matches" if count == 1 else f"{count} files match"
    return HashReport(
        outcome=Outcome.DONE,
        summary=f"{files} atlas.sum" + (f", {compared} the history" if request.with_history else ""),
        duration_ms=round((time.monotonic() - started) * 1000),
        release=reviewed.release.digest,
        files=count,
        revisions=compared,
        not_comparable=not_comparable,
    )
