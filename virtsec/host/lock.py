"""One virtsec at a time chooses labels, ids and names on a host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from virtsec.errors import Refused
from virtsec.step import Progress, shown

DIRECTORY = Path("/run/virtsec")


@contextmanager
def host_lock(progress: Progress, directory: Path = DIRECTORY) -> Iterator[None]:
    """Hold the host's lock, waiting for whoever has it; the kernel frees it when we die.

    Raises `Refused` when `directory` is not ours alone, since its owner could hold us up.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        place = os.open(directory, flags)
    except OSError as error:
        raise Refused(f"{directory} is not a directory: {error.strerror}.", "Remove it.") from None
    try:
        found = os.fstat(place)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise Refused(f"{directory} is writable by others than root.", "Remove it.")
        lock = os.open(
            "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place
        )
    finally:
        os.close(place)
    try:
        _take(lock, progress)
        yield
    finally:
        os.close(lock)


def _take(lock: int, progress: Progress) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with shown(progress, "wait for another virtsec"):
            fcntl.flock(lock, fcntl.LOCK_EX)
