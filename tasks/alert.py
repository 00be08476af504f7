"""
Alert: the in-process channel, for when nobody else looks; a log line and, where one is configured, a webhook.

Never twice for one flow run, and never a reason to fail: what goes wrong with an alert is logged.
"""

import http.client
import json
import logging
import os
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from pgrollout.files import make_folder
from pgrollout.settings import Database

log = logging.getLogger("pgrollout.alert")

TIMEOUT_SECONDS = 5


def alert(database: Database, flow_run_id: str, text: str) -> bool:
    """
    Tell that a run failed, unless that was told already; return whether it was told now.

    Args:
        database: The database's settings; ``alert_url_env`` names the variable with the webhook's URL.
        flow_run_id: The run; a file below ``.pgrollout/alerts`` says that it was told.
        text: Database, stage, error and link, for people.
    """
    told = database.state_path / "alerts" / flow_run_id
    if not _is_first(told):
        return False
    log.error("run failed flow_run=%s\n%s", flow_run_id, text)
    if database.alert_url_env is None:
        return True
    problem = _post(os.environ.get(database.alert_url_env, ""), text)
    if problem:
        # The URL itself may be a secret, as Slack's are: only its variable is named.
        log.warning('alert not sent reason="%s %s"', database.alert_url_env, problem)
        with suppress(OSError):
            told.unlink()  # so that a later hook tries again
    else:
        log.info("alert sent variable=%s", database.alert_url_env)
    return True


def _is_first(told: Path) -> bool:
    try:
        make_folder(told.parent)
        told.touch(exist_ok=False)
    except OSError as error:
        if told.is_file():
            return False
        # Rather twice than never.
        log.warning('alert not remembered reason="%s"', error.strerror)
    return True


def _post(url: str, text: str) -> str:
    """Send the text; return what went wrong, or nothing."""
    if not url.startswith(("https://", "http://")):
        return "holds no web address" if url else "is not set"
    body = json.dumps({"text": text}).encode()
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  checked above
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered {error.code}"
    except urllib.error.URLError as error:
        return f"cannot be reached: {error.reason}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"cannot be reached: {type(error).__name__}"
