"""
Repeating: what is done every 10 ms, on a connection and in a thread of its own, until it is stopped.
"""

import threading
from abc import ABC, abstractmethod
from typing import Any

import psycopg

PERIOD_SECONDS = 0.01


class Repeating(ABC):
    """Does something again and again."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection = connection
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=name)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        self._ended.set()
        self._thread.join()
        self._connection.close()

    def _repeat(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            if not self.once():
                return

    @abstractmethod
    def once(self) -> bool:
        """Do it; return whether to go on."""
