"""
Proxy: stands between one run and its server, knows every message, and stops at the one that a case is about.

A message is what a client sends and awaits one ``ReadyForQuery`` for: a Query, or an extended query up to its Sync. Knows
the protocol, and nothing of what the messages mean: a function gives each its label.

Source: PostgreSQL manual, "Message Formats", "Message Flow".
"""

import re
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.servers import Server

_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
_NAME = re.compile(r"pgrollout/(?P<run>[^/]+)/(?P<what>[^/]+)$")
_WAIT_SECONDS = 120.0


class Side(StrEnum):
    """Which of a run's connections it is."""

    WORK = "work"
    """The executing one."""
    WATCH = "watch"
    """The supervising one."""


class Moment(StrEnum):
    """Where a message is when the proxy stops."""

    ARRIVED = "arrived"
    """The client has sent it; the server does not know of it."""
    ANSWERED = "answered"
    """The server has answered up to ReadyForQuery; the client does not know of that."""


@dataclass(eq=False)
class Message:
    """One message of a run."""

    side: Side
    label: str
    number: int
    """Of the messages with that label on that side, from 1."""
    text: str
    """Its SQL."""
    is_answered: bool = False
    """Whether the server has."""
    has_failed: bool = False
    """Whether it answered with an error."""


@dataclass(eq=False)
class Trap:
    """Where the proxy is to stop, once."""

    side: Side
    label: str
    number: int
    moment: Moment
    caught: threading.Event = field(default_factory=threading.Event)
    """Set when the message is there."""
    message: Message | None = None
    link: "Link | None" = None
    _go_on: threading.Event = field(default_factory=threading.Event)
    _is_dropped: bool = False

    def release(self) -> None:
        """Let the message, or its answer, go where it was going."""
        self._go_on.set()

    def drop(self) -> None:
        """Never deliver it, and close the connection."""
        self._is_dropped = not self._go_on.is_set()
        self._go_on.set()

    def stop(self, link: "Link", message: Message) -> bool:
        """Wait for what the case decides; return whether the message goes on."""
        self.link, self.message = link, message
        self.caught.set()
        self._go_on.wait(_WAIT_SECONDS)
        return not self._is_dropped


