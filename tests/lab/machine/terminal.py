"""The user's terminal while it is lent to a shell in the guest."""

import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from .errors import LabError

ESCAPE = b"\x1d"
"""Ctrl-]: leaves a guest that no longer answers, as with virsh console."""


class Terminal:
    """Standard input in raw mode for as long as it is entered; a pipe is taken as it is."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self.is_tty = os.isatty(self.descriptor)
        self.on_resize: Callable[[int, int], None] = lambda _rows, _columns: None
        self._saved: list[Any] | None = None

    @property
    def rows(self) -> int:
        """The height in characters."""
        return shutil.get_terminal_size().lines

    @property
    def columns(self) -> int:
        """The width in characters."""
        return shutil.get_terminal_size().columns

    def checked(self, data: bytes) -> bytes:
        """Return ``data`` as typed; raises LabError on Ctrl-]."""
        if self.is_tty and ESCAPE in data:
            raise LabError("left by Ctrl-]; the guest is gone")
        return data

    def __enter__(self) -> Self:
        if self.is_tty:
            self._saved = termios.tcgetattr(self.descriptor)
            tty.setraw(self.descriptor)
            signal.signal(signal.SIGWINCH, self._resized)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._saved)
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        self.on_resize(self.rows, self.columns)
