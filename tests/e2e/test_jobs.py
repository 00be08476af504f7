"""
The launcher on a real cluster: each way in which a Job can end, and what the next try makes of it.

The flow's own process is here, outside of the cluster; nothing of Prefect is needed.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgrollout import sum_file
from pgrollout.directory import read_directory, write_sum_file
from pgrollout.errors import ExitCode, JobFailed, PgrolloutError, StageFailed
from pgrollout.kubernetes.launcher import Jobs
from pgrollout.settings import Database
from pgrollout.stages.apply import ApplyReport, ApplyRequest
from pgrollout.stages.build import BuildReport, BuildRequest
from pgrollout.stages.validate import ValidateReport, ValidateRequest
from tests.e2e.cluster import ROOT, Json, Namespace, restricted, wait_until
from tests.e2e.images import Images
from tests.e2e.servers import Postgres
from tests.project import AT_THE_GATE, GATE

FILES = {
    "1_tables.sql": "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n",
    "2_gate.sql": f"INSERT INTO a VALUES (1);\n{AT_THE_GATE};\nINSERT INTO b VALUES (1);\n",
    "3_index.sql": "CREATE INDEX CONCURRENTLY b_id ON b (id);\n",
}


@dataclass
class Bench:
    """A database of its own in the server, migrations for it, and the launcher."""

    namespace: Namespace
    postgres: Postgres
    name: str
    folder: Path
    """Of the pod template."""
    pod: Json

    def write(self, files: Mapping[str, str], scratch: Path) -> None:
        """Put files, and their sum file, into the ConfigMap that the pods mount as their directory."""
        scratch.mkdir(exist_ok=True)
        for name, text in files.items():
            (scratch / name).write_text(text)
        write_sum_file(scratch, sum_file.sum_of(read_directory(scratch).migrations))
        data = {path.name: path.read_text() for path in scratch.iterdir()}
        self.namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.name}, "data": data})

    def jobs(self, change: Callable[[Json], None] | None = None, **limits: Any) -> Jobs:
        """Return the launcher; ``change`` alters the pod template's container or spec."""
        pod = json.loads(json.dumps(self.pod))
        if change:
            change(pod["spec"])
        (self.folder / "pod.yaml").write_text(json.dumps(pod))
        return replace(Jobs(self.namespace.name, self.folder), **limits)

    def settings(self) -> Database:
        """Return the settings that requests carry; paths are the pod's."""
        return Database(
            name=self.name,
            root=Path("/app"),
            backup="none",
            lease_timeout_ms=3000,
            small_table_bytes=0,  # build online even what is small
        )

    def apply(self, jobs: Jobs, attempt: int = 1, run: str = "run") -> ApplyReport:
        """Run stage apply as a Job."""
        request = ApplyRequest(database=self.settings(), run_id=f"{self.name}-{run}")
        return jobs.run("apply", request, ApplyReport, attempt=attempt)

    @contextmanager
    def connected(self) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """Connect to the database as the superuser."""
        with self.postgres.connect(self.name) as connection:
            yield connection

    @contextmanager
    def gate_closed(self) -> Iterator[None]:
        """Keep the second migration at its gate while the block lasts."""
        with self.connected() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (GATE,))
            yield

    def at_the_gate(self) -> None:
        """Return once the second migration has come to its gate."""
        with self.connected() as connection:
            looked = (
                "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = "
                "current_database() AND query LIKE '%%pg_try_advisory_xact_lock_shared%%'"
            )
            wait_until(lambda: connection.execute(looked).fetchall(), "the migration is at its gate")

    def builds(self) -> list[int]:
        """Return the backends that build an index."""
        with self.connected() as connection:
            return [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_progress_create_index")]

    def rows(self) -> tuple[int, int]:
        """Return how often each of the two INSERTs took effect."""
        with self.connected() as connection:
            found = connection.execute("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)").fetchone()
            assert found is not None
            return found[0], found[1]

    def stage_pod(self) -> Json:
        """Return the newest pod of a stage of this database, once its container runs."""

        def look() -> Json | None:
            pods = self.namespace.items("pod", pgrollout_database=self.name)
            running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
            return max(running, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

        return wait_until(look, "a stage's pod runs") or {}


@pytest.fixture
def bench(
    namespace: Namespace, postgres: Postgres, images: Images, tmp_path: Path, request: pytest.FixtureRequest
) -> Bench:
    """A bench whose database is empty."""
    what = "".join(c if c.isalnum() else "-" for c in request.node.name.removeprefix("test_"))[:24].strip("-")
    name = f"{what}-{secrets.token_hex(3)}"
    postgres.execute(f'CREATE DATABASE "{name}" OWNER deploy', "postgres")
    mounts = {
        **Postgres.ca_mount(),
        "/app/.pgrollout": {"emptyDir": {}},
        "/app/migrations": {"configMap": {"name": name}},
    }
    pod = restricted("stage", images.tool(), [], environment={"DATABASE_URL": postgres.url(name)}, mounts=mounts)
    pod["spec"]["containers"][0]["name"] = "stage"
    pod["spec"]["terminationGracePeriodSeconds"] = 15
    folder = tmp_path / "pod"
    folder.mkdir()
    made = Bench(namespace, postgres, name, folder, {"metadata": {"labels": {"team": "shop"}}, "spec": pod["spec"]})
    made.write(FILES, tmp_path / "migrations")
    return made


@pytest.fixture(autouse=True)
def kubeconfig(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the launcher find the cluster of the tests."""
    monkeypatch.setenv("KUBECONFIG", namespace.cluster.environment["KUBECONFIG"])


class Background:
    """Something that runs in a thread, and what came of it."""

    def __init__(self, call: Callable[[], ApplyReport]) -> None:
        self._found: list[ApplyReport | PgrolloutError] = []
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], ApplyReport]) -> None:
        try:
            self._found.append(call())
        except PgrolloutError as error:
            self._found.append(error)

    def report(self) -> ApplyReport:
        """Return the report, once it is there."""
        found = self._end()
        assert isinstance(found, ApplyReport), found
        return found

    def error(self) -> StageFailed | JobFailed:
        """Return the error, once it is there."""
        found = self._end()
        assert isinstance(found, (StageFailed, JobFailed)), found
        return found

    def _end(self) -> ApplyReport | PgrolloutError:
        self._thread.join(120)
        assert self._found, "it has not ended"
        return self._found[0]


def test_stages_are_jobs_with_labels(bench: Bench) -> None:
    """Their reports come back, one of them of many lines; Job and pod say run, stage and database."""
    jobs, settings = bench.jobs(), bench.settings()
    built = jobs.run("build", BuildRequest(database=settings, run_id="r1"), BuildReport)
    checked = jobs.run(
        "validate", ValidateRequest(database=settings, run_id="r1", release=built.release), ValidateReport
    )
    applied = bench.apply(jobs)

    assert built.files == 3
    assert checked.plan is not None
    assert [file.name for file in applied.applied] == list(FILES)
    made = bench.namespace.items("job", pgrollout_database=bench.name, component="migration")
    assert sorted(job["metadata"]["labels"]["pgrollout/stage"] for job in made) == ["apply", "build", "validate"]
    (pod,) = bench.namespace.items("pod", pgrollout_database=bench.name, pgrollout_stage="apply")
    assert pod["metadata"]["labels"]["team"] == "shop"
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_job_is_found_again(bench: Bench) -> None:
    """The same attempt, asked by a process that knows nothing of the first, is the same Job."""
    first = bench.apply(bench.jobs())

    assert bench.apply(bench.jobs()) == first
    assert len(bench.namespace.items("job", pgrollout_database=bench.name)) == 1


def test_a_failing_migration_says_so(bench: Bench, tmp_path: Path) -> None:
    """With the statement, the caret and the exit code that the stage itself gave."""
    bench.write({"2_gate.sql": "INSERT INTO nowhere VALUES (1);\n"}, tmp_path / "migrations")

    with pytest.raises(StageFailed, match=r'2_gate.sql(?s:.*)relation "nowhere" does not exist') as caught:
        bench.apply(bench.jobs())
    assert caught.value.code is ExitCode.FAILED


@pytest.mark.parametrize("how", ["deleted", "killed"])
def test_a_pod_that_dies_in_mid_apply_is_made_good(bench: Bench, how: str) -> None:
    """Deleted it says that it was interrupted, killed it says nothing; the next try runs each statement exactly once."""
    with bench.gate_closed():
        first = Background(lambda: bench.apply(bench.jobs()))
        bench.at_the_gate()
        pod = bench.stage_pod()["metadata"]["name"]
        if how == "deleted":
            bench.namespace.delete("pod", pod)
        else:
            bench.namespace.kill(pod)
        error = first.error()
    assert (error.code, error.is_wanted) == (ExitCode.WAIT, False)
    assert ("Interrupted" if how == "deleted" else "its process was killed") in str(error)

    bench.apply(bench.jobs(), attempt=2)
    assert bench.rows() == (1, 1)


def test_an_evicted_pod_is_replaced(bench: Bench) -> None:
    """The Job goes on with a new pod; whoever follows it sees one stage that was done."""
    with bench.gate_closed():
        running = Background(lambda: bench.apply(bench.jobs()))
        bench.at_the_gate()
        pod = bench.stage_pod()["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{bench.namespace.name}/pods/{pod}/eviction"
        bench.namespace.cluster.run("kubectl", "create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))
        wait_until(lambda: bench.namespace.get("pod", pod) == {}, "the pod is gone")

    running.report()
    assert bench.rows() == (1, 1)
    assert len(bench.namespace.items("job", pgrollout_database=bench.name)) == 1


def test_a_job_that_somebody_deletes_is_not_made_again(bench: Bench) -> None:
    """It ends with 75, and is not for the task to try again; the next run makes it good."""
    with bench.gate_closed():
        running = Background(lambda: bench.apply(bench.jobs()))
        bench.at_the_gate()
        (job,) = bench.namespace.items("job", pgrollout_database=bench.name)
        bench.namespace.delete("job", job["metadata"]["name"])
        error = running.error()

    assert (error.code, error.is_wanted) == (ExitCode.WAIT, True)
    assert "somebody deleted it" in str(error)
    bench.apply(bench.jobs(), run="next")
    assert bench.rows() == (1, 1)


def test_a_deadline_ends_the_job(bench: Bench) -> None:
    """The stage comes to a safe point, and says so; the deadline is named."""
    with bench.gate_closed(), pytest.raises(StageFailed, match=r"(?s)Interrupted.*stopped by its deadline") as caught:
        bench.apply(bench.jobs(deadline_seconds=8))

    assert caught.value.code is ExitCode.WAIT
    bench.apply(bench.jobs(), attempt=2)
    assert bench.rows() == (1, 1)


def _little_memory(spec: Json) -> None:
    spec["containers"][0]["resources"] = {"limits": {"memory": "20Mi"}}


def _no_image(spec: Json) -> None:
    spec["containers"][0] |= {"image": "localhost/nowhere:1", "imagePullPolicy": "Never"}


def _no_secret(spec: Json) -> None:
    reference = {"secretKeyRef": {"name": "nowhere", "key": "DATABASE_URL"}}
    spec["containers"][0]["env"] = [{"name": "DATABASE_URL", "valueFrom": reference}]


def _no_key(spec: Json) -> None:
    reference = {"secretKeyRef": {"name": "postgres-secrets", "key": "nowhere"}}
    spec["containers"][0]["env"] = [{"name": "DATABASE_URL", "valueFrom": reference}]


def _no_node(spec: Json) -> None:
    spec["nodeSelector"] = {"room": "none"}


def _no_volume(spec: Json) -> None:
    spec["volumes"][0] = {"name": "v0", "secret": {"secretName": "nowhere"}}


def _as_root(spec: Json) -> None:
    spec["securityContext"] = {"runAsUser": 0}


@pytest.mark.parametrize(
    ("change", "sentence", "code"),
    [
        (_little_memory, "its container ran out of memory", ExitCode.FAILED),
        (_no_image, "its image cannot be pulled.*localhost/nowhere:1", ExitCode.USAGE),
        (_no_secret, 'its container cannot be made: secret "nowhere" not found', ExitCode.USAGE),
        (_no_key, "its container cannot be made: couldn't find key nowhere in Secret", ExitCode.USAGE),
        (_no_node, "no node has room for its pod: 0/1 nodes are available", ExitCode.WAIT),
        (_no_volume, "its container does not start", ExitCode.WAIT),
        (_as_root, "it gets no pod", ExitCode.WAIT),
    ],
    ids=["memory", "image", "secret", "key", "node", "volume", "security"],
)
def test_a_pod_that_cannot_work_is_told_apart(
    bench: Bench, change: Callable[[Json], None], sentence: str, code: ExitCode
) -> None:
    """With what is missing, and what to do; nothing is left that would start later."""
    with pytest.raises(JobFailed, match=sentence) as caught:
        bench.apply(bench.jobs(change, pending_seconds=6))

    assert caught.value.code is code
    if change is not _little_memory:
        assert bench.namespace.items("job", pgrollout_database=bench.name) == []


def test_an_interrupt_stops_the_pod(bench: Bench) -> None:
    """SIGTERM to whoever follows deletes the Job; the pod undoes the file it is at, and the next run goes on."""
    program = (
        "import sys; from pathlib import Path; from pgrollout.kubernetes.launcher import Jobs;"
        "from pgrollout.stages.apply import *;"
        "import signal; from pgrollout import interrupts; signal.signal(signal.SIGTERM, interrupts.interrupt)\n"
        "try: Jobs(sys.argv[1], Path(sys.argv[2])).run('apply', ApplyRequest.model_validate_json(sys.argv[3]), ApplyReport)\n"
        "except Exception as error: print(type(error).__name__, error.code, error.is_wanted, error)"
    )
    bench.jobs()
    request = ApplyRequest(database=bench.settings(), run_id=bench.name).model_dump_json()
    with bench.gate_closed():
        process = subprocess.Popen(
            [sys.executable, "-c", program, bench.namespace.name, str(bench.folder), request],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        bench.at_the_gate()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)

    assert said.startswith("StageFailed 75 True Interrupted: 1 migrations applied, 2 left.")
    assert bench.namespace.items("job", pgrollout_database=bench.name) == []
    bench.apply(bench.jobs(), run="next")
    assert bench.rows() == (1, 1)


def test_an_online_build_outlives_its_pod(bench: Bench) -> None:
    """The server goes on building; the next try waits for that build, and makes no second one."""
    bench.write({"2_gate.sql": "INSERT INTO b VALUES (1);\n"}, bench.folder.parent / "migrations")
    with bench.connected() as holder:
        # A build waits at its end for every older snapshot, for as long as that lasts.
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        started = Background(lambda: bench.apply(bench.jobs()))
        (before,) = wait_until(bench.builds, "the build has begun")
        pod = bench.stage_pod()["metadata"]["name"]
        bench.namespace.kill(pod)
        assert started.error().code is ExitCode.WAIT
        again = Background(lambda: bench.apply(bench.jobs(), attempt=2))
        assert bench.stage_pod()["metadata"]["name"] != pod
        wait_until(lambda: "adopt" in bench.namespace.log(bench.stage_pod()["metadata"]["name"]), "it is adopted")
        assert bench.builds() == [before]
        holder.execute("ROLLBACK")
    again.report()
    with bench.connected() as connection:
        found = connection.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'b_id'::regclass").fetchall()
        assert found == [(True,)]
