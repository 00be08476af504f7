"""
A shop whose database is migrated by the chart, through Prefect: what the stories have in common.

Its migrations are in a ConfigMap that stages mount, so that a story can change them without an image of its own.
"""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from pgrollout import sum_file
from pgrollout.directory import read_directory, write_sum_file
from tests.e2e.cluster import ROOT, Json, Namespace, restricted, wait_until
from tests.e2e.images import Images
from tests.e2e.servers import CA_SECRET, CREDENTIALS, DATABASE, Postgres, PrefectServer, service
from tests.project import AT_THE_GATE, GATE

CHART = str(ROOT / "deployments" / "chart")
GATED = f"CREATE TABLE a (id int);\n{AT_THE_GATE};\nINSERT INTO a VALUES (1);\n"
"""A migration that stops in its middle while a gate is closed."""
MIGRATIONS = "shop-migrations"
RECEIVER = "receiver"
_RECEIVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        print("alert", self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

HTTPServer(("", 8080), Receiver).serve_forever()
"""


@dataclass
class Shop:
    """Database, Prefect server and chart in one namespace."""

    namespace: Namespace
    postgres: Postgres
    prefect: PrefectServer
    """In direct mode nobody looks at it."""
    images: Images
    scratch: Path
    release: str = "shop"
    count: int = field(default=0)
    """Of migrations so far; the next has a higher version."""

    def write(self, *texts: str) -> list[str]:
        """Add migrations, and return their versions; whoever starts a stage from now on has them."""
        self.scratch.mkdir(exist_ok=True)
        versions = []
        for text in texts:
            self.count += 1
            versions.append(f"{self.count:04d}")
            (self.scratch / f"{versions[-1]}_change.sql").write_text(text)
        self._publish()
        return versions

    def remove(self, version: str) -> None:
        """Take a migration back that was not applied."""
        (self.scratch / f"{version}_change.sql").unlink()
        self._publish()

    def _publish(self) -> None:
        write_sum_file(self.scratch, sum_file.sum_of(read_directory(self.scratch).migrations))
        data = {path.name: path.read_text() for path in self.scratch.iterdir()}
        self.namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MIGRATIONS}, "data": data})

    def start_receiver(self) -> None:
        """Start what alerts are sent to; its log has one line for each."""
        pod = restricted(RECEIVER, self.images.tool(), ["python3", "-u", "-c", _RECEIVER], labels={"app": RECEIVER})
        self.namespace.start(pod)
        self.namespace.apply(service(RECEIVER, 8080))

    def alerts(self) -> list[str]:
        """Return the alerts that were received."""
        return [
            line.removeprefix("alert ") for line in self.namespace.log(RECEIVER).splitlines() if line[:6] == "alert "
        ]

    def direct_values(self) -> Json:
        """Return the chart's values for direct mode: without Prefect, nothing of which is needed."""
        return {key: value for key, value in self.values().items() if key not in ("prefect", "alerts", "runner")}

    def values(self, **more: Any) -> Json:
        """Return the chart's values, as a team would write them."""
        repository, _, tag = self.images.tool().rpartition(":")
        mount = {"name": "migrations", "mountPath": "/app/migrations", "readOnly": True}
        values: Json = {
            "image": {"repository": repository, "tag": tag},
            "database": {
                "host": self.postgres.host,
                "name": DATABASE,
                "sslMode": "verify-full",
                "tls": {"existingSecret": CA_SECRET},
            },
            "secrets": {"existingSecret": f"{CREDENTIALS}-pg"},
            "prefect": {
                "apiUrl": self.prefect.api_url,
                "uiUrl": "http://prefect.example.com",
                "existingSecret": "prefect-auth",
            },
            "migration": {"database": "shop"},
            "alerts": {"settings": {"webhook_url": f"http://{RECEIVER}.{self.namespace.name}.svc:8080/"}},
            "config": "[database.shop]\nlease_timeout_ms = 3000\nsmall_table_bytes = 0\n",
            "stage": {
                "terminationGracePeriodSeconds": 15,
                "extraVolumes": [{"name": "migrations", "configMap": {"name": MIGRATIONS}}],
                "extraVolumeMounts": [mount],
            },
            "runner": {"extraEnv": [{"name": "PREFECT_WORKER_QUERY_SECONDS", "value": "2"}]},
        }
        for key, value in more.items():
            values[key] = {**values[key], **value} if isinstance(values.get(key), dict) else value
        return values

    def helm(self, values: Json | None = None, **more: Any) -> str:
        """Install or upgrade the release, and wait for its hooks."""
        verb = ["upgrade", "--install", self.release, CHART, "--values=-", "--timeout=5m"]
        return self.namespace.run("helm", *verb, stdin=json.dumps(values or self.values(**more)))

    def submit(self, *options: str) -> "Submitted":
        """Start ``pgrollout submit`` in a pod, as CI does somewhere."""
        environment = {"PREFECT_API_URL": self.prefect.api_url, "PREFECT_UI_URL": "http://prefect.example.com"}
        pod = restricted(
            f"submit-{secrets.token_hex(3)}",
            self.images.tool(),
            ["pgrollout", "submit", "--database", "shop", "--log-format", "text", *options],
            environment={**environment, "PREFECT_API_AUTH_STRING": self.prefect.auth},
        )
        return Submitted(self, self.namespace.start(pod))

    @contextlib.contextmanager
    def connected(self) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """Connect to the database as the superuser."""
        with self.postgres.connect() as connection:
            yield connection

    def applied(self) -> list[str]:
        """Return the versions that the history has as applied."""
        query = (
            "SELECT version FROM atlas_schema_revisions.atlas_schema_revisions WHERE applied = total ORDER BY version"
        )
        with self.connected() as connection:
            return [version for (version,) in connection.execute(query)]

    @contextlib.contextmanager
    def gate_closed(self) -> Iterator[None]:
        """Keep a gated migration at its gate while the block lasts."""
        with self.connected() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (GATE,))
            yield

    def at_the_gate(self) -> None:
        """Return once a migration has come to its gate."""
        query = (
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() "
            "AND query LIKE '%%pg_try_advisory_xact_lock_shared%%'"
        )
        with self.connected() as connection:
            wait_until(lambda: connection.execute(query).fetchall(), "the migration is at its gate")

    def stage_pod(self, stage: str = "apply", after: str = "") -> str:
        """Return the name of the newest pod of a stage, once it runs; another one than ``after``."""

        def look() -> str:
            pods = [
                pod for pod in self.namespace.items("pod", pgrollout_stage=stage) if pod["status"]["phase"] == "Running"
            ]
            newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)
            name: str = newest["metadata"]["name"] if newest else ""
            return name if name != after else ""

        return wait_until(look, f"a pod of stage {stage} runs")

    def api(self, method: str, path: str, body: Json | None = None) -> Any:
        """Ask Prefect's API."""
        user, _, password = self.prefect.auth.partition(":")
        with self.prefect.reached() as address:
            answer = httpx.request(method, f"{address}{path}", json=body, auth=(user, password), timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def runs(self) -> list[Json]:
        """Return the runs of migrate, newest first."""
        query = {"flows": {"name": {"any_": ["migrate"]}}, "sort": "EXPECTED_START_TIME_DESC"}
        found: list[Json] = self.api("POST", "/flow_runs/filter", query)
        return found

    def log(self, run: str) -> str:
        """Return the log that the run's page shows."""
        query = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        lines = self.api("POST", "/logs/filter", query)
        return "\n".join(line["message"] for line in lines)


@dataclass
class Submitted:
    """``pgrollout submit`` at work in a pod."""

    shop: Shop
    pod: str

    @property
    def run(self) -> str:
        """The id of the flow run, of whose page the address is printed first."""

        def look() -> str:
            lines = self.shop.namespace.log(self.pod).splitlines()
            return next((line.rpartition("/")[2] for line in lines if "/runs/flow-run/" in line), "")

        return wait_until(look, "the link is printed")

    def wait(self) -> tuple[int, str]:
        """Return exit code and output, once it has ended."""
        ended = self.shop.namespace.ended(self.pod)
        return ended.code, ended.log


def until_log(shop: Shop, pod: str, has: str) -> None:
    """Return once a pod's log has a text."""
    claim: Callable[[], bool] = lambda: has in shop.namespace.log(pod)  # noqa: E731
    wait_until(claim, f"{pod} says {has!r}")


def labels(job: Mapping[str, Any]) -> dict[str, str]:
    """Return a Job's labels."""
    found: dict[str, str] = job["metadata"]["labels"]
    return found
