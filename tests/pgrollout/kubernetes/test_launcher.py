"""The launcher: from a request to a report, and what the environment may say."""

import json
import logging
from pathlib import Path

import pytest

from pgrollout.errors import ConfigurationError
from pgrollout.kubernetes.launcher import Jobs, from_environment, relay
from pgrollout.settings import Database
from pgrollout.stages.stage import Report, Request

REQUEST = Request(database=Database(name="reader"), run_id="20261130T100000Z-3fa9c1")


def test_the_environment_says_how_jobs_are_made() -> None:
    """Numbers are seconds; what is left out has a default."""
    made = from_environment(
        {"PGROLLOUT_NAMESPACE": "shop", "PGROLLOUT_STAGE_DEADLINE_SECONDS": "90", "PGROLLOUT_IMAGES": "a/app, b/app"}
    )

    assert (made.namespace, made.deadline_seconds, made.images) == ("shop", 90, ("a/app", "b/app"))
    assert made.template == Path("/etc/pgrollout/pod")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "PGROLLOUT_NAMESPACE: it is not set"),
        ({"PGROLLOUT_NAMESPACE": "shop", "PGROLLOUT_PENDING_SECONDS": "soon"}, "'soon' is no number of seconds"),
        ({"PGROLLOUT_NAMESPACE": "shop", "PGROLLOUT_JOB_TTL_SECONDS": "0"}, "'0' is no number of seconds"),
    ],
)
def test_what_the_environment_cannot_say_is_named(environment: dict[str, str], sentence: str) -> None:
    """With the variable."""
    with pytest.raises(ConfigurationError, match=sentence):
        from_environment(environment)


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Its path, and the variable that names its folder."""
    jobs = Jobs("shop", tmp_path)

    with pytest.raises(ConfigurationError, match=r"pod.yaml: cannot be read: No such file.*PGROLLOUT_POD_TEMPLATE"):
        jobs.run("verify", REQUEST, Report)
    (tmp_path / "verify.yaml").write_text("- one")
    with pytest.raises(ConfigurationError, match=r"verify.yaml: is no PodTemplateSpec"):
        jobs.run("verify", REQUEST, Report)


def test_an_image_of_another_repository_is_refused(tmp_path: Path) -> None:
    """Where none is allowed by name, that of the template is."""
    (tmp_path / "pod.yaml").write_text("spec: {containers: [{name: stage, image: 'app:1'}]}")

    with pytest.raises(ConfigurationError, match="image other:1: stages may only be run by an image of app"):
        Jobs("shop", tmp_path).run("verify", REQUEST, Report, image="other:1")


def test_lines_of_the_stage_keep_their_level(caplog: pytest.LogCaptureFixture) -> None:
    """JSON becomes what people read; the failure itself is told by who asked."""
    lines = [
        {"time": "now", "level": "warning", "event": "table waited for", "pid": 7, "application": "the shop"},
        {"level": "error", "event": "stage failed stage=apply", "run": "r"},
    ]
    with caplog.at_level(logging.INFO, "pgrollout.stage"):
        for line in [*map(json.dumps, lines), "plain text", '{"a": 1}']:
            relay(line)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", 'table waited for pid=7 application="the shop"'),
        ("INFO", "plain text"),
        ("INFO", '{"a": 1}'),
    ]
