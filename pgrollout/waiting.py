"""
Waiting for a person: until Ctrl-C or SIGTERM.
"""

import signal


def until_interrupted() -> None:
    """Return when SIGINT or SIGTERM comes; both are taken as the wish to end in an orderly way."""
    wanted = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    try:
        signal.sigwait(wanted)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
