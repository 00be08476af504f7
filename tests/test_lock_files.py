"""The lock files agree: what the image has is what the tests ran with."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pins(name: str) -> dict[str, str]:
    """Return the version of each package that a lock file pins."""
    return dict(re.findall(r"^([a-z0-9.\-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["requirements-image.lock", "requirements-build.lock"])
def test_image_has_what_the_tests_ran_with(name: str) -> None:
    """Every package of the image and of its build has the version of requirements.lock; `make lock` writes all three."""
    tested = pins("requirements.lock")

    assert pins(name)
    assert {package: tested.get(package) for package in pins(name)} == pins(name)


def test_image_has_no_development_tools() -> None:
    """Neither test tools nor compilers of types are in the image."""
    assert not pins("requirements-image.lock").keys() & {"pytest", "mypy", "ruff", "hypothesis", "hatchling", "pip"}
