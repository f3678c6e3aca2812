"""Work of many pieces by as many processes as there are processors: threads would wait in turn."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import connection
from typing import NoReturn, TypeVar

from virtsec.errors import Failed
from virtsec.kernel.privilege import die_with_parent

#: Shares for each process: who has less to do takes none of another's, so they are small.
_EACH = 16

Share = TypeVar("Share")
Piece = TypeVar("Piece")
Result = TypeVar("Result")


def dealt(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in shares of about as many each; none where there are none."""
    count = min(len(pieces), _processors() * _EACH)
    return [list(pieces[start::count]) for start in range(count)]


def spread(work: Callable[[Share], Result], shares: Sequence[Share]) -> Iterator[Result]:
    """What `work` says of each share, in whatever order.

    Other processes do it, which have a copy of all that this one has and change what is outside of
    memory only. They end with this one. What is raised in one is raised here, when the others are
    ended: a share may then be done in part.
    """
    count = min(_processors(), len(shares))
    running: dict[connection.Connection, int] = {}
    try:
        for start in range(count):
            reading, number = _begin(work, shares[start::count])
            running[reading] = number
        missing = len(shares)
        open_ends = set(running)
        while open_ends:
            for ready in connection.wait(list(open_ends)):
                assert isinstance(ready, connection.Connection)
                try:
                    failure, result = ready.recv()
                except EOFError:
                    open_ends.discard(ready)
                    continue
                if failure is not None:
                    raise failure
                missing -= 1
                yield result
        if missing:
            raise Failed(
                "A process of virtsec's was ended by somebody else.", "Run the command again."
            )
    finally:
        for reading, number in running.items():
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            reading.close()


def _begin(
    work: Callable[[Share], Result], shares: Iterable[Share]
) -> tuple[connection.Connection, int]:
    reading, writing = connection.Pipe(duplex=False)
    number = os.fork()
    if number == 0:
        _live(work, shares, writing)
    writing.close()
    return reading, number


def _live(
    work: Callable[[Share], Result], shares: Iterable[Share], writing: connection.Connection
) -> NoReturn:
    """A process's whole life: nothing of its parent's is cleaned up in it."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends this one
        die_with_parent(signal.SIGKILL)
        for share in shares:
            writing.send((None, work(share)))
    except BaseException as error:
        writing.send((error, None))
    finally:
        os._exit(0)


def _processors() -> int:
    return len(os.sched_getaffinity(0))
