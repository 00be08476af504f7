"""``pgrollout status``: what is applied and what is pending."""

import json

import click

from pgrollout.commands.options import answer, database_options, example, format_option, setting_options
from pgrollout.history import ExecOrder
from pgrollout.postgres.state import shown_version
from pgrollout.settings import Database
from pgrollout.stages.deciding import Choice
from pgrollout.stages.overview import Line, Overview, Standing, overview


@click.command(name="status", epilog=example("pgrollout status --database reader --format json"))
@database_options
@setting_options(
    click.option(
        "--exec-order",
        type=click.Choice(["linear", "linear-skip", "non-linear"]),
        help="How a run would treat files older than the newest applied one.  [linear]",
    ),
    keys=("exec_order",),
)
@format_option
def command(database: Database, output: str) -> None:
    """
    Show what is applied and what is pending, one line per migration.

    Takes no lock, writes nothing, and starts no server.
    """
    choice = Choice(ExecOrder(database.exec_order), allow_dirty=True)
    found = overview(database, choice)
    if output == "json":
        answer(json.dumps(_as_json(database, found), indent=2, ensure_ascii=False))
        return
    lines = found.lines()
    pending = len(found.todo.migrations)
    state = _state(found)
    answer(f"Status:   {state}")
    answer(f"Database: {database.name}, PostgreSQL {shown_version(found.server_version)}")
    answer(f"Current:  {found.state.current or 'no migration applied yet'}")
    answer(f"Next:     {found.todo.migrations[0].version if pending else 'already at latest version'}")
    answer(f"Applied:  {len(found.state.revisions)}")
    answer(f"Pending:  {pending}")
    if lines:
        answer("")
    width = max((len(line.standing) for line in lines), default=0)
    for line in lines:
        answer(f"  {line.standing:<{width}}  {line.name}{_detail(line)}")
    for line in lines:
        if line.revision is not None and line.standing is Standing.PARTIAL and line.revision.error:
            answer(f"\nLast attempt at {line.name} failed:\n  {line.revision.error_stmt}\n  {line.revision.error}")
    for intent in found.state.ledger.open_intents:
        answer(
            f"\nNobody saw the end of statement {intent.position} of version {intent.version}: see `pgrollout resolve`."
        )
    if found.problem:
        answer(f"\n{found.problem}")


def _state(found: Overview) -> str:
    if found.problem or found.state.ledger.open_intents:
        return "PROBLEM"  # a run would refuse
    return "PENDING" if found.todo.migrations else "OK"


def _detail(line: Line) -> str:
    revision = line.revision
    if revision is None:
        return ""
    counted = f"  {revision.applied} of {revision.total} statements" if line.standing is Standing.PARTIAL else ""
    return f"{counted}  {revision.executed_at:%Y-%m-%d %H:%M:%S %Z}"


def _as_json(database: Database, found: Overview) -> dict[str, object]:
    return {
        "status": _state(found),
        "database": database.name,
        "server_version": shown_version(found.server_version),
        "release": found.reviewed.release.digest,
        "current": found.state.current,
        "next": found.todo.migrations[0].version if found.todo.migrations else None,
        "applied": len(found.state.revisions),
        "pending": len(found.todo.migrations),
        "problem": {"error": type(found.problem).__name__, "message": str(found.problem)} if found.problem else None,
        "open_intents": [
            {"version": intent.version, "statement": intent.position, "since": intent.since.isoformat()}
            for intent in found.state.ledger.open_intents
        ],
        "migrations": [_line_as_json(line) for line in found.lines()],
    }


def _line_as_json(line: Line) -> dict[str, object]:
    revision = line.revision
    row = {
        "type": revision.type.words,
        "applied": revision.applied,
        "total": revision.total,
        "executed_at": revision.executed_at.isoformat(),
        "execution_time_ns": revision.execution_time_ns,
        "error": revision.error,
        "error_stmt": revision.error_stmt,
        "operator_version": revision.operator_version,
    } if revision else None  # fmt: skip
    return {"version": line.version, "name": line.name, "standing": str(line.standing), "revision": row}
