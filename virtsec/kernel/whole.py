"""A file that is there whole or not at all, whatever ends whoever writes it: rename(2)."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def write_whole(
    path: Path,
    content: bytes,
    staging: Path,
    mode: int = 0o600,
    owner: tuple[int, int] | None = None,
) -> None:
    """Have `content` at `path`, which keeps what it has until all of it is on the disk.

    It is written at `staging`, a name in the same file system where nobody else writes, which is
    free afterwards. `owner` is user and group; by default those of the process. Raises `OSError`.

    What is there already is not written again: whoever is killed here leaves `staging` only where
    the same command has yet to write, and so takes it away.
    """
    staging.unlink(missing_ok=True)
    if _is_there(path, content, mode, owner or (os.geteuid(), os.getegid())):
        return
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(staging, flags, 0o600), "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        staging.rename(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise


def _is_there(path: Path, content: bytes, mode: int, owner: tuple[int, int]) -> bool:
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(found, "rb") as file:
        status = os.fstat(found)
        return (
            stat.S_ISREG(status.st_mode)
            and (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, *owner)
            and status.st_size == len(content)
            and file.read() == content
        )
