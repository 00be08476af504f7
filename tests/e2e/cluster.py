"""
A cluster for the tests: where one is, its namespaces, and what is asked of it.

``KUBECONFIG`` names one. Without it, ``PGROLLOUT_CLUSTER`` is a folder with a program ``up`` that starts one and prints its
environment; by default ``shared/cluster`` beside the repository, or beside the one that this is a clone of. Which images there
are is left to ``images``. ``python -m tests.e2e.cluster`` says whether a cluster can be had.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parent.parent.parent
OBSERVE_SECONDS = 300.0
"""A limit for what never comes; what comes late on a busy machine is no failure."""
_UP_SECONDS = 1800
"""The first start builds all components."""

T = TypeVar("T")
Json = dict[str, Any]


class Unavailable(Exception):
    """There is no cluster; the message says what to do."""


class Failed(Exception):
    """A program ended with an error."""

    def __init__(self, argv: Sequence[str], status: int, said: str) -> None:
        super().__init__(f"{' '.join(argv)} ended with {status}:\n{said}")
        self.status, self.said = status, said


def wait_until(condition: Callable[[], T], what: str, seconds: float = OBSERVE_SECONDS) -> T:
    """Look until the condition gives something true, and return that; kubectl's errors count as not yet."""
    deadline = time.monotonic() + seconds
    problem = ""
    while True:
        try:
            if found := condition():
                return found
        except Failed as error:
            problem = f"\n{error}"
        if time.monotonic() > deadline:
            pytest.fail(f"not observed in {seconds:.0f} s: {what}{problem}")
        time.sleep(0.2)


