"""
Files: written whole or not at all, in folders that Git leaves alone where they are ours.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

STATE_NAME = ".pgrollout"
"""The folder of a project that holds what pgrollout makes there: releases, backups, caches, the embedded server."""


def make_folder(path: Path, mode: int = 0o777) -> None:
    """
    Make the folder and those above it, if they are not there; Git ignores all of a ``.pgrollout`` among them.

    Raises:
        OSError: It cannot be made.
    """
    path.mkdir(mode, parents=True, exist_ok=True)
    state = next((folder for folder in (path, *path.parents) if folder.name == STATE_NAME), None)
    if state is not None:
        # It may be there already, or be another user's.
        with suppress(OSError), (state / ".gitignore").open("x") as ignored:
            ignored.write("*\n")


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """
    Replace the file's content; a reader, also after a crash, sees the old or the new one, never a part.

    Raises:
        OSError: The folder cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
