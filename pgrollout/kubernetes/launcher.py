"""
The launcher: runs a stage as a Job of the migration image, and brings its report back.

Set up by the environment of the runner, which the chart writes. Knows nothing of who asks.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pgrollout import __version__, interrupts
from pgrollout.delivery import FAILED, Outcome
from pgrollout.errors import ConfigurationError, StageFailed
from pgrollout.kubernetes.manifest import CONTAINER, StageJob, check_image, job, repository
from pgrollout.stages.stage import Report, Request

ReportT = TypeVar("ReportT", bound=Report)

stage_log = logging.getLogger("pgrollout.stage")

TEMPLATE = "/etc/pgrollout/pod"
_NOT_TOLD = ("time", "level", "event", "logger", "pgrollout", "run", "stage", "database")
"""Fields of a line of the stage's log that the run page shows anyway."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """How and where stages run as Jobs."""

    namespace: str
    template: Path
    """Folder with ``pod.yaml`` and, for a stage that needs another, ``<stage>.yaml``."""
    images: tuple[str, ...] = ()
    """Repositories of images that a run may name; none means that of the template."""
    deadline_seconds: int = 3600
    ttl_seconds: int = 86_400
    pending_seconds: int = 300

    def run(
        self, stage: str, request: Request, report: type[ReportT], *, attempt: int = 1, image: str | None = None
    ) -> ReportT:
        """
        Run a stage and return its report.

        Args:
            stage: Its name, as ``pgrollout run-stage`` takes it.
            request: What it is asked.
            report: What it answers with.
            attempt: Which try; the same one is found again, not made twice.
            image: Image of the pod, instead of the template's.

        Raises:
            StageFailed: The stage ended with an error.
            JobFailed: The Job ended without word of the stage.
            ClusterRefused, ClusterUnreachable: Kubernetes would not, or did not answer.
            ConfigurationError: Template or image cannot be used.
        """
        from pgrollout.kubernetes import engine  # brings the client library, which takes a second

        template = self._template(stage)
        if image:
            allowed = self.images or tuple(repository(each) for each in (_image(template),) if each)
            check_image(image, allowed)
        asked = StageJob(
            stage=stage,
            database=request.database.name,
            run_id=request.run_id,
            attempt=attempt,
            request=request.model_dump_json(),
            image=image or None,
            deadline_seconds=self.deadline_seconds,
            ttl_seconds=self.ttl_seconds,
        )
        limits = engine.Limits(self.deadline_seconds, self.pending_seconds)
        with interrupts.held_back() as interrupted:
            outcome = engine.run(job(asked, template), self.namespace, limits, relay, interrupted)
            if outcome.error:
                raise StageFailed(
                    stage, outcome.error, outcome.summary, outcome.exit_code, is_wanted=bool(interrupted())
                )
            return _report(outcome, report, stage)

    def _template(self, stage: str) -> Mapping[str, Any]:
        import yaml

        path = next((each for each in (self.template / f"{stage}.yaml",) if each.is_file()), self.template / "pod.yaml")
        try:
            found = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, yaml.YAMLError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                str(path), f"cannot be read: {problem}.", "PGROLLOUT_POD_TEMPLATE names its folder."
            ) from error
        if not isinstance(found, dict):
            raise ConfigurationError(
                str(path), "is no PodTemplateSpec.", "It has metadata and spec, as a Job's template."
            )
        return found


def from_environment(environ: Mapping[str, str] = os.environ) -> Jobs:
    """
    Return the launcher that the environment describes.

    Raises:
        ConfigurationError: No namespace is known, or a number is none.
    """
    from pgrollout.kubernetes.cluster import own_namespace

    namespace = environ.get("PGROLLOUT_NAMESPACE") or own_namespace()
    if not namespace:
        raise ConfigurationError(
            "PGROLLOUT_NAMESPACE", "it is not set.", "It says where Jobs are made; in a cluster the pod's own is taken."
        )
    return Jobs(
        namespace,
        Path(environ.get("PGROLLOUT_POD_TEMPLATE") or TEMPLATE),
        tuple(each.strip() for each in environ.get("PGROLLOUT_IMAGES", "").split(",") if each.strip()),
        _seconds(environ, "PGROLLOUT_STAGE_DEADLINE_SECONDS", 3600),
        _seconds(environ, "PGROLLOUT_JOB_TTL_SECONDS", 86_400),
        _seconds(environ, "PGROLLOUT_PENDING_SECONDS", 300),
    )


def relay(line: str) -> None:
    """Log a line of a stage's log here, at its own level: a JSON line as people read it, any other as it is."""
    try:
        found = json.loads(line)
        event, level = str(found["event"]), logging.getLevelNamesMapping()[str(found["level"]).upper()]
    except (ValueError, KeyError, TypeError):
        stage_log.info("%s", line)
        return
    if event.startswith(FAILED) and "exception" not in found:
        return
    fields = [f"{key.removesuffix('_')}={_shown(value)}" for key, value in found.items() if key not in _NOT_TOLD]
    stage_log.log(level, "%s", " ".join([event, *fields]))


def _shown(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text


def _report(outcome: Outcome, kind: type[ReportT], stage: str) -> ReportT:
    try:
        return kind.model_validate_json(outcome.report)
    except ValidationError as error:
        raise ConfigurationError(
            f"stage {stage}",
            f"its image has pgrollout {outcome.version}, and its report is not one that {__version__} reads.",
            "Give runner and migration image the same version.",
        ) from error


def _image(template: Mapping[str, Any]) -> str | None:
    containers = (template.get("spec") or {}).get("containers") or ()
    return next((str(each.get("image")) for each in containers if each.get("name") == CONTAINER), None)


def _seconds(environ: Mapping[str, str], variable: str, default: int) -> int:
    text = environ.get(variable, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(variable, f"{text!r} is no number of seconds.")
    return int(text)