@dataclass(frozen=True)
class Cluster:
    """A cluster, and the programs to talk to it."""

    environment: Mapping[str, str]
    """KUBECONFIG and PATH of kubectl and helm."""
    folder: Path | None
    """Where ``load-image`` and ``base-image`` are; None if the cluster came from elsewhere."""

    def run(self, *argv: str, stdin: str | None = None, timeout: float = OBSERVE_SECONDS) -> str:
        """Run kubectl, helm or whatever, and return what it wrote to stdout."""
        done = subprocess.run(
            argv, input=stdin, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise Failed(argv, done.returncode, done.stderr + done.stdout)
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> Json:
        """Run kubectl and return its answer, parsed; empty if it has none."""
        answer = self.run("kubectl", *arguments, "--output=json", stdin=stdin)
        parsed: Json = json.loads(answer) if answer.strip() else {}
        return parsed

    def restart_api_server(self) -> None:
        """Kill the API server, and start it again; skips the test where the cluster came from elsewhere."""
        if self.folder is None:
            pytest.skip("this cluster's API server is not ours to kill")
        program = str(self.folder / "up")
        pids = subprocess.run(["pgrep", "-x", "kube-apiserver"], capture_output=True, text=True, check=True).stdout
        os.kill(int(pids), signal.SIGKILL)
        # It starts what does not run; while the rest notices what is gone, that may need a second look.
        wait_until(lambda: self.run(program) and True, "the API server is back")

    @contextlib.contextmanager
    def namespace(self, purpose: str) -> Iterator["Namespace"]:
        """
        Give a namespace where pods must keep to pod security ``restricted``; it goes with the block.

        ``PGROLLOUT_E2E_KEEP=1`` leaves it to be looked at. Its name begins with ``PGROLLOUT_E2E_PREFIX``.
        """
        prefix = os.environ.get("PGROLLOUT_E2E_PREFIX", "pgrollout")
        name = f"{prefix}-{purpose.replace('_', '-')}-{secrets.token_hex(3)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.kubectl("create", "--filename=-", stdin=json.dumps(manifest))
        namespace = Namespace(self, name)
        try:
            wait_until(lambda: namespace.get("serviceaccount", "default"), "the namespace's service account")
            yield namespace
        finally:
            if os.environ.get("PGROLLOUT_E2E_KEEP") != "1":
                self.run("kubectl", "delete", "namespace", name, "--wait=false")


@dataclass(frozen=True)
class Ended:
    """How a pod ended."""

    code: int
    log: str
    """All that its one container wrote, to stdout and stderr."""


@dataclass(frozen=True)
class Namespace:
    """One namespace of a cluster, for one module of tests."""

    cluster: Cluster
    name: str

    def run(self, *argv: str, stdin: str | None = None) -> str:
        """Run kubectl or helm in the namespace, and return what it wrote."""
        return self.cluster.run(argv[0], f"--namespace={self.name}", *argv[1:], stdin=stdin)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> Json:
        """Run kubectl in the namespace, and return its answer, parsed."""
        return self.cluster.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def apply(self, *manifests: Json) -> None:
        """Create the objects, or change them to what the manifests say."""
        self.run("kubectl", "apply", "--filename=-", stdin=json.dumps(_list(manifests)))

    def get(self, kind: str, name: str) -> Json:
        """Return an object; empty if there is none of that name."""
        return self.kubectl("get", kind, name, "--ignore-not-found")

    def items(self, kind: str, **labels: str) -> list[Json]:
        """Return all objects of a kind that have the labels; of a label's name ``_`` stands for ``/``."""
        selector = ",".join(f"{key.replace('_', '/')}={value}" for key, value in labels.items())
        found: list[Json] = self.kubectl("get", kind, f"--selector={selector}")["items"]
        return found

    def delete(self, kind: str, name: str) -> None:
        """Ask for an object's end, and do not wait for it."""
        self.run("kubectl", "delete", kind, name, "--ignore-not-found", "--wait=false")

    def log(self, pod: str, container: str = "") -> str:
        """Return what a container has written."""
        return self.run("kubectl", "logs", pod, *([f"--container={container}"] if container else []))

    def execute(self, pod: str, *argv: str) -> str:
        """Run a command in a pod's first container, and return what it wrote to stdout."""
        return self.run("kubectl", "exec", pod, "--", *argv)

    def ready(self, kind: str, name: str) -> Json:
        """Wait until all of a Deployment's or StatefulSet's pods are the newest and ready."""

        def look() -> Json | None:
            found = self.get(kind, name)
            status, wanted = found.get("status", {}), found["spec"]["replicas"]
            is_seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            counts = [status.get(key, 0) for key in ("readyReplicas", "updatedReplicas", "replicas")]
            return found if is_seen and counts == [wanted] * 3 else None

        return wait_until(look, f"{kind} {name} is ready") or {}

    def start(self, pod: Json) -> str:
        """Start a pod, and return its name once its container runs, or has run."""
        self.apply(pod)
        name: str = pod["metadata"]["name"]
        wait_until(
            lambda: self.get("pod", name).get("status", {}).get("phase") in ("Running", "Succeeded", "Failed"),
            f"pod {name} has started",
        )
        return name

    def ended(self, pod: str) -> Ended:
        """Wait until a pod of one container has ended."""

        def look() -> Json | None:
            statuses = self.get("pod", pod).get("status", {}).get("containerStatuses", [{}])
            found: Json | None = statuses[0].get("state", {}).get("terminated")
            return found

        code: int = (wait_until(look, f"pod {pod} has ended") or {})["exitCode"]
        return Ended(code, self.log(pod))

    def run_pod(self, pod: Json) -> Ended:
        """Start a pod of one container, and wait until it has ended."""
        return self.ended(self.start(pod))

    def kill(self, pod: str) -> None:
        """
        Kill a pod's processes from outside, unannounced, as the kernel does when memory is short.

        Skips the test where the node is another machine.
        """
        uid = self.get("pod", pod)["metadata"]["uid"]
        found = [
            int(group.parent.name)
            for group in Path("/proc").glob("[0-9]*/cgroup")
            if (text := _read(group)) and (uid in text or uid.replace("-", "_") in text)
        ]
        if not found and self.cluster.folder is None:
            pytest.skip("the nodes of this cluster are other machines: the pod's processes cannot be reached from here")
        assert found, "a pod on this machine has processes"
        for pid in found:
            # The one that holds the pod's namespaces lives on: the kubelet sees a container that has died.
            if _read(Path(f"/proc/{pid}/comm")).strip() != "pause":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def port_forward(self, target: str, port: int) -> Iterator[int]:
        """Give the local port that leads to one of a pod or service (``service/postgres``), while the block lasts."""
        argv = ["kubectl", f"--namespace={self.name}", "port-forward", target, f":{port}", "--address=127.0.0.1"]
        process = subprocess.Popen(
            argv, env=self.cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise Failed(argv, process.poll() or 1, line + process.stdout.read())
            yield int(found[1])
        finally:
            process.terminate()
            process.communicate()

    def describe(self) -> str:
        """Return what somebody wants to see after a failure: what there is, what happened, the ends of all logs."""
        parts = [
            self._said("get", "all", "--output=wide"),
            self._said("get", "events", "--sort-by=.lastTimestamp"),
        ]
        for pod in self.items("pod"):
            name = pod["metadata"]["name"]
            parts.append(f"--- {name}\n" + self._said("logs", name, "--all-containers", "--tail=40"))
        return "\n".join(parts)

    def _said(self, *arguments: str) -> str:
        try:
            return self.run("kubectl", *arguments)
        except Failed as error:
            return error.said


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # it has ended


def _list(manifests: Sequence[Json]) -> Json:
    return {"apiVersion": "v1", "kind": "List", "items": list(manifests)}


def restricted(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    secret: str | None = None,
    mounts: Mapping[str, Json] | None = None,
    labels: Mapping[str, str] | None = None,
    **container: Any,
) -> Json:
    """
    Return a pod as pod security ``restricted`` has it, its disk read-only but for ``/tmp`` and what is mounted.

    Args:
        name: Its name.
        image: Its image.
        command: What its one container runs.
        environment: Variables.
        secret: A Secret whose keys are variables, too.
        mounts: Volumes by the path they are mounted at: ``{"/backups": {"emptyDir": {}}}``.
        labels: Labels of the pod.
        container: More fields of the container, such as ``readinessProbe``.
    """
    volumes = {"/tmp": {"emptyDir": {}}, **(mounts or {})}  # noqa: S108
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": list(command),
                    "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
                    "envFrom": [{"secretRef": {"name": secret}}] if secret else [],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": f"v{n}", "mountPath": path} for n, path in enumerate(volumes)],
                    **container,
                }
            ],
            "volumes": [{"name": f"v{n}", **volume} for n, volume in enumerate(volumes.values())],
        },
    }


