"""Ctrl-C and the signals that mean the same, past typer, which would turn them into a number."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import ParamSpec, TypeVar

from virtsec.kernel.signals import handled

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
            raise Interrupted(number, list(getattr(error, "__notes__", ()))) from None

    return wrapped


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that went away, stop a command as Ctrl-C does.

    One that is ignored, as nohup(1) has it, stays so.
    """
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    with handled(numbers, _stop):
        yield


def _stop(number: int, _frame: FrameType | None) -> None:
    raise _Stopped(number)
