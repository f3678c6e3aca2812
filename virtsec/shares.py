"""Work of many pieces by as many processes as there are processors: threads would wait in turn.

Each is forked: it has a copy of all that this one has, changes what is outside of memory only, and
ends with this one.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from multiprocessing import connection
from types import FrameType
from typing import Any, NoReturn, TypeVar

from virtsec.errors import Failed
from virtsec.kernel.privilege import die_with_parent
from virtsec.kernel.signals import ENDING, blocked, cut_off_once

#: Shares for each process: who has less to do takes none of another's, so they are small.
_EACH = 16

Share = TypeVar("Share")
Piece = TypeVar("Piece")
Result = TypeVar("Result")

_Running = dict[connection.Connection, int]  #: where each is heard, and its number


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def dealt(pieces: Sequence[Piece], most: int | None = None) -> list[list[Piece]]:
    """The pieces in shares of about as many each, `most` at most; none where there are none."""
    count = min(len(pieces), most or processors() * _EACH)
    return [list(pieces[start::count]) for start in range(count)]


def spread(work: Callable[[Share], Result], shares: Sequence[Share]) -> Iterator[Result]:
    """What `work` says of each share, in whatever order.

    What is raised in one is raised here, when the others are ended: a share may then be done in
    part.
    """
    missing = len(shares)
    running: _Running = {}
    try:
        _begin(running, partial(map, work), dealt(shares, processors()))
        while waiting := _open(running):
            for ready in connection.wait(waiting):
                for result in _said(ready):
                    missing -= 1
                    yield result
        if missing:
            raise Failed(
                "A process of virtsec's was ended by somebody else.", "Run the command again."
            )
    finally:
        for number in running.values():
            os.kill(number, signal.SIGKILL)
        _end(running)


def work_through(
    work: Callable[[Share], Iterable[Result]],
    shares: Sequence[Share],
    hear: Callable[[Result], object],
    meanwhile: AbstractContextManager[object],
) -> None:
    """Have `work` on each share done by a process of its own, and `hear` what it says meanwhile.

    For work that is to undo what it has begun: where this process is interrupted, or one of them
    raises, they get SIGTERM, which is KeyboardInterrupt to them, and are heard to their end; only
    then is it raised here. What one would have said that somebody kills is missing. `meanwhile` is
    entered once all have begun: they have nothing of it.
    """
    running: _Running = {}
    with cut_off_once(ENDING) as hold:
        try:
            with blocked(ENDING):
                _begin(running, work, shares)
            with meanwhile:
                while waiting := _open(running):
                    ready = connection.wait(waiting)
                    with blocked(ENDING):  # what is heard in part would be lost
                        for each in ready:
                            for result in _said(each):
                                hear(result)
        except BaseException:
            hold()
            for number in running.values():
                os.kill(number, signal.SIGTERM)
            while waiting := _open(running):
                with suppress(BaseException):  # they were asked to: that they raise is no news
                    for result in _said(waiting[0]):
                        hear(result)
            raise
        finally:
            hold()
            _end(running)


def _begin(
    running: _Running, work: Callable[[Share], Iterable[Result]], shares: Iterable[Share]
) -> None:
    gc.freeze()  # what there is by now none of them is to go through, page by page, and to copy
    for share in shares:
        reading, writing = connection.Pipe(duplex=False)
        number = os.fork()
        if number == 0:
            _live(work, share, writing)
        running[reading] = number
        writing.close()
    gc.unfreeze()


def _live(
    work: Callable[[Share], Iterable[Result]], share: Share, writing: connection.Connection
) -> NoReturn:
    """A process's whole life: nothing of its parent's is cleaned up in it."""

    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:  # once: whoever stops a service sends it to all of its processes
            interrupted = True
            raise KeyboardInterrupt

    def say(failure: BaseException | None, result: Result | None = None) -> None:
        with blocked(ENDING):
            writing.send((failure, result))

    try:
        try:
            for number in ENDING:  # of a terminal the parent has them too, and ends this one
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, interrupt)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            die_with_parent(signal.SIGKILL)
            for result in work(share):
                say(None, result)
        except BaseException as error:
            say(error)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # it raises here, or not at all
    finally:
        os._exit(0)


def _open(running: _Running) -> list[connection.Connection]:
    """Where those are heard that have not ended."""
    return [reading for reading in running if not reading.closed]


def _said(reading: object) -> list[Any]:
    """What a process says next; nothing at its end. Raises what it raised."""
    assert isinstance(reading, connection.Connection)
    try:
        failure, result = reading.recv()
    except EOFError:
        reading.close()
        return []
    if failure is not None:
        raise failure
    return [result]


def _end(running: _Running) -> None:
    for reading, number in running.items():
        os.waitpid(number, 0)
        reading.close()
