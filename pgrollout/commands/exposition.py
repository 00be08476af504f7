"""
Exposition: what was measured of the databases, as metrics of Prometheus, and the server that gives them.

Every metric is listed once, with its help. The only module that imports ``prometheus_client``.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from pgrollout import __version__
from pgrollout.errors import ConfigurationError
from pgrollout.postgres.figures import Figures
from pgrollout.postgres.state import State, shown_version
from pgrollout.settings import Database
from pgrollout.stages.measured import Measured, measure

log = logging.getLogger("pgrollout.metrics")

FRESH_SECONDS = 5.0
"""How long an answer is given again: several who ask at once cost the database one look."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number of a database."""

    name: str
    help: str
    value: Callable[[Measured], float | None]
    """None leaves the database out."""


def _figure(of: Callable[[Figures], float | None]) -> Callable[[Measured], float | None]:
    return lambda found: of(found.figures) if found.figures is not None else None


def _state(of: Callable[[State], float | None]) -> Callable[[Measured], float | None]:
    return lambda found: of(found.state) if found.state is not None else None


def _under_way(figures: Figures) -> float:
    run = figures.last_run
    return run.age_seconds if run is not None and run.outcome is None else 0.0


def _success(figures: Figures) -> float | None:
    run = figures.last_run
    return None if run is None or run.outcome is None else float(run.outcome == "done")


def _silence(state: State) -> float | None:
    return None if state.ledger.silent_ms is None else state.ledger.silent_ms / 1000


GAUGES = (
    Gauge("pgrollout_up", "Whether the database lets us in and answers.", lambda found: float(found.is_up)),
    Gauge(
        "pgrollout_connect_seconds", "How long it took to connect, log in and ask.", lambda found: found.connect_seconds
    ),
    Gauge(
        "pgrollout_ledger_readable",
        "Whether history and ledger could be read; also 1 where there are none yet.",
        lambda found: float(found.is_readable) if found.is_up else None,
    ),
    Gauge(
        "pgrollout_pending_migrations",
        "Files of the directory that a run would apply; absent while a run would refuse.",
        lambda found: found.pending,
    ),
    Gauge(
        "pgrollout_applied_migrations",
        "Rows of the history.",
        _state(lambda state: len(state.revisions)),
    ),
    Gauge(
        "pgrollout_refused",
        "Whether a run would refuse because directory and history do not agree.",
        lambda found: None if found.is_refused is None else float(found.is_refused),
    ),
    Gauge(
        "pgrollout_unresolved_statements",
        "Statements that were started outside a transaction and whose end nobody saw.",
        _state(lambda state: len(state.ledger.open_intents)),
    ),
    Gauge(
        "pgrollout_lease_silence_seconds",
        "For how long the run that has the lease gave no sign of life; absent if none has it.",
        _state(_silence),
    ),
    Gauge(
        "pgrollout_run_under_way_seconds",
        "For how long the newest run has been without an end; 0 if it has ended. A run that was killed has none.",
        _figure(_under_way),
    ),
    Gauge(
        "pgrollout_last_run_start_timestamp_seconds",
        "When the newest run began.",
        _figure(lambda figures: figures.last_run.started_at if figures.last_run else None),
    ),
    Gauge(
        "pgrollout_last_run_duration_seconds",
        "How long the newest run took; absent while it has no end.",
        _figure(lambda figures: figures.last_run.seconds if figures.last_run else None),
    ),
    Gauge(
        "pgrollout_last_run_slowest_step_seconds",
        "How long the slowest step of the newest run took, a statement or what commits together.",
        _figure(lambda figures: figures.last_run.slowest_step_seconds if figures.last_run else None),
    ),
    Gauge(
        "pgrollout_last_run_success",
        "Whether the newest run ended well; absent while it has no end.",
        _figure(_success),
    ),
    Gauge(
        "pgrollout_last_success_timestamp_seconds",
        "When a run last ended well.",
        _figure(lambda figures: figures.last_success_at),
    ),
    Gauge(
        "pgrollout_last_drift_check_timestamp_seconds",
        "When somebody last looked for drift, whatever was found.",
        _figure(lambda figures: figures.last_check_at),
    ),
    Gauge(
        "pgrollout_drifted_objects",
        "Objects that the last look for drift found changed since the last run; absent if they cannot be compared.",
        lambda found: found.drifted,
    ),
    Gauge(
        "pgrollout_last_backup_timestamp_seconds",
        "When the newest backup was taken that the ledger knows.",
        _figure(lambda figures: figures.last_backup_at),
    ),
    Gauge(
        "pgrollout_last_backup_size_bytes",
        "Its size.",
        _figure(lambda figures: figures.last_backup_bytes),
    ),
)
RUNS = "pgrollout_runs"
"""No counter: a run that is tried again under its name takes its old end back, and a restored database has fewer."""
INFO, BUILD = "pgrollout_database_info", "pgrollout_build_info"
NAMES = frozenset((*(gauge.name for gauge in GAUGES), RUNS, INFO, BUILD))
"""Every metric there is."""


