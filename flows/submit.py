"""
``pgrollout submit``: start a run of a deployment, follow it, and end with its exit code; what CI and a Helm hook call.

The migration happens elsewhere, where a worker is: this process may be interrupted, repeated and lost. Asked the same again,
the same commit, database and attempt, it attaches to the run that there is.
"""

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterIdempotencyKey,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows.api import answered, client, page_of, reason
from flows.ending import exit_code, what_went_wrong
from flows.following import NotFollowed, follow
from pgrollout import cli, settings
from pgrollout.commands.logs import set_up_logging
from pgrollout.commands.options import dry_run_option, example, format_option, log_options, release_option
from pgrollout.errors import ConfigurationError, ExitCode, ServerUnavailable

log = logging.getLogger("pgrollout.prefect")

CONNECT_SECONDS = 30.0
"""How long a server is waited for that does not answer at the beginning, at most."""
REPORT_SECONDS = 10.0
"""How long the report of a run that has ended is waited for."""
FLOW = "migrate"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom."""

    deployment: str
    """``migrate/reader``."""
    request: Mapping[str, Any]
    """The flow's request: only what differs from what the deployment has."""
    commit: str
    """Empty if nobody knows it."""
    attempt: str

    @property
    def key(self) -> str:
        """
        What makes two submissions the same run: commit, deployment and attempt, and what is asked.

        A dry run must not be taken for the run, nor another image's run for this one. The reason is nobody's business.
        """
        if not self.commit:
            return f"pgrollout/{uuid4()}"
        asked = json.dumps({key: value for key, value in self.request.items() if key != "reason"}, sort_keys=True)
        digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
        return f"pgrollout/{self.deployment}/{self.commit}/{self.attempt}/{digest}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it."""

    exit_code: ExitCode
    outcome: str
    """The state's name, as on the run page; ``Unfinished`` where nobody waited for the end."""
    message: str
    """What went wrong, or what was done."""
    flow_run: UUID
    page: str
    attached: bool
    """Whether the run was there already."""
    report: str = ""
    """The run's report, in Markdown."""


@click.command(name="submit", epilog=example('pgrollout submit --database reader --commit "$GITHUB_SHA"'))
@click.option("--database", "-d", metavar="NAME", help="Its table in pgrollout.toml; needed if there are several.")
@click.option("--deployment", metavar="FLOW/NAME", help="The deployment that is run.  [migrate/<database>]")
@click.option("--image", metavar="REF", envvar="PGROLLOUT_IMAGE", help="Image with the migrations.  [the runner's]")
@release_option
@click.option("--to-version", metavar="VERSION", help="Last version to apply, inclusive.")
@click.option("--baseline", metavar="VERSION", help="Version that an existing database already has; not run.")
@dry_run_option
@click.option("--reason", metavar="TEXT", help="Why, for the ledger and the report.  [the commit]")
@click.option("--commit", metavar="SHA", envvar="GITHUB_SHA", help="The same commit is run once.  [GITHUB_SHA]")
@click.option(
    "--attempt",
    metavar="N",
    envvar="GITHUB_RUN_ATTEMPT",
    default="1",
    help="Another one starts anew.  [GITHUB_RUN_ATTEMPT]",
)
@click.option(
    "--timeout-seconds",
    metavar="S",
    type=click.IntRange(min=1),
    default=3600,
    show_default=True,
    help="How long to wait for the end; the run goes on.",
)
@format_option
@log_options
def command(
    database: str | None,
    deployment: str | None,
    image: str | None,
    release: str | None,
    to_version: str | None,
    baseline: str | None,
    dry_run: bool,
    reason: str | None,
    commit: str | None,
    attempt: str,
    timeout_seconds: int,
    output: str,
    log_format: str | None,
    verbose: bool,
) -> int:
    """
    Start a run of a deployment on the Prefect server, follow it, and end with its exit code.

    Prints the link to the run's page first, then the run's log on stderr. PREFECT_API_URL names the server. Interrupted, it
    leaves the run going; asked the same again, it attaches to it.
    """
    set_up_logging(log_format, verbose)
    deadline = time.monotonic() + timeout_seconds
    name = database or (None if deployment else settings.load().name)
    asked = {
        "database": name,
        "image": image,
        "release": release or os.environ.get("PGROLLOUT_RELEASE"),
        "to_version": to_version,
        "baseline": baseline,
        "dry_run": dry_run or None,
        "reason": reason or (f"commit {commit}" if commit else None),
    }
    question = Question(
        deployment=deployment or f"{FLOW}/{name}",
        request={key: value for key, value in asked.items() if value},
        commit=commit or "",
        attempt=attempt,
    )
    with client() as server:
        run, attached = start(server, question, min(CONNECT_SECONDS, timeout_seconds))
        page = page_of(run.id)
        # In the form of a program the answer is all of stdout: the link goes where it is seen as early.
        click.echo(page, err=output == "json")
        sys.stdout.flush()
        _tell_github_outputs(link=page, flow_run=str(run.id))
        if attached:
            _tell_attached(run, question)
        answer = _answer(server, run, page, attached, deadline)
    _tell_github_outputs(outcome=answer.outcome, exit_code=str(int(answer.exit_code)))
    _tell_github_summary(answer, question)
    if output == "json":
        click.echo(json.dumps({**asdict(answer), "flow_run": str(run.id)}, indent=2, ensure_ascii=False))
    else:
        failed = answer.exit_code is not ExitCode.DONE
        click.echo(f"{'Error: ' if failed else ''}{answer.outcome}: {answer.message}", err=failed)
    return answer.exit_code


