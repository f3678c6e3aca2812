"""A file that is there whole or not at all, whatever ends whoever writes it: rename(2)."""

from __future__ import annotations

import os
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
    """
    staging.unlink(missing_ok=True)
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
