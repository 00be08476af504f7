"""The manifest: the user's pod, and what makes it this stage of this run."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgrollout.errors import ConfigurationError
from pgrollout.kubernetes.manifest import DIGEST, StageJob, check_image, job, repository

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"team": "shop"}},
    "spec": {
        "containers": [
            {"name": "proxy", "image": "proxy:1"},
            {"name": "stage", "image": "app:1", "args": ["x"], "env": [{"name": "PGHOST", "value": "db"}]},
        ]
    },
}
ASKED = StageJob("apply", "reader", "20261130T100000Z-3fa9c1", 2, '{"a": 1}', deadline_seconds=90, ttl_seconds=7)


def test_the_template_is_kept_and_filled_in() -> None:
    """Other containers, variables and labels stay; the template itself is not changed."""
    made = job(ASKED, TEMPLATE)
    proxy, stage = made["spec"]["template"]["spec"]["containers"]

    assert proxy == {"name": "proxy", "image": "proxy:1"}
    assert stage["command"] == ["pgrollout", "run-stage", "apply", "--log-format", "json"]
    assert "args" not in stage
    assert stage["env"] == [
        {"name": "PGHOST", "value": "db"},
        {"name": "PGROLLOUT_STAGE_REQUEST", "value": '{"a": 1}'},
        {"name": "PGROLLOUT_TERMINATION_MESSAGE", "value": "/dev/termination-log"},
    ]
    assert made["spec"]["template"]["metadata"]["labels"]["team"] == "shop"
    assert made["metadata"]["labels"]["pgrollout/stage"] == "apply"
    assert made["metadata"]["labels"]["component"] == "migration"
    assert TEMPLATE["spec"]["containers"][1]["args"] == ["x"]


def test_the_cluster_bounds_the_job() -> None:
    """Also when whoever made it has died; nothing is tried again there but what was evicted."""
    spec = job(ASKED, TEMPLATE)["spec"]

    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"], spec["backoffLimit"]) == (90, 7, 0)
    ignored, failed = spec["podFailurePolicy"]["rules"]
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert failed["onExitCodes"]["values"] == [1, 2, 3, 4]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_digest_is_of_request_and_image() -> None:
    """A Job that was asked something else, or of another image, is not taken for this one."""

    def digest(asked: StageJob) -> str:
        return str(job(asked, TEMPLATE)["metadata"]["annotations"][DIGEST])

    same = StageJob("apply", "reader", ASKED.run_id, 2, '{"a": 1}')
    other = StageJob("apply", "reader", ASKED.run_id, 2, '{"a": 2}')
    image = StageJob("apply", "reader", ASKED.run_id, 2, '{"a": 1}', image="app:2")

    assert digest(same) == digest(ASKED)
    assert len({digest(ASKED), digest(other), digest(image)}) == 3


def test_a_template_without_the_container_is_refused() -> None:
    """Nobody could say which container is meant."""
    with pytest.raises(ConfigurationError, match="no container called 'stage'"):
        job(ASKED, {"spec": {"containers": [{"name": "app"}]}})


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100), st.integers(1, 99))
def test_names_and_labels_are_what_kubernetes_takes(database: str, run: str, attempt: int) -> None:
    """Whatever a database is called."""
    asked = StageJob("validate", database, run, attempt, "{}")

    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", asked.name)
    assert len(asked.name) <= 57, "a pod's name has six characters more"
    for value in asked.labels.values():
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", value)
        assert len(value) <= 63


def test_databases_of_like_names_have_jobs_of_their_own() -> None:
    """``Shop`` is not ``shop``."""
    names = {StageJob("apply", name, "run", 1, "{}").name for name in ("shop", "Shop", "shop_", "s" * 40, "s" * 41)}
    assert len(names) == 5


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("app", "app"),
        ("app:1", "app"),
        ("ghcr.example/team/app:1", "ghcr.example/team/app"),
        ("registry.example:5000/app", "registry.example:5000/app"),
        ("registry.example:5000/app:1@sha256:ab", "registry.example:5000/app"),
    ],
)
def test_only_images_of_known_repositories_run(image: str, name: str) -> None:
    """Their pods get the database's credentials."""
    assert repository(image) == name
    check_image(image, (name,))
    with pytest.raises(ConfigurationError, match="only be run by an image of other/app"):
        check_image(image, ("other/app",))