def start(server: SyncPrefectClient, question: Question, connect_seconds: float) -> tuple[FlowRun, bool]:
    """
    Return the run, and whether it was there already.

    Raises:
        ConfigurationError: No such deployment, parameters that it does not take, or the server refuses us.
        ServerUnavailable: The server does not answer.
    """
    deployment = answered(lambda: _deployment(server, question.deployment), connect_seconds)
    key = question.key
    if not question.commit:
        log.info('run always new reason="no commit is named"')
    wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
    if found := answered(lambda: server.read_flow_runs(flow_run_filter=wanted, limit=1), connect_seconds):
        return found[0], True
    request = {**deployment.parameters.get("request", {}), **question.request}
    try:
        # The key makes it safe to ask again after an answer that did not arrive.
        created = answered(lambda: _created(server, deployment.id, request, key), connect_seconds)
    except _Refused as refused:
        raise ConfigurationError(
            question.deployment,
            f"its parameters are refused: {refused}.",
            "If this version is newer than the deployment's, register it again: python -m flows.register.",
        ) from refused
    return created, False


class _Refused(Exception):
    """The server refuses the parameters; with its reason."""


def _created(server: SyncPrefectClient, deployment_id: UUID, request: Mapping[str, Any], key: str) -> FlowRun:
    try:
        return server.create_flow_run_from_deployment(
            deployment_id, parameters={"request": dict(request)}, idempotency_key=key
        )
    except PrefectHTTPStatusError as error:
        if error.response.status_code in (409, 422):
            raise _Refused(reason(error)) from error
        raise


def _deployment(server: SyncPrefectClient, name: str) -> DeploymentResponse:
    try:
        return server.read_deployment_by_name(name)
    except (ObjectNotFound, ValueError) as error:
        flows = {flow.id: flow.name for flow in server.read_flows()}
        known = sorted(f"{flows.get(each.flow_id, '?')}/{each.name}" for each in server.read_deployments())
        raise ConfigurationError(
            "The Prefect server",
            f"it has no deployment {name}.",
            f"There are: {', '.join(known)}." if known else "It has none at all: python -m flows.register makes them.",
        ) from error


def _answer(server: SyncPrefectClient, run: FlowRun, page: str, attached: bool, deadline: float) -> Answer:
    """Follow the run, and return what came of it, or why nobody waits any longer."""
    try:
        state = follow(server, run, deadline)
    except NotFollowed as error:
        message = f"{error}. {_how_to_go_on(run)}"
    except KeyboardInterrupt:
        message = f"interrupted. {_how_to_go_on(run)}"
    else:
        code, (headline, report) = exit_code(state), _report(server, run.id)
        what = headline if code is ExitCode.DONE else what_went_wrong(state)
        return Answer(code, str(state.name), what or "no message", run.id, page, attached, report)
    return Answer(ExitCode.WAIT, "Unfinished", message, run.id, page, attached)


def _how_to_go_on(run: FlowRun) -> str:
    return f"The run goes on without this command. To end it: prefect flow-run cancel {run.id}, or Cancel on its page."


def _report(server: SyncPrefectClient, run_id: UUID) -> tuple[str, str]:
    """Return the headline of the run's report and the report; nothing where there is none, or nobody answers."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    try:
        found = answered(lambda: server.read_artifacts(artifact_filter=chosen), REPORT_SECONDS)
    except ServerUnavailable:
        return "", ""
    reports = [each for each in found if (each.key or "").startswith(("run-report-", "drift-report-"))]
    return (str(reports[0].description), str(reports[0].data)) if reports else ("", "")


def _tell_attached(run: FlowRun, question: Question) -> None:
    state: State[Any] | None = run.state
    over = state is not None and state.is_final()
    log.warning(
        'run is there already commit=%s attempt=%s state="%s" advice="%s"',
        question.commit,
        question.attempt,
        state.name if state else "",
        "another --attempt starts anew" if over else "following it",
    )


def _tell_github_outputs(**values: str) -> None:
    """Give the next steps of a GitHub job what they may need, as ``steps.<id>.outputs.link``."""
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a") as outputs:
            outputs.writelines(f"{name.replace('_', '-')}={value}\n" for name, value in values.items())


def _tell_github_summary(answer: Answer, question: Question) -> None:
    """Show outcome, link and stages on the page of a GitHub job, which draws the report as the run page does."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a") as summary:
            summary.write(f"**{question.deployment}**: {answer.outcome}, exit code {int(answer.exit_code)}. ")
            summary.write(f"[Run page]({answer.page})\n\n{answer.report or answer.message}\n")


def main() -> None:
    """Be ``pgrollout submit``; the process ends with the exit code of the contract."""
    sys.exit(cli.run(["submit", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
