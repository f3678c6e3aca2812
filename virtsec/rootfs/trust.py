"""Whether the way to a path is in nobody's hands but root's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from virtsec.errors import Refused

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_parents(path: PurePosixPath) -> None:
    """Raise `Refused` when somebody other than root could put another directory in place of `path`.

    Every directory above it, and above what its links lead to, must be root's and writable by
    nobody else; a sticky one, such as /tmp, will do, since root's own entries are safe there.
    """
    for directory in _above(path):
        found = directory.lstat()
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        writable = found.st_mode & _OTHERS_MAY_WRITE and not stat.S_ISLNK(found.st_mode)
        if found.st_uid != 0 or (writable and not sticky):
            raise Refused(
                f"{path} is not safe: others than root may change {directory}.",
                "Choose a place that only root may change, such as /var/lib/virtsec.",
            )


def _above(path: PurePosixPath) -> Iterator[Path]:
    real = Path(os.path.realpath(path.parent))
    seen: set[Path] = set()
    for directory in (*Path(path).parents, real, *real.parents):
        if directory not in seen and os.path.lexists(directory):
            seen.add(directory)
            yield directory
