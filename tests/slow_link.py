"""A slow link: a relay in front of a server's Unix socket that lets so many bytes a second through to it."""

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.servers import Server


@contextmanager
def slow_link(server: Server, bytes_a_second: float) -> Iterator[str]:
    """Give the folder of a socket that leads to the server while the block lasts."""
    folder = tempfile.mkdtemp(prefix="pgr-", dir="/tmp")
    target = f"{server.host}/.s.PGSQL.{server.port}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/.s.PGSQL.{server.port}")
        listener.listen()
        threading.Thread(target=_accept, args=(listener, target, bytes_a_second), daemon=True).start()
        try:
            yield folder
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            shutil.rmtree(folder)


def _accept(listener: socket.socket, target: str, bytes_a_second: float) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(target)
            threading.Thread(target=_carry, args=(client, server, bytes_a_second), daemon=True).start()
            threading.Thread(target=_carry, args=(server, client, None), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket, bytes_a_second: float | None) -> None:
    with suppress(OSError), source:
        while data := source.recv(1 << 14):
            if bytes_a_second:
                time.sleep(len(data) / bytes_a_second)
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
