"""
Prefect's home for the tests: a folder that goes with the test run. Imported before anything that imports Prefect.
"""

import os
from tempfile import TemporaryDirectory

HOME = TemporaryDirectory(prefix="pgr-prefect-")
for _variable in [variable for variable in os.environ if variable.startswith("PREFECT_")]:
    del os.environ[_variable]  # a developer's own server is none of the tests' business
os.environ["PREFECT_HOME"] = HOME.name

import flows  # noqa: E402  sets the rest of Prefect's environment

assert os.environ["PREFECT_HOME"] == HOME.name, flows.__file__
