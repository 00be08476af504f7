"""The tests of tasks import Prefect: its home is a folder of the test run."""

import tests.prefect_home  # noqa: F401  before Prefect is imported