class Exposition(Collector):
    """Reads the databases when somebody asks."""

    def __init__(self, databases: Sequence[Database]) -> None:
        self._databases = databases
        self._lock = threading.Lock()
        self._found: Mapping[str, Measured] = {}
        self._at: float | None = None
        self._told: dict[str, tuple[str, ...]] = {}

    def measured(self) -> Mapping[str, Measured]:
        """Return what is known of each database, no older than a few seconds."""
        with self._lock:
            if self._at is None or time.monotonic() - self._at > FRESH_SECONDS:
                self._found = dict(_all_at_once(self._databases))
                self._at = time.monotonic()
                self._tell()
            return self._found

    def _tell(self) -> None:
        """Log what is wrong when it changes, not at each look."""
        for name, found in self._found.items():
            if found.problems != self._told.get(name, ()):
                for problem in found.problems:
                    log.warning('metrics incomplete database=%s reason="%s"', name, problem.replace('"', "'"))
                if not found.problems:
                    log.info("metrics complete database=%s", name)
                self._told[name] = found.problems

    def describe(self) -> Iterable[Metric]:
        """Return nothing: whoever registers this must not look yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, with one sample for each database that has it."""
        databases = self.measured()
        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=["database"])
            for name, found in databases.items():
                if (value := gauge.value(found)) is not None:
                    family.add_metric([name], value)
            yield family
        runs = GaugeMetricFamily(RUNS, "Runs that the ledger has, by how they ended.", labels=["database", "outcome"])
        about = InfoMetricFamily(INFO.removesuffix("_info"), "What the database is, and has.", labels=["database"])
        for name, found in databases.items():
            for outcome, count in sorted(found.figures.runs.items()) if found.figures else ():
                runs.add_metric([name, outcome], count)
            about.add_metric([name], _about(found))
        yield runs
        yield about
        yield InfoMetricFamily(BUILD.removesuffix("_info"), "What pgrollout itself is.", {"version": __version__})


def _about(found: Measured) -> dict[str, str]:
    return {
        "server_version": shown_version(found.server_version) if found.server_version else "",
        "history_version": (found.state.current or "") if found.state else "",
        "release": found.release or "",
    }


def _all_at_once(databases: Sequence[Database]) -> Iterator[tuple[str, Measured]]:
    """Look at all databases, so that one that is down keeps no other waiting."""
    results: dict[str, Measured] = {}

    def look(database: Database) -> None:
        results[database.name] = measure(database)

    # Daemons: the end of the process waits for no answer.
    threads = [threading.Thread(target=look, args=(database,), daemon=True) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        yield database.name, results.get(database.name, Measured(problems=("a look at it has failed",)))


def serve(exposition: Exposition, address: str, port: int) -> None:
    """
    Answer until the process is interrupted.

    Raises:
        ConfigurationError: Nobody can listen there.
    """
    registry = CollectorRegistry()
    registry.register(exposition)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, encode(registry), content_type)
                case "/healthz":
                    self._answer(200, b"ok\n")
                case _:
                    self._answer(404, b"Here are /metrics and /healthz.\n")

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of each request."""

    try:
        server = _Server((address, port), Handler)
    except OSError as error:
        raise ConfigurationError(
            "pgrollout metrics", f"cannot listen on {address}:{port}: {error.strerror}."
        ) from error
    with server:
        log.info("metrics served address=%s port=%d", address, server.server_port)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log.info("metrics ended")


class _Server(ThreadingHTTPServer):
    block_on_close = False  # nobody waits for an answer that is still on its way

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what goes wrong with one answer in a line: mostly, who asked has gone."""
        log.warning("metrics not answered reason=%s", type(sys.exception()).__name__)
