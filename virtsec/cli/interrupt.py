"""Ctrl-C and the signals that mean the same, past typer, which would turn them into a number."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import ParamSpec, TypeVar

from virtsec.cli.output import notes
from virtsec.kernel.signals import ENDING, handled

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Interrupted(Exception):
    """The user or the system asked a command to stop, and what it had begun was undone."""

    def __init__(self, number: int, left: list[str]) -> None:
        super().__init__()
        self.number = number  #: of the signal
        self.left = left  #: what could not be undone, a sentence each


class _Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP; whatever handles Ctrl-C handles them too."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def interruptible(
    command: Callable[_Parameters, _Result],
) -> Callable[_Parameters, _Result]:
    """`command`, raising `Interrupted` when it was."""

    @wraps(command)
    def wrapped(*args: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        try:
            return command(*args, **options)
        except KeyboardInterrupt as error:
            number = error.number if isinstance(error, _Stopped) else signal.SIGINT
            raise Interrupted(number, _left(error)) from None

    return wrapped


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that went away, stop a command as Ctrl-C does.

    Once: from the first of them on a command only ends. One that is ignored, as nohup(1) has it,
    stays so.
    """
    stopped = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            raise _Stopped(number)

    with handled([n for n in ENDING if signal.getsignal(n) != signal.SIG_IGN], stop):
        yield


def _left(error: BaseException | None) -> list[str]:
    """What could not be undone, of it and of what it came in the midst of."""
    found: list[str] = []
    while error is not None:
        found = [*notes(error), *found]
        error = error.__context__
    return found
