"""Signal handlers that are there for a while (signal(7))."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType

#: By which a terminal, the system or a user asks a process to end.
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@contextmanager
def handled(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Have `handler` called for these signals in the block; afterwards all is as before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def cut_off_once(numbers: Collection[int]) -> Iterator[Callable[[], None]]:
    """A block that handlers of signals may cut off, and in which nothing is cut off after that.

    They are called as ever until one of them raises, or what the block is given is called: from
    then on signals wait for its end, and handlers are called then. Nor do they reach what is
    started meanwhile, as Ctrl-C would: all that run on a terminal get it.
    """
    held = False
    waiting: set[int] = set()
    before: dict[int, Callable[[int, FrameType | None], object]] = {}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def take(number: int, frame: FrameType | None) -> None:
        nonlocal held
        if held:
            waiting.add(number)
            return
        held = True  # for if its handler raises: the next may be there already
        before[number](number, frame)
        held = False

    def hold() -> None:
        nonlocal held
        held = True
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    try:
        # Python calls handlers in its main thread: nothing else is cut off.
        if threading.current_thread() is threading.main_thread():
            with blocked(numbers):
                for number in numbers:
                    handler = signal.getsignal(number)
                    if callable(handler):
                        before[number] = handler
                        signal.signal(number, take)
        yield hold
    finally:
        held = True
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what was kept out comes to `take`
        with ExitStack() as last:
            last.callback(_call_all, before, waiting)
            with blocked(numbers):
                for number, earlier in before.items():
                    signal.signal(number, earlier)


@contextmanager
def blocked(numbers: Collection[int]) -> Iterator[None]:
    """Have these signals wait for the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call_all(
    handlers: Mapping[int, Callable[[int, FrameType | None], object]], numbers: Collection[int]
) -> None:
    """Call the handlers of these, each whatever another raises."""
    with ExitStack() as stack:
        for number in numbers:
            stack.callback(handlers[number], number, None)