class Proxy:
    """A socket in a folder of its own; every connection to it is passed on to the server."""

    def __init__(self, folder: Path, server: Server, label: Callable[[Side, str], str], trap: Trap | None = None):
        self.folder = folder
        self.messages: list[Message] = []
        """All messages, in the order in which they came."""
        self.links: list[Link] = []
        self.trap = trap
        self._label = label
        self._counts: Counter[tuple[Side, str]] = Counter()
        self._lock = threading.Lock()
        self._target = f"{server.host}/.s.PGSQL.{server.port}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.{server.port}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def run(self) -> str:
        """The id of the run, as its connections tell it; empty before there is one."""
        return next((link.run for link in self.links if link.run), "")

    def cut(self, *, keep_server: bool = False) -> None:
        """Close all connections; with ``keep_server`` the server does not hear of it."""
        for link in list(self.links):
            link.cut(keep_server=keep_server)

    def close(self) -> None:
        """End it, and every connection, on both sides."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self.trap:
            self.trap.drop()
        self.cut()

    def new_message(self, side: Side, text: str) -> Message:
        """Take a message down."""
        label = self._label(side, text)
        with self._lock:
            self._counts[side, label] += 1
            message = Message(side, label, self._counts[side, label], text)
            self.messages.append(message)
        return message

    def passes(self, link: "Link", message: Message, moment: Moment) -> bool:
        """Stop if it is what the trap is set for; return whether it goes on."""
        trap = self.trap
        if (
            trap is None
            or trap.caught.is_set()
            or (trap.side, trap.label, trap.number, trap.moment)
            != (message.side, message.label, message.number, moment)
        ):
            return True
        return trap.stop(link, message)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._target)
                except OSError:
                    client.close()
                    continue
                link = Link(self, client, server)
                self.links.append(link)
                threading.Thread(target=link.pass_requests, daemon=True).start()


class Link:
    """One connection: a socket to the client and one to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.run = ""
        self.backend_pid = 0
        self._side = Side.WORK
        self._proxy = proxy
        self._client = client
        self._server = server
        self._keeps_server = False
        self._waiting: deque[Message | None] = deque()
        """Messages that have no answer yet; None is the start-up."""

    def cut(self, *, keep_server: bool = False) -> None:
        """Close both sides, or the client's alone."""
        self._keeps_server = self._keeps_server or keep_server
        _close(self._client)
        if not keep_server:
            self._keeps_server = False
            _close(self._server)

    def pass_requests(self) -> None:
        """Pass on what the client says, message by message."""
        try:
            if self._start_up():
                threading.Thread(target=self._pass_answers, daemon=True).start()
                self._pass_messages()
        except OSError:
            pass
        finally:
            # The client has gone: the server hears of it, unless the network keeps that to itself.
            if not self._keeps_server:
                _close(self._server)
            _close(self._client)

    def _start_up(self) -> bool:
        while True:
            head = _receive(self._client, 4)
            body = _receive(self._client, struct.unpack("!I", head)[0] - 4)
            (code,) = struct.unpack("!I", body[:4])
            if code in (_SSL, _GSS):
                self._client.sendall(b"N")
                continue
            self._server.sendall(head + body)
            if code == _CANCEL:
                with suppress(OSError):
                    self._server.recv(1)  # the server closes when it has passed the request on
                return False
            parts = body[4:].split(b"\0")
            values = dict(zip(parts[::2], parts[1::2], strict=False))
            if found := _NAME.match(values.get(b"application_name", b"").decode()):
                self.run = found["run"]
                self._side = Side.WATCH if found["what"] == "watch" else Side.WORK
            self._waiting.append(None)
            return True

    def _pass_messages(self) -> None:
        held, texts = b"", list[str]()
        while True:
            head = _receive(self._client, 5)
            kind, length = struct.unpack("!cI", head)
            body = _receive(self._client, length - 4)
            held += head + body
            if kind == b"P":
                texts.append(body.split(b"\0")[1].decode())
            if kind == b"Q":
                texts.append(body.rstrip(b"\0").decode())
            if kind in (b"Q", b"S", b"X"):
                message = self._proxy.new_message(self._side, "; ".join(texts) if kind != b"X" else "Terminate")
                if not self._proxy.passes(self, message, Moment.ARRIVED):
                    return
                if kind != b"X":
                    self._waiting.append(message)
                texts = []
            if kind in (b"Q", b"S", b"X", b"H", b"p"):
                self._server.sendall(held)
                held = b""

    def _pass_answers(self) -> None:
        try:
            while True:
                answer = b""
                while True:
                    head = _receive(self._server, 5)
                    kind, length = struct.unpack("!cI", head)
                    body = _receive(self._server, length - 4)
                    if kind == b"K":
                        (self.backend_pid,) = struct.unpack("!I", body[:4])
                    answer += head + body
                    if kind == b"E" and self._waiting and self._waiting[0]:
                        self._waiting[0].has_failed = True
                    if kind == b"Z":
                        break
                    if kind in b"RNE" and not self._is_trapped():
                        self._client.sendall(answer)  # a question about the password, a notice, a last word
                        answer = b""
                message = self._waiting.popleft()
                if message is not None:
                    message.is_answered = True
                    if not self._proxy.passes(self, message, Moment.ANSWERED):
                        break
                self._client.sendall(answer)
        except OSError:
            pass
        finally:
            _close(self._client)
            if not self._keeps_server:
                _close(self._server)

    def _is_trapped(self) -> bool:
        trap, message = self._proxy.trap, self._waiting[0] if self._waiting else None
        return (
            trap is not None
            and message is not None
            and trap.moment is Moment.ANSWERED
            and (trap.side, trap.label, trap.number) == (message.side, message.label, message.number)
        )


def _receive(side: socket.socket, count: int) -> bytes:
    """Return that many bytes; an end of the connection is an error."""
    parts = []
    while count:
        part = side.recv(min(count, 1 << 20))
        if not part:
            raise ConnectionResetError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _close(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
    side.close()
