"""Races: how often each is run, and who runs against it."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: What an attacker would need to win one is not known. Few while one works; `make test` says 2,000
#: and `make stress` 20,000.
ROUNDS = int(os.environ.get("VIRTSEC_ROUNDS", "200"))

_TOGETHER = 8


@contextmanager
def attacker(*steps: Callable[[], None]) -> Iterator[None]:
    """A process that runs `steps` in a circle, as fast as it can."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        with suppress(BaseException):
            while os.getppid() == parent:
                for step in steps:
                    step()
        os._exit(1)
    try:
        yield
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the attack broke off"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def shared_out(work: Callable[[int], None], rounds: int) -> None:
    """Have several processes do these rounds, each so many of them as `work` is told.

    A walk that meets fresh changes waits for the kernel's clock: together they wait once.
    """
    children = []
    for _ in range(_TOGETHER):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(-(-rounds // _TOGETHER))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * _TOGETHER
