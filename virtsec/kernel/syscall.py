"""Calling the kernel by number, and libc where it has a name for the call.

System call numbers from 424 on are the same on every architecture (asm-generic/unistd.h).
"""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long  # addresses are longer than an int


def check(result: int, what: str) -> int:
    """Return `result`, or raise `OSError` with errno and `what` when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, what: str, *arguments: object) -> int:
    """System call `number`; integers go as long, everything else as ctypes passes it."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return check(libc.syscall(ctypes.c_long(number), *passed), what)
