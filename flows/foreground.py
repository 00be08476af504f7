"""
A flow in the foreground: in this process, with a person or a script waiting for its exit code.

Prefect raises what a stage raised, or trouble of its own; what counts is how the stages ended. The traceback is in the
run's log; the terminal shows one paragraph.
"""

import copy
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import click
import httpx
from prefect.exceptions import TerminationSignal
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_EPHEMERAL_ENABLED
from pydantic import SecretStr

from flows import DEFAULTS
from flows.pipeline import LATEST
from flows.report import RunReport
from pgrollout import cli, progress, settings
from pgrollout.commands.logs import JsonFormatter
from pgrollout.errors import ExitCode, PgrolloutError
from pgrollout.postgres import embedded
from pgrollout.settings import Database
from tasks.alert import alert

log = logging.getLogger("pgrollout.flow")

_TOLD_AT_THE_END = ("prefect.flow_runs", "prefect.task_runs", "pgrollout.flow", "pgrollout.alert")


def run(flow: Callable[[], object], database: Database) -> tuple[ExitCode, RunReport | None]:
    """
    Run the flow; return the exit code, and the report if the run got so far. Errors are told on stderr.

    Args:
        flow: Calls the flow.
        database: The database's settings; an embedded server is kept running for all stages.
    """
    LATEST.clear()
    if url := os.environ.get("PREFECT_API_URL"):
        source = "make ui" if "PREFECT_API_URL" in DEFAULTS else "PREFECT_API_URL"
        log.info('run recorded server="%s" source="%s"', settings.masked(url), source)
    with ExitStack() as stack:
        stack.enter_context(_sigterm_interrupts())
        stack.enter_context(_terminal())
        if settings.target(database).kind == "embedded":
            stack.enter_context(embedded.server(database.root))
        try:
            with progress.reporting("starting Prefect's temporary server"):
                _start_temporary_server()
            flow()
        except (KeyboardInterrupt, TerminationSignal):
            click.echo("Interrupted. What was committed stays; the next run continues from there.", err=True)
            return ExitCode.WAIT, _latest()
        except Exception as error:
            return _told(error, _latest(), database), _latest()
    return ExitCode.DONE, _latest()


def _start_temporary_server() -> None:
    """
    Start the server that Prefect would start now, out of the reach of Ctrl-C: it is to be told how the run ends.

    The terminal sends Ctrl-C to every process of the command. A child inherits the signals that the thread which starts it
    has blocked; this thread itself stays open to them.
    """
    if PREFECT_API_URL.value() or not PREFECT_SERVER_EPHEMERAL_ENABLED.value():
        return
    from prefect.server.api.server import SubprocessASGIServer  # takes seconds, and is needed here only

    problems: list[Exception] = []

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            # Prefect keeps one for the process, and finds it started.
            SubprocessASGIServer().start()
        except Exception as error:
            problems.append(error)

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]


def as_environment(database: Database) -> dict[str, str]:
    """Return the environment in which any process finds these very settings."""
    found = {}
    for key in settings.flag_keys():
        model, field = (database.shadow, key.removeprefix("shadow_")) if key.startswith("shadow_") else (database, key)
        value = getattr(model, field)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            found[f"PGROLLOUT_{key.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
    return found


def _latest() -> RunReport | None:
    return LATEST[-1] if LATEST else None


def _told(error: Exception, report: RunReport | None, database: Database) -> ExitCode:
    """Tell what happened, and return the exit code: the stages' own where they ended, whatever Prefect says."""
    if isinstance(error, PgrolloutError):
        cli.tell(error)
        return error.code
    lost = f"Prefect's server could not be told ({type(error).__name__}); the database's own history is right."
    if report is not None and report.is_complete:
        click.echo(f"Warning: every stage ended well, and {lost}", err=True)
        return ExitCode.DONE
    if report is not None and report.error:
        click.echo(f"Error: {report.error}\nAlso, {lost}", err=True)
        # Prefect calls no hook for a run whose end it could not record.
        alert(
            database, report.run_id, f"run of database {database.name}: {report.headline}\n{report.error}\nAlso, {lost}"
        )
        return report.exit_code
    if _is_unreachable(error):
        named = os.environ.get("PREFECT_API_URL")
        where = f"at {settings.masked(named)}, which PREFECT_API_URL names," if named else "that the run would start"
        done = f"The run stopped after stage {report.ends[-1].name}." if report and report.ends else "Nothing was done."
        click.echo(
            f"Error: the Prefect server {where} does not answer. {done} Start it, unset PREFECT_API_URL to do with a "
            "temporary one, or run the stages without Prefect, from `pgrollout validate` to `pgrollout verify`.",
            err=True,
        )
        return ExitCode.WAIT
    where = "\nThe traceback is in the run's log." if report is not None else ""
    click.echo(f"Error: {type(error).__name__}: {error}{where}", err=True)
    return ExitCode.FAILED


def _is_unreachable(error: Exception) -> bool:
    # What Prefect says of a server that does not answer when a run begins is a plain RuntimeError.
    return isinstance(error, httpx.TransportError) or (
        type(error) is RuntimeError and ("Failed to reach API" in str(error) or "Timed out" in str(error))
    )


@contextmanager
def _terminal() -> Iterator[None]:
    """
    Leave out of Prefect's console what the end tells anyway: errors of the run, with their tracebacks.

    The run's log on Prefect's server keeps them. Where the command line's log is JSON lines, Prefect's is too.
    """
    logger = logging.getLogger("pgrollout")
    as_json = any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers)
    before, display = (logger.handlers[:], logger.propagate), progress.display
    progress.display = None  # it would be torn by Prefect's lines
    # To the console by the root logger, and to Prefect's server as Prefect sets up what is named in EXTRA_LOGGERS.
    logger.handlers[:], logger.propagate = logging.getLogger("prefect.extra").handlers, True
    consoles = [handler for handler in logging.getLogger().handlers if isinstance(handler, PrefectConsoleHandler)]
    formatters = [handler.formatter for handler in consoles]
    for handler in consoles:
        handler.addFilter(_is_news)
        handler.setFormatter(_OneLine(_PrefectJson() if as_json else handler.formatter))
    try:
        yield
    finally:
        for handler, formatter in zip(consoles, formatters, strict=True):
            handler.removeFilter(_is_news)
            if not as_json:  # else it stays: Prefect stops its server at the end of the process, and says so
                handler.setFormatter(formatter)
        (logger.handlers[:], logger.propagate), progress.display = before, display


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR or not record.name.startswith(_TOLD_AT_THE_END)


class _OneLine(logging.Formatter):
    """Another formatter's line, without a traceback."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        short = copy.copy(record)
        short.exc_info = short.exc_text = short.stack_info = None
        return self._inner.format(short)


class _PrefectJson(JsonFormatter):
    """The command line's JSON line, for Prefect's own records too: those say in fields which task they are about."""

    def format(self, record: logging.LogRecord) -> str:
        if task := getattr(record, "task_run_name", None):
            record.msg, record.args = f'{record.getMessage()} task="{task}"', None
        return super().format(record)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: Prefect, once it has reported the run, hands the signal on to this handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
