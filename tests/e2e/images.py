"""
Images for the tests: built from this working tree once for each content, and loaded into the cluster.

A tag is the digest of what the image is made of, so the next run finds both image and layers. ``BASE`` is what images are
built on; where the cluster's folder has a program ``base-image``, that makes it. ``PGROLLOUT_E2E_LOAD`` is a command that
gives an image to the cluster, such as ``kind load docker-image``; by default the folder's ``load-image``.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

from tests.e2e.cluster import ROOT, Cluster, Unavailable

_BUILD = ROOT / "deployments" / "image" / "build"
_SUITE = "trixie"
_TOOL = (
    "Dockerfile", ".dockerignore", "deployments/image", "pyproject.toml", "README.md", "LICENSE",
    "requirements-build.lock", "requirements-image.lock", "pgrollout", "flows", "tasks",
)  # fmt: skip
_EXAMPLE = ("deployments/image/example.Dockerfile", "pgrollout.toml", "migrations")
_POSTGRES = ("tests/e2e/postgres.Dockerfile",)
_BUILD_SECONDS = 1800


class Images:
    """The images of one cluster; each is built and loaded when it is first asked for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._base = ""
        self._loaded: set[str] = set()

    def tool(self) -> str:
        """Return the image of pgrollout itself."""
        return self._image("pgrollout", _TOOL, self.base())

    def example(self) -> str:
        """Return the image with the example's migrations, made as a team makes its own."""
        tool = self.tool()
        file = ("--file", str(ROOT / "deployments/image/example.Dockerfile"))
        return self._image("reader", _EXAMPLE, tool, *file, "--build-arg", f"PGROLLOUT={tool}")

    def postgres(self) -> str:
        """Return an image with Debian's PostgreSQL."""
        file = ("--file", str(ROOT / "tests/e2e/postgres.Dockerfile"))
        return self._image("postgres", _POSTGRES, self.base(), *file)

    def base(self) -> str:
        """Return what the images are built on."""
        folder = self._cluster.folder
        if not self._base and folder is not None and not os.environ.get("BASE"):
            self._base = self._cluster.run(str(folder / "base-image"), _SUITE, timeout=_BUILD_SECONDS).strip()
        return os.environ.get("BASE") or self._base

    def labels(self, image: str) -> dict[str, str]:
        """Return an image's labels, as whoever built it tells."""
        for inspect, labels in (
            ("buildah inspect --type=image", ".OCIv1.Config.Labels"),
            ("docker image inspect", ".Config.Labels"),
            ("podman image inspect", ".Config.Labels"),
        ):
            template = f"{{{{range $key, $value := {labels}}}}}{{{{println $key $value}}}}{{{{end}}}}"
            argv = [*inspect.split(), f"--format={template}", image]
            try:
                done = subprocess.run(argv, capture_output=True, text=True, check=False)
            except OSError:
                continue
            if done.returncode == 0:
                return {
                    key: value for key, _, value in (line.partition(" ") for line in done.stdout.splitlines() if line)
                }
        raise Unavailable(f"neither buildah nor docker nor podman has {image}")

    def _image(self, name: str, sources: Sequence[str], base: str, *options: str) -> str:
        digest = hashlib.sha256(base.encode())
        for source in sources:
            path = ROOT / source
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and "__pycache__" not in file.parts:
                    digest.update(f"\0{file.relative_to(ROOT)}\0{file.stat().st_mode & 0o777:o}\0".encode())
                    digest.update(file.read_bytes())
        image = f"localhost/{name}:e2e-{digest.hexdigest()[:12]}"
        if image not in self._loaded and not self._is_loaded(image):
            print(f"Building {image} …", file=sys.stderr)
            environment = {**os.environ, **({"BASE": base} if base else {})}
            done = subprocess.run(
                [_BUILD, image, *options], env=environment, capture_output=True, text=True,
                timeout=_BUILD_SECONDS, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                raise Unavailable(f"{image} could not be built:\n{(done.stdout + done.stderr)[-4000:]}")
            self._load(image)
        self._loaded.add(image)  # a node takes a while to list what it was given
        return image

    def _is_loaded(self, image: str) -> bool:
        nodes = self._cluster.kubectl("get", "nodes")["items"]
        return all(any(image in each.get("names", ()) for each in node["status"].get("images", ())) for node in nodes)

    def _load(self, image: str) -> None:
        command = shlex.split(os.environ.get("PGROLLOUT_E2E_LOAD", ""))
        if not command and self._cluster.folder is not None:
            command = [str(self._cluster.folder / "load-image")]
        if not command:
            raise Unavailable(
                "nothing can give an image to the cluster: set PGROLLOUT_E2E_LOAD to a command that does, such as "
                "`kind load docker-image`"
            )
        print(f"Loading {image} …", file=sys.stderr)
        self._cluster.run(*command, image, timeout=_BUILD_SECONDS)
