"""All that was written to a file system put on its disk: syncfs(2)."""

from __future__ import annotations

from virtsec.kernel.syscall import check, libc


def flush(descriptor: int) -> None:
    """Have the disk hold all that is in the file system of an open file, names and data.

    Raises `OSError`, also where something written earlier did not get there.
    """
    check(libc.syncfs(descriptor), "syncfs")
