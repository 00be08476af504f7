"""
Distance: a proxy that puts a server farther away, and counts how often a client waits for it.

The whole round trip is spent on the way to the server, where no client can tell it from half of it each way. A proxy,
because a delay of the network's own (``tc netem``) needs a kernel module and the rights to set it.
"""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK = 1 << 16


@dataclass
class Distance:
    """A server seen from afar."""

    port: int
    """Where it is reached on 127.0.0.1."""
    turns: int = 0
    """How often something was sent after an answer: each costs a round trip."""
    _closed: threading.Event = field(default_factory=threading.Event)


@contextmanager
def far_away(path: str, milliseconds: float) -> Iterator[Distance]:
    """Put the server of a Unix socket so far away, in milliseconds there and back, while the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        distance = Distance(listener.getsockname()[1])
        listener.settimeout(0.1)
        thread = threading.Thread(target=_accept, args=(listener, path, milliseconds / 1000, distance), daemon=True)
        thread.start()
        try:
            yield distance
        finally:
            distance._closed.set()
            thread.join()


def _accept(listener: socket.socket, path: str, delay_s: float, distance: Distance) -> None:
    while not distance._closed.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        threading.Thread(target=_carry, args=(client, path, delay_s, distance), daemon=True).start()


def _carry(client: socket.socket, path: str, delay_s: float, distance: Distance) -> None:
    with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
        server.connect(path)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)
        under_way: deque[tuple[float, bytes]] = deque()
        answered, is_open = True, True
        while is_open or under_way:
            due = under_way[0][0] - time.monotonic() if under_way else 0.1
            for key, _ in selector.select(max(due, 0)):
                data = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]
                if key.fileobj is server:
                    if not data:
                        return
                    client.sendall(data)
                    answered = True
                elif data:
                    distance.turns += answered
                    answered = False
                    under_way.append((time.monotonic() + delay_s, data))
                else:
                    selector.unregister(client)
                    is_open = False
            while under_way and under_way[0][0] <= time.monotonic():
                server.sendall(under_way.popleft()[1])
