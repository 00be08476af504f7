"""
A run on Kubernetes, and where its time goes: ``python -m benchmarks.cluster`` prints it.

Needs what ``make e2e`` needs. The parts of a run are told apart by what Prefect and the pods say of it themselves: until the
flow begins, and for each stage until its container runs, what the stage itself takes, and the rest. The baseline is one
pod of the same image in which ``run-stages`` runs all stages.
"""

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Json, find, restricted
from tests.e2e.images import Images
from tests.e2e.servers import CREDENTIALS, Postgres, start_postgres, start_prefect
from tests.e2e.shop import GATED, MIGRATIONS, Shop

TIMES = 3


def main() -> None:
    """Measure and print."""
    with shop() as made:
        made.write("CREATE TABLE goods (id int PRIMARY KEY);\n")
        began = time.monotonic()
        made.helm()
        print(f"helm install, first migration included: {time.monotonic() - began:.1f} s")
        show("nothing pending", [measured(made) for _ in range(TIMES)])
        show("10 migrations", [measured(made, migrations=10) for _ in range(TIMES)])
        show("baseline: one pod with run-stages, nothing pending", [direct(made) for _ in range(TIMES)])
        memory(made)


@contextmanager
def shop() -> Iterator[Shop]:
    """A shop in a namespace of its own."""
    cluster = find()
    images = Images(cluster)
    with cluster.namespace("figures") as namespace, tempfile.TemporaryDirectory() as scratch:
        postgres = start_postgres(namespace, images.postgres())
        prefect = start_prefect(postgres, images.tool())
        made = Shop(namespace, postgres, prefect, images, Path(scratch) / "migrations")
        made.start_receiver()
        yield made


def measured(shop: Shop, migrations: int = 0) -> dict[str, float]:
    """Return the parts of one run, in seconds."""
    shop.write(*(f"CREATE TABLE t{shop.count + number} (id int);\n" for number in range(migrations)))
    began = time.time()
    submitted = shop.submit()
    code, said = submitted.wait()
    if code != 0:
        sys.exit(said)
    pod = shop.namespace.get("pod", submitted.pod)
    ended = moment(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"])
    started = moment(pod["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"])
    run = shop.api("GET", f"/flow_runs/{submitted.run}")
    tasks = shop.api("POST", "/task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [submitted.run]}}})
    pods = [each for each in shop.namespace.items("pod", pgrollout_database="shop") if made_after(each, began)]
    work = sum(took(shop.log(submitted.run)))
    start = sum(moment(state(each)["startedAt"]) - moment(each["metadata"]["creationTimestamp"]) for each in pods)
    in_tasks = sum(float(task["total_run_time"]) for task in tasks)
    return {
        "submit until the run is made": moment(run["created"]) - started,
        "until the flow begins": moment(run["start_time"]) - moment(run["created"]),
        "flow": float(run["total_run_time"]),
        "of it: the stages' own work": work,
        "of it: until containers run": start,
        "of it: the rest of the Jobs": in_tasks - work - start,
        "of it: the flow itself": float(run["total_run_time"]) - in_tasks,
        "until submit has ended": ended - moment(run["end_time"]),
        "from start to end of submit": ended - started,
    }


def direct(shop: Shop) -> dict[str, float]:
    """Return the parts of all stages in one pod, in seconds."""
    mounts = {
        **Postgres.ca_mount(),
        "/app/.pgrollout": {"emptyDir": {}},
        "/app/migrations": {"configMap": {"name": MIGRATIONS}},
    }
    environment = {"PGROLLOUT_BACKUP": "none"}
    name = f"direct-{secrets.token_hex(3)}"
    command = ["/scripts/migrate.sh", "apply"]
    pod = restricted(
        name, shop.images.tool(), command, environment=environment, secret=CREDENTIALS, mounts=mounts,
        resources={"limits": {"cpu": "500m", "memory": "512Mi"}},
    )  # fmt: skip
    ended = shop.namespace.run_pod(pod)
    if ended.code != 0:
        sys.exit(ended.log)
    found = shop.namespace.get("pod", name)
    container = found["status"]["containerStatuses"][0]["state"]["terminated"]
    return {
        "until the container runs": moment(container["startedAt"]) - moment(found["metadata"]["creationTimestamp"]),
        "the container": moment(container["finishedAt"]) - moment(container["startedAt"]),
    }


def took(log: str) -> Iterator[float]:
    """Yield what each stage says that it took, in seconds."""
    for line in log.splitlines():
        if line.startswith("stage ended "):
            yield int(line.partition("duration_ms=")[2].split()[0]) / 1000


def memory(shop: Shop) -> None:
    """Print the most memory that the runner, and a stage's pod, has used."""
    path = "/sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    shop.write(GATED)
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        (runner,) = shop.namespace.items("pod", **{"app.kubernetes.io_component": "runner"})
        for name, what in ((shop.stage_pod(), "pod of stage apply"), (runner["metadata"]["name"], "runner, one run")):
            used = int(shop.namespace.execute(name, "cat", path))
            print(f"{what}: {used / 2**20:.0f} MiB at most, page cache included")
    submitted.wait()


def show(what: str, runs: list[dict[str, float]]) -> None:
    """Print medians and ranges."""
    print(f"\n{what}, {len(runs)} runs\n")
    for part in runs[0]:
        values = sorted(run[part] for run in runs)
        print(f"  {part:<32} {statistics.median(values):6.1f} s  ({values[0]:.1f} to {values[-1]:.1f})")


def state(pod: Json) -> Json:
    """Return how the stage's container ended."""
    found: Any = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return dict(found)


def made_after(pod: Json, began: float) -> bool:
    """Whether a pod is of this run."""
    return moment(pod["metadata"]["creationTimestamp"]) >= began - 1


def moment(text: str) -> float:
    """Return a time in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
