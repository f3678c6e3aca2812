"""Saying what is being done, one line per stage with the seconds since the start."""

import sys
import time
from collections.abc import Callable


def to_stderr(line: str) -> None:
    """Write one line to standard error: standard output belongs to the script in the guest."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Stage lines such as ``lab:   12 s  booting the guest``."""

    def __init__(self, write: Callable[[str], None] = to_stderr) -> None:
        self._write = write
        self._start = time.monotonic()

    def stage(self, text: str) -> None:
        """Say that ``text`` is being done from now on."""
        self._write(f"lab: {time.monotonic() - self._start:4.0f} s  {text}")
