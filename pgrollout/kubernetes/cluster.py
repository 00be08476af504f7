"""
The cluster: what the launcher asks of the API server, tried again where that can help.

The only module that knows the client library. Objects come and go as the API's own JSON. Inside a cluster the service
account's token is read anew for each connection, elsewhere kubeconfig says where the server is.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from pgrollout.errors import ClusterRefused, ClusterUnreachable

log = logging.getLogger(__name__)

Object = dict[str, Any]

REQUEST_SECONDS = 30
"""How long to wait for one answer."""
CONNECT_SECONDS = 10
WATCH_SECONDS = 240
"""How long one watch lasts; the server ends it then, and the next begins."""
SILENCE_SECONDS = 90
"""How long a log that is followed may say nothing before the connection is taken for dead, and made anew."""
REFUSED_SECONDS = 60
"""How long 401 is put up with: a token may be just being replaced."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Answer(Exception):
    """The API server said no."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0) -> None:
        super().__init__(status, reason, message)
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after


TROUBLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What a connection may end with, and a new one may cure."""


class Cluster:
    """One namespace of a cluster."""

    def __init__(self, namespace: str, give_up_seconds: float) -> None:
        """
        Prepare to talk to the API server.

        Args:
            namespace: Where Jobs and pods are.
            give_up_seconds: How long the server may be out of reach before a call fails.
        """
        self.namespace = namespace
        self._give_up_seconds = give_up_seconds
        self._client: ApiClient | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def create_job(self, manifest: Object) -> Object | None:
        """Create a Job and return it; None if one of its name is there."""
        try:
            return await self._object("POST", self._jobs(), "create jobs", body=manifest)
        except Answer as answer:
            if answer.status == 409:
                return None
            raise self._refused("create jobs", answer) from answer

    async def job(self, name: str) -> Object | None:
        """Return a Job; None if there is none of the name."""
        try:
            return await self._object("GET", f"{self._jobs()}/{name}", "get jobs")
        except Answer as answer:
            if answer.status == 404:
                return None
            raise self._refused("get jobs", answer) from answer

    async def delete_job(self, name: str) -> None:
        """Delete a Job, and its pods, which get SIGTERM; nothing if it is not there."""
        try:
            await self._object(
                "DELETE", f"{self._jobs()}/{name}", "delete jobs", query={"propagationPolicy": "Background"}
            )
        except Answer as answer:
            if answer.status != 404:
                raise self._refused("delete jobs", answer) from answer

    async def pods(self, job: str) -> tuple[list[Object], str]:
        """Return the pods of a Job, and the version of the list, from which they can be watched."""
        try:
            found = await self._object("GET", self._pods(), "list pods", query={"labelSelector": f"job-name={job}"})
        except Answer as answer:
            raise self._refused("list pods", answer) from answer
        return found["items"], str(found["metadata"]["resourceVersion"])

    async def watch_pods(self, job: str, version: str) -> AsyncIterator[Object]:
        """
        Yield the pods of a Job as they change, for some minutes at most.

        Raises:
            Answer: 410, if the version is too old; or what else the server says.
            OSError, aiohttp.ClientError, asyncio.TimeoutError: The connection was lost.
        """
        query = {
            "labelSelector": f"job-name={job}",
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with self._open(self._pods(), query, WATCH_SECONDS + REQUEST_SECONDS) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise Answer(int(status.get("code") or 500), status.get("reason", ""), status.get("message", ""))
                yield event["object"]

    async def follow_log(self, pod: str, container: str, since: str | None, *, follow: bool) -> AsyncIterator[str]:
        """
        Yield the lines of a container's log, each with its time stamp in front.

        Raises:
            Answer: The server says no: 400 before the container has started, 404 when the pod is gone.
            OSError, aiohttp.ClientError, asyncio.TimeoutError: The connection was lost, or was silent for long.
        """
        query = {"container": container, "timestamps": "true", "follow": "true" if follow else "false"}
        if since:
            query["sinceTime"] = since
        async with self._open(f"{self._pods()}/{pod}/log", query, SILENCE_SECONDS) as response:
            async for line in response.content:
                # A line that was cut is not one: the rest comes when the log is read again.
                if line.endswith(b"\n"):
                    yield line[:-1].decode("utf-8", "replace")

    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def _object(
        self, method: str, path: str, doing: str, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> Object:
        """Ask for an object, again and again while the server is out of reach, busy, or takes the token for wrong."""

        async def once() -> Object:
            async with self._request(method, path, query, body, aiohttp.ClientTimeout(REQUEST_SECONDS)) as response:
                found: Object = await response.json(content_type=None)
                return found

        return await self._tried(once, doing)

    async def _tried(self, once: Callable[[], Awaitable[Object]], doing: str) -> Object:
        began, pause, is_told = time.monotonic(), FIRST_PAUSE_SECONDS, False
        while True:
            wait = 0.0
            try:
                return await once()
            except Answer as answer:
                passed = time.monotonic() - began
                if answer.status == 401 and passed < min(REFUSED_SECONDS, self._give_up_seconds):
                    await self.close()
                elif answer.status != 429 and answer.status < 500:
                    raise
                problem, wait = f"{answer.status} {answer.message}".strip(), answer.retry_after
            except ConfigException as error:
                raise ClusterRefused(self.namespace, doing, f"it cannot be found: {error}") from error
            except TROUBLE as error:
                problem = str(error) or type(error).__name__
            if time.monotonic() - began > self._give_up_seconds:
                raise ClusterUnreachable(doing, problem, round(self._give_up_seconds))
            if not is_told:
                log.warning('Kubernetes API out of reach doing="%s" reason="%s"', doing, problem.replace('"', "'"))
                is_told = True
            await asyncio.sleep(max(pause, min(wait, 60.0)))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _open(self, path: str, query: Mapping[str, str], silence: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a stream that may last; an answer that says no is raised."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        async with self._request("GET", path, query, None, timeout) as response:
            yield response

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None,
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        client = await self._connected()
        response: aiohttp.ClientResponse = await client.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json, */*", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=timeout,
        )
        try:
            if response.status >= 300:
                raise _answer(response, await response.read())
            yield response
        finally:
            response.close()

    async def _connected(self) -> ApiClient:
        if self._client is None:
            configuration = Configuration()
            # Python 3.13 refuses authorities that lack what OpenSSL does not ask for; those of many clusters do.
            configuration.disable_strict_ssl_verification = True
            try:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            except ConfigException:
                # The library looks at KUBECONFIG when it is imported, and never again.
                await load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=configuration)
            self._client = ApiClient(configuration)
        return self._client

    def _refused(self, doing: str, answer: Answer) -> ClusterRefused | ClusterUnreachable:
        if answer.status == 403 and "exceeded quota" in answer.message:
            return ClusterUnreachable(doing, answer.message, 0)
        return ClusterRefused(self.namespace, doing, f"{answer.status} {answer.message or answer.reason}".strip())


def _answer(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    retry_after = response.headers.get("Retry-After", "")
    try:
        status = json.loads(body)
        reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = str(response.reason), body.decode("utf-8", "replace").strip()[:500]
    return Answer(response.status, reason, message, float(retry_after) if retry_after.isdecimal() else 0)


def own_namespace() -> str | None:
    """Return the namespace of the pod that this process is in; None outside of a cluster."""
    try:
        return _NAMESPACE.read_text("utf-8").strip() or None
    except OSError:
        return None
