"""
The manifest of a stage's Job, as a value.

The pod is the user's template, with what makes it this stage of this run put in. One Job for each attempt; its name is
made from database, stage, run and attempt, so that creating it a second time finds the first. Talks to nobody.
"""

import hashlib
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pgrollout.delivery import MESSAGE, REQUEST
from pgrollout.errors import ConfigurationError, ExitCode

Manifest = dict[str, Any]

CONTAINER = "stage"
"""Name of the container, in the template, that runs the stage."""
MESSAGE_PATH = "/dev/termination-log"
DIGEST = "pgrollout/request-digest"
"""Annotation with the digest of what the Job was asked."""
_LABEL_LENGTH = 63
_FINAL = [int(code) for code in ExitCode if code not in (ExitCode.DONE, ExitCode.WAIT)]


@dataclass(frozen=True, slots=True)
class StageJob:
    """One attempt at one stage of one run."""

    stage: str
    database: str
    run_id: str
    attempt: int
    request: str
    """The stage's request, as JSON."""
    image: str | None = None
    """Instead of the template's."""
    deadline_seconds: int = 3600
    """How long the Job may take, all its pods together."""
    ttl_seconds: int = 86_400
    """How long the Job, and with it its log, stays when it has ended."""

    @property
    def name(self) -> str:
        """The Job's name, the same for the same attempt: ``pgrollout-reader-apply-3fa9c1d2-1``."""
        run = hashlib.sha256(self.run_id.encode()).hexdigest()[:8]
        return f"pgrollout-{_word(self.database, 20)}-{self.stage}-{run}-{self.attempt}"

    @property
    def labels(self) -> dict[str, str]:
        """What Job and pod can be found by."""
        return {
            "app.kubernetes.io/name": "pgrollout",
            "app.kubernetes.io/component": "migration",
            "app.kubernetes.io/managed-by": "pgrollout",
            "component": "migration",
            "pgrollout/run": _word(self.run_id, _LABEL_LENGTH),
            "pgrollout/stage": self.stage,
            "pgrollout/database": _word(self.database, _LABEL_LENGTH),
            "pgrollout/attempt": str(self.attempt),
        }


def job(asked: StageJob, template: Mapping[str, Any]) -> Manifest:
    """
    Return the Job's manifest.

    Args:
        asked: The attempt.
        template: A ``core/v1`` PodTemplateSpec; its container ``stage`` runs the stage.

    Raises:
        ConfigurationError: The template has no such container.
    """
    pod = deepcopy(dict(template))
    metadata, spec = pod.setdefault("metadata", {}), pod.setdefault("spec", {})
    container = next((each for each in spec.get("containers") or () if each.get("name") == CONTAINER), None)
    if container is None:
        raise ConfigurationError(
            "pod template", f"it has no container called {CONTAINER!r}.", "That one runs the stage."
        )
    if asked.image:
        container["image"] = asked.image
    container["command"] = ["pgrollout", "run-stage", asked.stage, "--log-format", "json"]
    container.pop("args", None)
    ours = {REQUEST: asked.request, MESSAGE: MESSAGE_PATH}
    kept = [each for each in container.get("env") or () if each.get("name") not in ours]
    container["env"] = [*kept, *({"name": name, "value": value} for name, value in ours.items())]
    container["terminationMessagePath"] = MESSAGE_PATH
    container["terminationMessagePolicy"] = "File"
    spec["restartPolicy"] = "Never"
    metadata["labels"] = {**(metadata.get("labels") or {}), **asked.labels}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": asked.name,
            "labels": metadata["labels"],
            "annotations": {DIGEST: hashlib.sha256(f"{container.get('image')}\n{asked.request}".encode()).hexdigest()},
        },
        "spec": {
            "activeDeadlineSeconds": asked.deadline_seconds,
            "ttlSecondsAfterFinished": asked.ttl_seconds,
            # Trying again is for who asked: the Job controller would wait, and would not know what cannot be cured.
            "backoffLimit": 0,
            "podFailurePolicy": {
                "rules": [
                    # First: an evicted pod is replaced, and the new one goes on, whatever the old one ended with.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": _FINAL},
                    },
                ]
            },
            "template": pod,
        },
    }


def _word(text: str, length: int) -> str:
    """Return the text as a label or a part of a name may be; what had to be changed is told apart by a digest."""
    word = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if word == text and len(word) <= length:
        return word
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{word[: length - len(mark) - 1].rstrip('-')}-{mark}".lstrip("-")


def repository(image: str) -> str:
    """Return the repository of an image reference: without its tag and digest."""
    name = image.partition("@")[0]
    last = name.rfind("/")
    return name[: name.rfind(":")] if name.rfind(":") > last else name


def check_image(image: str, allowed: tuple[str, ...]) -> None:
    """
    Refuse an image of a repository that runs may not name: its pod gets the database's credentials.

    Raises:
        ConfigurationError: It is of another repository.
    """
    if repository(image) not in allowed:
        raise ConfigurationError(
            f"image {image}",
            f"stages may only be run by an image of {', '.join(allowed) or 'the pod template'}.",
            "PGROLLOUT_IMAGES of the runner lists the repositories; the chart sets it from migration.allowedImages.",
        )
