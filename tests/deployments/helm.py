"""
Helm for the tests: where it is, and what it makes of the chart.

``render`` returns the objects that ``helm template`` prints, by kind and name; what it refuses is ``Refused``. No cluster is
asked.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.deployments.values_table import CHART
from tests.servers import missing

Json = dict[str, Any]
Objects = Mapping[tuple[str, str], Json]

IMAGE = ("image.repository=registry.example.com/reader", "image.tag=4f2c1ab")
DATABASE = ("database.host=db.example.com", "database.name=reader", "secrets.existingSecret=postgres-secrets")
DIRECT = (*IMAGE, *DATABASE)
"""The least that must be set."""
PREFECT = (*DIRECT, "prefect.apiUrl=http://prefect.example.com:4200/api")


class Refused(Exception):
    """Helm refuses the values; with what it says."""


def helm() -> str:
    """Return the program, from PATH or where development clusters keep theirs; skip the test without one."""
    kept = Path.home() / ".cache" / "dev-cluster" / "bin"
    found = shutil.which("helm") or shutil.which("helm", path=str(kept))
    return found or missing("helm", "there is no helm on PATH")


def run(*arguments: str) -> str:
    """Run Helm, without a cluster."""
    environment = {**os.environ, "KUBECONFIG": os.devnull, "HELM_NAMESPACE": "shop"}
    done = subprocess.run([helm(), *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def render(sets: Sequence[str] = DIRECT, files: Sequence[Path] = (), chart: Path = CHART) -> Objects:
    """Return the objects of release ``app`` in namespace ``shop``, by kind and name."""
    return _rendered(tuple(sets), tuple(files), chart)


@functools.cache
def _rendered(sets: tuple[str, ...], files: tuple[Path, ...], chart: Path) -> Objects:
    arguments = [*(f"--values={file}" for file in files), *(f"--set={each}" for each in sets)]
    printed = run("template", "app", str(chart), *arguments)
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(printed) if each}


def pods(objects: Objects) -> Iterator[tuple[str, Json]]:
    """Yield every pod of them, with whose it is: of Jobs, Deployments, of the launcher's folder and of the pool."""
    for (kind, name), each in objects.items():
        if kind in ("Job", "Deployment"):
            yield f"{kind}/{name}", each["spec"]["template"]
        if kind == "ConfigMap":
            for file, text in each["data"].items():
                if name.endswith("-pod"):
                    yield f"{name}/{file}", yaml.safe_load(text)
                elif name.endswith("-pool"):
                    manifest = yaml.safe_load(text)["job_configuration"].get("job_manifest")
                    if manifest:
                        yield f"{name}/{file}", manifest["spec"]["template"]


def environment(container: Json) -> dict[str, Any]:
    """Return a container's environment: texts, and for what comes from elsewhere the reference."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", [])}
