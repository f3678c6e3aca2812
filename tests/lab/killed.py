"""Work that is cut off: in a process of its own, which is to kill itself on the way."""

import os
import signal
from collections.abc import Callable

from virtsec.step import Step, Watcher


def killed(work: Callable[[], object]) -> None:
    """Begin `work` in a forked process, and assert that SIGKILL ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def killed_before(step: str, work: Callable[[Watcher], object]) -> None:
    """Begin `work` likewise; it kills itself before it takes a step of that kind."""

    def watch(index: int, each: Step) -> None:
        del index
        if type(each).__name__ == step:
            os.kill(os.getpid(), signal.SIGKILL)

    killed(lambda: work(watch))
