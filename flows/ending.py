"""
Ending: the state in which a flow run ends says with which exit code, for whoever follows it from another process.

The code is the last line of the state's message: one record says what went wrong and how to go on, a person reads it on the
run page, and an alert repeats it. What a process of its own ends with is left to ``foreground``.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect.client.schemas.objects import State, StateType
from prefect.states import Failed

from pgrollout.errors import ExitCode, PgrolloutError, StageFailed

P = ParamSpec("P")
R = TypeVar("R")

PREFIX = "Flow run encountered an exception: "
"""How Prefect begins such a message; whoever shortens it need not know that this one is ours."""
_CODE = re.compile(r"\nExit code (\d+)\.\Z")


def tells_exit_code(flow: Callable[P, R]) -> Callable[P, R | State[Any]]:
    """Let a flow that raises an error of ours end in a state that has its exit code; stands below ``@flow``."""

    @functools.wraps(flow)
    def told(*args: P.args, **kwargs: P.kwargs) -> R | State[Any]:
        try:
            return flow(*args, **kwargs)
        except PgrolloutError as error:
            # Whoever calls the flow gets the error itself: Prefect raises it out of the state.
            return failed(error)

    return told


def failed(error: PgrolloutError) -> State[Any]:
    """Return the state of a run that ends with the error."""
    name = error.error if isinstance(error, StageFailed) else type(error).__name__
    return Failed(data=error, message=f"{PREFIX}{name}: {error}\nExit code {int(error.code)}.")


def exit_code(state: State[Any]) -> ExitCode:
    """
    Return the exit code that a final state stands for.

    Crashed and cancelled is 75, and so is a run that took too long: what was committed stays, and the next run continues
    there. A failure that does not say is one of Prefect, or of our making: somebody has to look.
    """
    if state.type is StateType.COMPLETED:
        return ExitCode.DONE
    if state.type is not StateType.FAILED or state.name == "TimedOut":
        return ExitCode.WAIT
    found = _CODE.search(state.message or "")
    return ExitCode(int(found[1])) if found and int(found[1]) in list(ExitCode) else ExitCode.FAILED


def what_went_wrong(state: State[Any]) -> str:
    """Return the message of a final state for a person, without what a machine reads."""
    return _CODE.sub("", state.message or "").removeprefix(PREFIX)
