"""
Flows: one module per operation that an operator starts.

Importing this package sets Prefect's environment, before Prefect is imported: what the user has set wins. History and
settings are in the project, ``.pgrollout/prefect``, unless a server is named by ``PREFECT_API_URL``, or runs: that of
``make ui``, whose database a second server would only lock.
"""

import logging
import os
import socket
from contextlib import suppress
from pathlib import Path

from pgrollout.errors import PgrolloutError
from pgrollout.files import STATE_NAME, make_folder
from pgrollout.settings import config_path


def project_root() -> Path:
    """Return the folder of pgrollout.toml, else the working directory."""
    try:
        path = config_path(os.environ, Path.cwd())
    except PgrolloutError:
        path = None  # whoever loads the settings says so
    return path.resolve().parent if path else Path.cwd()


PREFECT_HOME = project_root() / STATE_NAME / "prefect"
UI = PREFECT_HOME / "ui"
"""File with the address of ``make ui``, while it runs."""


def ui_address() -> tuple[str, int] | None:
    """Return where the server of ``make ui`` listens, if it runs."""
    try:
        host, _, port = UI.read_text().strip().rpartition(":")
        socket.create_connection((host, int(port)), timeout=1).close()
    except (OSError, ValueError):
        return None
    return host, int(port)


DEFAULTS = {
    "PREFECT_HOME": str(PREFECT_HOME),
    # A new database takes 20 s on a busy machine, Prefect's own limit.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",  # the same for the client, which else announces that it collects
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "0",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
    # One event for each transaction, the default, loses the task runs of a flow that ends at once.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    # Whole seconds: of a part of one Prefect 3.8 makes 0, and looks all the time.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # A server that restarts is waited for, half a minute for each call; one that is gone does not keep a run that has
    # ended for three minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "3",
    # Kept in memory, the default, the place of a run that was under way when the server ended is taken for ever.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "pgrollout",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
if "PREFECT_API_URL" not in os.environ and "PREFECT_HOME" not in os.environ and (_found := ui_address()):
    DEFAULTS["PREFECT_API_URL"] = "http://{}:{}/api".format(*_found)
    DEFAULTS["PREFECT_UI_URL"] = "http://{}:{}/v2".format(*_found)
for _key, _value in DEFAULTS.items():
    os.environ.setdefault(_key, _value)
try:
    Path.home()
except RuntimeError:
    # A user id that the machine does not know, as in a container: Prefect must find a home to be imported.
    os.environ["HOME"] = os.environ["PREFECT_HOME"]
# Prefect complains, while it is imported, of a home that it cannot make; of a read-only disk it says so itself.
with suppress(OSError):
    make_folder(Path(os.environ["PREFECT_HOME"]))
logging.getLogger("pgrollout").setLevel(logging.INFO)