def cluster_folder() -> Path | None:
    """Return the folder that can start a cluster, if there is one."""
    if named := os.environ.get("PGROLLOUT_CLUSTER"):
        return Path(named)
    origin = subprocess.run(
        ["git", "-C", str(ROOT), "config", "remote.origin.url"], capture_output=True, text=True, check=False
    ).stdout.strip()
    origin = origin.removeprefix("file://")
    for repository in (ROOT, *([Path(origin)] if origin.startswith("/") else [])):
        folder = repository.parent / "shared" / "cluster"
        if (folder / "up").is_file():
            return folder.resolve()
    return None


def find() -> Cluster:
    """
    Return the cluster, started if need be.

    Raises:
        Unavailable: There is none, and none can be started.
    """
    folder = cluster_folder()
    environment = dict(os.environ)
    if not environment.get("KUBECONFIG"):
        if folder is None:
            raise Unavailable(
                "there is no cluster: set KUBECONFIG, or PGROLLOUT_CLUSTER to a folder whose program `up` starts one"
            )
        environment |= _started(folder)
    if shutil.which("kubectl", path=environment["PATH"]) is None:
        raise Unavailable("kubectl is not on PATH")
    cluster = Cluster(environment, folder)
    try:
        cluster.run("kubectl", "get", "nodes", "--request-timeout=20s")
    except Failed as error:
        *_, why = error.said.strip().splitlines() or [""]
        raise Unavailable(f"the cluster of KUBECONFIG={environment['KUBECONFIG']} does not answer: {why}") from error
    return cluster


def _started(folder: Path) -> dict[str, str]:
    print(f"Starting the cluster of {folder}: seconds, or ten minutes for the first time …", file=sys.stderr)
    done = subprocess.run([folder / "up"], stdout=subprocess.PIPE, text=True, timeout=_UP_SECONDS, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{folder / 'up'} ended with {done.returncode}")
    exported = dict(re.findall(r"^export (\w+)=(.*)$", done.stdout, re.MULTILINE))
    return {key: value.replace("$PATH", os.environ["PATH"]) for key, value in exported.items()}


if __name__ == "__main__":
    try:
        find()
    except Unavailable as error:
        sys.exit(f"No tests on a cluster: {error}")
