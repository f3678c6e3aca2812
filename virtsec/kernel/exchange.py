"""Two names exchanged at once: renameat2(2) with RENAME_EXCHANGE (linux/fs.h)."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from virtsec.kernel.syscall import check, libc

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def exchange(one: PurePosixPath, other: PurePosixPath) -> None:
    """Give each of two paths what is at the other. Raises `OSError`."""
    names = (os.fsencode(one), os.fsencode(other))
    result = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    check(result, "renameat2")
