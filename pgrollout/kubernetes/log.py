"""
The place in a pod's log: what has been read, so that reading can go on after a lost connection.

Lines come with the time stamps that the API server puts before them. It begins again at a whole second; what was read
already is left out here.
"""


class Cursor:
    """How far the log of one container was read."""

    def __init__(self) -> None:
        self._last = ""
        self._seen = 0
        self._again = 0

    @property
    def since(self) -> str | None:
        """The time to ask for lines since; None to ask for all."""
        return self._last or None

    def restart(self) -> None:
        """Note that reading begins again, at ``since``."""
        self._again = self._seen

    def read(self, line: str) -> str | None:
        """Return the text of a line that is new; None for one that was read before."""
        stamp, _, text = line.partition(" ")
        if stamp < self._last:
            return None
        if stamp == self._last:
            if self._again:
                self._again -= 1
                return None
            self._seen += 1
            return text
        self._last, self._seen, self._again = stamp, 1, 0
        return text
