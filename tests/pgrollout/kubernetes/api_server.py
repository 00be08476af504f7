"""
An API server of Kubernetes as far as the launcher uses it, to fail on demand: a real one cannot be told when.

It keeps Jobs, pods and logs, and runs a script for each Job in the place of controllers and kubelet.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from pgrollout import delivery
from pgrollout.delivery import Outcome

Object = dict[str, Any]
JOBS, PODS = "/apis/batch/v1/namespaces/{namespace}/jobs", "/api/v1/namespaces/{namespace}/pods"


@dataclass
class Fault:
    """What goes wrong with the next request of a kind."""

    method: str
    ending: str
    """How its path ends: ``jobs``, ``pods``, ``log``; a Job's own path ends with its name."""
    status: int = 0
    """Answered with; 0 cuts the connection."""
    is_done: bool = False
    """Whether what was asked happens all the same, so that only the answer is lost."""
    after_lines: int | None = None
    """For a log or a watch: cut after so many lines."""


Script = Callable[["ApiServer", Object], Awaitable[None]]


@dataclass
class ApiServer:
    """Its state, for tests to look at; what a script does to it wakes who watches."""

    script: Script
    faults: list[Fault] = field(default_factory=list)
    jobs: dict[str, Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    """What requests came with."""
    token: str = "first"
    version: int = 1

    def __post_init__(self) -> None:
        self._moved = asyncio.Event()
        self._clock = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # What scripts say.

    def pod(self, job: Object, name: str, status: Object, container: Object | None = None, uid: str = "") -> None:
        """Set the state of a pod."""
        containers = [{"name": "stage", "state": container}] if container else []
        made = f"2026-11-30T10:00:{len(self.pods) + 1:02d}Z" if name not in self.pods else None
        before = self.pods.get(name, {"metadata": {"creationTimestamp": made}})
        self.pods[name] = {
            "metadata": {**before["metadata"], "name": name, "uid": uid or name, "job": job["metadata"]["name"]},
            "status": {**status, "containerStatuses": containers},
        }
        self.move()

    def condition(self, job: Object, kind: str, reason: str = "", message: str = "") -> None:
        """Set a condition of a Job."""
        job.setdefault("status", {}).setdefault("conditions", []).append(
            {"type": kind, "status": "True", "reason": reason, "message": message}
        )
        self.move()

    def say(self, pod: str, *lines: str) -> None:
        """Write to a pod's log."""
        for line in lines:
            self._clock += 1
            # Several lines of one moment, as a fast program writes them.
            self.logs.setdefault(pod, []).append(f"2026-11-30T10:00:00.{self._clock // 3:09d}Z {line}")
        self.move()

    def end(self, job: Object, pod: str, outcome: Outcome, *, is_told: bool = True) -> None:
        """End a pod's container as ``run-stage`` does."""
        if is_told:
            self.say(pod, *delivery.lines(outcome))
        message = delivery.notice(outcome).to_json()
        self.pod(job, pod, {}, {"terminated": {"exitCode": outcome.exit_code, "reason": "Error", "message": message}})

    def move(self) -> None:
        """Wake who watches."""
        self.version += 1
        self._moved.set()
        self._moved = asyncio.Event()

    async def until(self, claim: Callable[[], bool]) -> None:
        """Return when a claim is true."""
        while not claim():
            await self.next()

    async def next(self) -> None:
        """Return when something has changed."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._moved.wait(), 0.5)

    # What it answers.

    @web.middleware
    async def failing(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Check the token, and have go wrong what is to."""
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if self.tokens[-1] != self.token:
            return _status(401, "Unauthorized")
        fault = next((each for each in self.faults if _hits(each, request)), None)
        if fault is None:
            answer: web.StreamResponse = await handler(request)
            return answer
        self.faults.remove(fault)
        if fault.after_lines is not None:
            request["cut"] = fault.after_lines
            with contextlib.suppress(ConnectionResetError):
                await handler(request)
        elif fault.is_done:
            await handler(request)
        if fault.status:
            return _status(fault.status, "as the test wants it")
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    async def create(self, request: web.Request) -> web.Response:
        """Create a Job, and let its script begin."""
        job = await request.json()
        name = job["metadata"]["name"]
        if name in self.jobs:
            return _status(409, "AlreadyExists")
        self.jobs[name] = job
        self.created.append(name)
        task = asyncio.create_task(_run(self.script(self, job)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.json_response(job, status=201)

    async def get(self, request: web.Request) -> web.Response:
        """Return a Job."""
        job = self.jobs.get(request.match_info["name"])
        return web.json_response(job) if job else _status(404, "NotFound")

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a Job; its pods are the script's."""
        name = request.match_info["name"]
        if self.jobs.pop(name, None) is None:
            return _status(404, "NotFound")
        self.deleted.append(name)
        self.move()
        return web.json_response({"kind": "Status", "status": "Success"})

    async def pods_of(self, request: web.Request) -> web.StreamResponse:
        """List pods, or watch them."""
        job = request.query["labelSelector"].removeprefix("job-name=")
        if request.query.get("watch") != "true":
            items = [pod for pod in self.pods.values() if pod["metadata"]["job"] == job]
            return web.json_response({"items": items, "metadata": {"resourceVersion": str(self.version)}})
        response = web.StreamResponse()
        await response.prepare(request)
        seen, written = "", 0
        while not request.transport or not request.transport.is_closing():
            items = [pod for pod in self.pods.values() if pod["metadata"]["job"] == job]
            if (now := json.dumps(items)) != seen:
                seen = now
                for pod in items:
                    if written == request.get("cut"):
                        return response
                    written += 1
                    await response.write(json.dumps({"type": "MODIFIED", "object": pod}).encode() + b"\n")
            await self.next()
        return response

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Return a container's log, followed to its end if asked."""
        name = request.match_info["name"]
        if name not in self.pods:
            return _status(404, "NotFound")
        assert request.query["timestamps"] == "true"
        since = request.query.get("sinceTime", "")[:19]  # a real one knows whole seconds only
        response = web.StreamResponse()
        await response.prepare(request)
        written = 0
        while True:
            lines = [line for line in self.logs.get(name, []) if line[:19] >= since]
            for line in lines[written:]:
                if written == request.get("cut"):
                    return response
                written += 1
                await response.write(line.encode() + b"\n")
            pod = self.pods.get(name)
            if request.query["follow"] != "true" or pod is None or "terminated" in json.dumps(pod):
                return response
            await self.next()


async def _run(script: Awaitable[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await script


def _hits(fault: Fault, request: web.Request) -> bool:
    is_stream = request.path.endswith("log") or request.query.get("watch") == "true"
    if fault.after_lines is not None and not is_stream:
        return False
    return fault.method == request.method and request.path.endswith(fault.ending)


def _status(code: int, reason: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": reason}
    return web.json_response(body, status=code)


@contextmanager
def api_server(script: Script, kubeconfig: Path) -> Iterator[ApiServer]:
    """Run one in a thread; ``kubeconfig`` is written, and names it."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    found: list[tuple[ApiServer, web.AppRunner, int]] = []

    async def start() -> None:
        server = ApiServer(script)
        app = web.Application(middlewares=[server.failing])
        app.router.add_post(JOBS, server.create)
        app.router.add_get(f"{JOBS}/{{name}}", server.get)
        app.router.add_delete(f"{JOBS}/{{name}}", server.delete)
        app.router.add_get(PODS, server.pods_of)
        app.router.add_get(f"{PODS}/{{name}}/log", server.log)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.append((server, runner, runner.addresses[0][1]))
        started.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(start()), loop.run_forever()), daemon=True)
    thread.start()
    assert started.wait(10)
    server, runner, port = found[0]
    write_kubeconfig(kubeconfig, port, server.token)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def write_kubeconfig(path: Path, port: int, token: str) -> None:
    """Say where the server is, and with which token it is asked."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(config))
