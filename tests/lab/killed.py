"""Work that is cut off: in a process of its own, which is to kill itself on the way."""

import os
import signal
from collections.abc import Callable


def killed(work: Callable[[], object]) -> None:
    """Begin `work` in a forked process, and assert that SIGKILL ended it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
