"""
The Prefect API: what its errors mean for a process that asks it, and how long to wait for it.

What is asked is left to the callers. A flow run has Prefect's own client for that, which waits by itself.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, PREFECT_UI_URL, temporary_settings

from pgrollout import settings
from pgrollout.errors import ConfigurationError, PgrolloutError, ServerUnavailable

log = logging.getLogger("pgrollout.prefect")

T = TypeVar("T")

POLL_SECONDS = 1.0


@contextmanager
def client() -> Iterator[SyncPrefectClient]:
    """
    Give a client of the server that ``PREFECT_API_URL`` names; it does not try a call again by itself.

    Raises:
        ConfigurationError: None is named. Prefect would start one that nobody else sees.
    """
    if not PREFECT_API_URL.value():
        raise ConfigurationError(
            "PREFECT_API_URL",
            "is not set.",
            "Give the URL of the Prefect server, as in https://prefect.example.com/api.",
        )
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as found:
        yield found


def answered(call: Callable[[], T], seconds: float) -> T:
    """
    Return what the call returns, once the server answers.

    Raises:
        ServerUnavailable: It did not, all the time.
        ConfigurationError: It refuses us.
    """
    end, told = time.monotonic() + seconds, False
    while True:
        try:
            return call()
        except (httpx.TransportError, PrefectHTTPStatusError) as error:
            if not is_outage(error):
                raise refusal(error) from error
            if time.monotonic() >= end:
                raise ServerUnavailable(_server(), f"it does not answer: {reason(error)}.") from error
            if not told:
                log.info('waiting for prefect server="%s" reason="%s"', _url(), reason(error))
                told = True
        time.sleep(POLL_SECONDS)


def page_of(run_id: UUID) -> str:
    """Return the address of a run's page: where PREFECT_UI_URL says that pages are, else where the API is."""
    pages = PREFECT_UI_URL.value() or (PREFECT_API_URL.value() or "").removesuffix("/api")
    return f"{settings.masked(pages)}/runs/flow-run/{run_id}"


def is_outage(error: Exception) -> bool:
    """Whether a later call may be answered: the server is away, starting, or has too much to do."""
    if isinstance(error, PrefectHTTPStatusError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def refusal(error: Exception) -> PgrolloutError:
    """Return the error that an answer of the server is for a person."""
    if isinstance(error, PrefectHTTPStatusError) and error.response.status_code in (401, 403):
        return ConfigurationError(
            _server(),
            f"it refuses us ({error.response.status_code}).",
            "Set PREFECT_API_AUTH_STRING to the server's user:password, or PREFECT_API_KEY.",
        )
    return ConfigurationError(_server(), f"it refuses that: {reason(error)}.")


def reason(error: Exception) -> str:
    """Return what the server, or the network, says."""
    if isinstance(error, ObjectNotFound):
        error = error.http_exc
    if isinstance(error, PrefectHTTPStatusError):
        try:
            said = error.response.json().get("detail") or error.response.json().get("exception_message")
        except (ValueError, AttributeError):
            said = None
        return str(said or f"{error.response.status_code} {error.response.reason_phrase}").rstrip(".")
    return f"{type(error).__name__}: {error}".rstrip(": .")


def _server() -> str:
    return f"The Prefect server {_url()}"


def _url() -> str:
    return settings.masked(PREFECT_API_URL.value() or "")
