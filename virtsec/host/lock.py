"""One virtsec at a time chooses labels, ids and names on a host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from virtsec.errors import Refused
from virtsec.kernel.private import sweep
from virtsec.kernel.rmdir import remove_empty
from virtsec.step import Progress, shown

DIRECTORY = Path("/run/virtsec")
_NAME = "lock"


@contextmanager
def host_lock(progress: Progress, directory: Path = DIRECTORY) -> Iterator[None]:
    """Hold the host's lock, waiting for whoever has it; the kernel frees it when we die.

    What is temporary of those who were killed is removed first.
    Raises `Refused` when `directory` is not ours alone, since its owner could hold us up.
    """
    while True:
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = _opened(directory)
        except FileNotFoundError:
            continue  # taken away meanwhile: see `remove_lock`
        try:
            _take(lock, progress)
            if not _is_at(lock, directory):  # likewise: who comes next takes another one
                continue
            sweep(directory)
            yield
            return
        finally:
            os.close(lock)


def remove_lock(directory: Path = DIRECTORY) -> None:
    """Take away the lock that the caller holds, and its directory. Raises `OSError`."""
    (directory / _NAME).unlink()
    remove_empty(directory)


def _opened(directory: Path) -> int:
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        place = os.open(directory, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"{directory} is not a directory: {error.strerror}.", "Remove it.") from None
    try:
        found = os.fstat(place)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise Refused(f"{directory} is writable by others than root.", "Remove it.")
        return os.open(
            _NAME, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place
        )
    finally:
        os.close(place)


def _is_at(lock: int, directory: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.lstat(directory / _NAME))
    except FileNotFoundError:
        return False


def _take(lock: int, progress: Progress) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with shown(progress, "wait for another virtsec"):
            fcntl.flock(lock, fcntl.LOCK_EX)
